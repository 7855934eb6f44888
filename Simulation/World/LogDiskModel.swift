// The disk under a member's log and snapshots: writes become durable in order, each after its own time; a crash keeps some
// prefix of those that were not acknowledged and may tear the next one. Snapshots become durable beside them.
// What the real store promises stands in Sources/Runtime/Storage/DESIGN.md; this is that promise, made hostile.

import Consensus

struct LogDiskModel: Sendable {
    enum Condition: Hashable, Sendable {
        case well
        /// Nothing completes.
        case stalled
        /// There is no space: the log waits for some, and a snapshot is not kept.
        case full
        /// A write or fsync fails with EIO; what was not acknowledged counts as lost.
        case failing
    }

    /// A snapshot that is being written. One that arrived from another member is written twice.
    struct Saving: Sendable {
        let snapshot: Snapshot
        let arrived: Bool
    }

    private struct SnapshotFile: Sendable {
        let snapshot: Snapshot
        var isReadable = true
    }

    private(set) var hardState = HardState()
    private(set) var entries: [Entry] = []
    /// What the entries begin behind.
    private(set) var base = LogPosition(index: .zero, term: .zero)
    /// Handed out and not durable, oldest first.
    private(set) var waiting: [LogWrite] = []
    /// By index; the two newest stay.
    private var files: [SnapshotFile] = []
    private(set) var saving: [Saving] = []
    var condition = Condition.well
    /// What the next start will find missing.
    enum Damage: Hashable, Sendable {
        /// A record in the middle no longer has its checksum; the copy of term and vote is whole.
        case middle
        /// Nothing is left but the knowledge that this member has been at work.
        case everything
    }
    var damage: Damage?

    var isIdle: Bool { waiting.isEmpty }
    var lastIndex: LogIndex { entries.last?.index ?? base.index }

    mutating func submit(_ write: LogWrite) { waiting.append(write) }

    /// The oldest write is durable now.
    mutating func complete() -> LogWrite? {
        guard !waiting.isEmpty else { return nil }
        let write = waiting.removeFirst()
        store(write, entryCount: write.entries.count, withHardState: true)
        return write
    }

    /// The process or the power is gone.
    /// - Returns: whether a write was torn.
    mutating func crash(_ draws: inout Draws) -> Bool {
        crashSnapshots(&draws)
        let survivors = draws.number(0...waiting.count)
        for write in waiting.prefix(survivors) { store(write, entryCount: write.entries.count, withHardState: true) }
        defer { waiting = [] }
        guard survivors < waiting.count, draws.chance(500) else { return false }
        let torn = waiting[survivors]
        store(torn, entryCount: draws.number(0...torn.entries.count), withHardState: draws.chance(500))
        return true
    }

    private mutating func store(_ write: LogWrite, entryCount: Int, withHardState: Bool) {
        if withHardState, let newer = write.hardState { hardState = newer }
        if let position = write.restartsBehind { (base, entries) = (position, []) }
        guard entryCount > 0, let first = write.entries.first else { return }
        // Indices go on from the base without gaps.
        let kept = Int(first.index.rawValue - base.index.rawValue) - 1
        if kept < entries.count { entries.removeLast(entries.count - kept) }
        entries.append(contentsOf: write.entries.prefix(entryCount))
    }

    /// A disk whose log goes on behind a snapshot of a cluster that has been at work.
    init(behind snapshot: Snapshot) {
        base = snapshot.mark.position
        files = [SnapshotFile(snapshot: snapshot), SnapshotFile(snapshot: snapshot)]
        hardState = HardState(term: base.term)
    }

    // MARK: Snapshots

    mutating func begin(_ job: Saving) { saving.append(job) }

    /// The snapshot that was begun first is durable, or has failed.
    mutating func endSaving(_ index: LogIndex) -> Saving? {
        guard let position = saving.firstIndex(where: { $0.snapshot.mark.index == index }) else { return nil }
        return saving.remove(at: position)
    }

    /// Puts a snapshot beside the others. Returns through which entry the log may go: two snapshots cover those.
    mutating func keep(_ job: Saving, copies: Int) -> LogIndex {
        for _ in 0..<copies { files.append(SnapshotFile(snapshot: job.snapshot)) }
        files.sort { $0.snapshot.mark.index < $1.snapshot.mark.index }
        files.removeFirst(max(files.count - 2, 0))
        return files.count == 2 ? files[0].snapshot.mark.index : .zero
    }

    /// Names are durable or not; a file under its name is always whole.
    private mutating func crashSnapshots(_ draws: inout Draws) {
        for job in saving where draws.chance(500) {
            _ = keep(job, copies: job.arrived && draws.chance(500) ? 2 : 1)
        }
        saving = []
    }

    /// The newest snapshot rots. False when the log has no other to begin behind: that is a damaged disk, and another fault.
    mutating func loseNewestSnapshot() -> Bool {
        guard files.count == 2, files.allSatisfy(\.isReadable) else { return false }
        files[1].isReadable = false
        return true
    }

    /// Whole segments go, so something before `last` may stay.
    mutating func drop(through last: LogIndex, _ draws: inout Draws) {
        guard last > base.index, last <= lastIndex else { return }
        let dropped = draws.number(0...Int(last.rawValue - base.index.rawValue))
        guard dropped > 0 else { return }
        base = LogPosition(index: entries[dropped - 1].index, term: entries[dropped - 1].term)
        entries.removeFirst(dropped)
    }

    /// Looks for damage, as a start does: what cannot be read is set aside, and the hard state says what is lost.
    mutating func takeStock(_ draws: inout Draws) -> Damage? {
        defer { damage = nil }
        switch damage {
        case .middle:
            entries.removeLast(draws.number(0...entries.count))
            if hardState.memory == .whole { hardState.memory = .incomplete }
        case .everything:
            self = LogDiskModel(condition: condition, memory: .lost)
            return .everything
        case nil: break
        }
        return damage
    }

    /// A start of the disk is durable before the member's first word.
    mutating func begin(nonce: UInt64) {
        hardState.begin(DiskStart(number: hardState.start.number + 1, nonce: nonce))
    }

    /// What an image of the disk holds: writes that are not durable are not in it.
    var image: LogDiskModel {
        var image = self
        image.waiting = []
        image.saving = []
        image.condition = .well
        return image
    }

    init() {}

    private init(condition: Condition, memory: Memory) {
        self.condition = condition
        hardState.memory = memory
    }

    /// What a process begins with.
    struct Recovered {
        let snapshot: Snapshot?
        let entries: [Entry]
        /// The newest could not be read.
        let wasUnreadable: Bool
    }

    /// Reads everything back, as a start does, and makes the log go on behind the newest readable snapshot: a log that does
    /// not hold its last entry is covered or contradicted by it. Nil: entries are missing between the two.
    mutating func recover() -> Recovered? {
        let wasUnreadable = files.contains { !$0.isReadable }
        files.removeAll { !$0.isReadable }
        guard let newest = files.last?.snapshot else {
            return base.index == .zero ? Recovered(snapshot: nil, entries: entries, wasUnreadable: wasUnreadable) : nil
        }
        let position = newest.mark.position
        guard position.index >= base.index else { return nil }
        let covered = entries.prefix { $0.index <= position.index }
        let last = covered.last.map { LogPosition(index: $0.index, term: $0.term) } ?? base
        if last != position {
            // From here on nothing else could take the snapshot's place, so there are two of it before the log goes.
            _ = keep(Saving(snapshot: newest, arrived: true), copies: 2)
            (base, entries) = (position, [])
        }
        let rest = last == position ? Array(entries[covered.count...]) : []
        return Recovered(snapshot: newest, entries: rest, wasUnreadable: wasUnreadable)
    }
}
