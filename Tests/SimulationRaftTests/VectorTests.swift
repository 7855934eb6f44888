// The vectors of etcd's raft for majorities, joint ones too, and for changes of the configuration. The few that speak of
// something our core does not have are named where they are read.

import Consensus
import Testing

@Suite struct VectorTests {
    private static func members(_ texts: [String]) -> [MemberID] {
        texts.compactMap { UInt64($0).map(MemberID.init(rawValue:)) }
    }

    /// A majority of nobody: etcd says "won" and "everything", because it is the empty half of a joint configuration.
    /// Ours has no empty halves, and wins no election without a voter.
    ///
    /// One side is `cfg`, the other `cfgj`; which is which makes no difference to counting.
    private static func configuration(_ vector: Vector) -> Configuration? {
        let sides = ["cfg", "cfgj"].compactMap(vector.values).map { $0 == ["zero"] ? [] : members($0) }
            .filter { !$0.isEmpty }
        guard let first = sides.first else { return nil }
        return Configuration(voters: first, outgoingVoters: sides.count > 1 ? sides[1] : [])
    }

    @Test(.enabled(if: Vectors.areHere, Comment(rawValue: Vectors.missing)))
    func majoritiesAreCountedAsEtcdCountsThem() throws {
        var matched = 0
        var joint = 0
        var empty: [String] = []
        for file in Vectors.files("quorum") {
            for vector in try Vectors.read("quorum", file) {
                guard let configuration = Self.configuration(vector) else {
                    empty.append(vector.place)
                    continue
                }
                // Given in the order of the members of both sides.
                let given = vector.values(vector.command == "vote" ? "votes" : "idx") ?? []
                let voters = configuration.allVoters
                func value(_ member: MemberID) -> String { voters.firstIndex(of: member).map { given[$0] } ?? "_" }
                let found: String
                if vector.command == "vote" {
                    let result = configuration.voteResult { ["y": true, "n": false][value($0)] }
                    found = ["VoteWon", "VoteLost", "VotePending"][[.won, .lost, .pending].firstIndex(of: result)!]
                } else {
                    let index = configuration.reachedByQuorum { UInt64(value($0)) ?? 0 }
                    found = String(try #require(index))
                }
                #expect(found == vector.expected.last, "\(vector)")
                matched += 1
                if configuration.isJoint { joint += 1 }
            }
        }
        // 3.4 of etcd has these; another version is welcome to have more.
        #expect(matched >= 120, "\(matched) matched")
        #expect(joint >= 80, "\(joint) of joint configurations")
        #expect(empty.count <= 4, "\(empty)")
        print("quorum vectors: \(matched) matched, \(joint) of them joint; of nobody: \(empty)")
    }

    @Test(.enabled(if: Vectors.areHere, Comment(rawValue: Vectors.missing)))
    func configurationsChangeAsEtcdChangesThem() throws {
        var matched = 0
        for file in Vectors.files("confchange") {
            let vectors = try Vectors.read("confchange", file)
            var configuration = Configuration(voters: [])
            for vector in vectors {
                let found: [String]
                (found, configuration) =
                    switch vector.command {
                    case "enter-joint": entering(vector.words, from: configuration)
                    case "leave-joint": leaving(configuration)
                    default: outcome(vector.words, from: configuration)
                    }
                #expect(found == vector.expected.map(membership), "\(vector)")
                matched += 1
            }
        }
        #expect(matched >= 55, "\(matched) matched")
        print("configuration vectors: \(matched) matched")
    }

    /// The wishes carried out in turn, on the incoming side, and then all of it as one exchange of ours. Newcomers are made
    /// learners first: ours become voters only from there.
    private func entering(_ wishes: [String], from old: Configuration) -> ([String], Configuration) {
        if old.isJoint { return (["config is already joint"], old) }
        if old.voters.isEmpty { return (["can't make a zero-voter config joint"], old) }
        var voters = old.voters
        var learners = old.learners
        for wish in wishes {
            guard let number = UInt64(wish.dropFirst()), number != 0 else { continue }
            let member = MemberID(rawValue: number)
            let wasKnown = voters.contains(member) || learners.contains(member)
            voters.removeAll { $0 == member }
            learners.removeAll { $0 == member }
            switch wish.first {
            case "v": voters.append(member)
            case "l" where wasKnown || !old.contains(member) || old.isVoter(member): learners.append(member)
            default: break
            }
        }
        var ready = old
        for member in (voters + learners).sorted() where !ready.contains(member) {
            if case .success(let next) = ready.applying(.addLearner(member)) { ready = next }
        }
        let removing = ready.members.filter { !voters.contains($0) && !learners.contains($0) }
        switch ready.applying(.exchangeVoters(for: voters, removing: removing)) {
        case .success(let next): return (render(next), next)
        case .failure(.nothingToChange):
            // etcd has two equal sides then. Ours stays as it is; only this reader makes them, to go on with the file.
            let twice = Configuration(voters: ready.voters, learners: ready.learners, outgoingVoters: ready.voters)
            return (render(twice), twice)
        case .failure(let refusal): return (["\(refusal)"], old)
        }
    }

    private func leaving(_ old: Configuration) -> ([String], Configuration) {
        guard old.isJoint else { return (["can't leave a non-joint config"], old) }
        return (render(old.left), old.left)
    }

    /// A list of wishes, carried out one step of ours after the other. What etcd calls one simple change moves at most one
    /// voter; with us that is so by construction, because an entry takes one step.
    private func outcome(_ wishes: [String], from old: Configuration) -> ([String], Configuration) {
        if old.isJoint { return (["can't apply simple config change in joint config"], old) }
        var new = old
        for wish in wishes {
            for step in steps(wish, in: new) {
                switch new.applying(step) {
                case .success(let next): new = next
                case .failure(.wouldLeaveNoVoter): return (["removed all voters"], old)
                case .failure(let refusal): return (["\(refusal)"], old)
                }
            }
        }
        // A learner before any voter: our clusters begin with their voters, so only this reader knows the rule.
        if new.voters.isEmpty { return (["removed all voters"], old) }
        let moved = Set(old.voters).symmetricDifference(new.voters).count
        if moved > 1 { return (["more than one voter changed without entering joint config"], old) }
        return (render(new), new)
    }

    private func steps(_ wish: String, in configuration: Configuration) -> [ConfigurationChange] {
        let member = MemberID(rawValue: UInt64(wish.dropFirst()) ?? 0)
        guard member.rawValue != 0 else { return [] }
        let isVoter = configuration.isVoter(member)
        let isKnown = configuration.contains(member)
        switch wish.first {
        case "v": return isVoter ? [] : isKnown ? [.promote(member)] : [.addLearner(member), .promote(member)]
        case "l": return isVoter ? [.demote(member)] : isKnown ? [] : [.addLearner(member)]
        case "r": return isKnown ? [.remove(member)] : []
        default: return []
        }
    }

    private func render(_ configuration: Configuration) -> [String] {
        func list(_ members: [MemberID]) -> String { members.map { String($0.rawValue) }.joined(separator: " ") }
        func named(_ name: String, _ members: [MemberID]) -> String {
            members.isEmpty ? "" : " \(name)=(\(list(members)))"
        }
        let outgoing = configuration.isJoint ? "&&(\(list(configuration.outgoingVoters)))" : ""
        return [
            "voters=(\(list(configuration.voters)))\(outgoing)"
                + named("learners", configuration.learners) + named("learners_next", configuration.learnersNext)
        ]
            + configuration.members.map { "\($0.rawValue):" + (configuration.isVoter($0) ? "" : " learner") }
    }

    /// Of `2: StateProbe match=0 next=1 learner` what concerns membership; `match` and `next` are replication's.
    private func membership(_ line: String) -> String {
        // Ours are always left by themselves.
        if line.hasSuffix(" autoleave") { return String(line.dropLast(10)) }
        guard let colon = line.firstIndex(of: ":"), line.contains("StateProbe") else { return line }
        return line[...colon] + (line.hasSuffix(" learner") ? " learner" : "")
    }
}
