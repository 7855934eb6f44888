// "Campaign now": the last word of a leader that hands over (Ongaro 3.10).
// It overrides the voters' promises, so what those promises protected travels in it and is waited for.

public struct CampaignNow: Hashable, Sendable {
    /// How much longer the longest lease lasts that the sender has granted. Promises do not protect those leases in
    /// this election, so the successor waits instead.
    public let longestGrant: Interval

    public init(longestGrant: Interval) { self.longestGrant = longestGrant }
}

extension Raft {
    /// An order of an older term does nothing: that leader has been replaced already.
    mutating func receive(
        _ order: CampaignNow, in envelope: Envelope, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard envelope.term == term, leader == envelope.from, role == .follower, isVoter, mayVote,
            order.longestGrant >= .zero, order.longestGrant <= Self.longestPromise * 2
        else { return }
        inheritedGrant = order.longestGrant
        startElection(byTransfer: true, now: now, random: &random)
    }
}
