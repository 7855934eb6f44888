// The disk under a member's log: writes become durable in order, each after its own time; a crash keeps some prefix of
// those that were not acknowledged and may tear the next one.
// What the real store promises stands in Sources/Runtime/Storage/DESIGN.md; this is that promise, made hostile.

import Consensus

struct LogDiskModel: Sendable {
    enum Condition: Hashable, Sendable {
        case well
        /// Nothing completes.
        case stalled
        /// A write fails with ENOSPC.
        case full
        /// A write or fsync fails with EIO; what was not acknowledged counts as lost.
        case failing
    }

    private(set) var hardState = HardState()
    private(set) var entries: [Entry] = []
    /// Handed out and not durable, oldest first.
    private(set) var waiting: [LogWrite] = []
    var condition = Condition.well
    /// A record in the middle no longer has its checksum: the store refuses to start.
    var isCorrupt = false

    var isIdle: Bool { waiting.isEmpty }
    var lastIndex: LogIndex { entries.last?.index ?? .zero }

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
        guard entryCount > 0, let first = write.entries.first else { return }
        // Indices count from 1 without gaps.
        let kept = Int(first.index.rawValue) - 1
        if kept < entries.count { entries.removeLast(entries.count - kept) }
        entries.append(contentsOf: write.entries.prefix(entryCount))
    }
}
