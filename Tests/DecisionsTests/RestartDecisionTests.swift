// Whether a host may be restarted by plan, and in whose turn.

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

    @Test func whoSaidItFirstGoesFirst() {
        var bench = bench
        bench.apply(.hostLeaves("pve2", .reboot))
        bench.apply(.hostLeaves("pve1", .reboot))
        #expect(stopping(bench, "pve2").isEmpty)
        #expect(stopping(bench, "pve1") == ["pve2 goes first"])
        // It has another boot: it is back.
        var facts = bench.bench.state.hosts["pve2"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        facts.boot = "b2"
        bench.apply(.reportHost("pve2", facts))
        #expect(stopping(bench, "pve1").isEmpty)
        #expect(bench.bench.state.hosts["pve2"]?.leavingSince == 0)
    }
}
