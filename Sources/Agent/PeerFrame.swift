// Everything members send each other. Consensus messages travel in it unchanged; the rest is how a command or a read that
// arrived at any member finds the leader.

import Consensus

/// One message on a peer connection.
public struct PeerFrame: Hashable, Sendable {
    public let cluster: ClusterID
    public let from: MemberID
    public let to: MemberID
    /// The sender's epoch when it sent this.
    public let epoch: Epoch
    public let body: Body
    /// The newest start of the sender's disk, with a consensus message, and before a recovery; else `.none`.
    public let start: DiskStart
    /// The starts before it, newest first.
    public let earlierStarts: [DiskStart]

    public init(
        cluster: ClusterID, from: MemberID, to: MemberID, epoch: Epoch = .first, body: Body, start: DiskStart = .none,
        earlierStarts: [DiskStart] = []
    ) {
        self.start = start
        self.earlierStarts = earlierStarts
        self.epoch = epoch
        self.cluster = cluster
        self.from = from
        self.to = to
        self.body = body
    }

    public enum Body: Hashable, Sendable {
        case consensus(Term, Message)
        /// A command for the leader to propose: the encoded CommandRecord.
        case proposal(id: UInt64, record: [UInt8])
        /// Refused, with the leader the sender knows of; an accepted proposal is answered by its entry being applied.
        case proposalRefused(id: UInt64, leader: MemberID?)
        /// Asks the leader for an index that a linearizable read may be answered at.
        case readIndex(id: UInt64)
        /// Nil: the sender cannot tell (it is not the leader, or lost its quorum).
        case readIndexAnswer(id: UInt64, index: LogIndex?)
        /// Who is there, and how much of the log it has: asked before a forced recovery.
        case recoveryProbe(id: UInt64)
        case recoveryStatus(id: UInt64, RecoveryStanding)
        case epoch(EpochWord)
        /// Who are the members? Asked by one that knows no leader.
        case membersAsked
        /// The members, as the JSON of their records.
        case members(records: [UInt8])
        /// Asks the leader to hand over, to this one or to the best there is: it is about to be removed, or a person wants it.
        case handOver(to: MemberID?)
    }
}

/// What one member says to another of another epoch; which epoch it speaks of is the frame's.
public enum EpochWord: Hashable, Sendable {
    /// "Yours is later than mine. What is it to me?"
    case asks
    /// "You belong to mine: take it over."
    case yours
    /// "You do not belong to mine, and yours is over."
    case over
}

extension PeerFrame {
    /// A consensus message on its way.
    public init(_ envelope: Envelope) {
        self.init(
            cluster: envelope.cluster, from: envelope.from, to: envelope.to, epoch: envelope.epoch,
            body: .consensus(envelope.term, envelope.message), start: envelope.start,
            earlierStarts: envelope.earlierStarts)
    }
}
