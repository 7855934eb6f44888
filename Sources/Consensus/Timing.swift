// The times the protocol runs on, and the inequalities between them that its safety needs.
// Relies on nothing measured: that clocks keep within the drift bound is assumed, not checked here.

/// Timings of one cluster. The defaults suit a LAN.
public struct Timing: Hashable, Sendable {
    /// Between two heartbeat rounds.
    public var heartbeat: Interval = .milliseconds(50)
    /// Q: how long a quorum-acknowledged round lets a leader act, counted from when it was sent.
    public var quorumLease: Interval = .milliseconds(300)
    /// E: how long a voter refuses every other candidate after it answered a round.
    public var promise: Interval = .milliseconds(320)
    /// L: the longest lease a member is granted.
    public var memberLease: Interval = .milliseconds(300)
    /// The window election timeouts are drawn from. Members that should lead draw from its first two fifths, the
    /// others (witness, guests) from its last two, so that they campaign only when nobody better does.
    public var electionTimeoutLeast: Interval = .milliseconds(350)
    public var electionTimeoutMost: Interval = .milliseconds(600)
    /// ρ: the bound on how fast two clocks may drift apart, each in parts per million.
    public var driftPartsPerMillion: Int64 = 500

    public init() {}

    /// A length that is certainly no shorter on any clock than `length` is on any other: × (1 + ρ)/(1 − ρ), which is
    /// 1 + 2ρ but for a term of second order, rounded up, and a microsecond for the grain of the clocks.
    public func stretched(_ length: Interval) -> Interval {
        let drift = boundedDrift
        let (product, overflow) = length.nanoseconds.multipliedReportingOverflow(by: 2 * drift)
        guard !overflow else { return Interval(nanoseconds: Int64.max / 8) }
        return length + Interval(nanoseconds: product / (1_000_000 - drift) + 1) + .microseconds(1)
    }

    /// Q as it is used: never so long that a lease could outlive the promise it rests on, whatever the fields say.
    public var safeQuorumLease: Interval {
        let drift = boundedDrift
        let (product, overflow) = (promise - .microseconds(2)).nanoseconds
            .multipliedReportingOverflow(by: 1_000_000 - drift)
        guard !overflow, product > 0 else { return .zero }
        return .min(quorumLease, Interval(nanoseconds: product / (1_000_000 + drift)))
    }

    private var boundedDrift: Int64 { max(0, min(driftPartsPerMillion, 100_000)) }

    /// The first inequality that does not hold, in words; nil when the timings are sound.
    public var fault: String? {
        if heartbeat < .milliseconds(5) { return "heartbeat must be at least 5 ms" }
        if quorumLease < heartbeat * 3 { return "quorumLease must be at least three heartbeats" }
        if promise < stretched(quorumLease) {
            return
                "promise must be at least quorumLease × (1 + drift)/(1 − drift), so that no second leader is elected early"
        }
        if memberLease > quorumLease { return "memberLease must not be longer than quorumLease" }
        if memberLease < heartbeat * 2 { return "memberLease must be at least two heartbeats" }
        if electionTimeoutLeast < promise { return "electionTimeout.least must not be shorter than promise" }
        if electionTimeoutMost < electionTimeoutLeast + heartbeat {
            return "electionTimeout.most must exceed electionTimeout.least by at least one heartbeat"
        }
        if promise > .seconds(60) { return "promise must not exceed 60 s" }
        if driftPartsPerMillion < 0 || driftPartsPerMillion > 100_000 { return "drift must be 0 to 100000 ppm" }
        return nil
    }
}

/// How much a member should lead, seen from where it runs.
public enum LeadershipRank: Int, Comparable, Sendable, Codable {
    /// A physical host: leads whenever it can.
    case preferred = 0
    /// The witness, or an agent inside a guest: leads only when nobody else can.
    case lastResort = 1

    public static func < (left: LeadershipRank, right: LeadershipRank) -> Bool { left.rawValue < right.rawValue }
}

/// Bounds on what one Raft value keeps and sends.
public struct Limits: Hashable, Sendable {
    /// Bytes of entries in one append message; a single larger entry still travels alone.
    public var appendBytes = 512 * 1024
    /// Entries in one append message.
    public var appendEntries = 1_024
    /// Append messages on the way to one member.
    public var inFlightAppends = 64
    /// Bytes of entries that are not committed; further proposals are refused.
    public var uncommittedBytes = 32 * 1024 * 1024
    /// Writes handed to the disk and not durable. At the limit nothing more is handed out: what is new waits in memory and
    /// leaves as one write later, appends with entries are dropped, and so are messages that would have to wait.
    public var waitingWrites = 1_024
    /// Bytes of a snapshot in one message. At 100 Mbit/s it holds a heartbeat up for 5 ms.
    public var snapshotChunkBytes = 64 * 1024
    /// Bytes of a whole snapshot; a larger one is neither taken nor received.
    public var snapshotBytes = 256 * 1024 * 1024
    /// Reads waiting for their quorum; further ones are refused.
    public var pendingReads = 4_096

    public init() {}
}
