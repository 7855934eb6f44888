// Who carries out a fence and who lifts it: what happens when that one fails, says nothing, is blind, or is gone.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct FenceExecutorTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let pve3 = MemberID(rawValue: 5)
    private let vm = GuestBench.vm

    /// Three hosts that are well, of which the first leads; the guest is on pve2. None has a watchdog.
    private func three() -> GuestBench {
        var bench = GuestBench()
        bench.bench.admit(pve3, "pve3", .host)
        for (name, number) in [("pve1", 1), ("pve2", 2), ("pve3", 3)] { bench.apply(.reportHost(name, facts(number))) }
        bench.guest(on: "pve2")
        return bench
    }

    private func facts(_ number: Int, isBlind: Bool? = nil) -> HostFacts {
        var facts = HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.\(number)")
        facts.isBlind = isBlind
        return facts
    }

    private func fail(_ bench: inout GuestBench, _ times: Int = 1) {
        for _ in 0..<times {
            bench.apply(.fenceFailed("pve2", epoch: bench.fenceEpoch, reason: "no monitor answers"))
        }
    }

    // MARK: Carrying it out

    @Test func whatFailsThroughOneMemberIsTriedThroughAnother() {
        var bench = three()
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
        fail(&bench)
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve3))
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve3), "it has not failed yet")
        fail(&bench)
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve1))
    }

    @Test func everyMethodIsTriedThroughOneMemberBeforeAnother() {
        var bench = three()
        bench.declare(
            "FencePolicy", "default", ["methods": ["cephBlocklist", "power"], "powerCommand": ["/bin/off", "{host}"]])
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        var tried: [FencePhase] = [bench.fence]
        for _ in 0..<4 {
            fail(&bench)
            bench.settle()
            tried.append(bench.fence)
        }
        #expect(
            tried == [
                .wanted(.cephBlocklist, by: pve1), .wanted(.power, by: pve1), .wanted(.cephBlocklist, by: pve3),
                .wanted(.power, by: pve3), .wanted(.cephBlocklist, by: pve1),
            ])
    }

    /// What is under way is not given up for a change of who leads.
    @Test func anExecutorThatIsThereGoesOnUntilItFails() {
        var bench = three()
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.bench.view.leader = pve3
        #expect(bench.decide().isEmpty)
        bench.lose(pve1, for: .milliseconds(100))
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve3))
    }

    @Test func anOrderThatNobodyReportsOnHasFailed() {
        var bench = three()
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        bench.bench.view.overdue = ["pve2"]
        bench.settle()
        #expect(bench.bench.state.hosts["pve2"]?.failures == 1)
        #expect(bench.bench.state.hosts["pve2"]?.attempts.last?.contains("pve1 has not said in time") == true)
        bench.bench.view.overdue = []
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve3))
    }

    @Test func aHostThatCannotLookAtItsGuestsCarriesNoFenceOut() {
        var bench = three()
        bench.apply(.reportHost("pve1", facts(1, isBlind: true)))
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        #expect(bench.fence == .wanted(.cephBlocklist, by: pve3))
    }

    // MARK: Lifting it

    /// Fenced through pve1 and back, with nothing left on it.
    private func clean() -> GuestBench {
        var bench = three()
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        bench.find(pve2)
        bench.apply(.hostIsClean("pve2", epoch: bench.fenceEpoch))
        return bench
    }

    /// The only other host died before it could lift the fence.
    @Test func aHostLetsItselfInWhereNobodyElseCan() {
        var bench = clean()
        bench.bench.view.leader = pve2
        bench.lose(pve1, for: FenceOrder.certainlyOver - .milliseconds(100))
        bench.lose(pve3, for: FenceOrder.certainlyOver)
        #expect(!lifts(bench), "what pve1 was ordered may come yet")
        bench.lose(pve1, for: FenceOrder.certainlyOver)
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve2))
        #expect(
            OrderClaim.lift(host: "pve2", epoch: bench.fenceEpoch).objection(in: bench.bench.state, of: pve2) == nil)
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        bench.settle()
        #expect(bench.bench.state.hosts["pve1"]?.fence == .wanted(.cephBlocklist, by: pve2))
    }

    @Test func aHostLetsItselfInWhenTheMemberThatWasToIsGone() {
        var bench = clean()
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve1))
        bench.bench.view.leader = pve2
        for member in [pve1, pve3] { bench.lose(member, for: FenceOrder.certainlyOver) }
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve2))
    }

    private func lifts(_ bench: GuestBench) -> Bool {
        bench.decide().contains { if case .liftFence = $0 { true } else { false } }
    }

    @Test func whoFailsToLiftAFenceAgainAndAgainIsRelieved() {
        var bench = clean()
        bench.settle()
        fail(&bench, 2)
        #expect(bench.decide().isEmpty, "it may pass")
        fail(&bench)
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve3))
        #expect(bench.bench.state.hosts["pve2"]?.ordered == [pve1])
        let claim = OrderClaim.lift(host: "pve2", epoch: bench.fenceEpoch)
        #expect(claim.objection(in: bench.bench.state, of: pve1) != nil)
        #expect(claim.objection(in: bench.bench.state, of: pve3) != nil, "what pve1 was ordered may come yet")
        #expect(bench.bench.state.hosts["pve2"]?.isAtWork(pve1) == false, "so that its time is counted")
        #expect(bench.decide().isEmpty)
        bench.bench.view.finished = ["pve2": [pve1]]
        bench.settle()
        #expect(bench.bench.state.hosts["pve2"]?.ordered == [pve3])
        #expect(claim.objection(in: bench.bench.state, of: pve3) == nil)
        bench.bench.view.finished = [:]
        #expect(bench.decide().isEmpty)
    }

    @Test func whoFailsToTakeBackWhatCameOfAFenceIsRelieved() {
        var bench = three()
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        fail(&bench)
        bench.find(pve2)
        bench.settle()
        #expect(bench.fence == .withdrawn(.cephBlocklist, by: pve1))
        fail(&bench, 3)
        bench.settle()
        #expect(bench.fence == .withdrawn(.cephBlocklist, by: pve3))
        bench.bench.view.finished = ["pve2": [pve1]]
        bench.settle()
        #expect(bench.bench.state.hosts["pve2"]?.ordered == [pve3])
        bench.apply(.fenceLifted("pve2", epoch: bench.fenceEpoch))
        #expect(bench.fence.isNone)
        #expect(bench.bench.state.hosts["pve2"]?.failuresAtOrder == 0)
    }

    // MARK: Members that were removed

    @Test func whatARemovedMemberWasOrderedMayComeYet() {
        var bench = three()
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve3, reason: "test"))
        bench.apply(.fenceProven("pve2", epoch: 1, .cephBlocklist, proof: "p"))
        bench.bench.apply(.removeMember(pve3))
        bench.bench.view.standings[pve3] = nil
        bench.apply(.hostIsClean("pve2", epoch: 1))
        #expect(bench.fence == .clean(.cephBlocklist))
        #expect(!lifts(bench))
        bench.bench.view.finished = ["pve2": [pve3]]
        bench.settle()
        #expect(bench.fence == .lifting(.cephBlocklist, by: pve1))
    }

    // MARK: Addresses without end

    @Test func aHostWithMoreAddressesThanCanBeBarredIsNotFencedByThem() {
        var bench = three()
        let clients = (0..<HostRecord.mostBarred).map { "10.1.0.\($0):0/1" }
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, clients: clients)))
        #expect(
            bench.bench.state.objectionToBlocklist(of: "pve2")?.contains("more than \(HostRecord.mostBarred)") == true)
        #expect(
            bench.outcome(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "r")).code == .unsafe)
        #expect(bench.bench.state.hosts["pve2"]?.barred == [])
        bench.lose(pve2, for: .seconds(60))
        bench.settle()
        #expect(bench.fence.isNone)
        #expect(bench.placement().obstacle.contains("storage addresses"))
    }

    @Test func whatIsSeenSinceAndCannotBeBarredAnyMoreKeepsAFenceFromBeingProven() {
        var bench = three()
        let clients = (1..<HostRecord.mostBarred).map { "10.1.0.\($0):0/1" }
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, clients: clients)))
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: pve1, reason: "r"))
        #expect(bench.bench.state.hosts["pve2"]?.barred.count == HostRecord.mostBarred)
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, clients: ["10.2.0.1:0/1"])))
        bench.apply(.fenceProven("pve2", epoch: 1, .cephBlocklist, proof: "p"))
        #expect(!bench.fence.isProven)
        #expect(bench.bench.state.hosts["pve2"]?.attempts.last?.contains("more storage addresses") == true)
        #expect(bench.bench.state.hosts["pve2"]?.barred.count == HostRecord.mostBarred)
    }

    /// A host that a recovery went on without says nothing any more; its address may be another one's by now.
    @Test func anAddressOfAHostThatIsNoMemberAnyMoreIsNoObjection() {
        var bench = three()
        bench.bench.apply(.recover(epoch: 1 << 32 | 1, dead: [pve3]))
        #expect(bench.bench.state.hosts["pve3"] != nil)
        bench.apply(.reportHost("pve2", facts(3)))
        #expect(bench.bench.state.objectionToBlocklist(of: "pve2") == nil)
    }
}
