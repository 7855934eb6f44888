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
        bench.receive(.readmitted(Readmitted(start: start, committed: index(2))), from: 2, term: 3)
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
        let earlier = DiskStart(number: 3, nonce: 8)
        bench.receive(.readmitted(Readmitted(start: earlier, committed: index(1))), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .lost)
        bench.receive(.readmitted(Readmitted(start: start, committed: index(1))), from: 3, term: 3)
        #expect(bench.raft.hardState.memory == .lost)
        bench.receive(.readmitted(Readmitted(start: start, committed: index(1))), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .incomplete)
    }

    private func votes(_ bench: inout Bench) -> [Bool] {
        var copy = bench
        copy.persist()
        copy.forget()
        copy.pass(.seconds(2))
        let request = VoteRequest(lastIndex: index(9), lastTerm: term(9), byTransfer: false)
        copy.receive(.voteRequest(request), from: 3, term: 9)
        copy.persist()
        return copy.messages(to: 3).votes
    }

    /// Everything that was committed when the leader answered must be on its disk again, not only on its way.
    @Test func aMemberVotesAgainWhenItHasWhatWasCommitted() {
        var bench = forgetful(.lost, terms: [])
        bench.receive(heartbeat(), from: 2, term: 3)
        bench.receive(.readmitted(Readmitted(start: start, committed: index(3))), from: 2, term: 3)
        bench.persist()
        #expect(votes(&bench) == [false])
        bench.receive(
            Bench.append(after: 0, term: 0, [Bench.entry(1, term: 1), Bench.entry(2, term: 3)]), from: 2, term: 3)
        bench.persist()
        #expect(bench.raft.hardState.memory == .incomplete)
        #expect(votes(&bench) == [false])
        bench.receive(
            Bench.append(after: 2, term: 3, [Bench.entry(3, term: 3), Bench.entry(4, term: 3)]), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .incomplete)
        bench.persist(1)
        #expect(bench.raft.hardState.memory == .whole)
        #expect(bench.writes.last?.entries.isEmpty == true)
        #expect(votes(&bench) == [true])
    }

    /// An older leader does not say how much is committed; its next append does.
    @Test func anOlderLeadersAnswerNeedsAnAppendThatReachesItsCommit() {
        var bench = forgetful(.lost, terms: [])
        bench.receive(heartbeat(), from: 2, term: 3)
        bench.receive(.readmitted(Readmitted(start: start, committed: nil)), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .incomplete)
        bench.receive(Bench.append(after: 0, term: 0, [Bench.entry(1, term: 3)], commit: 2), from: 2, term: 3)
        bench.persist()
        #expect(bench.raft.hardState.memory == .incomplete)
        bench.receive(Bench.append(after: 1, term: 3, [Bench.entry(2, term: 3)], commit: 2), from: 2, term: 3)
        bench.persist()
        #expect(bench.raft.hardState.memory == .whole)
        // The next leader may know less of what is committed; it is asked anew.
        var later = forgetful(.lost, terms: [])
        later.receive(heartbeat(), from: 2, term: 3)
        later.receive(.readmitted(Readmitted(start: start, committed: nil)), from: 2, term: 3)
        later.receive(Bench.append(after: 0, term: 0, [Bench.entry(1, term: 3)]), from: 3, term: 4)
        later.persist()
        #expect(later.raft.hardState.memory == .incomplete)
        later.forget()
        later.receive(heartbeat(2), from: 3, term: 4)
        later.persist()
        #expect(later.messages(to: 3).losses == [MemoryLost(start: start)])
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
        #expect(bench.messages(to: 3).readmissions == [Readmitted(start: start, committed: index(2))])
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
        #expect(bench.messages(to: 3).readmissions == [Readmitted(start: start, committed: index(1))])
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

    /// 3 was cut off two configurations ago: {1, 2, 3}, then {1, 2, 3, 4, 5}, then without 2. So a majority of what it counts
    /// need not meet a majority of what is in force, and a vote from 2 with an empty log would make it lead.
    @Test(
        "28 what is taken back with an empty log elects nobody from two configurations ago", arguments: UInt64(1)...20)
    func aMemberThatIsTakenBackEmptyElectsNobody(seed: UInt64) {
        var cluster = TestCluster(voters: 3, spares: 2, seed: seed)
        cluster.readmits = true
        cluster.establish(leader: 1)
        for other in [1, 4, 5] { cluster.network.cut(between: 3, and: other) }
        let members = (UInt64(1)...5).map(MemberID.init)
        for newcomer in members[3...] {
            _ = cluster.change(.addLearner(newcomer), at: 1)
            cluster.run(for: .milliseconds(500))
        }
        _ = cluster.change(.exchangeVoters(for: members, removing: []), at: 1)
        let isLeft = cluster.run(within: .seconds(5)) { cluster in
            let head = cluster.raft(1)
            return head.configuration.voters.count == 5 && !head.configuration.isJoint
                && head.configurationIndex <= head.commitIndex
        }
        #expect(isLeft)
        cluster.crash(2)
        cluster.lose(.lost, at: 2)
        cluster.members[1].disk.preset(HardState(memory: .lost), [])
        // Whatever would feed it is still on its way.
        cluster.network.fate = { envelope in
            switch envelope.message {
            case .appendRequest, .snapshotChunk: envelope.to.rawValue == 2 ? .drop : .deliver
            default: .deliver
            }
        }
        cluster.restart(2)
        let isTakenBack = cluster.run(within: .seconds(5)) { $0.raft(2).hardState.memory != .lost }
        #expect(isTakenBack)
        for other in [1, 4, 5] { cluster.network.cut(between: 2, and: other) }
        cluster.run(for: .seconds(5))
        #expect(cluster.checks.violation == nil)
        #expect(!cluster.raft(3).isLeader)
        #expect(cluster.raft(1).isLeader)
        cluster.network.fate = nil
        cluster.network.heal()
        let isBack = cluster.run(within: .seconds(10)) { cluster in
            guard cluster.hasConverged, let leader = cluster.settledLeader else { return false }
            return cluster.raft(leader).configuration.voters.count == 5
                && cluster.members.allSatisfy { $0.raft?.hardState.memory == .whole }
        }
        #expect(isBack && cluster.checks.violation == nil)
    }
}
