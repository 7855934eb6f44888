// A member whose disk has lost something it answered for: what it may not do, and how it comes back.

import Consensus
import Testing

@Suite struct MemoryTests {
    private let start = DiskStart(number: 4, nonce: 9)

    private func index(_ value: UInt64) -> LogIndex { LogIndex(rawValue: value) }
    private func term(_ value: UInt64) -> Term { Term(rawValue: value) }
    private func heartbeat(_ round: UInt64 = 1, commit: UInt64 = 0) -> Message {
        .heartbeat(Heartbeat(round: round, promise: .milliseconds(300), commit: index(commit)))
    }
    private func forgetful(_ memory: Memory, terms: [UInt64] = [1, 2]) -> Bench {
        Bench(hardState: HardState(term: term(2), memory: memory, start: start), terms: terms)
    }

    // MARK: What it may not do

    @Test("28 a member with a hole in its memory does not vote", arguments: [Memory.incomplete, .lost])
    func aMemberThatForgotDoesNotVote(memory: Memory) {
        var bench = forgetful(memory)
        bench.pass(.seconds(2))
        let request = VoteRequest(lastIndex: index(9), lastTerm: term(9), byTransfer: false)
        bench.receive(.voteRequest(request), from: 2, term: 9)
        bench.receive(.preVoteRequest(PreVoteRequest(lastIndex: index(9), lastTerm: term(9))), from: 3, term: 10)
        bench.persist()
        #expect(bench.messages(to: 2).votes == [false])
        #expect(bench.messages(to: 3).preVotes == [false])
        #expect(bench.raft.hardState.vote == nil)
    }

    @Test(arguments: [Memory.incomplete, .lost]) func aMemberThatForgotDoesNotCampaign(memory: Memory) {
        var bench = forgetful(memory)
        for _ in 0..<20 {
            bench.pass(.seconds(1))
            bench.tick()
        }
        bench.receive(heartbeat(), from: 2, term: 3)
        bench.receive(.campaignNow(CampaignNow(longestGrant: .zero)), from: 2, term: 3)
        bench.persist()
        #expect(bench.raft.role == .follower)
        #expect(bench.sent.allSatisfy { if case .voteRequest = $0.message { false } else { true } })
        #expect(bench.messages(to: 3).isEmpty)
    }

    /// It might have acknowledged something to a leader of a later term, and would help an earlier one to a majority.
    @Test func aMemberThatForgotItsTermAnswersForNothing() {
        var bench = forgetful(.lost)
        bench.receive(heartbeat(), from: 2, term: 3)
        bench.receive(Bench.append(after: 2, term: 2, [Bench.entry(3, term: 3)]), from: 2, term: 3)
        bench.persist()
        #expect(bench.messages(to: 2).heartbeatReplies.isEmpty)
        #expect(bench.messages(to: 2).appendReplies.isEmpty)
        #expect(bench.messages(to: 2).losses == [MemoryLost(start: start)])
        #expect(bench.raft.log.lastIndex == index(2))
    }

    @Test func aMemberThatKnowsItsTermAcknowledgesWhatItHolds() {
        var bench = forgetful(.incomplete)
        bench.receive(heartbeat(), from: 2, term: 3)
        bench.receive(Bench.append(after: 2, term: 2, [Bench.entry(3, term: 3)]), from: 2, term: 3)
        bench.persist()
        #expect(bench.messages(to: 2).heartbeatReplies.map(\.round) == [1])
        #expect(bench.messages(to: 2).appendReplies == [.accepted(through: index(3))])
    }

    /// The leader believes in an acknowledgement from before the loss. What was read from a damaged log may be a tail that
    /// was replaced long ago.
    @Test func nothingIsCommittedThatWasNotCompared() {
        var bench = forgetful(.incomplete)
        bench.receive(heartbeat(commit: 2), from: 2, term: 3)
        bench.receive(.commitNotice(CommitNotice(commit: index(2))), from: 2, term: 3)
        #expect(bench.raft.commitIndex == .zero)
        bench.receive(Bench.append(after: 1, term: 1, [Bench.entry(2, term: 3)], commit: 2), from: 2, term: 3)
        #expect(bench.raft.commitIndex == index(2))
        #expect(bench.raft.log.term(at: index(2)) == term(3))
    }

    // MARK: The way back

    @Test func aMemberThatIsTakenBackVotesAgain() {
        var bench = forgetful(.incomplete)
        bench.receive(heartbeat(), from: 2, term: 3)
        bench.receive(.readmitted(Readmitted(start: start)), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .incomplete)
        bench.receive(Bench.append(after: 2, term: 2, [Bench.entry(3, term: 3)]), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .whole)
        bench.persist()
        bench.pass(.seconds(2))
        let request = VoteRequest(lastIndex: index(9), lastTerm: term(9), byTransfer: false)
        bench.receive(.voteRequest(request), from: 3, term: 9)
        bench.persist()
        #expect(bench.messages(to: 3).votes == [true])
    }

    @Test func anAnswerToAnEarlierLossTakesNobodyBack() {
        var bench = forgetful(.lost, terms: [])
        bench.receive(heartbeat(), from: 2, term: 3)
        bench.receive(.readmitted(Readmitted(start: DiskStart(number: 3, nonce: 8))), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .lost)
        bench.receive(.readmitted(Readmitted(start: start)), from: 3, term: 3)
        #expect(bench.raft.hardState.memory == .lost)
        bench.receive(.readmitted(Readmitted(start: start)), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .whole)
    }

    private func leader() -> Bench {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        bench.answerRound(from: 2)
        bench.forget()
        return bench
    }

    private func confess(_ bench: inout Bench) {
        bench.receive(.memoryLost(MemoryLost(start: start)), from: 3, term: bench.raft.term.rawValue, start: start)
    }

    @Test func aVoterIsTakenBackOnlyWhenTheOthersHaveDecidedWithoutIt() {
        var bench = leader()
        let lost = MemberID(rawValue: 3)
        confess(&bench)
        #expect(bench.raft.hasLostMemory(lost))
        let demotion = bench.propose(.demote(lost))
        #expect(demotion == .success(index(2)))
        bench.persist()
        // In force, and not committed: one of the two has it.
        nextRound(&bench)
        confess(&bench)
        #expect(bench.messages(to: 3).readmissions.isEmpty)
        bench.accept(through: 2, from: 2)
        confess(&bench)
        #expect(bench.messages(to: 3).readmissions == [Readmitted(start: start)])
        #expect(!bench.raft.hasLostMemory(lost))
    }

    @Test func aVoterIsNotTakenBackWhileItIsOne() {
        var bench = leader()
        confess(&bench)
        nextRound(&bench)
        confess(&bench)
        #expect(bench.messages(to: 3).readmissions.isEmpty)
        #expect(bench.raft.hasLostMemory(MemberID(rawValue: 3)))
    }

    private func nextRound(_ bench: inout Bench) {
        bench.pass(.milliseconds(110))
        bench.tick()
        bench.answerRound(from: 2)
    }

    /// A leader that was replaced, and does not know it, would take a member back into a cluster it knows nothing of.
    @Test func aLearnerIsTakenBackOnlyAfterARoundThatBeganLater() {
        var bench = Bench.leader(voters: [1, 2], learners: [3])
        bench.accept(through: 1, from: 2)
        bench.answerRound(from: 2)
        bench.forget()
        confess(&bench)
        confess(&bench)
        bench.answerRound(from: 2)
        confess(&bench)
        #expect(bench.messages(to: 3).readmissions.isEmpty)
        nextRound(&bench)
        confess(&bench)
        #expect(bench.messages(to: 3).readmissions == [Readmitted(start: start)])
    }

    @Test func aMemberThatLostItsMemoryIsNotCounted() {
        var bench = leader()
        bench.accept(through: 1, from: 3)
        confess(&bench)
        #expect(bench.raft.leadership?.progress[MemberID(rawValue: 3)]?.match == .zero)
        let isHandedOver = bench.transfer(to: 3)
        #expect(!isHandedOver)
    }

    @Test("27 a wiped voter comes back as a voter, and nothing is lost", arguments: [Memory.incomplete, .lost])
    func aVoterThatLostItsMemoryComesBack(memory: Memory) {
        for seed in UInt64(1)...20 {
            var cluster = TestCluster(voters: 3, seed: seed)
            cluster.readmits = true
            guard let leader = cluster.elect() else {
                Issue.record("nobody was elected")
                return
            }
            for value in UInt64(1)...5 { cluster.propose(value, at: leader) }
            let hasConverged = cluster.run(within: .seconds(2)) { $0.hasConverged }
            #expect(hasConverged)
            let victim = Int(seed % 3) + 1
            cluster.crash(victim)
            cluster.lose(memory, at: victim)
            cluster.restart(victim)
            let isBack = cluster.run(within: .seconds(10)) { cluster in
                guard cluster.hasConverged, let leader = cluster.settledLeader else { return false }
                return cluster.raft(leader).configuration.voters.count == 3
                    && cluster.members.allSatisfy { $0.raft?.hardState.memory == .whole }
            }
            let violation = cluster.checks.violation
            #expect(isBack && violation == nil, "seed \(seed): \(violation ?? "not back")")
        }
    }

    /// Only the leader and the one that forgot had the entry. Without the leader nobody may go on.
    @Test("28 what only a forgetful member acknowledged is never lost in silence")
    func whatAForgetfulMemberAcknowledgedIsNotVotedAway() {
        for memory in [Memory.incomplete, .lost] {
            var cluster = TestCluster(voters: 3, seed: 5)
            cluster.readmits = true
            cluster.establish(leader: 1)
            cluster.network.isolate([3])
            cluster.propose(7, at: 1)
            let isCommitted = cluster.run(within: .seconds(1)) { $0[1].state.values.contains(7) }
            #expect(isCommitted)
            cluster.crash(1)
            cluster.crash(2)
            cluster.lose(memory, at: 2)
            cluster.network.heal()
            cluster.restart(2)
            let goesOnWithout = cluster.run(within: .seconds(10)) { $0.leader != nil }
            #expect(!goesOnWithout)
            cluster.restart(1)
            let isThere = cluster.run(within: .seconds(10)) { $0.hasConverged && $0[3].state.values.contains(7) }
            #expect(isThere)
            #expect(cluster.checks.violation == nil)
        }
    }
}
