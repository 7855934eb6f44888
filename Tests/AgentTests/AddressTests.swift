// Addresses as whole agents hold, lose and move them.

import Agent
import Cluster
import Consensus
import Testing

private let api = ResourceKey(kind: "VirtualIP", name: "api")

private func labWithAddress(seed: UInt64 = 1, candidates: [String] = ["cp1", "cp2"]) -> TestLab {
    let lab = TestLab.five(seed: seed)
    lab.declareAddress("api", "192.168.1.99", candidates: candidates)
    lab.run(for: .seconds(1))
    return lab
}

/// How long nobody answers for the address from now on, at most two seconds.
private func gap(_ lab: TestLab) -> Interval {
    let start = lab.now
    lab.run(for: .seconds(2)) { lab.owners(api).isEmpty }
    let silent = lab.now
    lab.run(for: .seconds(2)) { !lab.owners(api).isEmpty }
    #expect(!lab.owners(api).isEmpty, "somebody answers again")
    return lab.now - max(silent, start)
}

@Test func hostsAndWitnessVoteAndGuestsLearn() {
    let lab = TestLab.five()
    let leader = lab.nodes[lab.leader()!]
    #expect(leader.core.raft.configuration.voters == [lab.id(0), lab.id(1), lab.id(2)])
    #expect(leader.core.raft.configuration.learners == [lab.id(3), lab.id(4)])
}

@Test func aDeclaredAddressIsHeldByItsFirstCandidate() {
    let lab = labWithAddress()
    #expect(lab.owners(api) == [lab.index(of: "cp1")])
    #expect(lab.mostOwners == 1)
}

@Test(arguments: 1...20 as ClosedRange<UInt64>)
func anAddressMovesWhenItsHolderDies(seed: UInt64) {
    let lab = labWithAddress(seed: seed)
    let start = lab.now
    lab.kill(lab.index(of: "cp1"))
    _ = gap(lab)
    #expect(lab.now - start < .milliseconds(400), "one lease, one heartbeat, and the hand-over itself")
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}

@Test(arguments: 1...20 as ClosedRange<UInt64>)
func anAddressMovesWhenTheHoldersHostDiesWithTheLeader(seed: UInt64) {
    let lab = labWithAddress(seed: seed)
    #expect(lab.leader() == 0)
    let start = lab.now
    lab.kill(lab.index(of: "pve1"))
    lab.kill(lab.index(of: "cp1"))
    _ = gap(lab)
    #expect(lab.now - start < .milliseconds(700))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}

@Test(arguments: 1...20 as ClosedRange<UInt64>)
func aPausedHolderNeverAnswersBesideItsSuccessor(seed: UInt64) {
    let lab = labWithAddress(seed: seed)
    lab.pause(lab.index(of: "cp1"))
    lab.run(for: .seconds(3))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    lab.resume(lab.index(of: "cp1"))
    lab.run(for: .seconds(3))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}

@Test func anIsolatedHolderFallsSilentAndHealingMovesNothing() {
    let lab = labWithAddress(candidates: ["pve1", "pve2"])
    #expect(lab.owners(api) == [0])
    lab.isolate(0)
    lab.run(for: .seconds(3))
    #expect(lab.owners(api) == [1])
    lab.cuts = []
    lab.run(for: .seconds(3)) { lab.owners(api) != [1] }
    #expect(lab.owners(api) == [1], "the heal is no new outage")
    #expect(lab.mostOwners == 1)
}

@Test func aPlannedMoveTakesMilliseconds() {
    let lab = labWithAddress()
    let cp2 = lab.id(lab.index(of: "cp2"))
    let epoch = lab.nodes[0].core.state.roles[api]!.epoch
    _ = lab.request(.release(role: api, epoch: epoch, to: cp2, reason: "test"), at: 0)
    #expect(gap(lab) < .milliseconds(20))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}

@Test func aStoppingMemberGivesItsAddressAndItsLeadershipAway() {
    let lab = labWithAddress(candidates: ["pve1", "pve2"])
    lab.run(for: .milliseconds(10))
    lab.stop(0)
    #expect(gap(lab) < .milliseconds(20))
    lab.run(for: .seconds(2)) { lab.nodes[0].stopped }
    #expect(lab.nodes[0].stopped)
    #expect(lab.owners(api) == [1])
    #expect(lab.leader() != 0)
    lab.kill(0)
    lab.restart(0)
    lab.run(for: .seconds(2))
    #expect(lab.nodes[1].core.state.member(named: "pve1")?.stopping == false)
    #expect(lab.owners(api) == [1])
    #expect(lab.mostOwners == 1)
}

@Test func aRestartedHolderResumesOrIsSucceededButNeverBoth() {
    for seed in 1...20 as ClosedRange<UInt64> {
        let lab = labWithAddress(seed: seed)
        let cp1 = lab.index(of: "cp1")
        lab.kill(cp1)
        lab.run(for: .milliseconds(Int64(seed) * 20))
        lab.restart(cp1)
        lab.run(for: .seconds(2))
        #expect(lab.owners(api).count == 1)
        #expect(lab.mostOwners == 1)
    }
}

@Test func withoutAnyQuorumTheAddressFallsSilent() {
    let lab = labWithAddress()
    lab.kill(0)
    lab.kill(1)
    lab.run(for: .seconds(2))
    #expect(lab.owners(api).isEmpty)
    lab.restart(0)
    lab.run(for: .seconds(3))
    #expect(lab.owners(api).count == 1)
}

@Test func anUnfitHolderIsReplaced() {
    let lab = labWithAddress()
    let cp1 = lab.index(of: "cp1")
    lab.report(cp1, .failed(role: api, epoch: lab.nodes[cp1].core.state.roles[api]!.epoch, reason: "no such interface"))
    lab.run(for: .seconds(1))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}

@Test func aDeletedAddressIsLetGo() {
    let lab = labWithAddress()
    lab.must(.delete(keys: [api], checkRevision: nil))
    lab.run(for: .seconds(1))
    #expect(lab.owners(api).isEmpty)
    #expect(lab.nodes[0].core.state.roles[api] == nil)
}

@Test func preemptAlwaysGoesBackToTheFirstCandidate() {
    let lab = TestLab.five()
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1", "cp2"], preempt: "always")
    lab.run(for: .seconds(1))
    lab.kill(lab.index(of: "cp1"))
    lab.run(for: .seconds(2))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    lab.restart(lab.index(of: "cp1"))
    lab.run(for: .seconds(10))
    #expect(lab.owners(api) == [lab.index(of: "cp1")])
    #expect(lab.mostOwners == 1)
}

@Test func aRequestWithoutQuorumFailsInWordsByItsDeadline() {
    let lab = labWithAddress()
    lab.kill(1)
    lab.kill(2)
    lab.run(for: .seconds(1))
    let request = lab.request(.put(key: "k", value: "v", expected: nil), at: 0)
    lab.run(for: .seconds(2)) { lab.nodes[0].responses[request] != nil }
    guard case .failed(.noQuorum(let detail))? = lab.nodes[0].responses[request] else {
        Issue.record("expected noQuorum")
        return
    }
    #expect(detail.contains("no leader is known") || detail.contains("hears nothing of"))
}

@Test func everyMemberTakesCommandsAndAnswersReads() {
    let lab = labWithAddress()
    for index in lab.nodes.indices {
        lab.must(.put(key: "from-\(index)", value: "v", expected: .absent), at: index)
        let read = lab.read(at: index)
        guard case .state(let state, _)? = read else {
            Issue.record("no state from \(index): \(String(describing: read))")
            continue
        }
        #expect(state.values["from-\(index)"]?.value == "v", "a read sees what was acknowledged before it")
    }
}
