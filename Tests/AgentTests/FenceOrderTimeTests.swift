// For how long a leader waits for the orders that members were given under a fence: until nothing can come of them any more,
// and no longer.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct FenceOrderTimeTests {
    /// pve1 leads; pve2 and pve3 are hosts too, all of which are there. Nobody has a driver, so no order is reported on.
    private func lab() -> TestLab {
        let lab = TestLab()
        _ = lab.add("pve1", .host, founds: "home")
        lab.run(for: .milliseconds(100))
        for name in ["pve2", "pve3", "pve4"] { _ = lab.join(name, .host) }
        lab.run(for: .seconds(2))
        for (number, name) in ["pve1", "pve2", "pve3"].enumerated() {
            lab.must(
                .workload(
                    .reportHost(
                        name,
                        HostFacts(
                            boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.\(number + 1)"))))
        }
        return lab
    }

    private func host(_ lab: TestLab) -> HostRecord {
        lab.nodes[lab.leader() ?? 0].core.state.hosts["pve2"]
            ?? HostRecord(
                facts: HostFacts(boot: "", memoryBytes: 0, cores: 0))
    }

    /// Waits for as long as nothing is certain, less a while.
    private func almost(_ lab: TestLab) { lab.run(for: FenceOrder.certainlyOver - .seconds(5)) }

    @Test func whoHadAnOrderBeforeIsWaitedForBeforeAnEntryIsTakenAway() {
        let lab = lab()
        let (pve1, pve3) = (lab.id(0), lab.id(2))
        lab.must(.workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve3, reason: "test")))
        lab.must(.workload(.beginFence("pve2", epoch: 1, .cephBlocklist, by: pve1, reason: "test")))
        lab.must(.workload(.fenceProven("pve2", epoch: 1, .cephBlocklist, barred: ["10.0.0.2"], proof: "p")))
        lab.must(.workload(.hostIsClean("pve2", epoch: 1)))
        almost(lab)
        #expect(host(lab).fence == .clean(.cephBlocklist), "what pve1 was ordered may come yet")
        #expect(host(lab).ordered == [pve3, pve1])
        lab.run(for: .seconds(6))
        #expect(host(lab).fence == .lifting(.cephBlocklist, by: pve3))
        #expect(host(lab).ordered == [pve3])
    }

    /// A new leader knows of no time that has passed.
    @Test func aNewLeaderCountsAnew() {
        let lab = lab()
        let (pve1, pve3) = (lab.id(0), lab.id(2))
        lab.must(.workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve3, reason: "test")))
        lab.must(.workload(.beginFence("pve2", epoch: 1, .cephBlocklist, by: pve1, reason: "test")))
        lab.must(.workload(.fenceProven("pve2", epoch: 1, .cephBlocklist, barred: ["10.0.0.2"], proof: "p")))
        lab.must(.workload(.hostIsClean("pve2", epoch: 1)))
        almost(lab)
        let next = lab.index(of: lab.leader() == 0 ? "pve3" : "pve1")
        _ = lab.transferLeadership(to: next)
        lab.run(for: .seconds(10))
        #expect(lab.leader() == next)
        #expect(host(lab).fence == .clean(.cephBlocklist))
        lab.run(for: FenceOrder.certainlyOver)
        #expect(host(lab).fence == .lifting(.cephBlocklist, by: pve3))
    }

    @Test func anOrderThatNobodyReportsOnFailsInTime() {
        let lab = lab()
        lab.must(.workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: lab.id(2), reason: "test")))
        almost(lab)
        #expect(host(lab).fence == .wanted(.cephBlocklist, by: lab.id(2)))
        #expect(host(lab).failures == 0)
        lab.run(for: .seconds(6))
        #expect(host(lab).failures == 1)
        #expect(host(lab).attempts.last?.contains("pve3 has not said in time") == true)
        #expect(host(lab).fence == .withdrawn(.cephBlocklist, by: lab.id(2)), "pve2 is there, and is not fenced again")
    }

    @Test func whoWasRemovedIsWaitedForAsWell() {
        let lab = lab()
        lab.must(.workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: lab.id(2), reason: "test")))
        lab.must(.removeMember(lab.id(2)))
        almost(lab)
        #expect(host(lab).fence == .wanted(.cephBlocklist, by: lab.id(2)))
        lab.run(for: .seconds(6))
        #expect(host(lab).fence == .wanted(.cephBlocklist, by: lab.id(0)), "by another one, which finds it there")
    }
}
