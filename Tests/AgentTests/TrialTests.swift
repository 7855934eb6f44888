// A trial ends at its deadline whoever leads by then.

import Agent
import Cluster
import Consensus
import Testing

private let api = ResourceKey(kind: "VirtualIP", name: "api")

private func labOnTrial(milliseconds: Int64) -> TestLab {
    let lab = TestLab.five()
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1"])
    lab.must(
        .apply(
            declarations: [TestLab.address("api", "192.168.1.99", candidates: ["cp2"])], checkRevision: nil,
            trialMilliseconds: milliseconds))
    return lab
}

private func candidates(_ lab: TestLab, at index: Int) -> [String] {
    (lab.nodes[index].core.state.resources[api]?.declaration.spec["candidates"]?.array ?? [])
        .compactMap { $0["member"]?.string }
}

@Test func theLeaderUndoesATrialAtItsDeadline() {
    let lab = labOnTrial(milliseconds: 5_000)
    lab.run(for: .seconds(4))
    #expect(candidates(lab, at: 1) == ["cp2"])
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    lab.run(for: .seconds(3))
    #expect(candidates(lab, at: 1) == ["cp1"])
    #expect(lab.owners(api) == [lab.index(of: "cp1")])
    #expect(lab.mostOwners == 1)
}

@Test func aTrialIsUndoneAlsoWhenItsLeaderDies() {
    let lab = labOnTrial(milliseconds: 5_000)
    let first = lab.leader()!
    lab.kill(first)
    lab.run(for: .seconds(8))
    let next = lab.leader()!
    #expect(next != first)
    #expect(candidates(lab, at: next) == ["cp1"])
    #expect(lab.nodes[next].core.state.trial == nil)
}

@Test func aConfirmedTrialOutlivesItsDeadline() {
    let lab = labOnTrial(milliseconds: 5_000)
    let revision = lab.nodes[0].core.state.trial!.revision
    lab.must(.settleTrial(revision: revision, keep: true))
    lab.run(for: .seconds(10))
    #expect(candidates(lab, at: 0) == ["cp2"])
}

/// It learns of the trial when it has half its time behind it. Counted from then on it would run half as long again.
@Test func aTrialDoesNotRunLongerUnderALeaderThatWasCutOff() {
    let lab = TestLab.five()
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1"])
    let first = lab.leader()!
    let second = lab.index(of: first == lab.index(of: "pve1") ? "pve2" : "pve1")
    lab.isolate(second)
    let change = [TestLab.address("api", "192.168.1.99", candidates: ["cp2"])]
    lab.must(.apply(declarations: change, checkRevision: nil, trialMilliseconds: 40_000), at: first)
    lab.run(for: .seconds(20))
    lab.cuts = []
    lab.run(for: .seconds(5))
    #expect(lab.nodes[second].core.state.trial != nil)
    lab.kill(first)
    lab.run(for: .seconds(13))
    #expect(lab.leader() == second)
    #expect(candidates(lab, at: second) == ["cp2"])
    lab.run(for: .seconds(4))
    #expect(candidates(lab, at: second) == ["cp1"])
}
