// Points 2 to 4 of the chain of leases, the leader's side: what was granted to whom, and when it is certain that a grant
// has run out. Grants are kept in memory only: a new leader starts with an empty table, because its election proves
// that every lease of its predecessor has ended.

/// The leases one leader has granted in its term.
public struct MemberLeases: Hashable, Sendable {
    private struct Grant: Hashable {
        /// When the lease has certainly run out, on the leader's clock.
        var certainlyOver: Instant
        /// The member's incarnation that the floor belongs to.
        var incarnation: UInt64
        /// What the member must have applied before it may use the lease.
        var floor: LogIndex
    }

    private var grants: SortedMap<MemberID, Grant> = [:]
    private var withheld: SortedMap<MemberID, Bool> = [:]

    public init() {}

    /// The floor for a grant to `member` at `now`.
    ///
    /// A lease lets a member act on every role its *applied* state gives it, so that state must contain every entry
    /// that took a role away from it. While renewals go on without a break no role is taken without the member's own
    /// word, and the floor stays; after a break (or for a process that started anew, whose applied state starts from
    /// nothing) everything in the leader's log must have been applied, because a re-assignment may just be on its way.
    public mutating func grant(
        to member: MemberID, incarnation: UInt64, duration: Interval, lastIndex: LogIndex, now: Instant, timing: Timing
    ) -> LogIndex? {
        guard withheld[member] == nil else { return nil }
        let over = now + timing.stretched(duration)
        if let grant = grants[member], grant.incarnation == incarnation, grant.certainlyOver > now {
            grants[member] = Grant(
                certainlyOver: max(grant.certainlyOver, over), incarnation: incarnation, floor: grant.floor)
            return grant.floor
        }
        let earlier = grants[member]?.certainlyOver ?? .distantPast
        grants[member] = Grant(certainlyOver: max(over, earlier), incarnation: incarnation, floor: lastIndex)
        return lastIndex
    }

    /// Until when `member` may hold a lease; nil when none is out.
    public func outstanding(_ member: MemberID, now: Instant) -> Instant? {
        guard let grant = grants[member], grant.certainlyOver > now else { return nil }
        return grant.certainlyOver
    }

    /// The end of the longest lease that is out.
    public func longestOutstanding(now: Instant) -> Instant? {
        grants.values.map(\.certainlyOver).filter { $0 > now }.max()
    }

    /// Refuses further grants to a member, so that its lease runs out.
    public mutating func withhold(from member: MemberID) { withheld[member] = true }
    public mutating func restore(to member: MemberID) { withheld[member] = nil }
    public func isWithheld(from member: MemberID) -> Bool { withheld[member] != nil }
}
