// What a proof of a fence is a proof of: which guests, on which disks, and for how long an order under it may still come.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct FenceProofTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let pve3 = MemberID(rawValue: 5)
    private let vm = GuestBench.vm

    private func three(pool: String = "cephRbd", on host: String) -> GuestBench {
        var bench = GuestBench(pool: pool)
        bench.bench.admit(pve3, "pve3", .host)
        bench.apply(.reportHost("pve3", facts("10.0.0.3")))
        bench.guest(on: host)
        return bench
    }

    private func facts(_ address: String, isGuarded: Bool = true) -> HostFacts {
        var facts = HostFacts(
            boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: address, watchdogMilliseconds: 10_000)
        facts.isGuarded = isGuarded
        return facts
    }

    private func places(_ bench: GuestBench) -> Bool {
        bench.decide().contains { if case .place = $0 { true } else { false } }
    }

    /// vm moves from pve3 to pve2; pve2 is fenced in the meantime by a method, and then pve3 says that it has gone there.
    private func arrivedUnderAFence(_ method: FenceMethod, pool: String) -> GuestBench {
        var bench = three(pool: pool, on: "pve3")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve2", live: false, reason: "t", because: nil))
        bench.lose(pve2, for: .seconds(30))
        bench.apply(.beginFence("pve2", epoch: bench.fenceEpoch, method, by: pve1, reason: "t"))
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, method, proof: "p"))
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve2", reason: ""))
        return bench
    }

    // MARK: Which guests

    @Test func whoCameAfterTheWatchdogIsNotTakenFromThere() {
        var bench = arrivedUnderAFence(.watchdog, pool: "shared")
        #expect(bench.placement().phase == .on("pve2"))
        #expect(!places(bench))
        let epoch = bench.placement().epoch
        #expect(bench.outcome(.place(vm, epoch: epoch, on: "pve1", reason: "r", because: nil)).code == .unsafe)
        bench.settle()
        #expect(bench.placement().obstacle.contains("may have come there later"))
        // What it says while it is fenced does not make the proof one about it.
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        #expect(!places(bench))
        // A person has looked since.
        #expect(bench.outcome(.fenceByWord("pve2")).succeeded)
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
    }

    @Test func whoCameWhileTheStorageKeepsEverybodyOutIsTakenFromThere() {
        var bench = arrivedUnderAFence(.cephBlocklist, pool: "cephRbd")
        #expect(places(bench))
        bench.find(pve2)
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        #expect(!places(bench), "the entry may go at any moment")
    }

    @Test func whoWasSeenThereBeforeTheFenceIsTakenFromThere() {
        var bench = three(pool: "shared", on: "pve3")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve2", live: true, reason: "t", because: nil))
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve2", reason: ""))
        bench.lose(pve2, for: .seconds(30))
        bench.apply(.beginFence("pve2", epoch: bench.fenceEpoch, .watchdog, by: pve1, reason: "t"))
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .watchdog, proof: "p"))
        #expect(places(bench))
    }

    @Test func aSightingOfAnEarlierStayIsNone() {
        var bench = three(pool: "shared", on: "pve3")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stuck)))
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve2", live: true, reason: "t", because: nil))
        #expect(bench.placement().sighting(on: "pve2") == nil)
        #expect(bench.placement().isUnseen)
    }

    /// While it was on its way it did not count; after that it would never be said again.
    @Test func whatWasSaidOnTheWayIsAskedForOnceItHasArrived() {
        var bench = three(pool: "shared", on: "pve3")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve2", live: false, reason: "t", because: nil))
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        #expect(bench.placement().isUnseen)
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve2", reason: ""))
        #expect(bench.placement().sighting(on: "pve2") == nil)
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        #expect(!bench.placement().isUnseen)
        bench.lose(pve2, for: .seconds(30))
        bench.apply(.beginFence("pve2", epoch: bench.fenceEpoch, .watchdog, by: pve1, reason: "t"))
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .watchdog, proof: "p"))
        #expect(places(bench))
    }

    /// Otherwise it would never be said again, and never count.
    @Test func whatWasSaidUnderAFenceIsAskedForOnceItIsLifted() {
        var bench = arrivedUnderAFence(.watchdog, pool: "shared")
        bench.find(pve2)
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        #expect(bench.fence.isNone)
        #expect(bench.placement().sighting(on: "pve2") == nil)
        bench.apply(.sight(vm, on: "pve2", Sighting(.running)))
        #expect(!bench.placement().isUnseen)
    }

    @Test func nothingIsSentToAHostThatIsBeingFenced() {
        var bench = three(on: "pve3")
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve2", live: true, reason: "t", because: nil))
        let claim = OrderClaim.migrate(vm, epoch: bench.placement().epoch, to: "pve2")
        #expect(claim.objection(in: bench.bench.state, of: pve3) == nil)
        #expect(claim.objection(in: bench.bench.state, of: pve1) != nil)
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "t"))
        #expect(claim.objection(in: bench.bench.state, of: pve3)?.contains("pve2 is being fenced") == true)
    }

    @Test func aWatchdogThatWasDisarmedInTheMeantimeProvesNothing() {
        var bench = three(pool: "shared", on: "pve2")
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence == .wanted(.watchdog, by: pve1))
        bench.apply(.reportHost("pve2", facts("10.0.0.2", isGuarded: false)))
        #expect(bench.decide().allSatisfy { if case .fenceProven = $0 { false } else { true } })
        #expect(bench.outcome(.fenceProven("pve2", epoch: bench.fenceEpoch, .watchdog, proof: "p")).code == .unsafe)
        #expect(!bench.fence.isProven)
    }

    // MARK: Which disks

    /// One guest on Ceph and one on shared storage, on pve2, with a power switch and no watchdog; the first is proven by Ceph.
    private func provenForHalf() -> GuestBench {
        var bench = three(on: "pve2")
        bench.declare("StoragePool", "nfs", ["type": "shared"])
        bench.declare(
            "FencePolicy", "default", ["methods": ["cephBlocklist", "power"], "powerCommand": ["/bin/off", "{host}"]])
        bench.apply(.reportHost("pve2", facts("10.0.0.2", isGuarded: false)))
        bench.guest(GuestBench.other, on: "pve2", extra: ["disks": [["name": "scsi0", "pool": "nfs"]]])
        bench.lose(pve2, for: .seconds(30))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "t"))
        bench.apply(.fenceProven("pve2", epoch: 1, .cephBlocklist, proof: "in map 7"))
        return bench
    }

    @Test func whatOneProofDoesNotCoverIsProvenByTheNextMethod() {
        var bench = provenForHalf()
        bench.settle()
        #expect(bench.placement().phase == .on("pve1") || bench.placement().phase == .on("pve3"))
        #expect(bench.placement(GuestBench.other).phase == .on("pve2"))
        #expect(bench.bench.state.hosts["pve2"]?.further == FenceTask(.power, by: pve1))
        #expect(OrderClaim.fence(host: "pve2", epoch: 1, by: .power).objection(in: bench.bench.state, of: pve1) == nil)
        #expect(bench.fence == .proven(.cephBlocklist, proof: "in map 7"))
        bench.apply(.fenceProven("pve2", epoch: 1, .power, proof: "off"))
        #expect(bench.bench.state.hosts["pve2"]?.proofs.map(\.method) == [.cephBlocklist, .power])
        bench.settle()
        #expect(bench.placement(GuestBench.other).host != "pve2")
    }

    @Test func aPersonsWordCountsBesideAnotherProof() {
        var bench = provenForHalf()
        bench.settle()
        bench.apply(.fenceFailed("pve2", epoch: 1, reason: "its management does not answer"))
        #expect(bench.outcome(.fenceByWord("pve2")).code == .done)
        bench.settle()
        #expect(bench.placement(GuestBench.other).host != "pve2")
        #expect(bench.outcome(.fenceByWord("pve2")).code == .unchanged)
    }

    /// It belongs on pve2, where it stands still, and was seen to run on pve1, which is fenced for what lies on Ceph.
    @Test func whoIsFencedForOtherDisksMayStillWriteToTheseWhereItWasSeen() {
        var bench = three(pool: "shared", on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        bench.lose(pve1, for: .seconds(30))
        bench.apply(.beginFence("pve1", epoch: 0, .cephBlocklist, by: pve2, reason: "t"))
        bench.apply(.fenceProven("pve1", epoch: 1, .cephBlocklist, proof: "in map 7"))
        #expect(holders(bench, besides: "pve2") == ["pve1"])
        bench.settle()
        #expect(bench.placement().obstacle.contains("it may run on pve1"))
        #expect(bench.bench.state.hosts["pve1"]?.further == FenceTask(.watchdog, by: pve2), "what suffices is tried")
        // Also when the host that it belongs on is lost.
        bench.lose(pve2, for: .seconds(30))
        #expect(bench.outcome(.fenceByWord("pve2")).succeeded)
        #expect(!places(bench))
        #expect(bench.outcome(.fenceByWord("pve1")).succeeded)
        #expect(holders(bench, besides: "pve2").isEmpty)
        bench.settle()
        #expect(bench.placement().phase == .on("pve3"))
    }

    /// It was recovered from pve1, and not taken over yet; pve1 is up again and has started what lies there.
    @Test(arguments: [(FenceMethod.power, "shared"), (.watchdog, "shared"), (.power, "cephRbd")])
    func whatIsSeenOnAHostThatIsBackCountsBeforeItsFenceIsLifted(method: FenceMethod, pool: String) {
        var bench = three(pool: pool, on: "pve1")
        bench.lose(pve1, for: .seconds(30))
        bench.apply(.beginFence("pve1", epoch: 0, method, by: pve2, reason: "t"))
        bench.apply(.fenceProven("pve1", epoch: 1, method, proof: "p"))
        bench.settle()
        let host = bench.placement().host ?? ""
        #expect(host != "pve1" && holders(bench, besides: host).isEmpty)
        bench.find(pve1)
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        #expect(bench.bench.state.hosts["pve1"]?.fence.isProven == true)
        #expect(holders(bench, besides: host) == ["pve1"])
        let claim = OrderClaim.start(vm, epoch: bench.placement().epoch)
        let member = bench.bench.state.member(named: host)?.id ?? pve1
        #expect(claim.objection(in: bench.bench.state, of: member)?.contains("may be running on pve1") == true)
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        #expect(holders(bench, besides: host).isEmpty)
    }

    private func holders(_ bench: GuestBench, besides host: String) -> [String] {
        let spec = bench.specs.workloads[vm]
        return bench.bench.state.holders(of: bench.placement(), besides: host) { method in
            spec.map { bench.specs.suffices(method, for: $0) } ?? false
        }
    }

    @Test func aHostThatIsBackIsProvenNoFurther() {
        var bench = provenForHalf()
        bench.settle()
        bench.find(pve2)
        bench.apply(.hostIsClean("pve2", epoch: 1))
        #expect(bench.bench.state.hosts["pve2"]?.further == nil)
        #expect(bench.bench.state.hosts["pve2"]?.task == nil)
    }

    // MARK: Orders that may still come

    @Test func anEntryIsTakenAwayOnlyWhenNobodyElseCanMakeItAnyMore() {
        var bench = three(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve3, reason: "t"))
        bench.lose(pve3, for: .seconds(5))
        bench.apply(.beginFence("pve2", epoch: 1, .cephBlocklist, by: pve1, reason: "pve3 is lost"))
        bench.apply(.fenceProven("pve2", epoch: 1, .cephBlocklist, proof: "p"))
        bench.settle()
        bench.find(pve2)
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        bench.apply(.hostIsClean("pve2", epoch: 1))
        #expect(bench.fence == .clean(.cephBlocklist))
        #expect(bench.decide().isEmpty, "what pve3 was ordered may come yet")
        bench.find(pve3)
        bench.bench.view.finished = ["pve2": [pve1]]
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve3), "its own orders come one after another")
        #expect(bench.bench.state.hosts["pve2"]?.ordered == [pve3])
    }

    @Test func whatIsTakenBackIsTakenAwayOnlyWhenNobodyElseCanMakeItAnyMore() {
        var bench = three(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve3, reason: "t"))
        bench.lose(pve3, for: .seconds(5))
        bench.apply(.beginFence("pve2", epoch: 1, .cephBlocklist, by: pve1, reason: "pve3 is lost"))
        bench.apply(.fenceFailed("pve2", epoch: 1, reason: "no monitor answers"))
        bench.find(pve2)
        bench.settle()
        #expect(bench.fence == .withdrawn(.cephBlocklist, by: pve1))
        let claim = OrderClaim.lift(host: "pve2", epoch: 1)
        #expect(claim.objection(in: bench.bench.state, of: pve1)?.contains("another member") == true)
        #expect(bench.decide().isEmpty)
        bench.bench.view.finished = ["pve2": [pve3]]
        bench.settle()
        #expect(claim.objection(in: bench.bench.state, of: pve1) == nil)
    }

    // MARK: Addresses that outlive their hosts

    private func removed() -> GuestBench {
        var bench = three(on: "pve2")
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        let outcome = bench.bench.outcome(.removeMember(pve2))
        #expect(outcome.succeeded && outcome.message.contains("10.0.0.2"))
        return bench
    }

    @Test func theReplacementOfABarredHostTakesGuestsOnceItIsLetInAgain() {
        var bench = removed()
        let replacement = MemberID(rawValue: 9)
        bench.bench.admit(replacement, "pve4", .host)
        bench.apply(.reportHost("pve4", facts("10.0.0.2")))
        let host = bench.bench.state.hosts["pve4"]
        #expect(host?.fence.isProven == true)
        #expect(host?.barred == ["10.0.0.2"])
        #expect(host?.fenceEpoch ?? 0 > 1, "no order of then is taken for one of now")
        let placement = bench.placement()
        #expect(
            bench.outcome(.move(vm, epoch: placement.epoch, to: "pve4", live: true, reason: "r", because: nil)).code
                == .unsafe)
        let epoch = host?.fenceEpoch ?? 0
        bench.apply(.hostIsClean("pve4", epoch: epoch))
        bench.settle()
        #expect(bench.bench.state.hosts["pve4"]?.fence == .lifting(.cephBlocklist, by: pve1))
        bench.apply(.fenceLifted("pve4", epoch: epoch))
        #expect(bench.bench.state.hosts["pve4"]?.fence.isNone == true)
        #expect(bench.bench.state.leftFences.isEmpty)
    }

    @Test func anAddressThatIsBarredIsKnownAfterARestore() {
        var bench = three(on: "pve2")
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "t"))
        let restored = bench.bench.state.forNewCluster("test", milliseconds: 0)
        #expect(restored.leftFences.keys == ["10.0.0.2"])
        #expect((try? ClusterState(encoded: restored.encoded)) == restored)
    }

    @Test func aHostThatTakesABarredAddressGoesOnWithWhatItRuns() {
        var bench = removed()
        let before = bench.placement()
        let name = before.host ?? ""
        bench.apply(.reportHost(name, facts("10.0.0.2")))
        guard case .withdrawn(.cephBlocklist, _) = bench.bench.state.hosts[name]?.fence else {
            Issue.record("\(String(describing: bench.bench.state.hosts[name]?.fence))")
            return
        }
        #expect(bench.placement() == before)
    }

    // MARK: Where the configuration lies

    @Test func whatWasNotTakenOverKeepsWhereItLies() {
        var bench = three(on: "pve1")
        bench.bench.view.leader = pve3
        bench.lose(pve1, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve1", epoch: 1, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        // Moved on before it was taken over.
        bench.apply(.move(vm, epoch: bench.placement().epoch, to: "pve3", live: false, reason: "t", because: nil))
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve3", reason: ""))
        #expect(bench.placement().sources == ["pve1"])
        bench.apply(.sight(vm, on: "pve3", Sighting(.running)))
        #expect(bench.placement().sources.isEmpty)
    }

    @Test func aSecondHostThatIsLostAddsToWhereItMayLie() {
        var bench = three(on: "pve1")
        bench.bench.view.leader = pve3
        bench.lose(pve1, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve1", epoch: 1, .cephBlocklist, proof: "p"))
        bench.settle()
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: 1, .cephBlocklist, proof: "p"))
        bench.settle()
        #expect(bench.placement().phase == .on("pve3"))
        #expect(bench.placement().sources == ["pve2", "pve1"])
        #expect(bench.bench.state.hostToHandBack(bench.placement()) == nil)
        // The first one is back, and it lies there.
        bench.find(pve1)
        bench.apply(.sight(vm, on: "pve1", Sighting(.stopped)))
        bench.apply(.hostIsClean("pve1", epoch: 1))
        bench.apply(.liftFence("pve1", epoch: 1, by: pve3))
        bench.apply(.fenceLifted("pve1", epoch: 1))
        #expect(bench.bench.state.hostToHandBack(bench.placement()) == "pve1")
        #expect(bench.outcome(.handBack(vm, epoch: bench.placement().epoch, from: "pve3")).succeeded)
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement().sources == ["pve2"])
    }
}
