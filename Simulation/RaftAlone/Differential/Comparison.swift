// In what two correct Rafts must agree, given that they went through the same.

enum Comparison {
    /// The first difference in what both sides owe each other at a point, in words.
    static func difference(_ point: ComparisonPoint, _ theirs: [MemberState]) -> String? {
        guard theirs.count == point.states.count else { return "\(theirs.count) members" }
        for (position, ours) in point.states.enumerated() {
            let theirs = theirs[position]
            guard theirs.id == ours.id, theirs.isUp == ours.isUp else { return "member \(ours.id) is up or down" }
            let found: String? =
                switch point.rules[position] {
                case .free: nil
                case .unsettled: ours.isUp ? skeleton(ours, theirs) ?? prefixes(ours, theirs) : skeleton(ours, theirs)
                case .whole: skeleton(ours, theirs) ?? flesh(ours, theirs)
                }
            if let found { return "member \(ours.id) differs in \(found)" }
        }
        return nil
    }

    /// Term, vote, leadership, log: determined by who asked whom, whatever was heard of since.
    private static func skeleton(_ ours: MemberState, _ theirs: MemberState) -> String? {
        if ours.term != theirs.term { return "term: \(ours.term) and \(theirs.term)" }
        if ours.vote != theirs.vote { return "vote: \(ours.vote) and \(theirs.vote)" }
        if ours.isLeader != theirs.isLeader { return "leadership: \(ours.isLeader) and \(theirs.isLeader)" }
        if ours.first != theirs.first { return "where the log begins: \(ours.first) and \(theirs.first)" }
        if ours.log != theirs.log { return "log" }
        return ours.isLeader ? reads(ours, theirs) : nil
    }

    /// A leader answers the same reads on both sides. Each from what was committed when it was asked, or later: etcd notes
    /// the index when asked, ours when a majority has answered.
    private static func reads(_ ours: MemberState, _ theirs: MemberState) -> String? {
        let agree =
            ours.reads.count == theirs.reads.count
            && zip(ours.reads, theirs.reads).allSatisfy { $0 >= $1 && $0 <= ours.commit }
        return agree ? nil : "reads: \(ours.reads) and \(theirs.reads)"
    }

    /// What a member that hears of a leader knows.
    private static func flesh(_ ours: MemberState, _ theirs: MemberState) -> String? {
        if ours.lead != theirs.lead { return "leader: \(ours.lead) and \(theirs.lead)" }
        if ours.commit != theirs.commit { return "commit index: \(ours.commit) and \(theirs.commit)" }
        if ours.applied != theirs.applied { return "what is applied" }
        if ours.configuration != theirs.configuration {
            return "configuration: \(ours.configuration) and \(theirs.configuration)"
        }
        return nil
    }

    /// What one side has applied is the beginning of what the other has.
    private static func prefixes(_ ours: MemberState, _ theirs: MemberState) -> String? {
        let count = min(ours.applied.count, theirs.applied.count)
        return ours.applied.prefix(count) == theirs.applied.prefix(count) ? nil : "what is applied"
    }

    /// Why a side has not come to rest, although everything was mended and time enough has passed.
    static func unrest(_ states: [MemberState], epilogue: [String]) -> String? {
        guard let leader = states.filter(\.isLeader).max(by: { $0.term < $1.term }) else { return "nobody leads" }
        if Array(leader.applied.suffix(epilogue.count)) != epilogue { return "the last values are not applied" }
        if leader.commit != leader.lastIndex { return "the leader's last entry is not committed" }
        let inside = leader.configuration.split { !"0123456789".contains($0) }.compactMap { UInt64($0) }
        for state in states where inside.contains(state.id) {
            if state.term != leader.term || state.lead != leader.id {
                return "\(state.id) does not follow \(leader.id)"
            }
            if !state.agrees(with: leader) { return "the logs of \(state.id) and \(leader.id) differ" }
            if state.commit != leader.commit || state.applied != leader.applied {
                return "\(state.id) has not applied what \(leader.id) has"
            }
        }
        return nil
    }
}
