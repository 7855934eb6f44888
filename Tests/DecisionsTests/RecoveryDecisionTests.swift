// Whether a cluster may go on without its majority: everything that speaks against it is said, in words.

import Cluster
import Consensus
import Decisions
import Testing

@Suite struct RecoveryDecisionTests {
    private let names = ["pve1", "pve2", "witness", "cp1", "pve3"]
    private func id(_ name: String) -> MemberID { MemberID(rawValue: UInt64(names.firstIndex(of: name)!) + 1) }

    private func standing(
        _ index: UInt64, term: UInt64 = 3, now: UInt64? = nil, leader: String? = nil, epoch: UInt64 = 0,
        isWhole: Bool = true
    ) -> RecoveryStanding {
        RecoveryStanding(
            epoch: Epoch(rawValue: epoch), term: Term(rawValue: now ?? term),
            last: LogPosition(index: LogIndex(rawValue: index), term: Term(rawValue: term)), leader: leader.map(id),
            isWhole: isWhole)
    }

    private func decide(
        voters: [String] = ["pve1", "pve2", "witness"], outgoing: [String] = [], dead: [String],
        own: RecoveryStanding? = nil, answers: [(String, RecoveryStanding)] = [], survivor: String = "pve1"
    ) -> RecoveryDecision {
        RecoveryDecision.decide(
            survivor: id(survivor), own: own ?? standing(10),
            configuration: Configuration(
                voters: voters.map(id), learners: [id("cp1")], outgoingVoters: outgoing.map(id)), dead: dead.map(id),
            answers: SortedMap(answers.map { (id($0.0), $0.1) }), name: { names[Int($0.rawValue) - 1] })
    }

    private func plan(voters: [MemberID], learners: [MemberID], term: UInt64) -> RecoveryPlan {
        RecoveryPlan(voters: voters, learners: learners, term: Term(rawValue: term))
    }

    private func objections(_ decision: RecoveryDecision) -> String {
        if case .refuse(let against) = decision { against.joined(separator: "; ") } else { "" }
    }

    @Test func theSurvivorGoesOnAloneWithWhoAnswers() {
        let answer = ("cp1", standing(9, now: 8))
        let expected = RecoveryDecision.recover(plan(voters: [id("pve1")], learners: [id("cp1")], term: 8))
        #expect(decide(dead: ["pve2", "witness"], answers: [answer]) == expected)
        // Without the guest, the guest is left behind.
        #expect(
            decide(dead: ["pve2", "witness"])
                == .recover(plan(voters: [id("pve1")], learners: [], term: 3)))
    }

    /// It may know of something committed that the survivor lacks, and could not follow it.
    @Test func aGuestThatHasMoreOfTheLogIsLeftBehind() {
        let decision = decide(dead: ["pve2", "witness"], answers: [("cp1", standing(11))])
        #expect(decision == .recover(plan(voters: [id("pve1")], learners: [], term: 3)))
    }

    @Test func whoAnswersIsNotDead() {
        let decision = decide(dead: ["pve2", "witness"], answers: [("witness", standing(9))])
        #expect(objections(decision).contains("witness is not dead"))
        #expect(objections(decide(dead: ["pve1", "pve2", "witness"])).contains("pve1 is not dead"))
    }

    @Test func everySilentVoterMustBeNamed() {
        #expect(objections(decide(dead: ["pve2"])).contains("witness did not answer and was not named"))
        let both = decide(voters: ["pve3"], outgoing: ["pve1", "pve2"], dead: ["pve2"], survivor: "pve3")
        #expect(objections(both).contains("pve1 did not answer"))
    }

    @Test func aMajorityThatAnswersDecidesByItself() {
        let answers = [("witness", standing(9))]
        #expect(objections(decide(dead: ["pve2"], answers: answers)).contains("a majority of the voters answers"))
    }

    @Test func somebodyWhoSeesALeaderEndsIt() {
        let answers = [("cp1", standing(9, leader: "pve2"))]
        #expect(objections(decide(dead: ["pve2", "witness"], answers: answers)).contains("cp1 sees pve2 lead"))
        let own = decide(dead: ["pve2", "witness"], own: standing(10, leader: "pve2"))
        #expect(objections(own).contains("pve1 sees pve2 lead"))
    }

    @Test func theOneWithMostOfTheLogGoesOn() {
        let five = ["pve1", "pve2", "witness", "pve3", "cp1"]
        func objection(_ other: RecoveryStanding) -> String {
            objections(
                RecoveryDecision.decide(
                    survivor: id("pve1"), own: standing(10), configuration: Configuration(voters: five.map(id)),
                    dead: ["pve2", "witness", "cp1"].map(id), answers: [id("pve3"): other],
                    name: { names[Int($0.rawValue) - 1] }))
        }
        #expect(objection(standing(11)).contains("pve3 has more of the log"))
        #expect(objection(standing(5, term: 4)).contains("pve3 has more of the log"))
        #expect(objection(standing(50, term: 2)).isEmpty)
        #expect(objection(standing(9, epoch: 1 << 32)).contains("later epoch"))
    }

    /// Two answer of three, and one of them does not vote: no majority, and no leader who could take it back.
    @Test func aVoterThatForgotSomethingDoesNotCount() {
        let answers = [("witness", standing(9, isWhole: false)), ("cp1", standing(9))]
        let expected = RecoveryDecision.recover(
            plan(voters: [id("pve1")], learners: [id("witness"), id("cp1")], term: 3))
        #expect(decide(dead: ["pve2"], answers: answers) == expected)
        // What it still holds may be the only copy of something committed.
        let ahead = objections(decide(dead: ["pve2"], answers: [("witness", standing(11, isWhole: false))]))
        #expect(ahead.contains("witness has more of the log, but its disk has lost something"))
    }

    @Test func oneThatForgotSomethingBeginsNothing() {
        let decision = decide(dead: ["pve2", "witness"], own: standing(10, isWhole: false))
        #expect(objections(decision).contains("the disk of pve1 has lost something it answered for"))
    }

    @Test func oneThatDoesNotVoteCannotGoOnAlone() {
        let decision = decide(dead: ["pve1", "pve2", "witness"], survivor: "cp1")
        #expect(objections(decision).contains("cp1 does not vote"))
    }
}
