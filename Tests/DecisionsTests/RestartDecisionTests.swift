// Whether a host may be restarted by plan, that not two are at the same time, and what becomes of one that does not come up.

import Cluster
import Consensus
import Decisions
import Testing

@Suite struct RestartDecisionTests {
    private func obstacles(_ bench: GuestBench, _ host: String = "pve2") -> [String] {
        RestartDecisions.obstacles(
            toRestarting: host, state: bench.bench.state, configuration: bench.bench.view.configuration)
    }
    private func stopping(_ bench: GuestBench, _ host: String) -> [String] {
        RestartDecisions.obstacles(
            toStopping: host, state: bench.bench.state, configuration: bench.bench.view.configuration)
    }

    private var bench: GuestBench {
        var bench = GuestBench()
        bench.declare(
            "VirtualIP", "api",
            ["address": "192.168.1.99/24", "candidates": [["member": "pve1"], ["member": "pve2"]]])
        return bench
    }

    @Test func aHostThatTheRestCanDoWithoutMayGo() {
        var bench = bench
        #expect(obstacles(bench).isEmpty)
        // What its disks hold there ends, and is no reason to stay.
        bench.declare("StoragePool", "rbd", ["type": "local"])
        bench.guest(on: "pve2")
        #expect(obstacles(bench).isEmpty)
    }

    @Test func itStaysWhileTheRestWouldNotDecideOrHoldAnAddress() {
        var bench = bench
        bench.lose(DecisionBench.witness, for: .seconds(60))
        #expect(obstacles(bench).first?.hasPrefix("1 of 3 voters would be left, 2 are needed") == true)
        bench.find(DecisionBench.witness)
        bench.declare("VirtualIP", "api", ["address": "192.168.1.99/24", "candidates": [["member": "pve2"]]])
        #expect(obstacles(bench) == ["nobody would be left to hold api (pve2 would be lost)"])
    }

    @Test func itStaysWhileAnotherGoesOrNothingMayBeMoved() {
        var bench = bench
        bench.apply(.hostLeaves("pve1", .reboot))
        #expect(obstacles(bench) == ["pve1 goes down as well"])
        bench.apply(.hostLeaves("pve1", nil))
        bench.apply(.disarm(milliseconds: 60_000))
        #expect(obstacles(bench) == ["the cluster was disarmed by test, so that no guest can leave"])
    }

    @Test func oneThatGoesDownAnywayIsWaitedFor() {
        var bench = bench
        bench.apply(.orderRestart("pve1", isForced: false))
        #expect(obstacles(bench) == ["pve1 goes down as well"])
        #expect(stopping(bench, "pve1").isEmpty)
        // By its system, which asks nobody.
        bench.apply(.hostLeaves("pve2", .powerOff))
        #expect(stopping(bench, "pve1") == ["pve2 goes down, and is waited for"])
        bench.apply(.hostLeaves("pve2", nil))
        #expect(stopping(bench, "pve1").isEmpty)
    }

    @Test func atMostOneIsRestartedUnlessAPersonInsists() {
        var bench = bench
        #expect(bench.outcome(.orderRestart("pve1", isForced: false)).code == .done)
        #expect(bench.outcome(.orderRestart("pve1", isForced: false)).code == .unchanged)
        #expect(bench.outcome(.orderRestart("pve2", isForced: false)).code == .unsafe)
        #expect(bench.bench.state.hosts["pve2"]?.restart == nil && bench.bench.state.hosts["pve2"]?.leaving == nil)
        #expect(bench.outcome(.orderRestart("pve2", isForced: true)).code == .done)
        let first = bench.bench.state.hosts["pve1"]?.restart?.order ?? 0
        let second = bench.bench.state.hosts["pve2"]?.restart?.order ?? 0
        #expect(bench.outcome(.beginRestart("pve2", order: second)).code == .done)
        #expect(bench.outcome(.beginRestart("pve1", order: first)).code == .conflict)
        // It has another boot: it is back.
        var facts = bench.bench.state.hosts["pve2"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        facts.boot = "b2"
        bench.apply(.reportHost("pve2", facts))
        #expect(bench.bench.state.hosts["pve2"]?.restart == nil && bench.bench.state.hosts["pve2"]?.leaving == nil)
        #expect(bench.outcome(.beginRestart("pve1", order: first)).code == .done)
    }

    // MARK: One that does not come up

    /// pve2 has gone to be restarted, with a guest that stays with its host.
    private func gone(pool: String = "cephRbd") -> GuestBench {
        var bench = GuestBench(pool: pool)
        bench.guest(on: "pve2", extra: ["onHostShutdown": "freeze"])
        bench.apply(.orderRestart("pve2", isForced: false))
        bench.apply(.sight(GuestBench.vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.beginRestart("pve2", order: bench.bench.state.hosts["pve2"]?.restart?.order ?? 0))
        bench.bench.apply(.stopping(DecisionBench.pve2))
        return bench
    }

    @Test func aHostThatDoesNotComeUpIsLostInTheEnd() {
        var bench = gone()
        #expect(bench.bench.state.hosts["pve2"]?.restart?.hasBegun == true)
        bench.lose(DecisionBench.pve2, for: FenceDecisions.longestRestart - .seconds(1))
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().obstacle.hasPrefix("pve2 is being restarted by order; it is started there again, or"))
        #expect(bench.placement().obstacle.contains("not back within 15 min"))
        #expect(bench.placement().obstacle.hasSuffix("holdfast fence pve2 --i-verified-it-is-off"))
        bench.lose(DecisionBench.pve2, for: FenceDecisions.longestRestart)
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: DecisionBench.pve1))
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.bench.state.hosts["pve2"]?.restart?.hasBegun == true, "until it is back")
    }

    /// Its watchdog was disarmed before it went.
    @Test func whatNothingCouldProveIsToldWithWhatHelps() {
        var bench = gone(pool: "shared")
        var facts = bench.bench.state.hosts["pve2"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        facts.isGuarded = false
        bench.apply(.reportHost("pve2", facts))
        bench.lose(DecisionBench.pve2, for: FenceDecisions.longestRestart)
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().obstacle.hasPrefix("pve2 does not answer: it had no watchdog armed"))
        #expect(bench.placement().obstacle.hasSuffix("holdfast fence pve2 --i-verified-it-is-off"))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    @Test func oneThatWasTakenBackAfterItWentIsWaitedFor() {
        var bench = gone()
        bench.apply(.cancelRestart("pve2"))
        bench.lose(DecisionBench.pve2, for: LeaderView.Standing.mostLost)
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().obstacle.hasPrefix("pve2 has stopped by its own word; it is started there again"))
        #expect(bench.placement().obstacle.hasSuffix("holdfast fence pve2 --i-verified-it-is-off"))
    }

    @Test func whatItsDisksHoldThereIsNotPromisedElsewhere() {
        var bench = gone(pool: "local")
        bench.lose(DecisionBench.pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.placement().obstacle == "pve2 is being restarted by order; it is started there again")
        bench.lose(DecisionBench.pve2, for: FenceDecisions.longestRestart)
        bench.settle()
        #expect(bench.fence.isNone, "nothing could be gained")
        #expect(bench.placement().obstacle == "pve2 does not answer: its disks are there")
    }

    @Test func whatWasTakenBackDoesNotBegin() {
        var bench = bench
        bench.apply(.orderRestart("pve1", isForced: false))
        let order = bench.bench.state.hosts["pve1"]?.restart?.order ?? 0
        #expect(bench.outcome(.cancelRestart("pve1")).code == .done)
        #expect(bench.outcome(.cancelRestart("pve1")).code == .unchanged)
        bench.apply(.orderRestart("pve1", isForced: false))
        #expect(bench.outcome(.beginRestart("pve1", order: order)).code == .conflict, "that was the order before")
        #expect(bench.outcome(.restartFailed("pve1", order: order, reason: "why")).code == .unchanged)
        #expect(bench.bench.state.hosts["pve1"]?.restart?.hasBegun == false)
    }
}
