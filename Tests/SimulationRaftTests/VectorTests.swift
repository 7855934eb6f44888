// The vectors of etcd's raft for majorities and for changes of the configuration, matched as far as our core has what they
// speak of. What it does not have is counted here by name, so that the list cannot grow unseen, nor stay when it is built.

import Consensus
import Testing

@Suite struct VectorTests {
    private static func members(_ texts: [String]) -> [MemberID] {
        texts.compactMap { UInt64($0).map(MemberID.init(rawValue:)) }
    }

    /// Only what concerns one majority; an empty second half of a joint configuration changes nothing.
    private static func isSimple(_ vector: Vector) -> Bool {
        vector.values("cfgj").map { $0 == ["zero"] } ?? true
    }

    /// A majority of nobody: etcd says "won" and "everything", because it is the empty half of a joint configuration.
    /// Ours wins no election without a voter.
    private static func isEmpty(_ vector: Vector) -> Bool { (vector.values("cfg") ?? []).isEmpty }

    @Test(.enabled(if: Vectors.areHere, Comment(rawValue: Vectors.missing)))
    func majoritiesAreCountedAsEtcdCountsThem() throws {
        var matched = 0
        var waiting: [String] = []
        for file in Vectors.files("quorum") {
            for vector in try Vectors.read("quorum", file) {
                guard Self.isSimple(vector), !Self.isEmpty(vector) else {
                    waiting.append(vector.place)
                    continue
                }
                let voters = Self.members(vector.values("cfg") ?? [])
                let given = vector.values(vector.command == "vote" ? "votes" : "idx") ?? []
                func value(_ member: MemberID) -> String { voters.firstIndex(of: member).map { given[$0] } ?? "_" }
                let configuration = Configuration(voters: voters)
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
            }
        }
        // 3.4 of etcd has these; another version is welcome to have more.
        #expect(matched >= 40, "\(matched) matched")
        #expect(waiting.count >= 1)
        print("quorum vectors: \(matched) matched, \(waiting.count) waiting for joint configurations")
    }

    @Test(.enabled(if: Vectors.areHere, Comment(rawValue: Vectors.missing)))
    func configurationsChangeAsEtcdChangesThem() throws {
        var matched = 0
        var waiting: [String] = []
        for file in Vectors.files("confchange") {
            let vectors = try Vectors.read("confchange", file)
            guard vectors.allSatisfy({ $0.command == "simple" }) else {
                waiting.append(file)
                continue
            }
            var configuration = Configuration(voters: [])
            for vector in vectors {
                let (found, next) = outcome(vector.words, from: configuration)
                configuration = next
                #expect(found == vector.expected.map(membership), "\(vector)")
                matched += 1
            }
        }
        #expect(matched >= 30, "\(matched) matched")
        #expect(waiting.allSatisfy { $0.hasPrefix("joint_") }, "\(waiting)")
        print("configuration vectors: \(matched) matched; waiting for joint configurations: \(waiting)")
    }

    /// A list of wishes, carried out one step of ours after the other. What etcd calls one simple change moves at most one
    /// voter; with us that is so by construction, because an entry takes one step.
    private func outcome(_ wishes: [String], from old: Configuration) -> ([String], Configuration) {
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
        let learners = configuration.learners.isEmpty ? "" : " learners=(\(list(configuration.learners)))"
        return ["voters=(\(list(configuration.voters)))\(learners)"]
            + configuration.members.map { "\($0.rawValue):" + (configuration.isVoter($0) ? "" : " learner") }
    }

    /// Of `2: StateProbe match=0 next=1 learner` what concerns membership; `match` and `next` are replication's.
    private func membership(_ line: String) -> String {
        guard let colon = line.firstIndex(of: ":"), line.contains("StateProbe") else { return line }
        return line[...colon] + (line.hasSuffix(" learner") ? " learner" : "")
    }
}
