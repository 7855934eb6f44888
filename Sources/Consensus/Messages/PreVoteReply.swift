// The answer to a pre-vote request.
// It binds nobody: a voter may grant any number of them in one term.

/// A granted pre-vote carries the term that was asked for; a refusal carries the voter's own, from which a candidate
/// that fell behind learns where the others are.
public struct PreVoteReply: Hashable, Sendable {
    public let granted: Bool

    public init(granted: Bool) { self.granted = granted }
}

extension Raft {
    mutating func receive(
        _ reply: PreVoteReply, in envelope: Envelope, now: Instant, random: inout some RandomNumberGenerator
    ) {
        if !reply.granted {
            if envelope.term > term {
                becomeFollower(in: envelope.term, now: now, random: &random)
            }
            return
        }
        guard role == .preCandidate, envelope.term == term.next, configuration.isVoter(envelope.from) else { return }
        ballots[envelope.from] = true
        if configuration.hasQuorum(where: { ballots[$0] == true }) {
            startElection(byTransfer: false, now: now, random: &random)
        }
    }
}
