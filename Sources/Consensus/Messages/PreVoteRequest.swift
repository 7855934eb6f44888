// "Could I win an election?" Asked before a term is spent, so that a member cut off from the others comes back without
// disturbing anyone (Ongaro 9.6).

/// Asks for a pre-vote in `Envelope.term`, which is one more than the sender's own term.
public struct PreVoteRequest: Hashable, Sendable {
    public let lastIndex: LogIndex
    public let lastTerm: Term

    public init(lastIndex: LogIndex, lastTerm: Term) {
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
    }
}

extension Raft {
    /// Opens a campaign, or postpones it when this member may not lead.
    mutating func startPreVote(now: Instant, random: inout some RandomNumberGenerator) {
        guard mayCampaign(now: now) else {
            resetElectionTimer(now: now, random: &random)
            return
        }
        role = .preCandidate
        if let leader { deserter = leader }
        leader = nil
        ballots = [id: true]
        campaignsByTransfer = false
        resetElectionTimer(now: now, random: &random)
        if configuration.hasQuorum(where: { ballots[$0] == true }) {
            startElection(byTransfer: false, now: now, random: &random)
            return
        }
        let request = PreVoteRequest(lastIndex: log.lastIndex, lastTerm: log.lastTerm)
        for voter in configuration.allVoters where voter != id {
            sendNow(.preVoteRequest(request), to: voter, term: term.next)
        }
    }

    /// A member campaigns when its memory is whole, it is a voter by a configuration of its epoch, its restart promise has
    /// passed, and its own disk answers.
    func mayCampaign(now: Instant) -> Bool {
        guard mayVote, isVoter || isVoterUntilCommit, knowsItsEpoch, now >= promiseUntil else { return false }
        if let oldest = durability.oldestSubmitted, now - oldest > timing.quorumLease { return false }
        return true
    }

    mutating func receive(_ request: PreVoteRequest, in envelope: Envelope, now: Instant) {
        // A member that does not see itself as a voter still answers: the candidate's configuration may be newer.
        let granted =
            mayVote && envelope.term > term && now >= promiseUntil
            && log.isNotAhead(ofLastTerm: request.lastTerm, lastIndex: request.lastIndex)
        // The answer binds nobody: it depends on the disk only for the term it mentions when it refuses.
        if granted {
            sendNow(.preVoteReply(PreVoteReply(granted: true)), to: envelope.from, term: envelope.term)
        } else {
            sendAfterDurable(.preVoteReply(PreVoteReply(granted: false)), to: envelope.from)
        }
    }
}
