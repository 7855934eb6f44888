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
