// What an order rests on, asked at the moment it is carried out.

import Cluster
import Consensus
import Kinds
import Testing

@Suite struct OrderClaimTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let vm = GuestBench.vm

    private func fenced() -> GuestBench {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.lose(pve2, for: FencePolicySpec().after)
        bench.settle()
        return bench
    }

    @Test func aStartHoldsOnlyUnderThePresentEpochAndOnItsHost() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        let epoch = bench.placement().epoch
        #expect(OrderClaim.start(vm, epoch: epoch).objection(in: bench.bench.state, of: pve2) == nil)
        #expect(OrderClaim.start(vm, epoch: epoch).objection(in: bench.bench.state, of: pve1) != nil)
        #expect(OrderClaim.start(vm, epoch: epoch + 1).objection(in: bench.bench.state, of: pve2) != nil)
        bench.apply(.move(vm, epoch: epoch, to: "pve1", live: true, reason: "", because: nil))
        #expect(OrderClaim.start(vm, epoch: epoch).objection(in: bench.bench.state, of: pve2) != nil)
        #expect(OrderClaim.start(vm, epoch: epoch + 1).objection(in: bench.bench.state, of: pve2) != nil)
        #expect(OrderClaim.start(GuestBench.other, epoch: 0).objection(in: bench.bench.state, of: pve2) != nil)
    }

    @Test func whatHasBeenSeenToRunElsewhereSinceIsNotStarted() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        let claim = OrderClaim.start(vm, epoch: bench.placement().epoch)
        #expect(claim.objection(in: bench.bench.state, of: pve2) == nil)
        bench.apply(.sight(vm, on: "pve1", Sighting(.running)))
        #expect(claim.objection(in: bench.bench.state, of: pve2)?.contains("may be running on pve1") == true)
        bench.lose(pve1, for: .seconds(60))
        #expect(claim.objection(in: bench.bench.state, of: pve2) != nil)
        bench.apply(.fenceByWord("pve1"))
        #expect(claim.objection(in: bench.bench.state, of: pve2) == nil, "it is proven to be away")
    }

    /// By a process that is not there any more: its word came late, and the guest may be given to another host at any moment.
    @Test func oneThatWasDeclinedIsNotStarted() {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.absent)))
        let claim = OrderClaim.start(vm, epoch: bench.placement().epoch)
        #expect(claim.objection(in: bench.bench.state, of: pve2) == nil)
        bench.apply(.decline(vm, epoch: bench.placement().epoch, from: "pve2"))
        #expect(claim.objection(in: bench.bench.state, of: pve2)?.contains("has begun nothing") == true)
    }

    @Test func aHostThatIsFencedStartsNothing() {
        let bench = fenced()
        let epoch = bench.placement().epoch
        #expect(bench.placement().phase == .on("pve2"))
        #expect(
            OrderClaim.start(vm, epoch: epoch).objection(in: bench.bench.state, of: pve2)?.contains("fenced") == true)
    }

    /// The host was back before anything was proven: whoever is to take the entry away may.
    @Test func whatIsTakenBackIsLifted() {
        var bench = fenced()
        bench.apply(.fenceFailed("pve2", epoch: bench.fenceEpoch, reason: "no monitor answers"))
        bench.find(pve2)
        bench.settle()
        guard case .withdrawn(.cephBlocklist, let member) = bench.fence else {
            Issue.record("\(bench.fence)")
            return
        }
        let claim = OrderClaim.lift(host: "pve2", epoch: bench.fenceEpoch)
        #expect(claim.objection(in: bench.bench.state, of: member) == nil)
        #expect(claim.objection(in: bench.bench.state, of: member == pve1 ? pve2 : pve1) != nil)
    }

    /// The order waited for its turn: another method is wanted by now, or the host is there again.
    @Test func aFenceIsCarriedOutByTheMethodThatIsWantedAndOnlyWhileTheHostIsAway() {
        var bench = fenced()
        let epoch = bench.fenceEpoch
        func objection(_ method: FenceMethod) -> String? {
            OrderClaim.fence(host: "pve2", epoch: epoch, by: method).objection(in: bench.bench.state, of: pve1)
        }
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
        #expect(objection(.power) != nil)
        #expect(objection(.cephBlocklist) == nil)
        bench.find(pve2)
        #expect(objection(.cephBlocklist)?.contains("there again") == true)
    }

    @Test func votesAreLoweredOnlyBesideHostsThatAreProvenToBeAway() {
        var bench = fenced()
        func objection(_ others: [String] = ["pve2"]) -> String? {
            OrderClaim.lowerVotes(beside: others).objection(in: bench.bench.state, of: pve1)
        }
        #expect(objection() != nil, "nothing is proven")
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "map 7"))
        #expect(objection() == nil)
        #expect(objection(["pve2", "pve9"]) != nil, "of a host that is none of this cluster nothing is known")
        // It is back, and however far the lifting of its fence is, it is at work.
        bench.find(pve2)
        #expect(objection() != nil)
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        #expect(objection() != nil)
        bench.apply(.liftFence("pve2", epoch: bench.fenceEpoch, by: pve1))
        #expect(objection() != nil)
        bench.bench.apply(.observeMember(pve2, reachable: false, reason: "test"))
        #expect(objection() != nil, "it was there since it was fenced")
    }

    @Test func anOldLiftingOpensNoNewerFence() {
        var bench = fenced()
        let old = bench.fenceEpoch
        let fencing = OrderClaim.fence(host: "pve2", epoch: old, by: .cephBlocklist)
        #expect(fencing.objection(in: bench.bench.state, of: pve1) == nil)
        #expect(fencing.objection(in: bench.bench.state, of: pve2) != nil)
        #expect(OrderClaim.lift(host: "pve2", epoch: old).objection(in: bench.bench.state, of: pve1) != nil)
        bench.apply(.fenceProven("pve2", epoch: old, .cephBlocklist, proof: "map 7"))
        bench.apply(.hostIsClean("pve2", epoch: old))
        bench.apply(.liftFence("pve2", epoch: old, by: pve1))
        #expect(OrderClaim.lift(host: "pve2", epoch: old).objection(in: bench.bench.state, of: pve1) == nil)
        #expect(OrderClaim.lift(host: "pve2", epoch: old).objection(in: bench.bench.state, of: pve2) != nil)
        #expect(fencing.objection(in: bench.bench.state, of: pve1) != nil)
        bench.apply(.fenceLifted("pve2", epoch: old))
        bench.apply(.beginFence("pve2", epoch: old, .cephBlocklist, by: pve1, reason: "lost again"))
        bench.apply(.fenceProven("pve2", epoch: old + 1, .cephBlocklist, proof: "map 9"))
        #expect(
            OrderClaim.lift(host: "pve2", epoch: old).objection(in: bench.bench.state, of: pve1)?
                .contains("fenced anew") == true)
        #expect(OrderClaim.lift(host: "pve9", epoch: old).objection(in: bench.bench.state, of: pve1) != nil)
    }
}
