// Which part of the log is on this member's own disk, while writes are on their way.
//
// The trap ("ABA"): entries 5–6 of term 2 are being written when a new leader replaces them by 5–6 of term 3. The
// first write's completion must not count for the second's entries. So every write remembers how far it reaches, and a
// replacement cuts the reach of all that were handed out before it:
//
//     write 1: ...5 6 (t2)     reach 6      ← replaced from 5:  reach 4
//     write 2: ...5 6 (t3)     reach 6
//     persisted(1) → durable 4              persisted(2) → durable 6

/// Follows writes from being handed out to being durable. Completions arrive in order, possibly several at once.
public struct Durability: Hashable, Sendable {
    private struct Flight: Hashable {
        let sequence: WriteSequence
        var reach: LogIndex
        let hardState: HardState
        let submitted: Instant
    }

    /// The last entry that is durable here.
    public private(set) var durableIndex: LogIndex
    public private(set) var durableHardState: HardState
    private var flights: [Flight] = []
    private var lastSequence: UInt64 = 0

    public init(durableIndex: LogIndex, hardState: HardState) {
        self.durableIndex = durableIndex
        durableHardState = hardState
    }

    public var isIdle: Bool { flights.isEmpty }
    /// How many writes are handed out and not durable.
    public var waiting: Int { flights.count }
    /// When the oldest unfinished write was handed out.
    public var oldestSubmitted: Instant? { flights.first?.submitted }

    public mutating func submit(reach: LogIndex, hardState: HardState, now: Instant) -> WriteSequence {
        lastSequence += 1
        let sequence = WriteSequence(rawValue: lastSequence)
        flights.append(
            Flight(sequence: sequence, reach: reach, hardState: hardState, submitted: now))
        return sequence
    }

    /// Entries from `index` on were replaced in memory: no earlier write can make them durable any more.
    public mutating func cut(from index: LogIndex) {
        durableIndex = min(durableIndex, index.previous)
        for position in flights.indices { flights[position].reach = min(flights[position].reach, index.previous) }
    }

    /// The log begins anew behind a snapshot that is durable and ends at `index`: what was on its way belongs to the log
    /// from before.
    public mutating func restart(at index: LogIndex) {
        durableIndex = index
        for position in flights.indices { flights[position].reach = index }
    }

    /// Everything up to and including `sequence` is on disk.
    public mutating func complete(_ sequence: WriteSequence) {
        while let first = flights.first, first.sequence <= sequence {
            durableIndex = max(durableIndex, first.reach)
            durableHardState = first.hardState
            flights.removeFirst()
        }
    }
}
