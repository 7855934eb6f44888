// Who votes: hosts and witnesses that are caught up, an odd number of them, and nobody exchanged without need.

import Cluster
import Consensus
import Decisions
import Testing

@Suite struct VoterDecisionTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let witness = DecisionBench.witness
    private let guest = DecisionBench.guest

    @Test func aSettledConfigurationStays() {
        #expect(DecisionBench().nextChange == nil)
    }

    @Test func twoHostsAloneHaveOneVoter() {
        var bench = DecisionBench()
        bench.apply(.removeMember(witness))
        bench.view.configuration = Configuration(voters: [pve1], learners: [pve2, guest])
        #expect(bench.nextChange == nil)
    }

    @Test func theThirdVoterBringsTheSecondWithIt() {
        var bench = DecisionBench()
        bench.view.configuration = Configuration(voters: [pve1], learners: [pve2, witness, guest])
        #expect(bench.nextChange == .promote(pve2))
        bench.view.configuration = Configuration(voters: [pve1, pve2], learners: [witness, guest])
        #expect(bench.nextChange == .promote(witness))
    }

    @Test func aGuestIsALearnerAlways() {
        var bench = DecisionBench()
        bench.view.configuration = Configuration(voters: [pve1, pve2, witness, guest])
        #expect(bench.nextChange == .demote(guest))
    }

    /// Taking its vote away would be a second fault: the majority would have to be found among fewer.
    @Test func aVoterThatIsOnlySilentKeepsItsVote() {
        var bench = DecisionBench()
        bench.view.standings[pve2] = DecisionBench.lost
        #expect(bench.nextChange == nil)
    }

    /// Until the witness has the log, a second voter would make the loss of either host stop everything.
    @Test func aLearnerThatLagsDoesNotMakeTheNumberOfVotersGrow() {
        var bench = DecisionBench()
        bench.view.configuration = Configuration(voters: [pve1], learners: [pve2, witness, guest])
        bench.view.standings[witness]?.lacking = VoterDecisions.mostLacking + 1
        #expect(bench.nextChange == nil)
        bench.view.standings[witness]?.lacking = VoterDecisions.mostLacking
        #expect(bench.nextChange == .promote(pve2))
    }

    /// It comes back by way of being a learner, and only while the others can decide without it.
    @Test func aVoterThatLostItsMemoryIsTakenOutAndBack() {
        var bench = DecisionBench()
        bench.view.standings[pve2]?.hasLostMemory = true
        #expect(bench.nextChange == .demote(pve2))
        bench.view.standings[witness] = DecisionBench.silent
        #expect(bench.nextChange == nil)
        bench.view.standings[witness] = DecisionBench.well
        bench.view.configuration = Configuration(voters: [pve1, witness], learners: [pve2, guest])
        #expect(bench.nextChange == nil)
        bench.view.standings[pve2]?.hasLostMemory = false
        #expect(bench.nextChange == .promote(pve2))
    }

    @Test func twoVotersThatLostTheirMemoryAreNotBothTakenOut() {
        var bench = DecisionBench()
        bench.view.standings[pve2]?.hasLostMemory = true
        bench.view.standings[witness]?.hasLostMemory = true
        #expect(bench.nextChange == nil)
    }

    @Test func aRemovedMemberLeavesTheConfigurationFirst() {
        var bench = DecisionBench()
        bench.apply(.removeMember(pve2))
        bench.admit(MemberID(rawValue: 5), "pve3", .host)
        #expect(bench.nextChange == .remove(pve2))
        bench.view.configuration = Configuration(voters: [pve1, witness], learners: [guest])
        #expect(bench.nextChange == .addLearner(MemberID(rawValue: 5)))
    }

    /// A lost voter is replaced without an even number of voters on the way.
    @Test func severalVotersMoveAtOnce() {
        var bench = DecisionBench()
        bench.view.mayExchangeVoters = true
        #expect(bench.nextChange == nil)
        bench.view.configuration = Configuration(voters: [pve1], learners: [pve2, witness, guest])
        #expect(bench.nextChange == .exchangeVoters(for: [pve1, pve2, witness], removing: []))
        let pve3 = MemberID(rawValue: 5)
        bench.admit(pve3, "pve3", .host)
        bench.apply(.removeMember(witness))
        bench.view.configuration = Configuration(voters: [pve1, pve2, witness], learners: [pve3, guest])
        #expect(bench.nextChange == .exchangeVoters(for: [pve1, pve2, pve3], removing: [witness]))
        // The consensus leaves what it entered by itself.
        bench.view.configuration = Configuration(
            voters: [pve1, pve2, pve3], learners: [guest], outgoingVoters: [pve1, pve2, witness])
        #expect(bench.nextChange == nil)
        // A newcomer that lags is not waited for, nor is one that is silent.
        bench.view.configuration = Configuration(voters: [pve1, pve2, witness], learners: [pve3, guest])
        bench.view.standings[pve3]?.lacking = VoterDecisions.mostLacking + 1
        #expect(bench.nextChange == .remove(witness))
        bench.view.standings[pve3] = DecisionBench.lost
        #expect(bench.nextChange == .remove(witness))
    }

    /// It would lead on without a vote; it hands over first, and goes then.
    @Test func theLeaderKeepsItsVoteInAnExchange() {
        var bench = DecisionBench()
        bench.view.mayExchangeVoters = true
        let pve3 = MemberID(rawValue: 5)
        let pve4 = MemberID(rawValue: 6)
        bench.admit(pve3, "pve3", .host)
        bench.admit(pve4, "pve4", .host)
        bench.apply(.removeMember(pve1))
        bench.apply(.removeMember(pve2))
        bench.view.configuration = Configuration(voters: [pve1, pve2, witness], learners: [pve3, pve4, guest])
        guard case .exchangeVoters(let voters, let removing)? = bench.nextChange else {
            Issue.record("\(String(describing: bench.nextChange))")
            return
        }
        #expect(voters.contains(pve1))
        #expect(removing == [pve2])
    }
}
