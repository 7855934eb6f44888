// What every Raft must keep at every moment, read off the printed states alone, so that the same checks watch either side.

import Consensus

/// Watches one side of a comparison. Knows everything that was ever committed.
struct RaftInvariants {
    private struct Ballot: Hashable, Comparable {
        let member: UInt64
        let term: UInt64
        static func < (left: Ballot, right: Ballot) -> Bool {
            (left.member, left.term) < (right.member, right.term)
        }
    }

    /// Nil where nobody was looked at while it still held the entry.
    private var committed: [MemberState.LogEntry?] = []
    /// Members are looked at only now and then: an entry may be committed and dropped behind a snapshot in between.
    private let looksSeldom: Bool
    private var leaders: SortedMap<UInt64, UInt64> = [:]
    private var votes: SortedMap<Ballot, UInt64> = [:]
    private var before: SortedMap<UInt64, MemberState> = [:]

    init(looksSeldom: Bool = false) { self.looksSeldom = looksSeldom }

    /// A member went down: what it knew was in memory only.
    mutating func sawCrash(of id: UInt64) { _ = before.update(id) { $0.isUp = false } }

    /// Looks at the states after an operation; says what is wrong.
    mutating func look(at states: [MemberState]) -> String? {
        for state in states {
            // Only what has changed can have become wrong: everything is checked against `committed` and its own past.
            let last = before[state.id]
            if last == state { continue }
            if let wrong = check(state, after: last) { return "member \(state.id): \(wrong)" }
            before[state.id] = state
            for other in states where other.id != state.id {
                if !Self.match(state, other) {
                    return "members \(state.id) and \(other.id): equal index and term, but different logs up to there"
                }
            }
        }
        return nil
    }

    private mutating func check(_ state: MemberState, after last: MemberState?) -> String? {
        if let last, state.term < last.term { return "its term went back from \(last.term) to \(state.term)" }
        if let last, last.isUp, state.isUp, state.commit < last.commit { return "its commit index went back" }
        if state.vote != 0 {
            let ballot = Ballot(member: state.id, term: state.term)
            if let vote = votes[ballot], vote != state.vote {
                return "voted for \(vote) and for \(state.vote) in term \(state.term)"
            }
            votes[ballot] = state.vote
        }
        if zip(state.log, state.log.dropFirst()).contains(where: { $0.term > $1.term }) {
            return "terms fall along its log"
        }
        if let wrong = checkCommitted(state) { return wrong }
        // What a snapshot covers was committed before, here or elsewhere.
        let known = committed.prefix(Int(state.commit)).compactMap(\.self)
        let expected = known.compactMap { $0.data.isEmpty ? nil : $0.data }
        if state.isUp, known.count == Int(state.commit), state.applied != expected {
            return "applied something other than what is committed"
        }
        guard state.isLeader else { return nil }
        // Ongaro 3.6.2, Figure 8: a leader commits by counting only what is of its own term.
        if let last, last.isLeader, last.term == state.term, state.commit > last.commit,
            lastCommittedTerm(state) != state.term
        {
            return "committed an entry of an older term by counting"
        }
        if let other = leaders[state.term], other != state.id {
            return "leads term \(state.term), which \(other) led"
        }
        if let wrong = checkChanges(state) { return wrong }
        if leaders[state.term] == nil {
            leaders[state.term] = state.id
            // A leader holds whatever was committed before its term began. What was is not known to the term, but a
            // leader newly seen in the newest term must hold it all.
            if state.term == leaders.keys.last,
                !holdsCommitted(state)
            {
                return "leads without everything that is committed"
            }
        }
        return nil
    }

    /// Ongaro's correction of 2015: a leader begins a change only when something of its own term is committed, which
    /// everything before it then is too, and no change is under way.
    private func checkChanges(_ state: MemberState) -> String? {
        let changes = state.entries(from: state.commit + 1).filter { $0.change != nil }
        guard changes.contains(where: { $0.term == state.term }) else { return nil }
        // The other side leaves a joint configuration as often as it applies something before it has left
        // (etcd-io/etcd#12582), and carries out the first.
        let begun = looksSeldom ? changes.filter { $0.change != "" } : changes
        if begun.count > 1 { return "leads with two changes of the configuration under way" }
        if lastCommittedTerm(state) != state.term {
            return "began a change before it had committed anything in its term"
        }
        return nil
    }

    private mutating func checkCommitted(_ state: MemberState) -> String? {
        while committed.count < Int(state.first) - 1 {
            guard looksSeldom else { return "has a snapshot of what was never committed" }
            committed.append(nil)
        }
        for (offset, entry) in state.committed.enumerated() {
            let position = Int(state.first) - 1 + offset
            if position == committed.count { committed.append(nil) }
            if let known = committed[position], known != entry {
                return "contradicts what is committed at index \(position + 1)"
            }
            committed[position] = entry
        }
        return nil
    }

    /// The term of the last entry a member calls committed; its own, when nobody knows what it was.
    private func lastCommittedTerm(_ state: MemberState) -> UInt64? {
        guard state.commit > 0 else { return nil }
        guard let entry = committed[Int(state.commit) - 1] else { return state.term }
        return entry.term
    }

    private func holdsCommitted(_ state: MemberState) -> Bool {
        let known = committed.dropFirst(Int(state.first - 1))
        guard state.log.count >= known.count else { return false }
        return zip(state.log, known).allSatisfy { $1 == nil || $0 == $1 }
    }

    /// Log matching: where the last common index with equal terms lies, everything up to it is equal.
    private static func match(_ one: MemberState, _ other: MemberState) -> Bool {
        let both = max(one.first, other.first)
        let (left, right) = (Array(one.entries(from: both)), Array(other.entries(from: both)))
        var end = min(left.count, right.count)
        while end > 0, left[end - 1].term != right[end - 1].term { end -= 1 }
        return left[..<end] == right[..<end]
    }
}
