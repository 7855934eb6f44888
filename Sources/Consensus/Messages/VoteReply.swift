// The answer to a vote request, in the voter's term.
// Leaves only when the vote is durable; a voter that forgot its vote could give it twice.

public struct VoteReply: Hashable, Sendable {
    public let granted: Bool

    public init(granted: Bool) { self.granted = granted }
}

extension Raft {
    /// The term was checked: it is ours.
    mutating func receive(
        _ reply: VoteReply, from voter: MemberID, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard role == .candidate, configuration.isVoter(voter) else { return }
        ballots[voter] = reply.granted
        countVotes(now: now, random: &random)
    }
}
