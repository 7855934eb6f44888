// Which order a report of a fence is about: a proof is one of what was ordered and reported, and of nothing that was ordered
// since.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@testable import Agent

@Suite struct FenceOrderTests {
    /// pve2 is away, and pve1 is to fence it by Ceph, and then by its power, before the first has ended.
    private func orderedTwice() -> HostBench {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .apply(
                declarations: [
                    Declaration(
                        kind: "FencePolicy", name: "default",
                        spec: ["methods": ["cephBlocklist", "power"], "powerCommand": ["/bin/off", "{host}"]])
                ], checkRevision: nil),
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: AgentBench.own, reason: "test")))
        host.run(for: .milliseconds(200))
        host.commit(.workload(.beginFence("pve2", epoch: 1, .power, by: AgentBench.own, reason: "test")))
        host.run(for: .milliseconds(200))
        #expect(host.bench.fenceOrders.map(\.method) == [.cephBlocklist, .power])
        return host
    }

    private func proofs(_ host: HostBench) -> [WorkloadCommand] {
        host.told.filter { if case .fenceProven = $0 { true } else { false } }
    }

    private func failures(_ host: HostBench) -> Int {
        host.told.count { if case .fenceFailed = $0 { true } else { false } }
    }

    /// Barred from Ceph it still writes to all that is not Ceph's.
    @Test func aProofIsOneOfTheOrderThatItAnswers() {
        var host = orderedTwice()
        host.bench.turn([.fence(.fenced(host.bench.fenceOrders[0], proof: "in OSD map 7"))])
        host.run(for: .milliseconds(200))
        #expect(
            proofs(host).last
                == .fenceProven("pve2", epoch: 1, .cephBlocklist, barred: ["10.0.0.2"], proof: "in OSD map 7"))
        host.agree()
        #expect(host.bench.core.state.hosts["pve2"]?.proofs.map(\.method) == [.cephBlocklist])
    }

    @Test func aFailureSaysNothingOfWhatWasOrderedSince() {
        var host = orderedTwice()
        host.bench.turn([.fence(.failed(host.bench.fenceOrders[0], reason: "no monitor answers"))])
        host.run(for: .seconds(2))
        #expect(failures(host) == 0)
        #expect(host.bench.fenceOrders.count == 2, "the second is under way")
        host.bench.turn([.fence(.fenced(host.bench.fenceOrders[1], proof: "off"))])
        host.run(for: .milliseconds(200))
        #expect(proofs(host).last == .fenceProven("pve2", epoch: 1, .power, barred: [], proof: "off"))
    }

    /// The cluster has noted that an address was missed and waits for the watchdog: what was barred before is told no more.
    @Test func whatTheClusterHasTakenNoteOfIsNotToldAgain() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: AgentBench.own, reason: "test")))
        host.run(for: .milliseconds(200))
        host.commit(
            .workload(.sight(HostBench.gitlab, on: "pve2", Sighting(.running, clients: ["10.1.0.2:0/1"]))))
        host.bench.turn([.fence(.fenced(host.bench.fenceOrders[0], proof: "in OSD map 7"))])
        host.run(for: .milliseconds(200))
        let before = proofs(host).count
        #expect(before == 1)
        host.agree(
            followedBy: [.workload(.beginFence("pve2", epoch: 1, .watchdog, by: AgentBench.own, reason: "test"))])
        #expect(host.bench.core.state.hosts["pve2"]?.barred == ["10.0.0.2", "10.1.0.2"])
        #expect(host.bench.core.state.hosts["pve2"]?.fence == .wanted(.watchdog, by: AgentBench.own))
        for _ in 0..<5 {
            host.run(for: .seconds(1))
            host.agree()
        }
        #expect(proofs(host).count == before)
        #expect(host.bench.core.state.hosts["pve2"]?.fence.isProven == false)
    }

    // MARK: Further proofs

    /// pve2 is proven to be away by its watchdog, and a proof by Ceph is wanted besides.
    private func further() -> HostBench {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")),
            .workload(.fenceProven("pve2", epoch: 1, .watchdog, proof: "p")),
            .workload(.beginFence("pve2", epoch: 1, .cephBlocklist, by: AgentBench.own, reason: "for others")))
        return host
    }

    /// It may go on for days, until a person has looked.
    @Test func aFurtherProofThatFailedIsNotTriedAgainAtOnce() {
        var host = further()
        host.run(for: .milliseconds(200))
        #expect(host.bench.fenceOrders.count == 1)
        host.bench.turn([.fence(.failed(host.bench.fenceOrders[0], reason: "no monitor answers"))])
        host.run(for: .milliseconds(200))
        host.agree()
        host.run(for: Fencing.retryFurtherAfter - .seconds(1))
        #expect(host.bench.fenceOrders.count == 1)
        host.run(for: .seconds(1))
        #expect(host.bench.fenceOrders.count == 2)
    }

    @Test func whileTheClusterIsDisarmedAFurtherProofIsNeitherBegunNorSpokenOf() {
        var host = further()
        host.commit(.workload(.disarm(milliseconds: 60_000)))
        for _ in 0..<10 {
            host.run(for: .seconds(1))
            host.agree()
        }
        #expect(host.bench.fenceOrders.isEmpty)
        #expect(failures(host) == 0, "a command each second, for up to a day")
        host.commit(.workload(.disarm(milliseconds: nil)))
        host.run(for: .milliseconds(200))
        #expect(host.bench.fenceOrders.count == 1)
    }
}
