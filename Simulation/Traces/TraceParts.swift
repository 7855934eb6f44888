// What a trace is made of: the consensus of a run as the specification speaks of it (Simulation/Specification).
// Plain values. Members count from 1, terms and positions as in the product until TraceWindow renumbers them.

/// One position of a log: its term, and the voters if it changes them. What else it carries the specification leaves out.
public struct TraceEntry: Hashable, Sendable {
    public var term: Int
    /// One bit for each voter, member 1 the lowest; zero: the entry changes no voter.
    public var voters: UInt16 = 0
}

/// What one write puts on a disk.
public struct TraceImage: Hashable, Sendable {
    public var term = 0
    /// Zero: nobody.
    public var vote = 0
    public var log: [TraceEntry] = []
}

public struct TraceWrite: Hashable, Sendable {
    public var image: TraceImage
    /// It carries a candidate's request.
    public var asks: Bool
}

public enum TraceRole: String, Hashable, Sendable {
    case follower, candidate, leader
}

/// A message that left a member.
public enum TraceSend: Hashable, Sendable {
    case vote(term: Int, to: Int)
    case ask(term: Int, lastIndex: Int, lastTerm: Int)
    case ack(term: Int, through: Int)
    /// A granted pre-vote for that term.
    case preVote(term: Int, to: Int)
    /// "Campaign now".
    case order(term: Int, to: Int)
}

/// A message that reached a member in the term it is in.
public enum TraceReceipt: Hashable, Sendable {
    case vote(term: Int, from: Int)
    case ack(term: Int, from: Int, through: Int)
}

/// One thing that a member did, and how it stands afterwards.
public struct TraceStep: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// A process began with what the disk holds.
        case start
        case turn
        /// A write is on disk.
        case durable
    }

    /// True nanoseconds.
    public var at: Int64
    public var member: Int
    public var kind: Kind
    public var term: Int
    public var vote: Int
    public var role: TraceRole
    public var log: [TraceEntry]
    public var commit: Int
    /// After a start or a write.
    public var disk = TraceImage()
    /// What the turn handed to the disk, in order.
    public var writes: [TraceWrite] = []
    public var sends: [TraceSend] = []
    public var receipts: [TraceReceipt] = []
    /// Nanoseconds of its promises that were left when the step began.
    public var promise: Int64 = 0
    /// A leader that hands over released it from its promise.
    public var frees = false
}

/// A stretch of a run: how everything stood, and what happened next.
public struct ObservedTrace: Hashable, Sendable {
    public var name: String
    public var start: TraceState
    public var steps: [TraceStep]
}
