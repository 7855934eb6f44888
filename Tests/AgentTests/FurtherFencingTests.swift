// What a host does towards one that is being fenced: it sends nothing there, proves what is not proven yet, and takes nothing
// away that another member may still make.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@testable import Agent

@Suite struct FurtherFencingTests {
    // MARK: Giving away

    @Test func nothingIsSentToAHostThatIsBeingFenced() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .workload(
                .move(
                    HostBench.gitlab, epoch: host.placement(HostBench.gitlab).epoch, to: "pve2", live: true,
                    reason: "test", because: nil)),
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")))
        host.run(for: .milliseconds(500))
        #expect(host.orders(of: .migrate).isEmpty)
        let epoch = host.placement(HostBench.gitlab).epoch
        #expect(
            host.told.contains {
                if case .moveEnded(HostBench.gitlab, epoch, at: "pve1", _) = $0 { true } else { false }
            })
    }

    // MARK: Further proofs

    @Test func whatIsToProveAFenceBesideAnotherProofIsCarriedOut() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")),
            .workload(.fenceProven("pve2", epoch: 1, .watchdog, proof: "p")),
            .workload(.beginFence("pve2", epoch: 1, .cephBlocklist, by: AgentBench.own, reason: "for others")))
        host.run(for: .milliseconds(200))
        guard case .blocklist("pve2", 1, _, _)? = host.bench.fenceOrders.last else {
            Issue.record("\(host.bench.fenceOrders)")
            return
        }
        host.bench.turn([.fence(.fenced(host.bench.fenceOrders.last!, proof: "in OSD map 7"))])
        host.run(for: .milliseconds(200))
        host.agree()
        #expect(host.bench.core.state.hosts["pve2"]?.proofs.map(\.method) == [.watchdog, .cephBlocklist])
    }

    @Test func anEntryIsNotTakenAwayWhileAnotherMemberMayMakeIt() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: AgentBench.peer, reason: "test")),
            .workload(.beginFence("pve2", epoch: 1, .cephBlocklist, by: AgentBench.own, reason: "test")),
            .workload(.fenceFailed("pve2", epoch: 1, reason: "no monitor answers")),
            .workload(.cancelFence("pve2", epoch: 1)))
        host.run(for: .milliseconds(200))
        func lifts() -> Bool {
            host.bench.fenceOrders.contains { if case .unblocklist = $0 { true } else { false } }
        }
        #expect(!lifts())
        host.commit(.workload(.liftFence("pve2", epoch: 1, by: AgentBench.own)))
        host.run(for: .milliseconds(200))
        #expect(lifts())
    }
}
