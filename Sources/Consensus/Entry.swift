// What the log is made of.
// Only values: RaftLog keeps them, Durability follows them to the disk.

/// One position of the log. Two logs that hold an entry of the same index and term are identical up to it.
public struct Entry: Hashable, Sendable {
    public let index: LogIndex
    public let term: Term
    public let payload: Payload

    public init(index: LogIndex, term: Term, payload: Payload) {
        self.index = index
        self.term = term
        self.payload = payload
    }

    public enum Payload: Hashable, Sendable {
        /// What a new leader writes first, so that it can commit what it inherited (Ongaro 3.6.2).
        case empty
        /// Bytes of the state machine above; the consensus never looks inside.
        case command([UInt8])
        /// Takes effect where it is appended, not where it is committed (Ongaro 4.1). May be joint.
        case configuration(Configuration)
    }

    /// A bound on the bytes this entry costs in a message or on disk.
    public var size: Int {
        switch payload {
        case .empty: 32
        case .command(let bytes): 32 + bytes.count
        case .configuration(let configuration): 48 + 8 * configuration.storedMembers
        }
    }
}

/// What a member must not forget. Durable before any message that depends on it leaves.
public struct HardState: Hashable, Sendable {
    public var term: Term
    /// Whom this member voted for in `term`.
    public var vote: MemberID?
    /// The longest promise this member may ever have given (the E of a heartbeat). After a start it neither votes nor
    /// campaigns for this long, because the promise itself was in memory only.
    public var longestPromise: Interval
    /// The epoch this member is in.
    public var epoch: Epoch

    public init(
        term: Term = .zero, vote: MemberID? = nil, longestPromise: Interval = .zero, epoch: Epoch = .first
    ) {
        self.term = term
        self.vote = vote
        self.longestPromise = longestPromise
        self.epoch = epoch
    }
}

/// One write to the log's disk. Writes complete in the order they were handed out.
public struct LogWrite: Hashable, Sendable {
    public let sequence: WriteSequence
    /// The new hard state, when it changed.
    public let hardState: HardState?
    /// Set when a snapshot has taken the place of the log: whatever entries the disk holds are gone, and the log goes on
    /// behind this position.
    public let restartsBehind: LogPosition?
    /// Consecutive entries. Whatever the disk holds from the first one's index on is replaced.
    public let entries: [Entry]
    /// Messages that may leave only when this write and every earlier one is durable. A write may consist of nothing
    /// else: then it waits for the earlier ones.
    public let thenSend: [Envelope]

    public init(
        sequence: WriteSequence, hardState: HardState?, restartsBehind: LogPosition? = nil, entries: [Entry],
        thenSend: [Envelope]
    ) {
        self.sequence = sequence
        self.hardState = hardState
        self.restartsBehind = restartsBehind
        self.entries = entries
        self.thenSend = thenSend
    }
}
