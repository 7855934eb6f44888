// The leader's entries for one member (Ongaro 3.5).
// Also what shortens a follower's log, and only at a real conflict. Carries no lease and asks for no promise.

/// Entries that follow (`previousIndex`, `previousTerm`); none when the leader only looks for the match point.
public struct AppendRequest: Hashable, Sendable {
    public let previousIndex: LogIndex
    public let previousTerm: Term
    public let entries: [Entry]
    /// The leader's commit index; may lie beyond these entries.
    public let commit: LogIndex

    public init(previousIndex: LogIndex, previousTerm: Term, entries: [Entry], commit: LogIndex) {
        self.previousIndex = previousIndex
        self.previousTerm = previousTerm
        self.entries = entries
        self.commit = commit
    }

    /// Whether the entries follow each other and the previous position; anything else comes from a broken peer.
    var isWellFormed: Bool {
        guard previousIndex <= .greatest else { return false }
        var index = previousIndex
        var entryTerm = previousTerm
        for entry in entries {
            guard entry.index == index.next, entry.term >= entryTerm else { return false }
            index = entry.index
            entryTerm = entry.term
        }
        return true
    }
}

extension Raft {
    mutating func receive(
        _ request: AppendRequest, from sender: MemberID, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard request.isWellFormed, (request.entries.last?.term ?? request.previousTerm) <= term,
            follow(sender, now: now, random: &random), mayAnswer
        else { return }
        guard request.previousIndex >= log.base else {
            // Two recoveries of one cluster may have committed different things, and the search for what both logs hold has
            // come to what is not kept here any more.
            let atBase = request.entries.first { $0.index == log.base }
            guard isOfItsEpoch || atBase?.term == log.baseTerm else { return notices.append(.epochContradicts) }
            // Everything before the base is committed, so it is the leader's too. It goes on behind what is known to be.
            return sendAfterDurable(.appendReply(.accepted(through: commitIndex)), to: sender)
        }
        guard log.term(at: request.previousIndex) == request.previousTerm else {
            refuse(request, from: sender)
            return
        }
        if isWaitingForDisk && !request.entries.isEmpty { return }
        // Skip what is here already; only a real conflict cuts. A late, shorter append must never shorten the log
        // (the entries after it may be acknowledged, and counted for a commit).
        let news = request.entries.drop { log.term(at: $0.index) == $0.term }
        if let conflict = news.first?.index, conflict <= log.lastIndex {
            // Contradicting what is committed: one of the two members is broken, and neither may be helped along. Or it
            // was committed in another recovery.
            guard conflict > commitIndex else {
                if !knowsItsEpoch { notices.append(.epochContradicts) }
                return
            }
            truncateLog(from: conflict)
        }
        for entry in news { appendToLog(entry) }
        let matched = request.previousIndex + request.entries.count
        commitIndex = max(commitIndex, min(request.commit, matched))
        comparedThrough = max(comparedThrough, matched)
        comparedEpoch = epoch
        learnReadmission(commit: request.commit)
        recollect()
        // "I hold this" is true only on disk.
        sendAfterDurable(.appendReply(.accepted(through: matched)), to: sender)
    }

    /// Tells the leader where this log may match, skipping whole terms (Ongaro 3.5, end; the search on both sides is
    /// etcd's): the last entry here whose term is not beyond the leader's at that place.
    private mutating func refuse(_ request: AppendRequest, from sender: MemberID) {
        // Said first: the leader would take the refusal for a loss this member knows nothing of.
        confessLoss(to: sender)
        let hint = log.lastIndex(
            notAfter: min(request.previousIndex, log.lastIndex), termAtMost: request.previousTerm)
        sendAfterDurable(
            .appendReply(
                .refused(after: request.previousIndex, hintIndex: hint, hintTerm: log.term(at: hint)!)), to: sender)
    }

    /// Accepts the sender as leader of the current term. False when that cannot be, which only a broken peer does.
    mutating func follow(_ sender: MemberID, now: Instant, random: inout some RandomNumberGenerator) -> Bool {
        if isLeader || (leader != nil && leader != sender) { return false }
        if role != .follower { becomeFollower(in: term, now: now, random: &random) }
        leader = sender
        deserter = nil
        resetElectionTimer(now: now, random: &random)
        return true
    }
}
