// Tells a member that entries it holds are committed, when there is nothing else to tell it. Without this, the last entry
// of a burst would be applied elsewhere only at the next heartbeat, and a planned move of an address would wait for it.

/// Never answered.
public struct CommitNotice: Hashable, Sendable {
    /// Committed, and known to be in the receiver's log.
    public let commit: LogIndex

    public init(commit: LogIndex) { self.commit = commit }
}

extension Raft {
    /// Tells a commit without waiting for the next entry or heartbeat. It is bounded by the match point, so it speaks
    /// only of what the member holds; if it is lost, the next heartbeat says the same.
    mutating func tellCommit(to member: MemberID) {
        guard let commit = leadership!.progress.look(member, { $0.commitToTell(commitIndex) }) ?? nil else { return }
        _ = leadership!.progress.update(member) { $0.told(commit: commit) }
        sendNow(.commitNotice(CommitNotice(commit: commit)), to: member)
    }

    /// The term was checked: it is ours.
    mutating func receive(
        _ notice: CommitNotice, from sender: MemberID, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard follow(sender, now: now, random: &random) else { return }
        commitIndex = max(commitIndex, min(notice.commit, log.lastIndex, comparedThrough))
    }
}
