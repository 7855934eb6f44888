// The leader's answer to a member that has lost something: no majority counts it any more, so no vote hangs on what it
// forgot; and through where the log is committed, which it must have again before it votes (Memory.swift). It stays true for
// ever, so it may come late and in any number of copies.

public struct Readmitted: Hashable, Sendable {
    /// The start of the member's disk that asked.
    public let start: DiskStart
    /// The leader's commit index; nil from a version that did not say it.
    public let committed: LogIndex?

    public init(start: DiskStart, committed: LogIndex?) {
        self.start = start
        self.committed = committed
    }
}

extension Raft {
    /// The term was checked: it is ours.
    mutating func receive(_ answer: Readmitted, from sender: MemberID) {
        guard hardState.memory != .whole, answer.start == hardState.start, sender == leader,
            answer.committed.map({ $0 <= .greatest }) ?? true
        else { return }
        // A second answer to the same question asks for no less.
        if readmission?.through == nil { readmission = Readmission(term: term, through: answer.committed) }
        recollect()
    }

    /// An older leader did not say how far the log must come: as far as it is committed when the next append arrives,
    /// which on one connection was sent after the answer. The next leader is asked anew.
    mutating func learnReadmission(commit: LogIndex) {
        guard let known = readmission, known.through == nil else { return }
        readmission = known.term == term ? Readmission(term: term, through: commit) : nil
    }
}
