// A member's lease, granted by the leader on top of its own quorum lease (points 2 and 3 of the chain).
// Costs no disk write on either side. A restarted member refuses what was granted to its earlier incarnation.

/// The answer to a LeaseRequest.
public struct LeaseGrant: Hashable, Sendable {
    /// The request's own stamp, given back.
    public let stamp: Instant
    /// Which incarnation asked.
    public let incarnation: UInt64
    /// From `stamp` on, on the member's clock.
    public let duration: Interval
    /// What the member must have applied before it may act under this lease.
    public let floor: LogIndex

    public init(stamp: Instant, incarnation: UInt64, duration: Interval, floor: LogIndex) {
        self.stamp = stamp
        self.incarnation = incarnation
        self.duration = duration
        self.floor = floor
    }
}

extension Raft {
    /// Grants what was asked before round r was opened, when a quorum has answered r:
    ///
    ///     leader   ──── request arrives ── r sent ──── quorum answered r ── now ─────── sent(r)+Q
    ///     member   ── stamp ────────────────────────────────────────────────────────── stamp+duration
    ///
    /// The duration is what is left of the quorum lease *now*; the member counts it from its earlier stamp, so its
    /// lease ends before the leader's does. That the request came first makes this true even for a leader whose clock
    /// stood still meanwhile (a paused guest): whoever promised for r did so after the stamp, in true time. A request
    /// that answers r itself may have been stamped long after everyone's promise for r had ended.
    mutating func grantLease(to member: MemberID, now: Instant) {
        guard leadership!.grants, hasCommittedInTerm, let acknowledged = leadership!.quorumLease.acknowledged,
            let asked = leadership!.progress.look(member, { $0.leaseAsked(before: acknowledged.round) }) ?? nil
        else { return }
        let duration = Interval.min(timing.memberLease, acknowledged.end - now)
        guard duration > .zero,
            let floor = leadership!.leases.grant(
                to: member, incarnation: asked.incarnation, duration: duration, lastIndex: log.lastIndex, now: now,
                timing: timing)
        else { return }
        _ = leadership!.progress.update(member) { $0.leaseGranted(before: acknowledged.round) }
        sendNow(
            .leaseGrant(
                LeaseGrant(stamp: asked.stamp, incarnation: asked.incarnation, duration: duration, floor: floor)),
            to: member)
    }

    /// Opens the next round early for a member that asks and holds nothing, so that a first lease costs a round trip and
    /// not a heartbeat interval. Early rounds keep a tenth of the interval apart.
    mutating func hastenFirstLease(of member: MemberID, now: Instant) {
        guard leadership!.grants, hasCommittedInTerm, leadership!.progress.look(member, { $0.asksForLease }) == true,
            !leadership!.leases.isWithheld(from: member),
            leadership!.leases.outstanding(member, now: now) == nil
        else { return }
        let early = max(now, (leadership!.quorumLease.lastSent ?? now) + timing.heartbeat / 10)
        leadership!.nextHeartbeat = min(leadership!.nextHeartbeat, early)
    }

    /// The leader's own lease, counted from when it sent the acknowledged round. It stands in the table like the others,
    /// so that a transfer tells the successor of it.
    mutating func renewOwnLease(now: Instant) {
        guard wantsLease, leadership!.grants, hasCommittedInTerm,
            let acknowledged = leadership!.quorumLease.acknowledged, !leadership!.leases.isWithheld(from: id)
        else { return }
        let end = min(acknowledged.sent + timing.memberLease, acknowledged.end)
        guard end > now else { return }
        let floor = leadership!.leases.grant(
            to: id, incarnation: incarnation, duration: end - now, lastIndex: log.lastIndex, now: now, timing: timing)
        guard let floor else { return }
        renewHeldLease(until: end, floor: floor)
    }

    /// The term was checked: a grant of an older term than this member has seen never gets here.
    mutating func receive(_ grant: LeaseGrant, from sender: MemberID, now: Instant) {
        guard sender == leader, grant.incarnation == incarnation, grant.stamp <= now, grant.duration > .zero,
            grant.duration <= Self.longestPromise
        else { return }
        renewHeldLease(until: grant.stamp + grant.duration, floor: grant.floor)
    }
}
