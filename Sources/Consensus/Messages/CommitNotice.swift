// Tells a member that entries it holds are committed, when there is nothing else to tell it. Without this, the last entry
// of a burst would be applied elsewhere only at the next heartbeat, and a planned move of an address would wait for it.

/// Never answered.
public struct CommitNotice: Hashable, Sendable {
    /// Committed, and known to be in the receiver's log.
    public let commit: LogIndex

    public init(commit: LogIndex) { self.commit = commit }
}

extension Raft {
    /// Sends the notice where a member would otherwise not learn soon.
    mutating func noticeCommits() {
        for member in leadership!.progress.keys {
            guard let progress = leadership!.progress[member] else { continue }
            let known = min(progress.match, commitIndex)
            guard known > progress.commitTold else { continue }
            _ = leadership!.progress.update(member) { $0.told(commit: known) }
            sendNow(.commitNotice(CommitNotice(commit: known)), to: member)
        }
    }

    /// The term was checked: it is ours.
    mutating func receive(
        _ notice: CommitNotice, from sender: MemberID, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard follow(sender, now: now, random: &random) else { return }
        commitIndex = max(commitIndex, min(notice.commit, log.lastIndex))
    }
}
