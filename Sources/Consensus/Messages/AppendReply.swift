// A member's answer to an append: what it holds durably, or where it may match.
// Leaves only after the disk has what it claims; a refusal waits too, because the term it carries must be durable.

public enum AppendReply: Hashable, Sendable {
    /// Everything through this position is durable and equal to the leader's log.
    case accepted(through: LogIndex)
    /// There is no entry of the leader's term after which the append could follow. `hintTerm` is the term at
    /// `hintIndex`, the last position that might match.
    case refused(after: LogIndex, hintIndex: LogIndex, hintTerm: Term)
}

extension Raft {
    /// The term was checked: it is ours.
    mutating func receive(_ reply: AppendReply, from member: MemberID, now: Instant) {
        guard isLeader, leadership!.progress.contains(member) else { return }
        switch reply {
        case .accepted(let index):
            guard index <= log.lastIndex else { return }
            _ = leadership!.progress.update(member) {
                $0.heard(now)
                $0.accepted(through: index, now: now)
            }
            advanceCommit(now: now)
        case .refused(let previous, let hintIndex, let hintTerm):
            noticeForgotten(previous, by: member)
            // Whatever follows the last entry of ours with a term not beyond the hint's cannot match either.
            // What ends before our log begins matches nothing of it.
            let resume =
                hintIndex < log.base
                ? hintIndex : log.lastIndex(notAfter: min(hintIndex, log.lastIndex), termAtMost: hintTerm)
            _ = leadership!.progress.update(member) {
                $0.heard(now)
                return $0.refused(after: previous, resumeAfter: resume, now: now)
            }
        }
    }
}
