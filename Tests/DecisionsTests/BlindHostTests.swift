// Hosts that say nothing: blind ones, those that have not reported yet, and those that are no members any more.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct BlindHostTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let pve3 = MemberID(rawValue: 5)
    private let vm = GuestBench.vm

    private func facts(_ number: Int, isBlind: Bool? = nil) -> HostFacts {
        var facts = HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.\(number)")
        facts.isBlind = isBlind
        return facts
    }

    private func three() -> GuestBench {
        var bench = GuestBench()
        bench.bench.admit(pve3, "pve3", .host)
        bench.apply(.reportHost("pve3", facts(3)))
        return bench
    }

    // MARK: Blind

    /// pve1 has fewer guests than pve3, and cannot look at any.
    @Test func aHostThatCannotLookAtItsGuestsIsGivenNone() {
        var bench = three()
        bench.guest(on: "pve2")
        bench.guest(GuestBench.other, on: "pve3")
        bench.apply(.reportHost("pve1", facts(1, isBlind: true)))
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve3"))
    }

    @Test func aHostIsNotFencedForAHostThatCannotLookAtItsGuests() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.reportHost("pve1", facts(1, isBlind: true)))
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().obstacle.contains("pve1 cannot look at its guests"))
        bench.apply(.reportHost("pve1", facts(1)))
        bench.settle()
        #expect(!bench.fence.isNone)
    }

    /// It lies in pve2's folder still; pve1 fell blind as it was given to it.
    private func given() -> GuestBench {
        var bench = three()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        bench.apply(.reportHost("pve1", facts(1, isBlind: true)))
        return bench
    }

    @Test func whatABlindHostHasDeclinedIsGivenToAnother() {
        var bench = given()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.decide().isEmpty, "it may have begun to start it")
        bench.apply(.decline(vm, epoch: bench.placement().epoch, from: "pve1"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve3"))
        #expect(bench.placement().sources == ["pve2"])
        #expect(!bench.placement().isDeclined)
    }

    @Test func whatABlindHostHasDeclinedIsGivenToItAnewWhenItSees() {
        var bench = given()
        bench.lose(pve3, for: .seconds(1))
        let epoch = bench.placement().epoch
        bench.apply(.decline(vm, epoch: epoch, from: "pve1"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement().obstacle.contains("pve1 cannot look at its guests"))
        bench.apply(.reportHost("pve1", facts(1)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(!bench.placement().isDeclined)
        #expect(bench.placement().epoch > epoch, "what was ordered before counts no more")
    }

    /// Somebody has started it on pve3 by hand.
    @Test func whatABlindHostHasDeclinedBelongsWhereItRunsByNow() {
        var bench = given()
        bench.apply(.decline(vm, epoch: bench.placement().epoch, from: "pve1"))
        bench.apply(.sight(vm, on: "pve3", Sighting(.running)))
        bench.apply(.reportHost("pve1", facts(1)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve3"), "\(bench.placement().obstacle)")
    }

    @Test func whatAHostHasIsNotDeclined() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        let outcome = bench.outcome(.decline(vm, epoch: bench.placement().epoch, from: "pve2"))
        #expect(outcome.code == .conflict)
        #expect(!bench.placement().isDeclined)
    }

    // MARK: What it has

    /// gitlab runs on pve2, which cannot look at it.
    private func held(extra: SortedMap<String, JSONValue> = [:]) -> GuestBench {
        var bench = GuestBench()
        bench.guest(on: "pve2", extra: extra)
        bench.apply(.reportHost("pve2", facts(2, isBlind: true)))
        return bench
    }

    @Test func nothingIsMovedOffAHostThatCannotLookAtItsGuests() {
        var bench = held()
        bench.apply(.drain("pve2", true))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.placement().obstacle.hasPrefix("pve2 is drained; pve2 cannot look at its guests"))
        #expect(bench.placement().obstacle.contains("power pve2 off and say so: holdfast fence pve2"))
        #expect(bench.decide().isEmpty)
        bench.apply(.reportHost("pve2", facts(2)))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
        #expect(bench.placement().obstacle.isEmpty)
    }

    @Test func aWishIsKeptUntilTheHostCanLookAgain() {
        var bench = held()
        bench.apply(.steer(vm, .move(to: "pve1", live: true)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2") && bench.placement().wish == "pve1")
        #expect(bench.placement().obstacle.contains("pve2 cannot look at its guests"))
        bench.apply(.reportHost("pve2", facts(2)))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
    }

    /// It runs well where it is: that it would be better elsewhere is no trouble.
    @Test func oneThatIsToGoBackWaitsWithoutWords() {
        var bench = held(extra: ["placement": ["prefer": [["host": "pve1", "weight": 5]], "failback": "always"]])
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.decide().isEmpty)
        bench.apply(.reportHost("pve2", facts(2)))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
    }

    /// Once it can look again it ends what is to leave and cannot, by what is told of it.
    @Test func whatIsToLeaveABlindHostThatGoesDownIsDecidedWhenItCanLook() {
        var bench = held()
        bench.apply(.drain("pve2", true))
        bench.settle()
        #expect(!bench.placement().obstacle.isEmpty)
        bench.apply(.orderRestart("pve2", isForced: false))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2") && bench.placement().obstacle.isEmpty)
        #expect(bench.decide().isEmpty)
        bench.apply(.reportHost("pve2", facts(2)))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
    }

    /// As many as may leave pve2 at the same time were on their way to pve1 when it went blind.
    @Test func whatStandsStillTakesNoShareOfTheMoves() {
        var bench = three()
        let keys = (0..<PlacementDecisions.mostMovesOfAHost).map { ResourceKey(kind: vm.kind, name: "g\($0)") }
        for key in keys {
            bench.guest(key, on: "pve2", memory: "1Gi")
            let epoch = bench.placement(key).epoch
            bench.apply(.move(key, epoch: epoch, to: "pve1", live: true, reason: "t", because: nil))
        }
        bench.guest(on: "pve3")
        bench.apply(.drain("pve3", true))
        #expect(!bench.decide().contains { if case .move(vm, _, _, _, _, _) = $0 { true } else { false } })
        bench.apply(.reportHost("pve2", facts(2, isBlind: true)))
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve3", to: "pve1", live: true))
        #expect(keys.allSatisfy { bench.placement($0).obstacle.hasPrefix("pve2 cannot look at its guests") })
        bench.apply(.reportHost("pve2", facts(2)))
        bench.settle()
        #expect(keys.allSatisfy { bench.placement($0).obstacle.isEmpty && bench.placement($0).hosts.count == 2 })
    }

    // MARK: Not heard yet

    @Test func aMemberThatHasNotSaidWhatItIsMayHaveTheGuest() {
        var bench = GuestBench(hosts: ["pve1"])
        bench.guest(on: nil)
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        bench.settle()
        #expect(bench.placement().phase == .nowhere)
        #expect(bench.placement().obstacle.contains("pve2 has not said"))
        bench.apply(.reportHost("pve2", facts(2)))
        bench.settle()
        #expect(bench.placement().phase == .nowhere)
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
    }

    @Test(arguments: [
        (true, true, "cannot look at its guests (holdfast doctor there)"),
        (true, false, "nor what it can run (holdfast doctor there)"),
        (false, true, "bring it back, or when it is gone for good: holdfast cluster remove pve2"),
    ])
    func whoIsWaitedForIsToldWithWhatHelps(isThere: Bool, isKnown: Bool, words: String) {
        var bench = GuestBench(hosts: isKnown ? ["pve1", "pve2"] : ["pve1"])
        bench.guest(on: nil)
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        if isKnown { bench.apply(.reportHost("pve2", facts(2, isBlind: true))) }
        if !isThere { bench.lose(pve2, for: .seconds(60)) }
        bench.settle()
        #expect(bench.placement().obstacle.hasPrefix("pve2 has not said yet whether it has it"))
        #expect(bench.placement().obstacle.hasSuffix(words), "\(bench.placement().obstacle)")
    }

    /// A process of it without its configuration may be at its disks elsewhere.
    @Test(arguments: [.stopped, .stuck, .running] as [GuestState])
    func whatDoesNotRunWhereItWasFoundWaitsForEveryHost(found: GuestState) {
        var bench = GuestBench()
        bench.guest(on: nil)
        bench.apply(.sight(vm, on: "pve1", Sighting(found)))
        bench.settle()
        #expect(bench.placement().phase == (found == .running ? .on("pve1") : .nowhere))
        if found != .running { #expect(bench.placement().obstacle.hasPrefix("pve2 has not said yet")) }
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1") && bench.placement().obstacle.isEmpty)
    }

    /// It would be started without a question when somebody wants it to run.
    @Test func whatIsToStayStoppedWaitsForEveryHostAsWell() {
        var bench = GuestBench()
        bench.guest(on: nil, extra: ["desired": "stopped"])
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        bench.settle()
        #expect(bench.placement().phase == .nowhere)
        #expect(bench.placement().obstacle.hasPrefix("pve2 has not said yet"))
        // One that is proven to be away does nothing.
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    /// Somebody has to begin with ending them.
    @Test func whatStandsOnSeveralHostsBelongsToOneOfThem() {
        var bench = GuestBench()
        bench.guest(on: nil)
        for host in ["pve1", "pve2"] { bench.apply(.sight(vm, on: host, Sighting(.stuck))) }
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        bench.settle()
        #expect(bench.placement().obstacle.contains("a process of it is on pve2"))
    }

    @Test func aMemberThatRunsNoGuestsIsNotWaitedFor() {
        var bench = GuestBench(hosts: ["pve1"])
        var member = MemberRecord(
            id: pve2, name: "pve2", kind: .host, peerEndpoint: "", apiEndpoint: "", version: "1")
        member.runsGuests = false
        bench.bench.apply(.announce(member: member))
        bench.guest(on: nil)
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect((try? ClusterState(encoded: bench.bench.state.encoded)) == bench.bench.state)
    }

    /// What has no place yet takes its room where it was found, and where it may be as long as nobody has found it.
    @Test(arguments: [true, false])
    func whatHasNoPlaceYetTakesRoom(isFound: Bool) {
        var bench = GuestBench(memory: 6)
        bench.guest(on: "pve2")
        bench.guest(GuestBench.other, on: nil)
        bench.apply(.sight(GuestBench.other, on: "pve2", Sighting(.absent)))
        if isFound { bench.apply(.sight(GuestBench.other, on: "pve1", Sighting(.running))) }
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        let before = bench.placement()
        let move = bench.decide().contains { if case .place(vm, _, _, _, _) = $0 { true } else { false } }
        #expect(!move)
        #expect(bench.placement() == before)
    }

    @Test func whatMustBeApartIsKeptApartFromWhatHasNoPlaceYet() {
        var bench = GuestBench()
        bench.declare("PlacementRule", "apart", ["workloads": ["gitlab", "vault"], "affinity": "apart"])
        bench.guest(on: "pve2")
        bench.guest(GuestBench.other, on: nil)
        bench.apply(.sight(GuestBench.other, on: "pve2", Sighting(.absent)))
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        #expect(!bench.decide().contains { if case .place(vm, _, _, _, _) = $0 { true } else { false } })
    }

    // MARK: No members any more

    /// pve2 is declared dead with a guest on it.
    private func recovered() -> GuestBench {
        var bench = three()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.bench.apply(.recover(epoch: 1 << 32 | 1, dead: [pve2]))
        bench.bench.view.standings[pve2] = nil
        return bench
    }

    @Test func whoIsDeclaredDeadIsFencedByThatWord() {
        var bench = recovered()
        #expect(bench.fence == .proven(.word, proof: "test declared it dead"))
        #expect(bench.fenceEpoch == 1)
        #expect(bench.bench.state.hosts["pve2"]?.proofs.map(\.method) == [.word])
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement().sources == ["pve2"])
    }

    /// A fence that was open keeps its epoch, and what it has barred.
    @Test func whoIsDeclaredDeadUnderAFenceKeepsWhatItBars() {
        var bench = three()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
        bench.bench.apply(.recover(epoch: 1 << 32 | 1, dead: [pve2]))
        #expect(bench.fence.isProven)
        #expect(bench.fenceEpoch == 1)
        #expect(bench.bench.state.hosts["pve2"]?.barred == ["10.0.0.2"])
    }

    @Test func aNewGuestIsPlacedAfterARecovery() {
        var bench = recovered()
        bench.guest(GuestBench.other, on: nil)
        for host in ["pve1", "pve3"] { bench.apply(.sight(GuestBench.other, on: host, Sighting(.absent))) }
        bench.settle()
        #expect(bench.placement(GuestBench.other).host != nil, "\(bench.placement(GuestBench.other).obstacle)")
    }

    @Test func aHostThatIsNotWaitedForAnyMoreIsForgotten() {
        var bench = recovered()
        #expect(bench.bench.outcome(.removeMember(pve2)).succeeded)
        #expect(bench.bench.state.hosts.contains("pve2"), "a guest belongs there still")
        bench = recovered()
        bench.settle()
        #expect(bench.bench.outcome(.removeMember(pve2)).succeeded)
        #expect(!bench.bench.state.hosts.contains("pve2"))
        #expect(bench.placement().sources == ["pve2"], "where it lies stays known")
    }

    /// It has no place yet, and pve2 is fenced before it is given one.
    @Test func whatWasFoundOnAHostThatIsGoneForGoodIsPlacedElsewhere() {
        var bench = three()
        bench.guest(on: nil)
        for host in ["pve1", "pve3"] { bench.apply(.sight(vm, on: host, Sighting(.absent))) }
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.lose(pve2, for: .seconds(60))
        bench.apply(.fenceByWord("pve2"))
        bench.settle()
        #expect(bench.placement().phase == .nowhere)
        #expect(bench.placement().obstacle.contains("it was found on pve2, which is fenced"))
        #expect(bench.placement().obstacle.contains("holdfast cluster remove pve2"))
        #expect(bench.bench.outcome(.removeMember(pve2)).succeeded)
        #expect(bench.placement().sighting(on: "pve2") == nil)
        bench.settle()
        #expect(bench.placement().host != nil)
        #expect(bench.placement().obstacle.isEmpty)
    }

    /// The machine of that name is another one.
    @Test func whatAHostSaidThatIsGoneIsNotTheWordOfTheNextOne() {
        var bench = three()
        bench.guest(on: nil)
        for host in ["pve1", "pve2", "pve3"] { bench.apply(.sight(vm, on: host, Sighting(.absent))) }
        #expect(bench.bench.outcome(.removeMember(pve2)).succeeded)
        bench.bench.admit(MemberID(rawValue: 9), "pve2", .host)
        bench.apply(.reportHost("pve2", facts(2)))
        bench.settle()
        #expect(bench.placement().phase == .nowhere)
        #expect(bench.placement().obstacle.contains("pve2 has not said"))
    }

    /// What the storage bars stays known.
    @Test func aForgottenHostLeavesItsBarsBehind() {
        var bench = three()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        bench.bench.apply(.recover(epoch: 1 << 32 | 1, dead: [pve2]))
        bench.settle()
        #expect(bench.bench.outcome(.removeMember(pve2)).succeeded)
        #expect(bench.bench.state.leftFences.keys == ["10.0.0.2"])
    }
}
