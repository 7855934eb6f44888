// Who is given a role, who is asked to let go, and when nothing is done.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct RoleDecisionTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let api = DecisionBench.api

    // MARK: Succession

    @Test func aHolderIsSucceededOnlyWhenItsLeaseIsCertainlyOver() {
        var bench = DecisionBench()
        bench.hold(pve2)
        bench.view.standings[pve2] = DecisionBench.silent
        #expect(bench.decide().isEmpty, "neither the succession nor the loss that leads to it")
        bench.view.standings[pve2] = DecisionBench.lost
        #expect(bench.assigned == pve1)
        guard case .observeMember(pve2, reachable: false, reason: _)? = bench.decide().first else {
            Issue.record("the loss is told before what follows from it")
            return
        }
    }

    @Test func aHolderThatLetsGoIsWaitedForUntilItIsLost() {
        var bench = DecisionBench()
        bench.hold(pve2)
        bench.askToLetGo(to: pve1)
        #expect(bench.decide().isEmpty)
        bench.view.standings[pve2] = DecisionBench.silent
        #expect(bench.assigned == nil)
        bench.view.standings[pve2] = DecisionBench.lost
        #expect(bench.assigned == pve1)
    }

    @Test func theAskedForHeirComesFirstWhenTheHolderDiesLettingGo() {
        var bench = DecisionBench(candidates: ["pve2", "pve1", "cp1"])
        bench.hold(pve2)
        bench.askToLetGo(to: DecisionBench.guest)
        bench.view.standings[pve2] = DecisionBench.lost
        #expect(bench.assigned == DecisionBench.guest)
        bench.view.standings[DecisionBench.guest] = DecisionBench.silent
        #expect(bench.assigned == pve1, "the heir is gone too")
    }

    @Test func withoutAnHeirTheRoleIsVacated() {
        var bench = DecisionBench()
        bench.hold(pve2)
        bench.view.standings[pve2] = DecisionBench.lost
        bench.apply(.reportFitness(role: api, member: pve1, unfit: "no route"))
        guard case .vacate(role: api, epoch: bench.epoch, reason: _, because: pve2)? = bench.decide().last else {
            Issue.record("\(bench.decide())")
            return
        }
    }

    // MARK: Choice

    @Test func onlyACandidateThatIsThereAndFitAndStaysIsChosen() {
        var bench = DecisionBench()
        #expect(bench.assigned == pve1)
        bench.apply(.reportFitness(role: api, member: pve1, unfit: "no route"))
        #expect(bench.assigned == pve2)
        bench.apply(.reportFitness(role: api, member: pve1, unfit: nil))
        bench.apply(.stopping(pve1))
        #expect(bench.assigned == pve2)
        bench.view.standings[pve2] = DecisionBench.silent
        #expect(bench.assigned == nil)
    }

    @Test func aWitnessHoldsNoRole() {
        let bench = DecisionBench(candidates: ["witness", "pve2"])
        #expect(bench.assigned == pve2)
    }

    @Test func aCandidateThatIsToCheckItsHealthIsChosenOnlyAfterItsWord() {
        var bench = DecisionBench()
        bench.spec.follow = HealthCheck(
            probe: .tcp(host: "127.0.0.1", port: 6443), every: .seconds(1), timeout: .seconds(1), failures: 3,
            successes: 2)
        #expect(bench.assigned == nil)
        bench.apply(.reportFitness(role: api, member: pve1, unfit: "its health has not been checked yet"))
        bench.apply(.reportFitness(role: api, member: pve2, unfit: nil))
        #expect(bench.assigned == pve2)
        bench.apply(.reportFitness(role: api, member: pve1, unfit: nil))
        #expect(bench.assigned == pve1)
    }

    // MARK: Moving a role that is held

    @Test func anAddressStaysWhereItIsWhenToldNeverToPreempt() {
        var bench = DecisionBench(preempt: .never)
        bench.hold(pve2)
        #expect(bench.decide().isEmpty)
    }

    @Test func anAddressIsTakenBackOnlyByACandidateThatHasBeenWellForAWhile() {
        var bench = DecisionBench(preempt: .always)
        bench.hold(pve2)
        bench.view.standings[pve1]?.steadyFor = .milliseconds(4_999)
        #expect(bench.decide().isEmpty)
        bench.view.standings[pve1]?.steadyFor = .seconds(5)
        #expect(bench.releasedTo == .some(pve1))
    }

    @Test func aHolderThatCannotServeMovesOnlyWhenAnotherCan() {
        var bench = DecisionBench()
        bench.hold(pve2)
        bench.apply(.reportFitness(role: api, member: pve2, unfit: "no route"))
        #expect(bench.releasedTo == .some(pve1))
        bench.apply(.reportFitness(role: api, member: pve1, unfit: "no route"))
        #expect(bench.decide().isEmpty)
    }

    @Test func aHolderThatIsNoCandidateLetsGo() {
        var bench = DecisionBench(candidates: ["pve1"])
        bench.hold(pve2)
        #expect(bench.releasedTo == .some(pve1))
    }

    @Test func aStoppingHolderLetsGoEvenIfNobodyCanTakeOver() {
        var bench = DecisionBench(candidates: ["pve2"])
        bench.hold(pve2)
        bench.apply(.stopping(pve2))
        #expect(bench.releasedTo == .some(nil))
    }

    /// One of several addresses is enough: whoever holds the others may be answering for it, too.
    @Test func aRoleWaitsForWhoeverHoldsOneOfItsAddresses() {
        var bench = DecisionBench()
        bench.hold(pve2)
        let other = ResourceKey(kind: "VirtualIP", name: "other")
        bench.apply(
            .apply(
                declarations: [
                    Declaration(
                        kind: other.kind, name: other.name,
                        spec: ["addresses": [["address": "fd00::99/64"], ["address": "192.168.1.99/24"]]])
                ], checkRevision: nil))
        let shared = ["fd00::99", "192.168.1.99"].map { VirtualAddress(address: $0, prefixLength: 24) }
        let group = VirtualIPSpec(
            addresses: shared, candidates: [VirtualIPSpec.Candidate(member: "pve1")], follow: nil, preempt: .never)
        func decide() -> [Command] {
            RoleDecisions.decide(
                state: bench.state, specs: [DecisionBench.api: bench.spec, other: group], view: bench.view)
        }
        #expect(decide().isEmpty)
        bench.apply(.vacate(role: DecisionBench.api, epoch: bench.epoch, reason: "test", because: nil))
        #expect(!decide().isEmpty)
    }
}
