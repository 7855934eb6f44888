// A live move that fails may leave the guest running where it was to go: the process that takes it over is made before the old
// one ends, and the move can fail after both. It is started nowhere else until that is known.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Decisions

@Suite struct FailedMoveTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let vm = GuestBench.vm

    /// It was to go from pve2 to pve1, and the move failed.
    private func failed(live: Bool = true, pool: String = "cephRbd") -> GuestBench {
        var bench = GuestBench(pool: pool)
        bench.guest(on: "pve2")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve1", live: live, reason: "t", because: nil))
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve2", reason: "File exists"))
        return bench
    }

    private func holders(_ bench: GuestBench) -> [String] {
        bench.bench.state.holders(of: bench.placement(), besides: "pve2") { _ in true }
    }

    private func places(_ bench: GuestBench) -> [String?] {
        bench.decide().compactMap { if case .place(_, _, let host, _, _) = $0 { .some(host) } else { nil } }
    }

    @Test func itMayRunWhereItWasToGoUntilThatHostSaysOtherwise() {
        var bench = failed()
        #expect(holders(bench) == ["pve1"])
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        #expect(holders(bench) == ["pve1"], "what it says may have been seen before the move ended")
        bench.settle()
        #expect(bench.placement().obstacle.contains("it may run on pve1"))
        let epoch = bench.placement().epoch
        #expect(bench.outcome(.handBack(vm, epoch: epoch - 1, from: "pve1")).succeeded == false)
        #expect(bench.outcome(.handBack(vm, epoch: epoch, from: "pve1")).succeeded)
        #expect(holders(bench).isEmpty && bench.placement().phase == .on("pve2"))
    }

    @Test func oneThatWasStoppedForItsMoveLeavesNothing() {
        #expect(holders(failed(live: false)).isEmpty)
    }

    @Test func whereItRunsAllTheSameItBelongs() {
        var bench = failed()
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        #expect(places(bench) == ["pve1"])
        bench.settle()
        #expect(bench.placement().phase == .on("pve1") && bench.placement().leftovers.isEmpty)
    }

    @Test func oneThatIsSaidToRunElsewhereHasAHolderThere() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        #expect(holders(bench) == ["pve1"])
    }

    @Test func withItsHostLostItGoesWhereItMayBe() {
        var bench = failed()
        bench.lose(pve2, for: .seconds(30))
        bench.apply(.beginFence("pve2", epoch: bench.fenceEpoch, .cephBlocklist, by: pve1, reason: "t"))
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        #expect(places(bench) == ["pve1"], "its agent ends what is there before it starts anything")
    }

    @Test func aThirdHostIsNotGivenItBeforeThat() {
        var bench = failed()
        bench.bench.admit(MemberID(rawValue: 5), "pve3", .host)
        bench.apply(
            .reportHost(
                "pve3", HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.3")))
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        let epoch = bench.placement().epoch
        #expect(bench.outcome(.place(vm, epoch: epoch, on: "pve3", reason: "t", because: nil)).code == .unsafe)
        bench.apply(.handBack(vm, epoch: epoch, from: "pve1"))
        #expect(bench.outcome(.place(vm, epoch: epoch, on: "pve3", reason: "t", because: nil)).succeeded)
    }

    @Test func itRunsWhereItStayedSoItRunsNowhereElse() {
        var bench = failed()
        #expect(bench.outcome(.handBack(vm, epoch: bench.placement().epoch, from: "pve2")).succeeded)
        #expect(bench.placement().leftovers.isEmpty && bench.placement().phase == .on("pve2"))
    }

    @Test func theHostThatItMayBeLeftOnIsFencedForIt() {
        var bench = failed()
        bench.lose(pve1, for: .seconds(30))
        func isFenced() -> Bool {
            bench.decide().contains { if case .beginFence("pve1", _, _, _, _) = $0 { true } else { false } }
        }
        #expect(!isFenced(), "it runs where it stayed")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        #expect(isFenced())
    }

    @Test func theHostThatItMayBeLeftOnIsFencedAlsoOnceTheOtherIsLost() {
        var bench = failed()
        bench.bench.admit(MemberID(rawValue: 5), "pve3", .host)
        bench.apply(
            .reportHost(
                "pve3", HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.3")))
        for member in [pve1, pve2] { bench.lose(member, for: .seconds(30)) }
        bench.apply(.fenceByWord("pve2"))
        #expect(
            bench.decide().contains { if case .beginFence("pve1", _, _, _, _) = $0 { true } else { false } })
    }

    /// Both are lost: its configuration may lie with either.
    @Test(arguments: [true, false]) func itIsTakenOverFromTheHostThatItMayHaveGoneToAsWell(byWord: Bool) {
        var bench = failed()
        bench.apply(.sight(vm, on: "pve2", Sighting(.stuck)))
        bench.bench.admit(MemberID(rawValue: 5), "pve3", .host)
        bench.apply(
            .reportHost(
                "pve3", HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.3")))
        for member in [pve1, pve2] { bench.lose(member, for: .seconds(30)) }
        if byWord {
            bench.apply(.fenceByWord("pve1"))
        } else {
            bench.apply(.beginFence("pve1", epoch: 0, .cephBlocklist, by: pve2, reason: "t"))
            bench.apply(.fenceProven("pve1", epoch: 1, .cephBlocklist, proof: "p"))
        }
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve3") && bench.placement().sources == ["pve2", "pve1"])
    }

    @Test func aWordCountsWheneverItIsGiven() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve1", live: true, reason: "t", because: nil))
        bench.lose(pve1, for: .seconds(30))
        #expect(bench.outcome(.fenceByWord("pve1")).succeeded)
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve2", reason: "no route"))
        #expect(holders(bench) == ["pve1"])
        #expect(bench.outcome(.fenceByWord("pve1")).code == .done)
        #expect(holders(bench).isEmpty)
    }

    @Test func oneThatRunsIsNotStoppedForAMoveAfterWhichItCouldNotBeStarted() {
        var bench = failed()
        bench.apply(.steer(vm, .move(to: "pve1", live: false)))
        #expect(bench.decide().allSatisfy { if case .move = $0 { false } else { true } })
    }

    @Test func aHostThatIsCleanAfterAFenceHasNothingOfIt() {
        var bench = failed()
        bench.lose(pve1, for: .seconds(30))
        #expect(bench.outcome(.fenceByWord("pve1")).succeeded)
        #expect(holders(bench).isEmpty, "it is off, by a word that was given later")
        bench.find(pve1)
        bench.apply(.hostIsClean("pve1", epoch: bench.bench.state.hosts["pve1"]?.fenceEpoch ?? 0))
        #expect(bench.placement().leftovers.isEmpty)
    }

    @Test func theStateKeepsIt() throws {
        let bench = failed()
        #expect(try ClusterState(encoded: bench.bench.state.encoded).placements[vm]?.leftovers == ["pve1"])
    }
}
