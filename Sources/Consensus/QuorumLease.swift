// Point 1 of the chain of leases: a leader may act until `sent(r) + Q`, r being the last heartbeat round that a quorum of
// voters answered. It says nothing about members' leases; see MemberLeases.

/// The rounds of one leader in one term.
public struct QuorumLease: Hashable, Sendable {
    /// Rounds remembered; a quorum that answers more than this many rounds late gives no lease.
    public static let mostRounds = 64

    /// The last round that was sent.
    public private(set) var round: Round = 0
    private var rounds: [Acknowledged] = []
    /// The last round a quorum answered.
    public private(set) var acknowledged: Acknowledged?

    /// A round and the lease it is worth.
    public struct Acknowledged: Hashable, Sendable {
        public let round: Round
        /// When it was sent, read before its first heartbeat left.
        public let sent: Instant
        /// `sent + Q`, with the Q that belonged to the promise the round asked for: a later change of the timings
        /// must not lengthen a lease that rests on an older, shorter promise.
        public let end: Instant
    }

    public init() {}

    /// When the last round was sent.
    public var lastSent: Instant? { rounds.last?.sent }

    /// Opens the next round. `now` must be read before the round's first heartbeat leaves.
    public mutating func open(_ now: Instant, timing: Timing) -> Round {
        round += 1
        rounds.append(Acknowledged(round: round, sent: now, end: now + timing.safeQuorumLease))
        if rounds.count > Self.mostRounds { rounds.removeFirst() }
        return round
    }

    /// A quorum has answered `answered`; true when that is news.
    public mutating func acknowledge(_ answered: Round) -> Bool {
        guard answered > (acknowledged?.round ?? 0), let known = find(answered) else { return false }
        acknowledged = known
        return true
    }

    private func find(_ wanted: Round) -> Acknowledged? {
        guard let first = rounds.first?.round, wanted >= first, wanted <= round else { return nil }
        return rounds[Int(wanted - first)]
    }
}
