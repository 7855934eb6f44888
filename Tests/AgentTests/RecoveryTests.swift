// Forced recovery with whole agents: the survivor goes on, what it left behind is told and stops, and a majority that is
// only away is never cut off.

import Agent
import Cluster
import Consensus
import Testing

private func recover(_ lab: TestLab, without dead: [String], at index: Int) -> AgentResponse? {
    lab.lastRequest += 1
    let request = RequestID(rawValue: lab.lastRequest)
    let origin = CommandOrigin(name: "ada", role: .admin, key: "k", needs: .admin, reason: "both are on fire")
    let members = dead.map { lab.id(lab.index(of: $0)) }
    lab.turn(index, [.request(request, .recover(without: members, actor: "ada", origin: origin))])
    lab.run(for: .seconds(10)) { lab.nodes[index].responses[request] != nil }
    return lab.nodes[index].responses[request]
}

private func words(_ response: AgentResponse?) -> String {
    switch response {
    case .failed(.refused(let words)): words
    case .outcome(let outcome): "\(outcome.code)"
    default: "\(String(describing: response))"
    }
}

private extension TestLab {
    func core(_ name: String) -> AgentCore { nodes[index(of: name)].core }
    func killed(_ names: String...) -> TestLab {
        for name in names { kill(index(of: name)) }
        return self
    }
}

@Test("40 the survivor goes on, and the others never come back as they were")
func aRecoveredClusterGoesOnAndTheOldSideStops() {
    let lab = TestLab.five()
    lab.must(.put(key: "a", value: "1", expected: nil))
    lab.declareAddress("api", "192.168.1.99", candidates: ["pve2", "pve1"])
    lab.run(for: .seconds(1))
    _ = lab.killed("pve2", "witness", "cp2")
    lab.run(for: .seconds(15))
    #expect(words(recover(lab, without: ["pve2", "witness", "cp2"], at: 0)) == "done")
    lab.run(for: .seconds(2))
    let survivor = lab.core("pve1")
    #expect(survivor.raft.isLeader)
    #expect(survivor.raft.epoch.number == 1)
    #expect(survivor.state.epoch == survivor.raft.epoch.rawValue)
    #expect(survivor.state.values["a"]?.value == "1")
    // The guest that answered is with it, and follows.
    #expect(survivor.state.members.values.map(\.name) == ["pve1", "cp1"])
    #expect(lab.core("cp1").raft.leader == lab.id(0))
    #expect(survivor.raft.configuration.voters == [lab.id(0)])
    #expect(lab.owners(of: "192.168.1.99") == [0])
    let entry = survivor.state.auditLog.last
    #expect(entry?.who == "ada" && entry?.reason == "both are on fire")
    #expect(survivor.state.events.contains { $0.type == "ClusterRecovered" && $0.message.contains("pve2") })
    // They were not dead after all, and are a majority by their own lights.
    for name in ["pve2", "witness", "cp2"] { lab.restart(lab.index(of: name)) }
    lab.run(for: .seconds(5))
    for name in ["pve2", "witness", "cp2"] {
        let node = lab.nodes[lab.index(of: name)]
        #expect(node.failure?.contains("recovered without this member") == true, "\(name)")
    }
    lab.must(.put(key: "b", value: "2", expected: nil), at: 0)
    #expect(lab.core("pve1").raft.isLeader)
    #expect(lab.mostOwners == 1)
    // Its machine comes back under a new identity, as a learner first.
    let back = lab.join("pve2", .host)
    lab.run(for: .seconds(3))
    #expect(lab.nodes[back].core.raft.epoch == lab.core("pve1").raft.epoch)
    #expect(lab.nodes[back].core.state == lab.core("pve1").state)
    #expect(!lab.core("pve1").state.leftBehind.values.contains { $0.name == "pve2" })
}

/// The epoch is on disk before anything is said in it, and a restart goes on in it.
@Test func aRecoverySurvivesRestarts() {
    let lab = TestLab.five()
    _ = lab.killed("pve2", "witness")
    lab.run(for: .seconds(15))
    #expect(words(recover(lab, without: ["pve2", "witness"], at: 0)) == "done")
    let epoch = lab.core("pve1").raft.epoch
    for name in ["pve1", "cp1"] {
        lab.kill(lab.index(of: name))
        lab.restart(lab.index(of: name))
    }
    lab.run(for: .seconds(3))
    #expect(lab.core("pve1").raft.isLeader)
    #expect(lab.core("cp1").raft.epoch == epoch)
    lab.must(.put(key: "a", value: "1", expected: nil), at: 0)
}

/// Two of five are left: both vote in the new epoch, and the second takes it over when it is told.
@Test func anotherSurvivorTakesTheEpochOver() {
    let lab = TestLab.five()
    _ = lab.join("pve3", .host)
    _ = lab.join("pve4", .host)
    lab.run(for: .seconds(5))
    #expect(lab.core("pve1").raft.configuration.voters.count == 5)
    _ = lab.killed("pve2", "witness", "pve4")
    lab.run(for: .seconds(15))
    let (one, other) = (lab.index(of: "pve1"), lab.index(of: "pve3"))
    let ahead = lab.core("pve3").raft.log.lastIndex > lab.core("pve1").raft.log.lastIndex ? other : one
    #expect(words(recover(lab, without: ["pve2", "witness", "pve4"], at: ahead)) == "done")
    lab.run(for: .seconds(3))
    #expect(lab.core("pve1").raft.epoch == lab.core("pve3").raft.epoch)
    #expect(lab.core("pve1").raft.epoch.number == 1)
    #expect(lab.core("pve1").state == lab.core("pve3").state)
    lab.must(.put(key: "a", value: "1", expected: nil))
}

/// Somebody runs the command on all survivors at once. Nobody lies dead who lives, and still there are two epochs.
@Test(arguments: UInt64(1)...6) func twoSurvivorsThatRecoverAtTheSameMomentComeTogether(seed: UInt64) {
    let lab = TestLab.five(seed: seed)
    _ = lab.join("pve3", .host)
    _ = lab.join("pve4", .host)
    lab.run(for: .seconds(5))
    #expect(lab.core("pve1").raft.configuration.voters.count == 5)
    _ = lab.killed("pve2", "witness", "pve4")
    lab.run(for: .seconds(15))
    let (one, other) = (lab.index(of: "pve1"), lab.index(of: "pve3"))
    #expect(lab.core("pve1").raft.log.lastIndex == lab.core("pve3").raft.log.lastIndex)
    let dead = ["pve2", "witness", "pve4"].map { lab.id(lab.index(of: $0)) }
    let requests = [one, other].map { index in
        lab.lastRequest += 1
        let request = RequestID(rawValue: lab.lastRequest)
        lab.turn(index, [.request(request, .recover(without: dead, actor: "ada", origin: nil))])
        return request
    }
    lab.run(for: .seconds(10))
    let answers = [lab.nodes[one].responses[requests[0]], lab.nodes[other].responses[requests[1]]]
    #expect(answers.contains { words($0) == "done" })
    #expect(lab.leader() != nil)
    #expect(lab.core("pve1").raft.epoch == lab.core("pve3").raft.epoch)
    #expect(lab.core("pve1").raft.knowsItsEpoch && lab.core("pve3").raft.knowsItsEpoch)
    #expect(lab.core("pve1").state == lab.core("pve3").state)
    #expect(lab.core("pve1").state.epoch == lab.core("pve1").raft.epoch.rawValue)
    lab.must(.put(key: "a", value: "1", expected: nil))
}

/// Asked for while the first one waited for its answers: what it was told was said in another epoch.
@Test func theSecondOfTwoRecoveriesIsRefused() {
    let lab = TestLab.five()
    _ = lab.join("pve3", .host)
    _ = lab.join("pve4", .host)
    lab.run(for: .seconds(5))
    _ = lab.killed("pve2", "witness", "pve4")
    lab.run(for: .seconds(15))
    let dead = ["pve2", "witness", "pve4"].map { lab.id(lab.index(of: $0)) }
    let other = lab.index(of: "pve3")
    let (first, second) = (RequestID(rawValue: 901), RequestID(rawValue: 902))
    lab.turn(0, [.request(first, .recover(without: dead, actor: "ada", origin: nil))])
    lab.run(for: .milliseconds(1_500))
    lab.turn(other, [.request(second, .recover(without: dead, actor: "eve", origin: nil))])
    lab.run(for: .seconds(8))
    #expect(words(lab.nodes[0].responses[first]) == "done")
    #expect(words(lab.nodes[other].responses[second]).contains("another recovery has begun epoch 1"))
    #expect(lab.core("pve1").raft.epoch == lab.core("pve3").raft.epoch)
}

/// A cluster founded from the backup of one that had been recovered: the state counts further than the consensus.
@Test func aClusterThatWasRestoredIsRecoveredAsAnyOther() {
    let lab = TestLab.five()
    lab.must(.recover(epoch: 2 << 32 | 9, dead: []))
    _ = lab.killed("pve2", "witness", "cp2")
    lab.run(for: .seconds(15))
    #expect(words(recover(lab, without: ["pve2", "witness", "cp2"], at: 0)) == "done")
    lab.run(for: .seconds(2))
    #expect(lab.core("pve1").raft.epoch.number == 3)
    #expect(lab.core("pve1").state.epoch == lab.core("pve1").raft.epoch.rawValue)
    #expect(lab.core("pve1").state.members.values.map(\.name) == ["pve1", "cp1"])
}

/// The entry that revokes the admin is in the survivor's log, not committed: the record of the recovery would be refused
/// when both are applied, with the epoch begun and the dead still members.
@Test func aRecoveryThatWouldBeRefusedBeginsNothing() {
    let lab = TestLab.five()
    _ = lab.transferLeadership(to: 0)
    lab.run(for: .seconds(1))
    #expect(lab.leader() == 0)
    _ = lab.killed("pve2", "witness")
    _ = lab.request(.revokeOperator(name: "ada"), at: 0)
    lab.run(for: .seconds(15))
    #expect(lab.core("pve1").state.operators["ada"] == nil)
    #expect(words(recover(lab, without: ["pve2", "witness"], at: 0)).contains("was revoked"))
    #expect(lab.core("pve1").raft.epoch == .first)
    #expect(lab.core("pve1").state.members.count == 5)
}

/// The witness answers and has forgotten what it voted for: with it there is no majority, and without it there is a way on.
@Test(arguments: [Memory.incomplete, .lost]) func aVoterThatForgotSomethingIsTakenBackInTheNewEpoch(memory: Memory) {
    let lab = TestLab.five()
    lab.must(.put(key: "a", value: "1", expected: nil))
    _ = lab.killed("pve1", "pve2", "witness")
    lab.run(for: .seconds(1))
    let witness = lab.index(of: "witness")
    let remembered = lab.nodes[witness].hardState
    lab.nodes[witness].hardState =
        memory == .lost ? HardState(memory: .lost) : HardState(term: remembered.term, memory: memory)
    lab.restart(witness)
    lab.restart(0)
    lab.run(for: .seconds(15))
    #expect(lab.leader() == nil)
    #expect(words(recover(lab, without: ["pve1", "pve2"], at: witness)).contains("has lost something it answered for"))
    #expect(words(recover(lab, without: ["pve2"], at: 0)) == "done")
    lab.run(for: .seconds(10))
    #expect(lab.leader() == 0)
    #expect(lab.core("witness").raft.hardState.memory == .whole)
    #expect(lab.core("witness").raft.epoch == lab.core("pve1").raft.epoch)
    #expect(lab.core("witness").state == lab.core("pve1").state)
    #expect(lab.core("pve1").state.values["a"]?.value == "1")
}

@Test func nothingIsCutOffThatCouldComeBack() {
    let lab = TestLab.five()
    // A leader is there.
    #expect(words(recover(lab, without: ["pve2", "witness"], at: 0)).contains("a leader was known here"))
    _ = lab.killed("witness")
    lab.isolate(0)
    lab.run(for: .seconds(15))
    // The other host was not named, and is only out of reach.
    #expect(words(recover(lab, without: ["witness"], at: 0)).contains("pve2 did not answer and was not named"))
    lab.cuts = []
    _ = lab.killed("pve2")
    lab.run(for: .seconds(15))
    // A guest that was named answers.
    #expect(words(recover(lab, without: ["pve2", "witness", "cp1"], at: 0)).contains("cp1 is not dead"))
    // The witness is back: a majority, although somebody was quick to bury it.
    lab.restart(lab.index(of: "witness"))
    lab.run(for: .milliseconds(1))
    #expect(words(recover(lab, without: ["pve2", "witness"], at: 0)) != "done")
    lab.run(for: .seconds(5))
    #expect(lab.leader() != nil)
    #expect(lab.core("pve1").raft.epoch == .first)
}

/// Two sides that were cut off from each other are both recovered by people who do not talk either: one of them gives way.
@Test func ofTwoRecoveriesOneGivesWay() {
    let lab = TestLab.five()
    for (one, other) in [(0, 1), (0, 2), (1, 2), (0, 4), (1, 3), (2, 3), (2, 4), (3, 4)] {
        lab.cuts.insert([one, other])
        lab.cuts.insert([other, one])
    }
    lab.run(for: .seconds(15))
    #expect(words(recover(lab, without: ["pve2", "witness"], at: 0)) == "done")
    #expect(words(recover(lab, without: ["pve1", "witness"], at: 1)) == "done")
    let epochs = [lab.core("pve1").raft.epoch, lab.core("pve2").raft.epoch]
    #expect(epochs[0] != epochs[1])
    lab.cuts = []
    lab.run(for: .seconds(5))
    let (winner, loser) = epochs[0] > epochs[1] ? (0, 1) : (1, 0)
    #expect(lab.nodes[loser].failure?.contains("recovered without this member") == true)
    #expect(lab.nodes[winner].failure == nil)
    #expect(lab.leader() == winner)
}

/// Leases may be declared longer than the ten seconds that are waited at least.
@Test func aRecoveryWaitsForTheLongestLease() {
    let lab = TestLab.five()
    lab.declare([
        Declaration(
            kind: "Cluster", name: "home",
            spec: [
                "heartbeat": "1s", "quorumLease": "20s", "promise": "25s", "memberLease": "20s",
                "electionTimeout": ["least": "26s", "most": "30s"],
            ])
    ])
    lab.run(for: .seconds(2))
    _ = lab.killed("pve2", "witness", "cp2")
    lab.run(for: .seconds(22))
    #expect(words(recover(lab, without: ["pve2", "witness", "cp2"], at: 0)).contains("within the last 25 s"))
    lab.run(for: .seconds(40))
    #expect(words(recover(lab, without: ["pve2", "witness", "cp2"], at: 0)) == "done")
}

/// The witness runs from an image, and was started a moment ago: nobody has told it yet, and it takes itself for whole.
@Test func aVoterWhoseDiskWasSetBackDoesNotCount() {
    let lab = TestLab.five()
    let witness = lab.index(of: "witness")
    lab.kill(witness)
    lab.nodes[witness].hardState.begin(DiskStart(number: 4, nonce: 1))
    let image = lab.nodes[witness].hardState
    lab.nodes[witness].hardState.begin(DiskStart(number: 5, nonce: 2))
    lab.restart(witness)
    lab.run(for: .seconds(2))
    #expect(lab.core("pve1").raft.hardState.knownStarts[lab.id(witness)]?.number == 5)
    _ = lab.killed("pve2", "witness")
    lab.run(for: .seconds(15))
    // As many starts as the one that is known, and one more.
    lab.nodes[witness].hardState = image
    lab.nodes[witness].hardState.begin(DiskStart(number: 5, nonce: 3))
    lab.nodes[witness].hardState.begin(DiskStart(number: 6, nonce: 4))
    lab.restart(witness)
    #expect(words(recover(lab, without: ["pve2"], at: 0)) == "done")
    #expect(lab.core("pve1").raft.configuration.voters == [lab.id(0)])
    lab.run(for: .seconds(10))
    #expect(lab.leader() == 0)
    #expect(lab.core("witness").raft.hardState.memory == .whole)
    #expect(lab.core("witness").state == lab.core("pve1").state)
}
