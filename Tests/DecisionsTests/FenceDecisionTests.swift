// Fences that are taken back, handed to another member or lifted; what is left of a fence, and what a host must have said
// before something is taken from it.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct FenceDecisionTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let pve3 = MemberID(rawValue: 5)
    private let vm = GuestBench.vm

    private func three(pool: String = "cephRbd") -> GuestBench {
        var bench = GuestBench(pool: pool)
        bench.bench.admit(pve3, "pve3", .host)
        var facts = HostFacts(
            boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.3", watchdogMilliseconds: 10_000)
        facts.isGuarded = true
        bench.apply(.reportHost("pve3", facts))
        return bench
    }

    // MARK: Storage addresses

    @Test func everyAddressThatAGuestWasSeenAtIsBarred() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        let clients = ["10.0.0.2:0/1", "v1:10.1.0.2:0/77", "[fd00::2]:0/3"]
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, clients: clients)))
        bench.lose(pve2, for: .seconds(2))
        bench.settle()
        #expect(bench.fence.method == .cephBlocklist)
        #expect(bench.bench.state.hosts["pve2"]?.barred == ["10.0.0.2", "10.1.0.2", "fd00::2"])
    }

    /// Its last word was on its way when the fence was begun.
    @Test func anAddressThatWasSeenSinceIsBarredBeforeAnythingIsProven() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(2))
        bench.settle()
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, clients: ["10.1.0.2:0/1"])))
        let early = WorkloadCommand.fenceProven(
            "pve2", epoch: bench.fenceEpoch, .cephBlocklist, barred: ["10.0.0.2"], proof: "10.0.0.2 is barred")
        bench.apply(early)
        #expect(!bench.fence.isProven)
        #expect(bench.bench.state.hosts["pve2"]?.failures == 1, "so that it is ordered anew")
        #expect(bench.bench.state.hosts["pve2"]?.barred == ["10.0.0.2", "10.1.0.2"])
        // Told once more, it is of as little worth.
        bench.apply(early)
        #expect(!bench.fence.isProven)
        bench.apply(
            .fenceProven(
                "pve2", epoch: bench.fenceEpoch, .cephBlocklist, barred: ["10.0.0.2", "10.1.0.2"],
                proof: "both are barred"))
        #expect(bench.fence.isProven)
    }

    /// Copied from one host's settings into the other's, or a client of the other was seen there.
    @Test(arguments: [true, false])
    func anAddressThatAnotherHostClaimsIsNotBarred(isConfigured: Bool) {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        if isConfigured {
            var facts = bench.bench.state.hosts["pve2"]?.facts ?? HostFacts(boot: "b1", memoryBytes: 1 << 34, cores: 8)
            facts.storageAddress = "10.0.0.1"
            bench.apply(.reportHost("pve2", facts))
        } else {
            bench.apply(.sight(vm, on: "pve2", Sighting(.running, clients: ["10.0.0.1:0/5"])))
        }
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.method != .cephBlocklist)
        #expect(bench.bench.state.hosts["pve2"]?.barred == [])
        let outcome = bench.outcome(
            .beginFence("pve2", epoch: bench.fenceEpoch, .cephBlocklist, by: pve1, reason: "in haste"))
        #expect(outcome.code == .unsafe)
        #expect(outcome.message.contains("10.0.0.1 is the storage address of pve1 as well"))
    }

    // MARK: Letting go

    @Test func whoIsLostHasLetGoOfNothing() {
        for state in [GuestState.absent, .stopped] {
            var bench = GuestBench()
            bench.guest(on: "pve2")
            bench.apply(.sight(vm, on: "pve2", Sighting(state)))
            bench.lose(pve2, for: .seconds(5))
            let before = bench.placement()
            let outcome = bench.outcome(.place(vm, epoch: before.epoch, on: "pve1", reason: "in haste", because: nil))
            #expect(outcome.code == .unsafe)
            #expect(outcome.message.contains("does not answer and is not fenced"))
            #expect(bench.placement() == before)
            bench.find(pve2)
            #expect(
                bench.outcome(.place(vm, epoch: before.epoch, on: "pve1", reason: "it let go", because: nil)).succeeded)
        }
    }

    @Test func aWorkloadThatRunsIsNotTakenFromItsHost() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        let before = bench.placement()
        let outcome = bench.outcome(.place(vm, epoch: before.epoch, on: "pve1", reason: "in haste", because: nil))
        #expect(outcome.code == .unsafe)
        #expect(bench.placement() == before)
    }

    @Test func aFencedHostIsGivenNothing() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        bench.apply(.beginFence("pve1", epoch: 0, .watchdog, by: pve2, reason: "test"))
        let epoch = bench.placement().epoch
        #expect(bench.outcome(.place(vm, epoch: epoch, on: "pve1", reason: "r", because: nil)).code == .unsafe)
        #expect(
            bench.outcome(.move(vm, epoch: epoch, to: "pve1", live: true, reason: "r", because: nil)).code == .unsafe)
    }

    @Test func aDrainedHostIsGivenNothing() {
        var bench = GuestBench()
        bench.apply(.drain("pve1", true))
        bench.guest(on: nil)
        for host in ["pve1", "pve2"] { bench.apply(.sight(vm, on: host, Sighting(.absent))) }
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
    }

    /// It may have arrived there in the moment before.
    @Test func theTargetOfAMoveIsFencedToo() {
        var bench = three()
        bench.guest(on: "pve1")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve2", live: true, reason: "test", because: nil))
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
    }

    // MARK: Taking a fence back

    @Test func aBlocklistThatFailedIsNotTriedAgainOnAHostThatIsThereAgain() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceFailed("pve2", epoch: bench.fenceEpoch, reason: "no monitor answers"))
        bench.find(pve2)
        bench.settle()
        // It may be in force all the same.
        #expect(bench.fence == .withdrawn(.cephBlocklist, by: pve1))
        #expect(bench.placement().phase == .on("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"), "nothing is proven")
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        #expect(bench.fence.isNone)
        #expect(bench.placement().phase == .on("pve2"))
    }

    @Test func noFenceIsBegunWhileTheOneBeforeIsBeingTakenBack() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceFailed("pve2", epoch: bench.fenceEpoch, reason: "no monitor answers"))
        bench.find(pve2)
        bench.settle()
        bench.lose(pve2, for: .seconds(5))
        let outcome = bench.outcome(
            .beginFence("pve2", epoch: bench.fenceEpoch, .cephBlocklist, by: pve1, reason: "test"))
        #expect(outcome.code == .conflict)
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        let old = bench.fenceEpoch
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
        #expect(bench.fenceEpoch == old + 1)
    }

    @Test func aFenceThatIsWantedWhenTheClusterIsDisarmedIsGivenUp() {
        for (pool, given) in [("cephRbd", false), ("cephRbd", true), ("shared", true)] {
            var bench = GuestBench(pool: pool)
            bench.guest(on: "pve2")
            bench.lose(pve2, for: .seconds(5))
            bench.apply(
                .beginFence(
                    "pve2", epoch: 0, pool == "shared" ? .watchdog : .cephBlocklist, by: pve1, reason: "test"))
            bench.apply(.disarm(milliseconds: 60_000))
            if pool == "cephRbd" {
                bench.lose(pve2, for: .seconds(60))
                let fences = bench.decide().filter { if case .block = $0 { false } else { true } }
                #expect(fences.isEmpty, "what its executor is at cannot be called back")
                #expect(
                    OrderClaim.fence(host: "pve2", epoch: bench.fenceEpoch, by: .cephBlocklist)
                        .objection(in: bench.bench.state, of: pve1) != nil, "what it has not begun it does not begin")
                if given {
                    bench.apply(.fenceFailed("pve2", epoch: bench.fenceEpoch, reason: "the cluster is disarmed"))
                }
            }
            bench.settle()
            switch (pool, given) {
            case ("shared", _): #expect(bench.fence.isNone, "its watchdog proves nothing now")
            case (_, true):
                #expect(bench.fence == .withdrawn(.cephBlocklist, by: pve1), "it may be in force all the same")
            default: #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
            }
        }
    }

    @Test func aLostExecutorIsReplacedAlsoWhenTheFencedHostIsThereAgain() {
        var bench = three()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve3, reason: "test"))
        bench.lose(pve3, for: .seconds(5))
        bench.find(pve2)
        #expect(bench.decide().isEmpty, "its order may come yet")
        bench.lose(pve3, for: FenceOrder.certainlyOver)
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
    }

    // MARK: What is left of a fence

    @Test func anEntryIsTakenAwayWhateverProvedTheFenceInTheEnd() {
        var bench = three(pool: "shared")
        bench.declare("StoragePool", "ceph", ["type": "cephRbd"])
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "test"))
        let other = HostFacts(boot: "b2", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.99")
        bench.apply(.fenceByWord("pve2"))
        bench.find(pve2)
        bench.apply(.reportHost("pve2", other))
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        #expect(bench.fence == .clean(.word))
        bench.settle()
        #expect(bench.fence == .lifting(.word, by: pve1))
        #expect(bench.bench.state.hosts["pve2"]?.barred == ["10.0.0.2"], "as it was when it was entered")
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        #expect(bench.fence.isNone)
        #expect(bench.bench.state.hosts["pve2"]?.barred == [])
    }

    @Test func aWatchdogFenceThatIsTakenBackLeavesNoEntryBehind() {
        var bench = GuestBench(pool: "shared")
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "test"))
        bench.apply(.beginFence("pve2", epoch: 1, .watchdog, by: pve1, reason: "test"))
        bench.find(pve2)
        bench.settle()
        #expect(bench.fence == .withdrawn(.watchdog, by: pve1))
    }

    /// An order to take an entry away that comes late opens a newer fence.
    @Test func anotherMemberLiftsAFenceOnlyWhenNothingCanComeOfTheFirstOnesOrder() {
        var bench = three()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        bench.find(pve2)
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        bench.apply(.liftFence("pve2", epoch: bench.fenceEpoch, by: pve3))
        bench.lose(pve3, for: FenceOrder.certainlyOver - .milliseconds(100))
        #expect(bench.decide().isEmpty)
        bench.lose(pve3, for: FenceOrder.certainlyOver)
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve1))
    }

    @Test func whatWasDeletedWhileItsHostWasFencedIsRememberedUntilTheFenceEnds() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.guest(GuestBench.other, on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        bench.bench.apply(.delete(keys: [vm], checkRevision: nil))
        let host = bench.bench.state.hosts["pve2"]
        #expect(host?.retired.keys == [vm])
        #expect((try? host?.retired[vm].map { try WorkloadSpec($0).guest.vmid }) == 120)
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        bench.apply(.liftFence("pve2", epoch: bench.fenceEpoch, by: pve1))
        #expect(bench.bench.state.hosts["pve2"]?.retired.isEmpty == false)
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        #expect(bench.bench.state.hosts["pve2"]?.retired.isEmpty == true)
    }

    @Test func whatIsDeletedWhileNoFenceIsOpenIsNotRemembered() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.bench.apply(.delete(keys: [vm], checkRevision: nil))
        #expect(bench.bench.state.hosts["pve2"]?.retired.isEmpty == true)
    }

    @Test func whatIsRememberedOfAFencedHostIsBounded() {
        var bench = GuestBench()
        bench.apply(.beginFence("pve2", epoch: 0, .watchdog, by: pve1, reason: "test"))
        let keys = (0...HostRecord.mostRetired).map { ResourceKey(kind: vm.kind, name: "g\($0)") }
        for key in keys { bench.declare(key.kind, key.name, ["desired": "stopped"]) }
        let outcome = bench.bench.outcome(.delete(keys: keys, checkRevision: nil))
        #expect(outcome.code == .unsafe && outcome.message.contains("bring pve2 back first"))
        #expect(bench.bench.outcome(.delete(keys: Array(keys.dropLast()), checkRevision: nil)).succeeded)
        #expect(bench.bench.outcome(.delete(keys: [keys[keys.count - 1]], checkRevision: nil)).code == .unsafe)
    }

    // MARK: Taking over

    /// The host that is to take it over may be about to: it says itself when it is not.
    @Test func whatIsBeingTakenOverIsNotGivenBackWhereItLies() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        bench.find(pve2)
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        let epoch = bench.placement().epoch
        let early = bench.outcome(.handBack(vm, epoch: epoch, from: "pve1"))
        #expect(early.code == .conflict, "it may take it over while the fence stands")
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        bench.apply(.liftFence("pve2", epoch: bench.fenceEpoch, by: pve1))
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        #expect(bench.fence.isNone)
        #expect(bench.decide().isEmpty)
        #expect(bench.outcome(.handBack(vm, epoch: epoch, from: "pve1")).succeeded)
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.placement().sources.isEmpty)
    }

    @Test func whatLiesOnAFencedHostIsNotAdopted() {
        var bench = GuestBench()
        bench.guest(on: "pve1")
        bench.apply(.beginFence("pve2", epoch: 0, .watchdog, by: pve1, reason: "test"))
        bench.apply(.fenceProven("pve2", epoch: 1, .watchdog, proof: "p"))
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1") && bench.placement().obstacle.contains("it runs on pve2"))
        bench.apply(.hostIsClean("pve2", epoch: 1))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
    }

    @Test func whatIsFoundOnAFencedHostIsNotPlacedThere() {
        var bench = GuestBench()
        bench.apply(.beginFence("pve2", epoch: 0, .watchdog, by: pve1, reason: "test"))
        bench.guest(on: nil)
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        #expect(!bench.decide().contains { if case .place = $0 { true } else { false } })
    }

    @Test func aDecisionAboutAWorkloadAtAnEarlierEpochDoesNothing() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        let before = bench.placement()
        let old = before.epoch - 1
        let commands: [WorkloadCommand] = [
            .place(vm, epoch: old, on: "pve1", reason: "late", because: nil),
            .move(vm, epoch: old, to: "pve1", live: true, reason: "late", because: nil),
            .startFailed(vm, epoch: old, on: "pve2", reason: "late", isFinal: true),
            .block(vm, epoch: old, obstacle: "late"),
        ]
        for command in commands { #expect(bench.outcome(command).code == .conflict, "\(command)") }
        #expect(bench.placement() == before)
        bench.apply(.move(vm, epoch: before.epoch, to: "pve1", live: true, reason: "test", because: nil))
        #expect(bench.outcome(.moveEnded(vm, epoch: before.epoch, at: "pve1", reason: "")).code == .conflict)
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
    }

    @Test func everyChangeOfAPlacementHasANewEpoch() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        var epochs = [bench.placement().epoch]
        bench.apply(.move(vm, epoch: epochs[0], to: "pve1", live: true, reason: "test", because: nil))
        epochs.append(bench.placement().epoch)
        bench.apply(.moveEnded(vm, epoch: epochs[1], at: "pve2", reason: "no"))
        epochs.append(bench.placement().epoch)
        bench.lose(pve2, for: .seconds(5))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        epochs.append(bench.placement().epoch)
        #expect(bench.placement().phase == .on("pve1"))
        #expect(zip(epochs, epochs.dropFirst()).allSatisfy { $0 < $1 })
    }

    // MARK: Capacity

    @Test func aWitnessIsNoHost() {
        var bench = GuestBench()
        let outcome = bench.outcome(.reportHost("witness", HostFacts(boot: "b", memoryBytes: 64 << 30, cores: 64)))
        #expect(outcome.code == .notFound)
        #expect(bench.bench.state.hosts.keys == ["pve1", "pve2"])
    }

    @Test func whatMovesTakesMemoryOnBothHosts() {
        var bench = GuestBench(memory: 6)
        bench.guest(on: "pve2")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve1", live: true, reason: "test", because: nil))
        bench.guest(GuestBench.other, on: nil)
        for host in ["pve1", "pve2"] { bench.apply(.sight(GuestBench.other, on: host, Sighting(.absent))) }
        bench.settle()
        #expect(bench.placement(GuestBench.other).phase == .nowhere)
        #expect(bench.placement(GuestBench.other).obstacle.contains("of memory left"))
    }

    // MARK: Lost, or only starting again

    @Test func aHostThatKeepsComingAndGoingIsLostInTheEnd() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .milliseconds(500))
        bench.bench.view.standings[pve2]?.unsteadyFor = .seconds(29)
        #expect(bench.decide().isEmpty)
        bench.bench.view.standings[pve2]?.unsteadyFor = FenceDecisions.mostUnsteady
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
    }

    // MARK: Moves that failed

    /// It was stopped for the move in vain, and is not stopped again for the same.
    @Test func aMoveThatFailedIsNotTriedAgainBecauseItRunsAgain() {
        var bench = GuestBench()
        bench.guest(on: "pve2", extra: ["live": false])
        bench.apply(.drain("pve2", true))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: false))
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve2", reason: "no route"))
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        bench.settle()
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        // The other host is another one now.
        bench.apply(.reportHost("pve1", HostFacts(boot: "b2", memoryBytes: 16 << 30, cores: 8)))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: false))
    }
}
