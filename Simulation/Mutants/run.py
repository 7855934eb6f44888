#!/usr/bin/env python3
"""Power of the tests: plants every mutant of the lists beside this file and reports which test or seed kills it.

A mutant is a small wrong edit of the pure half. All of them are placed at once in a copy of the package, each behind a
condition that one environment variable switches on, so there is one build however many mutants there are. The product's
own sources hold no trace of this.

Relies on: Python 3.11 (tomllib), Swift, and the output of swift-testing (the lines that say "started", "recorded an
issue", "passed", "failed"). Does not: change the sources it was copied from, or judge whether a mutant is a good one.

    Simulation/Mutants/run.py                     all mutants
    Simulation/Mutants/run.py --list              their names and the promises they break; builds nothing
    Simulation/Mutants/run.py --only NAME ...     some of them
    Simulation/Mutants/run.py --rotate day/7      a seventh of them, another one each day
    Simulation/Mutants/run.py --json              one JSON object instead of the table

Exit status: 0 all killed; 1 a mutant survived; 2 the lists do not fit the sources, or the unmutated tests fail.
"""

import argparse
import datetime
import hashlib
import json
import math
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import tomllib
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent
WORK = PACKAGE / ".build-mutants"
TREE = WORK / "tree"
SWITCH = "HOLDFAST_MUTANT"
MARKER = "MUTANT"


class Misfit(Exception):
    """The lists, the sources or the tests are not as they should be. Every line of it is one fault."""


# --------------------------------------------------------------------------------------------------------- the lists


@dataclass
class Edit:
    file: str
    find: str
    replace: str


@dataclass
class Mutant:
    name: str
    area: str
    breaks: str
    killer: list
    edits: list


def read_lists():
    """All mutants, in the order of the files' names and then as they stand there."""
    mutants, faults = [], []
    for path in sorted(HERE.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["mutant"]:
            name = entry.get("name", f"a mutant without a name in {path.name}")
            missing = {"name", "file", "find", "replace", "breaks", "killer"} - entry.keys()
            unknown = entry.keys() - {"name", "file", "find", "replace", "breaks", "killer", "also"}
            if missing or unknown:
                faults.append(f"{name}: missing {sorted(missing)}, unknown {sorted(unknown)}")
                continue
            killer = entry["killer"] if isinstance(entry["killer"], list) else [entry["killer"]]
            parts = [entry] + entry.get("also", [])
            edits = [Edit(part.get("file", entry["file"]), part["find"], part["replace"]) for part in parts]
            if not any(MARKER in edit.replace for edit in edits):
                faults.append(f"{name}: nothing in its replacement says {MARKER}")
            if any(other.name == name for other in mutants):
                faults.append(f"{name}: this name is used twice")
            mutants.append(Mutant(name, path.stem, entry["breaks"].strip(), killer, edits))
    if faults:
        raise Misfit("\n".join(faults))
    return mutants


@dataclass(order=True)
class Placed:
    """What an edit really changes: its text without what it has in common with the original at both ends. So two mutants
    may quote the same line as their context, and collide only where both change it."""

    start: int
    end: int
    text: str = field(compare=False)
    owner: str = field(compare=False)


def place(edit, owner, source):
    count = source.count(edit.find)
    if count != 1:
        what = "is not there any more" if count == 0 else f"stands there {count} times"
        raise Misfit(f"{owner}: its text {what} in {edit.file}:\n    {edit.find.strip()}")
    start = source.index(edit.find)
    end = start + len(edit.find)
    find, replace = edit.find, edit.replace
    ahead = len(os.path.commonprefix([find, replace]))
    most = min(len(find), len(replace)) - ahead
    behind = min(most, len(os.path.commonprefix([find[::-1], replace[::-1]])))
    text = replace[ahead : len(replace) - behind]
    if not text:
        raise Misfit(f"{owner}: its replacement changes nothing that could be switched in {edit.file}")
    return Placed(start + ahead, end - behind, text.replace(MARKER, f'mutant("{owner}")'), owner)


def mutate(mutants):
    """The mutated text of every file that has a mutant."""
    placed, sources, faults = {}, {}, []
    for mutant in mutants:
        for edit in mutant.edits:
            path = PACKAGE / edit.file
            if not path.is_file():
                faults.append(f"{mutant.name}: there is no file {edit.file}")
                continue
            source = sources.setdefault(edit.file, path.read_text())
            try:
                placed.setdefault(edit.file, []).append(place(edit, mutant.name, source))
            except Misfit as misfit:
                faults.append(str(misfit))
    texts = {}
    for file, edits in placed.items():
        edits.sort()
        for one, other in zip(edits, edits[1:]):
            if other.start < one.end or (one.start, one.end) == (other.start, other.end):
                line = sources[file].count("\n", 0, other.start) + 1
                faults.append(f"{one.owner} and {other.owner} change the same text in {file}:{line}")
        text = sources[file]
        for edit in reversed(edits):
            text = text[: edit.start] + edit.text + text[edit.end :]
        texts[file] = text
    if faults:
        raise Misfit("\n".join(faults))
    return texts


# --------------------------------------------------------------------------------------------------------- the build

SWITCH_SOURCE = """\
// Which mutant is switched on in this process. Exists only in the mutated copy of the package.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

private let names: [String] = [
%s
]

/// The number of the mutant that the environment names; -1 for none.
@usableFromInline let activeMutant: Int = {
    guard let wanted = getenv("%s").map({ String(cString: $0) }), !wanted.isEmpty else { return -1 }
    guard let number = names.firstIndex(of: wanted) else { fatalError("no mutant is named \\(wanted)") }
    return number
}()

@inlinable public func mutant(_ number: Int) -> Bool { number == activeMutant }
"""


def write_if_changed(path, text):
    """Leaves equal files alone, so that the next build compiles only what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def plant(mutants):
    """Brings the copy of the package up to date, mutants included."""
    texts = mutate(mutants)
    numbers = {mutant.name: number for number, mutant in enumerate(mutants)}
    wanted = {"Package.swift": (PACKAGE / "Package.swift").read_text()}
    if (PACKAGE / "Package.resolved").is_file():
        wanted["Package.resolved"] = (PACKAGE / "Package.resolved").read_text()
    for folder in ["Sources", "Tests", "Simulation"]:
        for path in (PACKAGE / folder).rglob("*"):
            if not path.is_file() or HERE in path.parents:
                continue
            try:
                wanted[str(path.relative_to(PACKAGE))] = path.read_text()
            except UnicodeDecodeError:
                continue  # Only the world half has files that are no text.
    for file, text in texts.items():
        wanted[file] = re.sub(r'mutant\("([^"]+)"\)', lambda found: f"mutant({numbers[found[1]]})", text)
        # The switch is in the innermost module.
        if not file.startswith("Sources/Consensus/") and "\nimport Consensus\n" not in text:
            wanted[file] = "import Consensus\n" + wanted[file]
    wanted["Sources/Consensus/Mutants.swift"] = SWITCH_SOURCE % (
        "\n".join(f'    "{mutant.name}",' for mutant in mutants),
        SWITCH,
    )
    for path in [path for path in TREE.rglob("*") if path.is_file()]:
        if str(path.relative_to(TREE)) not in wanted:
            path.unlink()
    for file, text in wanted.items():
        write_if_changed(TREE / file, text)


def build(debug):
    """Builds the tests of the mutated copy and returns the program that runs them."""
    configuration = ["-c", "debug"] if debug else ["-c", "release", "-Xswiftc", "-enable-testing"]
    common = ["--package-path", str(TREE), "--scratch-path", str(WORK / "build")] + configuration
    environment = dict(os.environ, HOLDFAST_PURE="1")
    built = subprocess.run(
        ["swift", "build", "--build-tests", *common], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    if built.returncode != 0:
        errors = [line for line in built.stdout.splitlines() if "error:" in line]
        raise Misfit("the mutated copy does not build:\n" + "\n".join(errors or built.stdout.splitlines()[-20:]))
    shown = subprocess.run(
        ["swift", "build", "--show-bin-path", *common], env=environment, text=True, stdout=subprocess.PIPE, check=True)
    return next(pathlib.Path(shown.stdout.strip()).glob("*PackageTests.xctest"))


# -------------------------------------------------------------------------------------------------------- the killers


@dataclass
class Stage:
    """Something that may kill a mutant: tests by a pattern of their names, in an environment of its own."""

    name: str
    filter: list
    skip: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)


# What a mutant meets that its own killer spared. `holdfast-sim seeds`, the random runs of the whole lab, belongs at the
# end of this list as soon as it is built: see `run` for what it has to print.
RANDOM = "RandomScheduleTests"
NEVER = ["LintTests"]
LATER = [
    Stage("suite", ["ConsensusTests", "ClusterTests", "DecisionsTests", "AgentTests"], [RANDOM]),
    Stage("random seeds", [RANDOM], environment={"HOLDFAST_SEEDS": "2000"}),
]


@dataclass
class Verdict:
    killed: bool
    by: str = ""
    how: str = ""
    seconds: float = 0.0
    # Seconds of processor time.
    worked: float = 0.0
    tests: int = 0


ISSUE = re.compile(r"^\S+ Test (.+?) recorded an issue(?: with \d+ arguments? (.*?))?(?: at (\S+:\d+):\d+)?: (.*)$")
STARTED = re.compile(r"^\S+ Test (?!run |case )(.+?) started\.$")
ENDED = re.compile(r"^\S+ Test (?!run |case )(.+?) (?:passed|failed) after")
SEED = re.compile(r"HOLDFAST_SEED=(\d+)")
FATAL = re.compile(r"Fatal error: (.*)$|Precondition failed: (.*)$")


def run(program, stage, mutant, bound):
    """Runs one stage under one mutant until the first failure. `bound` is in seconds of processor time, so that a busy
    machine makes no hang of what is only slow; what neither ends nor works for twenty times as long is no result.

    A program that prints swift-testing's "Test ... recorded an issue at FILE:LINE:COLUMN: WORDS", with a line that says
    HOLDFAST_SEED=n when a seed did it, can be a stage."""
    command = [str(program), "--testing-library", "swift-testing", "--no-parallel"]
    for pattern in stage.filter:
        command += ["--filter", pattern]
    for pattern in stage.skip + NEVER:
        command += ["--skip", pattern]
    environment = dict(os.environ, NO_COLOR="1", SWIFT_BACKTRACE="enable=no", **stage.environment)
    environment.pop(SWITCH, None)
    if mutant:
        environment[SWITCH] = mutant
    started = time.monotonic()
    before = processor_seconds()
    process = subprocess.Popen(
        command, env=environment, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=TREE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(bound), math.ceil(bound) + 5)))
    stuck = threading.Event()

    def stop():
        stuck.set()
        process.kill()

    timer = threading.Timer(20 * bound, stop)
    timer.start()
    running, issue, fatal, seed, tests = None, None, None, None, 0
    for line in process.stdout:
        line = line.rstrip()
        if found := SEED.search(line):
            seed = seed or found[1]
        if issue and not line.startswith("↳") and (seed or line[:1] in "◇✔✘"):
            break  # What belongs to the issue has been read; the rest of the run is of no interest.
        if found := ISSUE.match(line):
            issue = issue or found
        elif found := STARTED.match(line):
            running = found[1]
        elif ENDED.match(line):
            tests += 1
            running = None
        elif found := FATAL.search(line):
            fatal = fatal or found[1] or found[2]
    if issue:
        process.kill()
    process.stdout.close()
    status = process.wait()
    timer.cancel()
    # One at a time, so what all ended children have used grew by this one.
    worked = processor_seconds() - before
    seconds = time.monotonic() - started
    if issue:
        by = f"seed {seed}" if seed else tidy(issue[1]) + (f" ({issue[2][:40]})" if issue[2] else "")
        return Verdict(True, by, f"{issue[3] or ''} {issue[4]}".strip(), seconds, worked, tests)
    if stuck.is_set():
        raise Misfit(f"{mutant or 'without any mutant'}: {running or stage.name} neither ends nor uses the processor")
    if status == -signal.SIGXCPU:
        how = f"hang: no end within {bound:.0f} s of processor time"
        return Verdict(True, tidy(running or stage.name), how, seconds, worked, tests)
    if status == -signal.SIGKILL:
        raise Misfit(f"{mutant or 'without any mutant'}: {running or stage.name} was killed from outside; out of memory?")
    if status != 0:
        how = fatal or (signal.Signals(-status).name if status < 0 else f"status {status}")
        return Verdict(True, tidy(running or stage.name), f"crash: {how}", seconds, worked, tests)
    return Verdict(False, seconds=seconds, worked=worked, tests=tests)


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tidy(test):
    return test.strip('"').removesuffix("()")


def check_unmutated(program, mutants):
    """The mutated copy with no mutant switched on must pass everything, and every named killer must exist. Remembered
    until the program changes. Returns how much processor time each stage takes, in seconds."""
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    memory = WORK / "unmutated.json"
    known = json.loads(memory.read_text()) if memory.is_file() else {}
    if known.get("program") != digest:
        note("the unmutated tests")
        known = {"program": digest, "seconds": {}, "killers": {}}
        for stage in LATER:
            verdict = run(program, stage, None, bound=1200)
            if verdict.killed or verdict.tests == 0:
                raise Misfit(f"without any mutant, {stage.name} fails: {verdict.by}: {verdict.how}")
            known["seconds"][stage.name] = verdict.worked
    for killer in sorted({killer for mutant in mutants for killer in mutant.killer} - known["killers"].keys()):
        verdict = run(program, Stage(killer, [killer]), None, bound=600)
        if verdict.killed or verdict.tests == 0:
            names = ", ".join(mutant.name for mutant in mutants if killer in mutant.killer)
            raise Misfit(f"{names}: no test is named {killer}" if verdict.tests == 0 else f"{killer} fails unmutated")
        known["killers"][killer] = verdict.worked
    memory.write_text(json.dumps(known))
    return known["seconds"] | known["killers"]


def kill(program, mutant, usual):
    """Runs the mutant's own killer, then everything else, until something fails."""
    seconds = 0.0
    for stage in [Stage("killer", mutant.killer)] + LATER:
        clean = usual.get(stage.name) or sum(usual[killer] for killer in mutant.killer)
        verdict = run(program, stage, mutant.name, bound=max(30.0, 5 * clean))
        seconds += verdict.seconds
        if verdict.killed:
            verdict.seconds = seconds
            return verdict
    return Verdict(False, seconds=seconds)


# -------------------------------------------------------------------------------------------------------- the command


def note(words):
    """Progress, for people who wait; not part of the result."""
    print(f"[{datetime.datetime.now():%H:%M:%S}] {words}", file=sys.stderr, flush=True)


def choose(mutants, arguments):
    if arguments.only:
        unknown = set(arguments.only) - {mutant.name for mutant in mutants}
        if unknown:
            raise Misfit("no mutant is named " + ", ".join(sorted(unknown)))
        return [mutant for mutant in mutants if mutant.name in arguments.only]
    if arguments.rotate:
        found = re.fullmatch(r"(day|\d+)/(\d+)", arguments.rotate)
        if not found or int(found[2]) == 0:
            raise Misfit("--rotate takes K/N or day/N, for example 3/7")
        turn = datetime.date.today().toordinal() if found[1] == "day" else int(found[1])
        return [mutant for number, mutant in enumerate(mutants) if number % int(found[2]) == turn % int(found[2])]
    return mutants


def table(results):
    """The results as Markdown, the form of the table in README.md."""
    rows = ["| mutant | killed by | how | s |", "|---|---|---|---:|"]
    for mutant, verdict in results:
        by = verdict.by if verdict.killed else "**survived**"
        how = "" if not verdict.how else verdict.how.split(": ")[0].split(" ")[0].rstrip(":")
        rows.append(f"| {mutant.name} | {by} | {how} | {verdict.seconds:.1f} |".replace("||", "\\|\\|"))
    return "\n".join(rows)


def write_readme(text):
    """Puts the table between the two marks of README.md."""
    path = HERE / "README.md"
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    head, _, rest = path.read_text().partition(begin)
    path.write_text(head + begin + text + "\n" + end + rest.partition(end)[2])


def main():
    parser = argparse.ArgumentParser(description="Plants mutants in the pure half and reports what kills each.")
    parser.add_argument("--list", action="store_true", help="print the mutants and build nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these mutants")
    parser.add_argument("--rotate", metavar="K/N", help="the K-th of N parts; `day` for K takes another part each day")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--debug", action="store_true", help="build without optimisation")
    arguments = parser.parse_args()
    mutants = read_lists()
    chosen = choose(mutants, arguments)
    mutate(mutants)
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.area:12} {mutant.name}\n{'':12} {mutant.breaks}")
        return 0

    begun = time.monotonic()
    note(f"building a copy with {len(mutants)} mutants")
    WORK.mkdir(exist_ok=True)
    plant(mutants)
    program = build(arguments.debug)
    built = time.monotonic()
    usual = check_unmutated(program, mutants)
    checked = time.monotonic()
    results = []
    for number, mutant in enumerate(chosen, 1):
        verdict = kill(program, mutant, usual)
        results.append((mutant, verdict))
        words = f"killed by {verdict.by} ({verdict.how[:90]})" if verdict.killed else "SURVIVED"
        note(f"{number}/{len(chosen)} {mutant.name}: {words} in {verdict.seconds:.1f} s")
    times = {"build": built - begun, "unmutated": checked - built, "mutants": time.monotonic() - checked}
    survivors = [mutant.name for mutant, verdict in results if not verdict.killed]
    summary = f"{len(results) - len(survivors)} of {len(results)} mutants killed; " + ", ".join(
        f"{name} {seconds:.0f} s" for name, seconds in times.items())
    if arguments.json:
        rows = [
            {"name": mutant.name, "area": mutant.area, "breaks": mutant.breaks, "killed": verdict.killed,
             "by": verdict.by, "how": verdict.how, "seconds": round(verdict.seconds, 2)}
            for mutant, verdict in results]
        print(json.dumps({"mutants": rows, "survivors": survivors, "seconds": times}, indent=1))
    else:
        print(table(results) + "\n\n" + summary)
    if arguments.readme:
        write_readme(table(results) + "\n\n" + summary)
    for name in survivors:
        note(f"no test and no seed noticed {name}: write the test that does")
    return 1 if survivors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Misfit as misfit:
        print(misfit, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
