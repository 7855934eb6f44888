// Where workloads are put, when a host is fenced, and when nothing is done.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct WorkloadDecisionTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let vm = GuestBench.vm

    // MARK: Found and new

    @Test func aWorkloadBelongsWhereItIsFound() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.decide().isEmpty)
    }

    @Test func aNewOneIsPlacedOnlyWhenEveryHostHasSaidThatItLacksIt() {
        var bench = GuestBench()
        bench.guest(on: nil)
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        bench.settle()
        #expect(bench.placement().phase == .nowhere)
        #expect(bench.placement().obstacle.contains("pve2 has not said"))
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    // MARK: Fencing

    @Test func nothingIsFencedBeforeTheHostHasBeenAwayForLongEnough() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .milliseconds(1_900))
        #expect(bench.decide().isEmpty)
        bench.lose(pve2, for: .seconds(2))
        #expect(
            bench.decide().first
                == .beginFence(
                    "pve2", epoch: 0, .cephBlocklist, by: pve1,
                    reason: "it is lost, and its guests can be started elsewhere"))
    }

    @Test func nothingIsPlacedElsewhereBeforeTheProof() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
        #expect(bench.decide().isEmpty)
        let before = bench.placement()
        // Whoever proposes it: the state does not take it either.
        bench.apply(.place(vm, epoch: before.epoch, on: "pve1", reason: "in haste", because: nil))
        #expect(bench.placement() == before)
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "in OSD map 7"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement().sources == ["pve2"])
    }

    @Test func aHostIsNotFencedWhenNobodyCouldTakeItsGuests() {
        var bench = GuestBench(memory: 6)
        bench.guest(on: "pve2")
        bench.guest(GuestBench.other, on: "pve1")
        bench.lose(pve2, for: .seconds(60))
        #expect(!bench.decide().contains { if case .beginFence = $0 { true } else { false } })
        bench.settle()
        #expect(bench.placement().obstacle.contains("of memory left"))
    }

    @Test func aHostThatStoppedByItsOwnWordIsNotFenced() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.bench.apply(.stopping(pve2))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().phase == .on("pve2"))
    }

    @Test func theWatchdogProvesNothingBeforeItsTimeAndTheMargin() {
        var bench = GuestBench(pool: "shared")
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(2))
        bench.settle()
        #expect(bench.fence == .wanted(.watchdog, by: pve1))
        bench.lose(pve2, for: .milliseconds(14_900))
        bench.settle()
        #expect(!bench.fence.isProven)
        bench.lose(pve2, for: .seconds(15))
        bench.settle()
        #expect(bench.fence.isProven)
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    /// Its word was under way when it was lost.
    @Test func aHostThatHasSaidThatItsWatchdogIsGoneIsNotProvenByIt() {
        var bench = GuestBench(pool: "shared")
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(2))
        bench.settle()
        #expect(bench.fence.method == .watchdog)
        guard var facts = bench.bench.state.hosts["pve2"]?.facts else {
            Issue.record("pve2 is not known")
            return
        }
        facts.isGuarded = false
        bench.apply(.reportHost("pve2", facts))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(!bench.fence.isProven)
        #expect(bench.placement().phase == .on("pve2"))
    }

    @Test func aWatchdogThatWasNotArmedProvesNothing() {
        var bench = GuestBench(pool: "shared")
        bench.guest(on: "pve2")
        bench.apply(
            .reportHost("pve2", HostFacts(boot: "b1", memoryBytes: 1 << 34, cores: 8, watchdogMilliseconds: 10_000)))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().obstacle.contains("no watchdog armed"))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    @Test func theBlocklistDoesNotSufficeForOtherSharedDisks() {
        var bench = GuestBench(pool: "shared")
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "test"))
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
    }

    @Test func localDisksStayWithTheirHost() {
        var bench = GuestBench(pool: "local")
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.placement().obstacle.contains("its disks are there"))
    }

    @Test func aWatchdogFenceIsTakenBackWhenTheHostIsThereAgain() {
        var bench = GuestBench(pool: "shared")
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(2))
        bench.settle()
        bench.find(pve2)
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().phase == .on("pve2"))
    }

    @Test func aBlocklistThatIsUnderWayGoesThroughAndIsLiftedWhenTheHostIsClean() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(2))
        bench.settle()
        bench.find(pve2)
        #expect(bench.decide().isEmpty)
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.fence.isProven)
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve1))
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        #expect(bench.fence.isNone)
    }

    @Test func aFenceOfAnEarlierEpochProvesNothing() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(2))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch - 1, .cephBlocklist, proof: "late"))
        #expect(!bench.fence.isProven)
    }

    @Test func whoIsThereIsNotFencedByWord() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.fenceByWord("pve2"))
        #expect(bench.fence.isNone)
    }

    @Test func whileDisarmedNothingIsFenced() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.disarm(milliseconds: 60_000))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone)
        bench.apply(.disarm(milliseconds: nil))
        bench.settle()
        #expect(!bench.fence.isNone)
    }

    // MARK: Moving

    @Test func aDrainedHostIsEmptiedLive() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.drain("pve2", true))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve1", reason: ""))
        #expect(bench.placement().phase == .on("pve1"))
    }

    @Test func oneThatDoesNotStartIsTriedElsewhereAndThenLeftForAPerson() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        for _ in 0..<2 {
            #expect(bench.decide().isEmpty, "its host may try again")
            bench.apply(
                .startFailed(vm, epoch: bench.placement().epoch, on: "pve2", reason: "no", isFinal: false))
        }
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: false))
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve1", reason: ""))
        for _ in 0..<2 {
            bench.apply(
                .startFailed(vm, epoch: bench.placement().epoch, on: "pve1", reason: "no", isFinal: false))
        }
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement().obstacle.hasPrefix("it would not start"))
        #expect(bench.decide().isEmpty)
        bench.apply(.steer(vm, .run))
        #expect(bench.placement().failures == 0 && bench.placement().tried.isEmpty)
    }

    @Test func aHostWhereItCouldNotGoOnceIsBetterThanNone() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.steer(vm, .move(to: "pve1", live: true)))
        bench.settle()
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve2", reason: "no route"))
        #expect(bench.placement().barredFrom == ["pve1"])
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    @Test func oneGoesBackToItsBestHostOnlyWhenThatHasBeenThereForAWhile() {
        var bench = GuestBench()
        bench.guest(
            on: "pve2",
            extra: ["placement": ["prefer": [["host": "pve1", "weight": 5]], "failback": "always"]])
        bench.bench.view.standings[pve1]?.steadyFor = .seconds(2)
        #expect(bench.decide().isEmpty)
        bench.bench.view.standings[pve1]?.steadyFor = .seconds(5)
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
    }

    @Test func aStrictRuleLeavesOneDownRatherThanElsewhere() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.declare(
            "PlacementRule", "only-two", ["workloads": ["gitlab"], "hosts": [["host": "pve2"]], "strict": true])
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.placement().obstacle.contains("allows other hosts only"))
    }

    @Test func whatIsApartStaysApartAlsoWithinOneDecision() {
        var bench = GuestBench(hosts: ["pve1", "pve2"])
        bench.declare("PlacementRule", "apart", ["workloads": ["gitlab", "vault"], "affinity": "apart"])
        bench.guest(on: "pve2")
        bench.guest(GuestBench.other, on: "pve1")
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.placement().obstacle.contains("keeps them apart"))
    }

    @Test func memoryIsNotPromisedTwice() {
        var bench = GuestBench(memory: 6)
        bench.guest(on: "pve2", extra: ["recovery": ["priority": 90]])
        bench.guest(GuestBench.other, on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement(GuestBench.other).phase == .on("pve2"))
        #expect(bench.placement(GuestBench.other).obstacle.contains("of memory left"))
    }

    /// The host that it was moved from is proven to be away; what waits for it at the other one is seen there as stuck.
    private func halfMoved(_ state: GuestState?, pool: String = "cephRbd") -> GuestBench {
        var bench = GuestBench(pool: pool)
        bench.guest(on: "pve2")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve1", live: true, reason: "test", because: nil))
        bench.apply(.sight(vm, on: "pve1", Sighting(state ?? .stuck)))
        bench.lose(pve2, for: .seconds(60))
        return bench
    }

    @Test func whatWaitsForAMoveWhoseSourceIsLostBelongsWhereItWaits() {
        var bench = halfMoved(.stuck)
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
        bench.settle()
        #expect(bench.placement().obstacle.contains("it is being fenced"), "a minute is long")
        #expect(bench.decide().isEmpty)
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement().sources == ["pve2"], "its configuration lies there")
        #expect(!bench.placement().isUnseen)
    }

    @Test func whatWaitsForAMoveGoesOnWaitingUntilItsSourceCanCertainlyNotWrite() {
        var bench = halfMoved(.stuck, pool: "shared")
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "test"))
        bench.apply(.fenceProven("pve2", epoch: 1, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().host == "pve2", "that is no proof about its disks")
        #expect(bench.placement().obstacle.contains("does not keep pve2 from its disks"))
    }

    @Test func aMoveByHandIsFollowed() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        #expect(bench.decide().isEmpty, "both say they have it: nothing is known yet")
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    @Test func whatWouldStayDownIsSaidBeforehand() {
        var bench = GuestBench(memory: 6)
        bench.guest(on: "pve2", extra: ["recovery": ["priority": 90]])
        bench.guest(GuestBench.other, on: "pve2")
        let obstacles = WorkloadTolerance.obstacles(toLosing: "pve2", state: bench.bench.state, specs: bench.specs) {
            $0.reachable
        }
        #expect(obstacles.count == 1)
        #expect(obstacles.first?.hasPrefix("vault would stay down") == true)
    }
}
