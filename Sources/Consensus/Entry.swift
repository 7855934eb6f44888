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
    /// How much of what this member answered for it still has.
    public var memory: Memory
    /// The newest start of this member's disk.
    public var start: DiskStart
    /// The starts before it, newest first: by them others see that it is the same disk, gone on.
    public var earlierStarts: [DiskStart] = []
    /// The newest start of each other member's disk that this member has heard of.
    public var knownStarts: SortedMap<MemberID, DiskStart> = [:]
    /// The epoch this member is in.
    public var epoch: Epoch

    /// Earlier starts of the own disk that are kept at most. So many in a row may pass that nobody hears of, and a disk that
    /// was set back is still noticed.
    public static let mostEarlierStarts = 8

    /// The disk is started anew. A disk that has forgotten everything it answered for adds nothing to what it comes from:
    /// it might have been set back, or be a copy, and would leave that behind by starts alone.
    /// - Parameter isLossNew: this start was the first to find that something is lost.
    public mutating func begin(_ newest: DiskStart, isLossNew: Bool = false) {
        if start != .none, memory != .lost || isLossNew {
            earlierStarts = Array(([start] + earlierStarts).prefix(Self.mostEarlierStarts))
        }
        start = newest
    }

    /// Members whose starts are kept at most: as many as vote in a joint configuration. The disk refuses to read more.
    public static let mostKnownStarts = 2 * Configuration.mostVoters

    public init(
        term: Term = .zero, vote: MemberID? = nil, longestPromise: Interval = .zero, memory: Memory = .whole,
        start: DiskStart = .none, epoch: Epoch = .first
    ) {
        self.term = term
        self.vote = vote
        self.longestPromise = longestPromise
        self.epoch = epoch
        self.memory = memory
        self.start = start
    }
}

/// How much of what a member answered for its disk still holds. Memory.swift says what follows from each.
public enum Memory: UInt8, Hashable, Sendable {
    /// Everything.
    case whole = 0
    /// Term and vote are known; entries that were acknowledged may be gone.
    case incomplete = 1
    /// Not even term and vote are known.
    case lost = 2
}

/// One start of a member's disk. Each start makes a new one durable before the member speaks, so a disk that was set
/// back to an earlier state, or that exists twice, shows a start that others know to be over.
public struct DiskStart: Hashable, Sendable {
    /// Starts so far, this one included; zero: it was never started by a version that counts.
    public let number: UInt64
    /// Drawn at random: tells two disks apart that were started equally often.
    public let nonce: UInt64

    public init(number: UInt64, nonce: UInt64) {
        self.number = number
        self.nonce = nonce
    }

    public static let none = DiskStart(number: 0, nonce: 0)
    /// A message that shows a later one comes from a broken peer. Counting on from here never overflows.
    public static let greatestNumber: UInt64 = 1 << 62

    /// Whether a disk that shows this start cannot be the one that showed `known`.
    /// - Parameter earlier: what the disk says it was started before, newest first; empty in a version that does not say.
    public func isOver(since known: DiskStart, after earlier: [DiskStart] = []) -> Bool {
        if known.number > number || (known.number == number && known.nonce != nonce) { return true }
        guard known != self else { return false }
        // It has been started more often, and was another disk when the known one was started: set back, and then started
        // again and again where nobody heard of it. One whose starts do not reach back so far is believed.
        return !earlier.contains(known) && earlier.contains { $0.number <= known.number }
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
