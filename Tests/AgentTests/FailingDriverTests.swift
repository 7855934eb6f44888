// A candidate whose driver cannot hold the address, for good.

import Agent
import Cluster
import Consensus
import Testing

private let api = ResourceKey(kind: "VirtualIP", name: "api")

/// Only a hold shows whether the driver can, and with `preempt: always` each attempt takes the address from a member
/// that holds it well. So the attempts have to become rare.
@Test func aDriverThatKeepsFailingIsTriedEverMoreSeldom() {
    let lab = TestLab.five()
    let cp1 = lab.index(of: "cp1")
    lab.failing = [cp1]
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1", "cp2"], preempt: "always")
    lab.run(for: .seconds(80))
    let attempts = lab.nodes[0].core.state.events.count { $0.type == "CandidateUnfit" && $0.message.hasPrefix("cp1") }
    #expect(attempts <= 4, "after 10 s, 20 s, 40 s")
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    // Once it works, it is tried again, and a success makes up for all failures.
    lab.failing = []
    lab.run(for: .seconds(80))
    #expect(lab.owners(api) == [cp1])
    #expect(lab.mostOwners == 1)
}
