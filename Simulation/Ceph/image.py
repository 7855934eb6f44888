"""What the writers of writer.s left on an image.

    image.py show IMAGE             writer 1: 322 blocks to number 322; writer 2: ...
    image.py compare BEFORE AFTER WRITER
        Whether that writer's blocks in AFTER all stood in BEFORE already: 0 when none of them is newer.
    image.py holds IMAGE WRITER ACKNOWLEDGED
        Whether each block which that writer was told is on the disk is there, or one it wrote there later: 0 when none is missing.
"""
import re, struct, sys

SECTOR, SLOTS = 512, 2048

def blocks(path):
    """By sector: who wrote it, and the number."""
    found = {}
    with open(path, "rb") as image:
        data = image.read()
    assert len(data) == SECTOR * SLOTS, f"{path} has {len(data)} bytes"
    for slot in range(SLOTS):
        word, number, writer = struct.unpack_from("<8sIH", data, slot * SECTOR)
        if word == b"HOLDFAST":
            assert number % SLOTS == slot, f"{path}: block {number} lies in sector {slot}"
            found[slot] = (writer, number)
        else:
            assert not any(data[slot * SECTOR:(slot + 1) * SECTOR]), f"{path}: sector {slot} holds nothing of a writer"
    return found

def show(path):
    by_writer = {}
    for writer, number in blocks(path).values():
        by_writer.setdefault(writer, []).append(number)
    return "; ".join(f"writer {w}: {len(n)} blocks to number {max(n)}" for w, n in sorted(by_writer.items())) or "nothing"

if sys.argv[1] == "show":
    print(show(sys.argv[2]))
elif sys.argv[1] == "compare":
    before, after = blocks(sys.argv[2]), blocks(sys.argv[3])
    late = [b for slot, b in after.items() if b[0] == int(sys.argv[4]) and before.get(slot) != b]
    print(f"{len(late)} blocks of writer {sys.argv[4]} came later; {show(sys.argv[3])}")
    sys.exit(bool(late))
else:
    acknowledged = [int(n, 16) for n in re.findall(r"^\+([0-9a-f]{8})$", open(sys.argv[4]).read(), re.M)]
    there, writer = blocks(sys.argv[2]), int(sys.argv[3])
    missing = [n for n in acknowledged[-SLOTS + 64:] if there.get(n % SLOTS, (0, 0))[0] != writer or there[n % SLOTS][1] < n]
    print(f"{len(acknowledged)} acknowledged, {len(missing)} of them missing")
    sys.exit(bool(missing) or not acknowledged)
