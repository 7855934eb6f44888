// Roles and leadership that change hands while something else goes wrong.

import Agent
import Cluster
import Consensus
import Testing

private let api = ResourceKey(kind: "VirtualIP", name: "api")

/// The holder has let go, and its word is lost together with every majority, for longer than a proposal lives.
@Test func aReleaseIsToldUntilTheClusterHasTakenNote() {
    let lab = TestLab.five()
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1", "cp2"])
    lab.run(for: .seconds(1))
    let cp1 = lab.nodes[lab.index(of: "cp1")]
    let cp2 = lab.id(lab.index(of: "cp2"))
    _ = lab.request(.release(role: api, epoch: 1, to: cp2, reason: "test"), at: 0)
    let asked = RoleRecord.Phase.releasing(by: cp1.setup.record.id, to: cp2)
    lab.run(for: .seconds(1)) { cp1.core.state.roles[api]?.phase == asked }
    lab.kill(0)
    lab.kill(1)
    lab.run(for: .seconds(15))
    #expect(cp1.core.state.roles[api]?.phase == asked)
    #expect(lab.owners(api).isEmpty)
    lab.restart(0)
    lab.restart(1)
    lab.run(for: .seconds(5))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}

@Test func aWitnessThatLeadsHandsOverToAHost() {
    let lab = TestLab.five()
    let witness = lab.index(of: "witness")
    let request = RequestID(rawValue: 1_000)
    lab.turn(0, [.request(request, .transferLeadership(to: lab.id(witness), deadline: lab.now + .seconds(2)))])
    lab.run(for: .seconds(1)) { lab.leader() == witness }
    #expect(lab.leader() == witness)
    lab.run(for: .seconds(5))
    #expect(lab.leader() == 0 || lab.leader() == 1)
}

/// Any member takes the request; the one that leads hands over, and the one that was asked sees it.
@Test(arguments: [true, false]) func whoeverIsAskedLeadershipIsHandedOn(isNamed: Bool) {
    let lab = TestLab.five()
    #expect(lab.leader() == 0)
    let pve2 = lab.index(of: "pve2")
    let asked = lab.index(of: "cp1")
    let request = RequestID(rawValue: 1_000)
    lab.turn(
        asked,
        [.request(request, .transferLeadership(to: isNamed ? lab.id(pve2) : nil, deadline: lab.now + .seconds(2)))])
    lab.run(for: .seconds(1)) { lab.nodes[asked].responses[request] != nil }
    guard case .outcome(let outcome)? = lab.nodes[asked].responses[request] else {
        Issue.record("\(String(describing: lab.nodes[asked].responses[request]))")
        return
    }
    #expect(outcome.code == .done && outcome.message.contains("pve2 leads now"))
    #expect(lab.leader() == pve2)
}

/// To a learner it cannot go, and that is said by the deadline.
@Test func aHandOverThatDoesNotHappenIsAnswered() {
    let lab = TestLab.five()
    let asked = lab.index(of: "witness")
    let request = RequestID(rawValue: 1_000)
    let learner = lab.id(lab.index(of: "cp1"))
    lab.turn(asked, [.request(request, .transferLeadership(to: learner, deadline: lab.now + .seconds(2)))])
    lab.run(for: .seconds(3)) { lab.nodes[asked].responses[request] != nil }
    guard case .failed(.refused(let words))? = lab.nodes[asked].responses[request] else {
        Issue.record("\(String(describing: lab.nodes[asked].responses[request]))")
        return
    }
    #expect(words.contains("pve1 leads still"), "\(words)")
    #expect(lab.leader() == 0)
}

/// The witness would lead only to hand over again, and whoever stops next would too.
@Test func leadershipMovesToAHostWhenItsHolderStops() {
    let lab = TestLab(seed: 3)
    _ = lab.add("pve1", .host, founds: "home")
    lab.run(for: .milliseconds(100))
    // In this order, so that the first voter in line is the wrong one.
    for (name, kind) in [("witness", MemberKind.witness), ("pve2", .host)] { _ = lab.join(name, kind) }
    lab.run(for: .seconds(3))
    #expect(lab.leader() == 0)
    #expect(lab.nodes[0].core.raft.configuration.voters.count == 3)
    let term = lab.nodes[0].core.raft.term
    lab.stop(0)
    lab.run(for: .seconds(3)) { lab.nodes[0].stopped }
    #expect(lab.nodes[0].stopped)
    lab.run(for: .milliseconds(100)) { lab.leader() != nil }
    #expect(lab.leader() == lab.index(of: "pve2"))
    #expect(lab.nodes[lab.index(of: "pve2")].core.raft.term == term.next)
}

/// Asked at a member that does not lead. The leader hands over first, and is taken out by its successor.
@Test func aLeaderHandsOverBeforeItIsRemoved() {
    let lab = TestLab.five()
    lab.run(for: .seconds(2))
    #expect(lab.leader() == 0)
    let term = lab.nodes[0].core.raft.term
    lab.must(.removeMember(lab.id(0)), at: lab.index(of: "cp2"))
    #expect(lab.leader() == 1)
    #expect(lab.nodes[1].core.raft.term == term.next)
    #expect(lab.nodes[1].core.state.events.last { $0.type == "MemberRemoved" } != nil)
    lab.run(for: .seconds(3))
    #expect(lab.nodes[1].core.raft.term == term.next)
    #expect(!lab.nodes[1].core.raft.configuration.contains(lab.id(0)))
}
