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

    private func admitThird(_ bench: inout GuestBench) {
        bench.bench.admit(MemberID(rawValue: 5), "pve3", .host)
        bench.apply(
            .reportHost(
                "pve3", HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.3")))
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

    /// That a host is off is believed of none that answers.
    @Test func whatHelpsHangsOnWhetherThatHostIsThere() {
        var bench = failed()
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.settle()
        #expect(!bench.placement().obstacle.contains("holdfast fence"), "it says so in a moment")
        var blind = bench.bench.state.hosts["pve1"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        blind.isBlind = true
        bench.apply(.reportHost("pve1", blind))
        bench.settle()
        #expect(bench.placement().obstacle.contains("pve1, which cannot look at its guests; mend that"))
        #expect(bench.placement().obstacle.contains("power pve1 off and say so: holdfast fence pve1"))
        bench.lose(pve1, for: .seconds(1))
        bench.settle()
        #expect(bench.placement().obstacle.contains("if pve1 is off, say so: holdfast fence pve1"))
        bench.find(pve1)
        bench.apply(.reportHost("pve1", GuestBench().bench.state.hosts["pve1"]?.facts ?? blind))
        bench.apply(.handBack(vm, epoch: bench.placement().epoch, from: "pve1"))
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        bench.settle()
        #expect(bench.placement().obstacle.contains("it runs on pve1; if it is not to, stop it there"))
    }

    /// Its source does not answer, and nothing is proven of it.
    @Test func whyItDoesNotGoOnIsToldOfOneThatIsOnItsWayToo() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve1", live: true, reason: "t", because: nil))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        bench.settle()
        #expect(bench.placement().obstacle.hasPrefix("pve2 does not answer: "), "\(bench.placement().obstacle)")
    }

    /// Of a move that failed behind the cluster's back, or before the guest was declared anew.
    @Test func aProcessThatIsSeenElsewhereIsWaitedForAndNamed() {
        var bench = failed()
        bench.apply(.handBack(vm, epoch: bench.placement().epoch, from: "pve1"))
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.stuck)))
        #expect(holders(bench) == ["pve1"])
        bench.settle()
        #expect(bench.placement().obstacle.contains("a process of it is on pve1"))
        // With its own host gone it is placed there, where that process is ended before it starts.
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(places(bench).isEmpty && bench.placement().phase == .on("pve1"))
    }

    /// The host on which a process of it was seen is lost, and would be waited for.
    @Test(arguments: [
        (Sighting(.running, healthy: true), 600, false), (Sighting(.running), 600, false),
        (Sighting(.stopped), 0, true),
        (Sighting(.running, healthy: false), 600, true), (Sighting(.running, healthy: false), 1, false),
    ])
    func aHostIsFencedForAProcessThatWasSeenThere(there: Sighting, seconds: Int64, isFenced: Bool) {
        var bench = GuestBench()
        bench.guest(on: "pve1", extra: ["health": ["tcp": "gitlab:80"]])
        bench.apply(.sight(vm, on: "pve2", Sighting(.stuck)))
        bench.apply(.sight(vm, on: "pve1", there))
        bench.bench.view.healthFor[vm] = .seconds(seconds)
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone != isFenced)
        guard isFenced else { return }
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        #expect(bench.bench.state.holders(of: bench.placement(), besides: "pve1") { _ in true }.isEmpty)
        #expect(sources(bench) == ["pve2"], "its configuration may lie there")
    }

    /// Somebody has moved it to pve2 while nobody looked at pve1, and pve2 is lost before anybody has understood that.
    @Test func whatWasMovedByHandIsTakenFromAHostThatIsProvenAway() {
        var bench = GuestBench()
        bench.guest(on: "pve1")
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        bench.settle()
        #expect(!bench.fence.isNone)
        #expect(sources(bench).isEmpty, "nothing is proven yet")
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        #expect(sources(bench) == ["pve2"])
        #expect(bench.bench.state.hostsToTakeFrom(bench.placement()) { _ in false }.isEmpty, "a proof for other disks")
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        #expect(sources(bench).isEmpty)
    }

    /// It was recovered on pve1 after the reset of pve2, which is up again without its agent, and somebody has moved it back.
    @Test(arguments: [FenceMethod.watchdog, .power, .word])
    func whatMayHaveComeThereAfterItsResetIsNotTakenFromThere(method: FenceMethod) {
        var bench = GuestBench(pool: "shared")
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        if method == .word {
            bench.apply(.fenceByWord("pve2"))
        } else {
            bench.apply(.beginFence("pve2", epoch: 0, method, by: pve1, reason: "t"))
            bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, method, proof: "p"))
        }
        bench.settle()
        #expect(bench.placement().phase == .on("pve1") && sources(bench) == ["pve2"])
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        #expect(bench.placement().sighting(on: "pve2") == .running, "as was said before it was lost")
        #expect(sources(bench).isEmpty)
    }

    /// Whatever proves that the host is away: nobody but the cluster has taken it there.
    @Test func whatAFailedMoveMayHaveTakenAlongIsTakenFromThere() {
        var bench = failed(pool: "shared")
        #expect(sources(bench).isEmpty)
        bench.lose(pve1, for: .seconds(60))
        bench.apply(.beginFence("pve1", epoch: 0, .power, by: pve2, reason: "t"))
        bench.apply(.fenceProven("pve1", epoch: 1, .power, proof: "off"))
        #expect(sources(bench) == ["pve1"])
    }

    private func sources(_ bench: GuestBench) -> [String] {
        bench.bench.state.hostsToTakeFrom(bench.placement()) { _ in true }
    }

    /// Nobody asks a host that has given it up to start it.
    @Test func aHostIsNotFencedForOneThatIsNotTriedAgain() {
        var bench = GuestBench()
        bench.guest(on: "pve1")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stuck)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        bench.apply(
            .startFailed(vm, epoch: bench.placement().epoch, on: "pve1", reason: "no disk", isFinal: true))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone)
    }

    /// It has no place from which it could be taken, and its guests go on on a host that is only cut off.
    @Test func aHostIsNotFencedForOneThatHasNoPlace() {
        var bench = GuestBench()
        bench.guest(on: nil)
        for host in ["pve1", "pve2"] { bench.apply(.sight(vm, on: host, Sighting(.running))) }
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.placement().phase == .nowhere && bench.fence.isNone)
    }

    /// Nor when nothing comes of it: who is to start it has stopped by its own word.
    @Test func norForOneWhoseOwnHostIsNotThereToStartIt() {
        var bench = GuestBench()
        admitThird(&bench)
        bench.guest(on: "pve1")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stuck)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        bench.bench.apply(.stopping(pve1))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone)
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
        admitThird(&bench)
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        let epoch = bench.placement().epoch
        #expect(bench.outcome(.place(vm, epoch: epoch, on: "pve3", reason: "t", because: nil)).code == .unsafe)
        bench.apply(.handBack(vm, epoch: epoch, from: "pve1"))
        #expect(bench.outcome(.place(vm, epoch: epoch, on: "pve3", reason: "t", because: nil)).succeeded)
    }

    /// Its host has begun nothing for it, and the one that it may be left on is kept from other disks than its own.
    @Test func aProofThatDoesNotSufficeForItsDisksLetsNobodyHaveIt() {
        var bench = failed(pool: "shared")
        admitThird(&bench)
        for host in ["pve1", "pve2"] { bench.apply(.sight(vm, on: host, Sighting(.absent))) }
        var blind = bench.bench.state.hosts["pve2"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        blind.isBlind = true
        bench.apply(.reportHost("pve2", blind))
        #expect(bench.outcome(.decline(vm, epoch: bench.placement().epoch, from: "pve2")).succeeded)
        bench.lose(pve1, for: .seconds(30))
        bench.apply(.beginFence("pve1", epoch: 0, .cephBlocklist, by: pve2, reason: "t"))
        #expect(bench.outcome(.fenceProven("pve1", epoch: 1, .cephBlocklist, proof: "p")).succeeded)
        #expect(bench.bench.state.hosts["pve1"]?.fence.isProven == true)
        #expect(places(bench).isEmpty)
        bench.settle()
        #expect(bench.placement().obstacle.contains("it may run on pve1"))
        #expect(bench.outcome(.fenceByWord("pve1")).succeeded)
        #expect(places(bench) == ["pve3"])
    }

    /// pve1 has as few guests, and comes first.
    @Test func withItsHostLostItGoesWhereItIsSaidToRun() {
        var bench = GuestBench()
        admitThird(&bench)
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve3", Sighting(.running)))
        bench.lose(pve2, for: .seconds(30))
        bench.apply(.fenceByWord("pve2"))
        #expect(places(bench) == ["pve3"])
    }

    @Test func oneThatWasMovedByHandBelongsWhereItRuns() {
        var bench = GuestBench()
        admitThird(&bench)
        bench.guest(on: "pve2")
        for (host, state) in [("pve1", .stopped), ("pve2", .absent), ("pve3", .running)] as [(String, GuestState)] {
            bench.apply(.sight(vm, on: host, Sighting(state)))
        }
        #expect(places(bench) == ["pve3"])
    }

    /// pve2 said long ago that it runs there, and is away: nothing is started by noting where it runs now.
    @Test func whatRunsBelongsThereWhoeverSaidSoBefore() {
        var bench = GuestBench()
        admitThird(&bench)
        bench.guest(on: "pve3")
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        bench.lose(pve2, for: .seconds(1))
        bench.apply(.sight(vm, on: "pve3", Sighting(.absent)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        #expect(places(bench).isEmpty, "pve1 would start a second one")
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        #expect(places(bench) == ["pve1"])
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
        admitThird(&bench)
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
