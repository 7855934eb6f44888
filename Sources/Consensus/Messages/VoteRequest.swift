// A candidate asks for a vote in its new term (Ongaro 3.4).
// Refused unheard while the promise to a leader lasts, unless that leader itself asked for the campaign.

public struct VoteRequest: Hashable, Sendable {
    public let lastIndex: LogIndex
    public let lastTerm: Term
    /// The leader itself asked for this campaign, so voters disregard what they promised to it.
    public let byTransfer: Bool

    public init(lastIndex: LogIndex, lastTerm: Term, byTransfer: Bool) {
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
        self.byTransfer = byTransfer
    }
}

extension Raft {
    mutating func startElection(byTransfer: Bool, now: Instant, random: inout some RandomNumberGenerator) {
        hardState.term = term.next
        hardState.vote = id
        hardStateDirty = true
        role = .candidate
        leader = nil
        ballots = [:]
        campaignsByTransfer = byTransfer
        resetElectionTimer(now: now, random: &random)
        // The candidate's own vote counts like any other: once it is durable (`countOwnVote`). A member that led on a
        // vote its disk never got could lead the same term a second time after a crash.
        let request = VoteRequest(lastIndex: log.lastIndex, lastTerm: log.lastTerm, byTransfer: byTransfer)
        for voter in configuration.allVoters where voter != id { sendAfterDurable(.voteRequest(request), to: voter) }
    }

    /// Counts a candidate's own vote, when the disk has it.
    mutating func countOwnVote(now: Instant, random: inout some RandomNumberGenerator) {
        guard role == .candidate, hardStateIsDurable, ballots[id] == nil else { return }
        ballots[id] = true
        countVotes(now: now, random: &random)
    }

    /// Ends the campaign when it is won, or cannot be won any more.
    mutating func countVotes(now: Instant, random: inout some RandomNumberGenerator) {
        switch configuration.voteResult({ ballots[$0] }) {
        case .won: becomeLeader(now: now, random: &random)
        case .lost: becomeFollower(in: term, now: now, random: &random)
        case .pending: break
        }
    }

    mutating func receive(
        _ request: VoteRequest, in envelope: Envelope, now: Instant, random: inout some RandomNumberGenerator
    ) {
        // Within the promise the request is as if it had not arrived: taking its term over would depose the leader.
        guard request.byTransfer || now >= promiseUntil else { return }
        if envelope.term > term { becomeFollower(in: envelope.term, now: now, random: &random) }
        guard envelope.term == term else {
            sendAfterDurable(.voteReply(VoteReply(granted: false)), to: envelope.from)
            return
        }
        let free = hardState.vote == nil || hardState.vote == envelope.from
        let granted =
            mayVote
            && free && leader == nil && log.isNotAhead(ofLastTerm: request.lastTerm, lastIndex: request.lastIndex)
        if granted {
            if hardState.vote == nil {
                hardState.vote = envelope.from
                hardStateDirty = true
            }
            resetElectionTimer(now: now, random: &random)
        }
        sendAfterDurable(.voteReply(VoteReply(granted: granted)), to: envelope.from)
    }
}
