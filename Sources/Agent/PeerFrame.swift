// Everything members send each other. Consensus messages travel in it unchanged; the rest is how a command or a read that
// arrived at any member finds the leader.

import Consensus

/// One message on a peer connection.
public struct PeerFrame: Hashable, Sendable {
    public let cluster: ClusterID
    public let from: MemberID
    public let to: MemberID
    public let body: Body
    /// The newest start of the sender's disk, with a consensus message.
    public let start: DiskStart

    public init(cluster: ClusterID, from: MemberID, to: MemberID, body: Body, start: DiskStart = .none) {
        self.start = start
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
    }
}

extension PeerFrame {
    /// A consensus message on its way.
    public init(_ envelope: Envelope) {
        self.init(
            cluster: envelope.cluster, from: envelope.from, to: envelope.to,
            body: .consensus(envelope.term, envelope.message), start: envelope.start)
    }
}
