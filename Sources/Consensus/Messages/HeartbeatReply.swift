// A member's answer to a heartbeat: the promise is given; and, if wanted, the request for a lease.
// Says nothing of the log: what a member holds it tells in its append replies.

public struct HeartbeatReply: Hashable, Sendable {
    /// The round that is answered; zero tells a leader of an older term the present one.
    public let round: Round
    public let leaseAsked: LeaseRequest?
    /// Whether the sender can read a joint configuration. Releases before there were any say nothing, which is no.
    public let knowsJointConfigurations: Bool

    public init(round: Round, leaseAsked: LeaseRequest?, knowsJointConfigurations: Bool = true) {
        self.round = round
        self.leaseAsked = leaseAsked
        self.knowsJointConfigurations = knowsJointConfigurations
    }

    /// Sent to a leader of an older term; the envelope's term says the rest.
    static let outdated = HeartbeatReply(round: 0, leaseAsked: nil)
}

/// A member's request for a lease. Durations are counted from `stamp`, on the member's own clock.
public struct LeaseRequest: Hashable, Sendable {
    public let stamp: Instant
    public let incarnation: UInt64

    public init(stamp: Instant, incarnation: UInt64) {
        self.stamp = stamp
        self.incarnation = incarnation
    }
}

extension Raft {
    /// The term was checked: it is ours.
    mutating func receive(_ reply: HeartbeatReply, from member: MemberID, now: Instant) {
        guard isLeader, reply.round > 0, reply.round <= leadership!.quorumLease.round,
            leadership!.progress.contains(member)
        else { return }
        let newest = leadership!.quorumLease.round
        _ = leadership!.progress.update(member) {
            $0.heard(now)
            $0.answered(reply.round, asking: reply.leaseAsked, newest: newest)
            $0.lacksJointConfigurations = !reply.knowsJointConfigurations
            return $0.retryIfStalled(now: now, patience: timing.heartbeat * 2)
        }
        acknowledgeRounds(now: now)
        grantLease(to: member, now: now)
        hastenFirstLease(of: member, now: now)
    }

    /// Looks whether a quorum has answered a newer round, and gives out what hangs on it. The leader counts itself only
    /// once its own longest promise is on disk: a restart must not let it forget what its lease was built on.
    mutating func acknowledgeRounds(now: Instant) {
        let own = leadership!.quorumLease.round
        let answered = configuration.reachedByQuorum { member in
            guard member != id else { return promiseIsDurable ? own : 0 }
            return leadership!.progress.look(member) { $0.round } ?? 0
        }
        guard let answered, leadership!.quorumLease.acknowledge(answered) else { return }
        leadership!.lastQuorum = now
        serveReads(now: now)
        for member in leadership!.progress.storedKeys { grantLease(to: member, now: now) }
        renewOwnLease(now: now)
    }
}
