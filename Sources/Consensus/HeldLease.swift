// The lease this member holds: the receiving end of the chain. What a member does under it is its owner's business.

/// A member's own lease, as its leader granted it last.
public struct HeldLease: Hashable, Sendable {
    /// The term of the leader that granted it.
    public let term: Term
    public internal(set) var until: Instant
    /// What must have been applied before the lease may be used.
    public internal(set) var floor: LogIndex

    /// Whether a member that has applied the log through `applied` may act under this lease.
    public func isUsable(applied: LogIndex, now: Instant) -> Bool { now < until && applied >= floor }
}

extension Raft {
    /// Takes up a grant. Grants of one leader may arrive in any order: the latest end and the highest floor count, because
    /// a floor rises when the leader no longer knows that every role is still this member's. A new leader's first grant
    /// replaces everything: its log may end before a floor that was set by the old one.
    mutating func renewHeldLease(until: Instant, floor: LogIndex) {
        if let held = heldLease, held.term == term {
            heldLease = HeldLease(term: term, until: max(held.until, until), floor: max(held.floor, floor))
        } else {
            heldLease = HeldLease(term: term, until: until, floor: floor)
        }
        guard let heldLease else { return }
        notices.append(.leaseRenewed(until: heldLease.until, floor: heldLease.floor))
    }
}
