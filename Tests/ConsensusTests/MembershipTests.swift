// Changes of the configuration, one member at a time, and what becomes of those who are taken out.

import Consensus
import Testing

@Suite struct MembershipTests {
    private func member(_ number: UInt64) -> MemberID { MemberID(rawValue: number) }

    /// Ongaro 4.2.2: the entry that makes the leader a learner is only in its own log when it crashes. Nobody else can
    /// be elected without its vote, and its log is ahead, so it must campaign although it no longer counts itself.
    @Test func aMemberWhoseDemotionIsNotCommittedStillCampaigns() {
        var cluster = TestCluster(voters: 2)
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        cluster.network.isolate([1])
        let change = cluster.change(.demote(member(1)), at: 1)
        #expect(throws: Never.self) { try change.get() }
        cluster.run(for: .milliseconds(20))
        cluster.crash(1)
        cluster.run(for: .seconds(1))
        cluster.network.heal()
        cluster.restart(1)
        let recovered = cluster.run(within: .seconds(5)) { $0.hasConverged && $0.leader == 2 }
        #expect(recovered)
        #expect(cluster.checks.violation == nil)
    }

    /// A lease that {1, 2} stand behind must not live to see a configuration in which {3, 4} are a majority: two steps
    /// away, quorums need not meet any more.
    @Test func votersChangeAtMostOnceWithinALease() {
        var bench = Bench.leader(voters: [1, 2, 3], learners: [4, 5])
        bench.accept(through: 1, from: 2)
        bench.answerRound(from: 2)
        bench.answerRound(from: 4)
        bench.accept(through: 1, from: 4)
        let first = bench.propose(.demote(member(2)))
        #expect(first == .success(LogIndex(rawValue: 2)))
        bench.persist()
        bench.accept(through: 2, from: 3)
        bench.accept(through: 2, from: 4)
        #expect(bench.raft.commitIndex == LogIndex(rawValue: 2))
        #expect(bench.trial(.promote(member(4))) == .failure(.changeInProgress))
        // Learners count for nothing, so they may come and go.
        #expect(bench.trial(.remove(member(5))) == .success(LogIndex(rawValue: 3)))
        bench.pass(.milliseconds(301))
        #expect(bench.trial(.promote(member(4))) == .success(LogIndex(rawValue: 3)))
    }

    /// The one of July 2015: a new leader changes the configuration before it has committed anything in its own term,
    /// while its predecessor's change is still in somebody's log; the two resulting majorities need not meet.
    @Test("37 no change before an entry of the own term is committed") func noChangeBeforeAnOwnEntryIsCommitted() {
        var bench = Bench.leader(voters: [1, 2, 3, 4], terms: [1])
        #expect(bench.trial(.remove(member(4))) == .failure(.changeInProgress))
        bench.accept(through: 1, from: 2)
        bench.accept(through: 1, from: 3)
        #expect(bench.trial(.remove(member(4))) == .failure(.changeInProgress))
        bench.accept(through: 2, from: 2)
        bench.accept(through: 2, from: 3)
        _ = bench.propose(.remove(member(4)))
        #expect(bench.raft.configuration.voters.count == 3)
        #expect(bench.trial(.addLearner(member(9))) == .failure(.changeInProgress))
    }

    @Test("41 only a caught-up learner is promoted") func onlyACaughtUpLearnerIsPromoted() {
        var bench = Bench.leader(learners: [4], terms: Array(repeating: 1, count: 100))
        bench.accept(through: 101, from: 2)
        bench.pass(.milliseconds(1))
        #expect(bench.trial(.promote(member(4))) == .failure(.notCaughtUp))
        bench.accept(through: 30, from: 4)
        #expect(bench.trial(.promote(member(4))) == .failure(.notCaughtUp))
        bench.accept(through: 101, from: 4)
        #expect(bench.trial(.promote(member(4))) == .success(LogIndex(rawValue: 102)))
        // Caught up once, and silent since.
        bench.pass(.milliseconds(400))
        #expect(bench.trial(.promote(member(4))) == .failure(.notCaughtUp))
    }

    @Test("41 a member that joins catches up and becomes a voter") func aMemberThatJoinsBecomesAVoter() {
        var cluster = TestCluster(voters: 1, spares: 2)
        cluster.establish(leader: 1)
        for value in 1...300 as ClosedRange<UInt64> { cluster.propose(value, at: 1) }
        for number in 2...3 as ClosedRange<UInt64> {
            let added = cluster.change(.addLearner(member(number)), at: 1)
            #expect(isAccepted(added))
            cluster.run(for: .milliseconds(700))
            let promoted = cluster.change(.promote(member(number)), at: 1)
            #expect(isAccepted(promoted))
            cluster.run(for: .milliseconds(700))
        }
        #expect(cluster.raft(3).configuration.voters.count == 3)
        cluster.crash(1)
        #expect(cluster.elect() != nil)
        #expect(cluster.checks.violation == nil)
    }

    /// It wakes up believing in a cluster of three, and finds one member that has not heard of its removal either.
    @Test("42 a removed member restarts with its old configuration")
    func aRemovedMemberWithItsOldConfigurationIsHarmless() {
        var cluster = TestCluster(voters: 4)
        cluster.establish(leader: 1)
        cluster.run(for: .milliseconds(500))
        cluster.crash(4)
        _ = cluster.change(.remove(member(4)), at: 1)
        cluster.run(for: .seconds(1))
        cluster.crash(1)
        cluster.restart(4)
        let elected = cluster.run(within: .seconds(5)) { $0.settledLeader != nil }
        #expect(elected)
        #expect(cluster.leader != 4)
        let term = cluster.leader.map { cluster.raft($0).term }
        cluster.run(for: .seconds(10))
        #expect(cluster.leader.map { cluster.raft($0).term } == term)
        #expect(cluster.raft(4).log.lastIndex < cluster.raft(2).log.lastIndex)
        #expect(cluster.checks.violation == nil)
    }

    @Test func aConfigurationIsCheckedBeforeItIsMade() {
        let many = (1...1_000).map { member($0) }
        #expect(!Configuration.isWellFormed(voters: [member(1), member(1)], learners: []))
        #expect(!Configuration.isWellFormed(voters: [member(1)], learners: [member(1)]))
        #expect(!Configuration.isWellFormed(voters: Array(many.prefix(8)), learners: []))
        #expect(!Configuration.isWellFormed(voters: [], learners: many + [member(2_000)]))
        let full = Configuration(voters: [member(2_000), member(2_001)], learners: many)
        #expect(full.applying(.demote(member(2_000))) == .failure(.tooMany))
        #expect(full.applying(.addLearner(member(2_002))) == .failure(.tooMany))
        #expect(full.applying(.remove(member(9_999))) == .failure(.unknownMember))
        #expect(Configuration(voters: [member(1)]).applying(.remove(member(1))) == .failure(.wouldLeaveNoVoter))
        #expect(Configuration(voters: [member(1)]).applying(.demote(member(1))) == .failure(.wouldLeaveNoVoter))
    }

    private func isAccepted(_ result: Result<LogIndex, ConfigurationRefusal>) -> Bool {
        if case .success = result { true } else { false }
    }

    /// What the predecessor granted rests on the voters it knew.
    @Test func theVotersStayWhileInheritedLeasesAreOut() {
        var bench = Bench(1, voters: [1, 2, 3], hardState: HardState(term: Term(rawValue: 1)), terms: [1])
        bench.receive(Bench.append(after: 1, term: 1, commit: 1), from: 2, term: 1)
        bench.receive(.campaignNow(CampaignNow(longestGrant: .milliseconds(250))), from: 2, term: 1)
        bench.persist()
        bench.receive(.voteReply(VoteReply(granted: true)), from: 2, term: 2)
        bench.persist()
        bench.accept(through: 2, from: 2)
        #expect(bench.raft.hasCommittedInTerm)
        #expect(bench.trial(.demote(member(3))) == .failure(.changeInProgress))
        bench.pass(.milliseconds(251))
        #expect(bench.trial(.demote(member(3))) == .success(LogIndex(rawValue: 3)))
    }

    @Test("39 a leader that removes itself sees the change through") func aLeaderSeesItsOwnRemovalThrough() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        _ = bench.propose(7)
        _ = bench.propose(.remove(member(1)))
        bench.persist()
        bench.accept(through: 2, from: 2)
        bench.accept(through: 2, from: 3)
        #expect(bench.raft.commitIndex == LogIndex(rawValue: 2))
        #expect(bench.raft.isLeader)
        bench.accept(through: 3, from: 2)
        bench.accept(through: 3, from: 3)
        #expect(!bench.raft.isLeader)
    }

    @Test func nothingIsKeptForAMemberThatIsGone() {
        var bench = Bench.leader(learners: [4])
        bench.accept(through: 1, from: 2)
        _ = bench.propose(.remove(member(4)))
        #expect(bench.raft.leadership?.progress.keys == [member(2), member(3)])
        bench.forget()
        bench.pass(.milliseconds(60))
        bench.tick()
        #expect(bench.messages(to: 4).isEmpty)
    }

    @Test func aLearnerCountsForNoCommit() {
        var bench = Bench.leader(voters: [1, 2, 3], learners: [4, 5])
        bench.accept(through: 1, from: 4)
        bench.accept(through: 1, from: 5)
        #expect(bench.raft.commitIndex == .zero)
        bench.accept(through: 1, from: 2)
        #expect(bench.raft.commitIndex == LogIndex(rawValue: 1))
    }

    /// A change takes effect where it stands in the log, and is gone when it is replaced there.
    @Test func aConfigurationFallsBackWhenItsEntryIsReplaced() {
        var bench = Bench()
        let larger = Configuration(voters: (1...4).map { member($0) })
        let change = Entry(
            index: LogIndex(rawValue: 1), term: Term(rawValue: 1), payload: .configuration(larger))
        bench.receive(Bench.append(after: 0, term: 0, [change]), from: 2, term: 1)
        #expect(bench.raft.configuration == larger)
        bench.receive(Bench.append(after: 0, term: 0, [Bench.entry(1, term: 2)]), from: 3, term: 2)
        #expect(bench.raft.configuration.voters.count == 3)
    }

    @Test func anEighthVoterIsRefusedInWords() {
        let full = Configuration(voters: (1...7).map { member($0) }, learners: [member(8)])
        #expect(full.applying(.promote(member(8))) == .failure(.tooMany))
    }
}
