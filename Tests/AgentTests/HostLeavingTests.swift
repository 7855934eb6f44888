// A host that is to be restarted by order and cannot look at its guests: it stays up, and its log says what it waits for.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct HostLeavingTests {
    @Test func aHostThatCannotLookAtItsGuestsSaysThatItsRestartWaits() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.run(for: .milliseconds(200))
        host.bench.turn([.guests(.blind(reason: "no answer"))])
        host.commit(.workload(.orderRestart("pve1", isForced: false)))
        func told() -> [String] { host.bench.logged.filter { $0.hasPrefix("the restart of this machine waits") } }
        host.run(for: .seconds(9))
        #expect(told().isEmpty, "it may look again in a moment")
        host.run(for: .seconds(11))
        #expect(told().count == 1, "once")
        #expect(told().first?.contains("its guests cannot be looked at (holdfast doctor)") == true)
        #expect(told().first?.hasSuffix("holdfast host reboot pve1 --cancel") == true)
        #expect(!host.bench.restartsMachine && !host.bench.stopped)
        // It can look again: they are to leave it, and that needs no words.
        host.observe()
        host.run(for: .seconds(1))
        #expect(told().count == 1)
        #expect(host.bench.core.guests.restart.waitsFor.isEmpty)
    }
}
