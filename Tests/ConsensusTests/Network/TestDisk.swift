// A log disk in memory: writes wait in a queue, become durable in order, and are lost (wholly or in part) by a crash.

import Consensus

struct TestDisk {
    /// What a restart finds.
    private(set) var hardState = HardState()
    private(set) var entries: [Entry] = []
    /// What the entries begin behind.
    private(set) var base: LogPosition?
    /// The two newest, oldest first. One that arrived counts twice.
    private(set) var snapshots: [Snapshot] = []
    /// A snapshot that is on its way to the disk.
    var saving: Snapshot?
    /// Handed out and not yet durable, oldest first.
    private(set) var waiting: [LogWrite] = []
    /// While set, nothing becomes durable.
    var isStalled = false

    /// What a restart begins with: the newest snapshot, and the entries that follow on it. A log that does not hold the
    /// snapshot's last entry is covered or contradicted by it. Nil: there is a gap.
    var recovered: (snapshot: Snapshot?, entries: [Entry])? {
        guard let newest = snapshots.last else { return base == nil ? (nil, entries) : nil }
        let position = newest.mark.position
        guard position.index >= base?.index ?? .zero else { return nil }
        return (newest, holds(position) ? entries.filter { $0.index > position.index } : [])
    }

    private func holds(_ position: LogPosition) -> Bool {
        base == position || entries.contains { $0.index == position.index && $0.term == position.term }
    }

    /// A start makes the disk say what it found.
    mutating func settle() {
        guard let newest = snapshots.last, !holds(newest.mark.position) else { return }
        // From here on nothing else can take its place.
        snapshots = [newest, newest]
        (base, entries) = (newest.mark.position, [])
    }

    /// The snapshot on its way is durable. Returns what the log is kept from: the older of the two.
    mutating func save(_ snapshot: Snapshot, arrived: Bool) -> LogIndex {
        saving = nil
        if let last = snapshots.last, last.mark.index > snapshot.mark.index { return .zero }
        snapshots.append(snapshot)
        if arrived { snapshots.append(snapshot) }
        snapshots = snapshots.suffix(2)
        return snapshots.count == 2 ? snapshots[0].mark.index : .zero
    }

    /// The newest snapshot can no longer be read.
    mutating func loseNewestSnapshot() { if snapshots.count == 2 { snapshots.removeLast() } }

    mutating func drop(through last: LogIndex) {
        guard let entry = entries.first(where: { $0.index == last }) else { return }
        entries.removeAll { $0.index <= last }
        base = LogPosition(index: last, term: entry.term)
    }

    mutating func submit(_ write: LogWrite) { waiting.append(write) }

    /// Makes the oldest write durable and hands it back.
    mutating func completeOldest() -> LogWrite? {
        guard !waiting.isEmpty else { return nil }
        let write = waiting.removeFirst()
        apply(write, entries: write.entries.count)
        return write
    }

    /// The power goes. Some of the waiting writes may have reached the disk, the last of them in part.
    mutating func crash(random: inout SplitMix64) {
        let whole = Int(random.draw(0...Int64(waiting.count)))
        for write in waiting.prefix(whole) { apply(write, entries: write.entries.count) }
        if whole < waiting.count, random.chance(500) {
            let torn = waiting[whole]
            apply(torn, entries: Int(random.draw(0...Int64(torn.entries.count))))
        }
        waiting = []
        if let saving, random.chance(500) { _ = save(saving, arrived: random.chance(500)) }
        saving = nil
    }

    /// Puts something on the disk before the test begins.
    mutating func preset(_ hardState: HardState, _ entries: [Entry]) {
        self.hardState = hardState
        self.entries = entries
    }

    /// The power goes, and nothing that waited reached the disk.
    mutating func loseWaiting() {
        waiting = []
        saving = nil
    }

    /// Every start of a disk is made durable before the member speaks.
    mutating func begin(nonce: UInt64) {
        hardState.begin(DiskStart(number: hardState.start.number + 1, nonce: nonce))
    }

    /// Part of what was durable is gone, and the next start notices: entries from some place on, or everything.
    mutating func lose(_ memory: Memory, random: inout SplitMix64) {
        if memory == .lost {
            hardState = HardState(memory: .lost)
            if random.chance(500) { self = TestDisk(hardState: hardState) }
        } else {
            hardState.memory = memory
        }
        entries.removeLast(Int(random.draw(0...Int64(entries.count))))
        waiting = []
    }

    init() {}
    private init(hardState: HardState) { self.hardState = hardState }

    private mutating func apply(_ write: LogWrite, entries count: Int) {
        if let newer = write.hardState { hardState = newer }
        if let position = write.restartsBehind { (base, entries) = (position, []) }
        guard count > 0, let first = write.entries.first else { return }
        precondition(first.index <= (base?.index ?? .zero) + (entries.count + 1), "the disk has no gap")
        entries.removeAll { $0.index >= first.index }
        entries.append(contentsOf: write.entries.prefix(count))
    }
}
