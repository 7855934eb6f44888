// What follows from a host that has started anew and cannot look at its guests: nobody waits for what ran there before, and
// nothing is taken from it without its word or a fence.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct EarlierBootDecisionTests {
    private let vm = GuestBench.vm

    private func restarted(_ name: String, _ number: Int) -> WorkloadCommand {
        var facts = HostFacts(boot: "b2", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.\(number)")
        facts.isBlind = true
        return .reportHost(name, facts)
    }

    /// It belongs on pve2, where it does not run, and pve1 has said that it runs there.
    private func astray() -> GuestBench {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        return bench
    }

    private func holders(_ bench: GuestBench) -> [String] {
        bench.bench.state.holders(of: bench.placement(), besides: "pve2") { _ in true }
    }

    @Test func whatRanOnAHostThatHasStartedAnewKeepsNobodyFromStartingIt() {
        var bench = astray()
        bench.settle()
        #expect(holders(bench) == ["pve1"])
        #expect(bench.placement().obstacle.contains("it runs on pve1"))
        bench.apply(restarted("pve1", 1))
        #expect(holders(bench).isEmpty)
        // Its own host starts it: no obstacle is told any more, and it stays where it belongs.
        #expect(bench.decide().allSatisfy { if case .place = $0 { false } else { true } })
    }

    @Test func whatBelongsToAHostThatHasStartedAnewIsNotTakenFromIt() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(restarted("pve2", 2))
        #expect(bench.placement().sighting(on: "pve2") == nil)
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        let epoch = bench.placement().epoch
        #expect(
            bench.outcome(.place(vm, epoch: epoch, on: "pve1", reason: "t", because: nil)).code == .unsafe,
            "its hypervisor may have started it by itself")
    }

    /// It has no place yet; that it ran on pve1 was said in the boot before.
    @Test func oneThatNobodyHasPlacedIsWaitedForUntilTheHostSaysWhatItHas() {
        var bench = GuestBench()
        bench.guest(on: nil)
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        bench.apply(restarted("pve1", 1))
        bench.settle()
        #expect(bench.placement().phase == .nowhere)
        #expect(bench.placement().obstacle.contains("pve1 has not said"))
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    /// The host that it was moved to live has started anew, and the one it came from is lost: it may have come since.
    @Test func whatHadArrivedBeforeItsTargetStartedAnewIsAskedFor() {
        var bench = GuestBench()
        bench.bench.admit(MemberID(rawValue: 5), "pve3", .host)
        bench.apply(
            .reportHost("pve3", HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.3")))
        bench.guest(on: "pve2")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve1", live: true, reason: "t", because: nil))
        bench.apply(.sight(vm, on: "pve1", Sighting(.stuck)))
        bench.apply(restarted("pve1", 1))
        bench.lose(DecisionBench.pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
        #expect(bench.placement().obstacle.contains("pve1 has not said yet"))
    }
}
