// Whether a host may be restarted by plan, and that not two are at the same time.

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
