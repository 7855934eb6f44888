// The envelope every peer message travels in, and the list of message kinds. Each kind has a file of its own in
// Messages/, with what it means, its fields, and what a member does when it arrives.

/// A message between two members. Whatever does not belong to this cluster, its epoch or this member is dropped on
/// arrival.
public struct Envelope: Hashable, Sendable {
    public let cluster: ClusterID
    public let from: MemberID
    public let to: MemberID
    /// The sender's term when it sent this.
    public let term: Term
    public let message: Message
    /// The newest start of the sender's disk; `.none` from a version that does not count them.
    public let start: DiskStart
    /// The starts before it, newest first; empty from a version that does not say.
    public let earlierStarts: [DiskStart]
    /// The sender's epoch when it sent this.
    public let epoch: Epoch

    public init(
        cluster: ClusterID, from: MemberID, to: MemberID, term: Term, message: Message, start: DiskStart = .none,
        earlierStarts: [DiskStart] = [], epoch: Epoch = .first
    ) {
        self.start = start
        self.earlierStarts = earlierStarts
        self.epoch = epoch
        self.cluster = cluster
        self.from = from
        self.to = to
        self.term = term
        self.message = message
    }
}

/// Everything consensus members say to each other.
public enum Message: Hashable, Sendable {
    case preVoteRequest(PreVoteRequest)
    case preVoteReply(PreVoteReply)
    case voteRequest(VoteRequest)
    case voteReply(VoteReply)
    case appendRequest(AppendRequest)
    case appendReply(AppendReply)
    case heartbeat(Heartbeat)
    case heartbeatReply(HeartbeatReply)
    case leaseGrant(LeaseGrant)
    case campaignNow(CampaignNow)
    case commitNotice(CommitNotice)
    case snapshotChunk(SnapshotChunk)
    case snapshotReply(SnapshotReply)
    case memoryLost(MemoryLost)
    case readmitted(Readmitted)
    case startIsOver(StartIsOver)
}
