// A log disk in memory: writes wait in a queue, become durable in order, and are lost (wholly or in part) by a crash.

import Consensus

struct TestDisk {
    /// What a restart finds.
    private(set) var hardState = HardState()
    private(set) var entries: [Entry] = []
    /// Handed out and not yet durable, oldest first.
    private(set) var waiting: [LogWrite] = []
    /// While set, nothing becomes durable.
    var isStalled = false

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
    }

    /// The power goes, and nothing that waited reached the disk.
    mutating func loseWaiting() { waiting = [] }

    private mutating func apply(_ write: LogWrite, entries count: Int) {
        if let newer = write.hardState { hardState = newer }
        guard count > 0, let first = write.entries.first else { return }
        entries.removeSubrange(Int(first.index.rawValue - 1)...)
        entries.append(contentsOf: write.entries.prefix(count))
    }
}
