// What a host does with what it is to take over from one that is fenced, or whose fence has ended meanwhile.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct TakingOverTests {
    private let gitlab = HostBench.guests[HostBench.gitlab]!

    /// pve1 is to take gitlab over from pve2, whose fence is as given.
    private func taking(isFenced: Bool) -> HostBench {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.observe(.absent)
        host.agree()
        #expect(host.placement(HostBench.gitlab).sighting(on: "pve1") == .absent)
        host.commit(
            .workload(
                .place(
                    HostBench.gitlab, epoch: host.placement(HostBench.gitlab).epoch, on: "pve2", reason: "test",
                    because: nil)))
        host.commit(
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")),
            .workload(.fenceProven("pve2", epoch: 1, .watchdog, proof: "p")),
            .workload(
                .place(
                    HostBench.gitlab, epoch: host.placement(HostBench.gitlab).epoch, on: "pve1", reason: "test",
                    because: nil)))
        if !isFenced { host.commit(.workload(.hostIsClean("pve2", epoch: 1))) }
        return host
    }

    @Test func nothingIsTakenOverFromAHostWhoseFenceHasEnded() {
        var host = taking(isFenced: false)
        host.observe(.absent)
        host.run(for: .milliseconds(500))
        #expect(host.orders(of: .start).isEmpty, "it may be started there")
        #expect(
            host.told.contains(
                .handBack(HostBench.gitlab, epoch: host.placement(HostBench.gitlab).epoch, from: "pve1")))
    }

    @Test func whatHasBeenTakenOverIsStartedAlsoWhenTheFenceHasEnded() {
        var host = taking(isFenced: false)
        host.observe(.stopped)
        host.run(for: .milliseconds(500))
        let epoch = host.placement(HostBench.gitlab).epoch
        #expect(host.bench.guestOrders.last == .start(gitlab, epoch: epoch, takeFrom: [], provenAway: []))
    }

    @Test func anOrderThatIsUnderWayIsWaitedForBeforeAnythingIsHandedBack() {
        var host = taking(isFenced: true)
        host.observe(.absent)
        host.run(for: .milliseconds(200))
        let epoch = host.placement(HostBench.gitlab).epoch
        #expect(host.bench.guestOrders.last == .start(gitlab, epoch: epoch, takeFrom: ["pve2"], provenAway: ["pve2"]))
        host.commit(.workload(.hostIsClean("pve2", epoch: 1)))
        host.run(for: .seconds(5))
        #expect(!host.told.contains(.handBack(HostBench.gitlab, epoch: epoch, from: "pve1")))
        host.agree()
        let before = host.told.count
        // Also when it is declared anew meanwhile: nobody may take it for a guest that nobody has.
        host.commit(
            .delete(keys: [HostBench.gitlab], checkRevision: nil),
            .apply(declarations: [host.declaration(HostBench.gitlab)], checkRevision: nil))
        host.observe(.absent)
        host.run(for: .seconds(2))
        #expect(!host.told.dropFirst(before).contains(.sight(HostBench.gitlab, on: "pve1", Sighting(.absent))))
        host.bench.turn([.guests(.failed(gitlab, epoch: epoch, .start, GuestFailure("no")))])
        host.observe(.absent)
        host.run(for: .milliseconds(500))
        #expect(host.told.dropFirst(before).contains(.sight(HostBench.gitlab, on: "pve1", Sighting(.absent))))
    }
}
