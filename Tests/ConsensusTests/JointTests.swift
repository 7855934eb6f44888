// Several voters exchanged at once (Ongaro 4.3): what needs both majorities, when a joint configuration is left, and
// what becomes of it when the leader is lost on the way.

import Consensus
import Testing

@Suite struct JointTests {
    private func member(_ number: UInt64) -> MemberID { MemberID(rawValue: number) }
    private func members(_ numbers: UInt64...) -> [MemberID] { numbers.map(MemberID.init) }

    /// A leader of {1, 2, 3} that has just exchanged 2 and 3 for 4 and 5.
    private func exchanging() -> Bench {
        var bench = Bench.leader(voters: [1, 2, 3], learners: [4, 5])
        for number in 2...5 as ClosedRange<UInt64> {
            bench.accept(through: 1, from: number)
            bench.answerRound(from: number)
        }
        let change = bench.propose(.exchangeVoters(for: members(1, 4, 5), removing: members(3)))
        #expect(change == .success(LogIndex(rawValue: 2)))
        bench.persist()
        return bench
    }

    @Test func anExchangeNeedsBothMajoritiesToCommit() {
        var old = exchanging()
        old.accept(through: 2, from: 2)
        old.accept(through: 2, from: 3)
        #expect(old.raft.commitIndex == LogIndex(rawValue: 1))
        old.accept(through: 2, from: 4)
        #expect(old.raft.commitIndex == LogIndex(rawValue: 2))
        var new = exchanging()
        new.accept(through: 2, from: 4)
        new.accept(through: 2, from: 5)
        #expect(new.raft.commitIndex == LogIndex(rawValue: 1))
        new.accept(through: 2, from: 3)
        #expect(new.raft.commitIndex == LogIndex(rawValue: 2))
    }

    /// Members of both sides are asked, and one side alone elects nobody.
    @Test(arguments: [[2, 3], [4, 5]] as [[UInt64]]) func oneSideElectsNobody(_ side: [UInt64]) {
        let joint = Configuration(voters: members(1, 4, 5), outgoingVoters: members(1, 2, 3))
        let change = Entry(index: LogIndex(rawValue: 1), term: Term(rawValue: 1), payload: .configuration(joint))
        var bench = Bench(1, voters: [1, 2, 3], learners: [4, 5])
        bench.receive(Bench.append(after: 0, term: 0, [change]), from: 2, term: 1)
        bench.persist()
        bench.pass(.milliseconds(700))
        bench.tick()
        let asked = (2...5 as ClosedRange<UInt64>).filter { number in
            bench.messages(to: number).contains { if case .preVoteRequest = $0 { true } else { false } }
        }
        #expect(asked == [2, 3, 4, 5])
        for voter in side { bench.receive(.preVoteReply(PreVoteReply(granted: true)), from: voter, term: 2) }
        #expect(bench.raft.role == .preCandidate)
        let other = side == [2, 3] ? 4 : 2 as UInt64
        bench.receive(.preVoteReply(PreVoteReply(granted: true)), from: other, term: 2)
        #expect(bench.raft.role == .candidate)
        bench.persist()
        for voter in side { bench.receive(.voteReply(VoteReply(granted: true)), from: voter, term: 2) }
        #expect(bench.raft.role == .candidate)
        bench.receive(.voteReply(VoteReply(granted: true)), from: other, term: 2)
        #expect(bench.raft.isLeader)
    }

    /// Neither the leader's own lease nor a read rests on one side alone.
    @Test(arguments: [[2, 3], [4, 5]] as [[UInt64]]) func oneSideGivesNoLeaseAndNoRead(_ side: [UInt64]) {
        var bench = exchanging()
        bench.pass(.milliseconds(301))
        bench.tick()
        bench.forget()
        #expect(!bench.raft.holdsQuorumLease(now: bench.now))
        bench.read(1, mayUseLease: true)
        bench.tick()
        for voter in side { bench.answerRound(from: voter) }
        #expect(!bench.raft.holdsQuorumLease(now: bench.now))
        #expect(!bench.notices.contains(.readReady(ReadID(rawValue: 1), index: bench.raft.commitIndex)))
        bench.answerRound(from: side == [2, 3] ? 4 : 2)
        #expect(bench.raft.holdsQuorumLease(now: bench.now))
        #expect(bench.notices.contains(.readReady(ReadID(rawValue: 1), index: bench.raft.commitIndex)))
    }

    /// Left when it is committed and no lease rests on the old voters alone; then 2 learns, 3 is gone.
    @Test func aJointConfigurationIsLeftWhenItIsCommittedAndALeaseHasPassed() {
        var bench = exchanging()
        #expect(bench.raft.configuration.isJoint)
        // Not committed, however long it takes.
        bench.pass(.milliseconds(350))
        bench.tick()
        #expect(bench.raft.configuration.isJoint)
        bench = exchanging()
        bench.accept(through: 2, from: 2)
        bench.accept(through: 2, from: 4)
        // Committed; a lease that {1, 2} stand behind lives, and {4, 5} could elect somebody without either.
        bench.tick()
        #expect(bench.raft.configuration.isJoint)
        #expect(bench.trial(.addLearner(member(9))) == .failure(.changeInProgress))
        bench.pass(.milliseconds(200))
        bench.tick()
        #expect(bench.raft.configuration.isJoint)
        for number in [2, 4] as [UInt64] { bench.answerRound(from: number) }
        bench.pass(.milliseconds(101))
        bench.tick()
        #expect(bench.raft.configuration == Configuration(voters: members(1, 4, 5), learners: members(2)))
        #expect(bench.raft.configurationIndex == LogIndex(rawValue: 3))
        #expect(bench.raft.leadership?.progress.keys == members(2, 4, 5))
        #expect(bench.raft.leadership?.progress[member(2)]?.match == LogIndex(rawValue: 2))
        // From here on the new voters decide alone.
        bench.persist()
        bench.accept(through: 3, from: 5)
        #expect(bench.raft.commitIndex == LogIndex(rawValue: 3))
        #expect(bench.trial(.demote(member(5))) == .failure(.changeInProgress))
        bench.pass(.milliseconds(200))
        #expect(bench.trial(.demote(member(5))) == .success(LogIndex(rawValue: 4)))
    }

    /// A predecessor's joint entry is committed under both majorities before it is left: an entry that leaves it, put behind
    /// it at once, would commit both under the new voters alone.
    @Test func aNewLeaderCommitsTheJointConfigurationItFoundBeforeItLeavesIt() {
        let joint = Configuration(voters: members(1, 4, 5), outgoingVoters: members(1, 2, 3))
        let change = Entry(index: LogIndex(rawValue: 1), term: Term(rawValue: 1), payload: .configuration(joint))
        var bench = Bench(1, voters: [1, 2, 3], learners: [4, 5])
        bench.receive(Bench.append(after: 0, term: 0, [change]), from: 2, term: 1)
        bench.persist()
        bench.pass(.milliseconds(700))
        bench.tick()
        for voter in [2, 4] as [UInt64] {
            bench.receive(.preVoteReply(PreVoteReply(granted: true)), from: voter, term: 2)
        }
        bench.persist()
        for voter in [2, 4] as [UInt64] {
            bench.receive(.voteReply(VoteReply(granted: true)), from: voter, term: 2)
        }
        bench.persist()
        #expect(bench.raft.isLeader)
        bench.accept(through: 2, from: 4)
        bench.accept(through: 2, from: 5)
        #expect(bench.raft.commitIndex == .zero)
        #expect(bench.raft.configuration.isJoint)
        bench.accept(through: 2, from: 3)
        #expect(bench.raft.commitIndex == LogIndex(rawValue: 2))
        // Its election proves that every lease of its predecessor is over, and it has given none.
        #expect(!bench.raft.configuration.isJoint)
    }

    /// A leader that gives its own vote away sees both steps through, and steps down when the second is committed.
    @Test func aLeaderThatIsOnItsWayOutLeavesAfterTheLastStep() {
        var bench = Bench.leader(voters: [1, 2, 3], learners: [4, 5])
        for number in 2...5 as ClosedRange<UInt64> {
            bench.accept(through: 1, from: number)
            bench.answerRound(from: number)
        }
        _ = bench.propose(.exchangeVoters(for: members(4, 5), removing: members(1)))
        bench.persist()
        for number in 2...5 as ClosedRange<UInt64> { bench.accept(through: 2, from: number) }
        bench.pass(.milliseconds(301))
        bench.tick()
        bench.persist()
        #expect(bench.raft.isLeader)
        bench.accept(through: 3, from: 4)
        #expect(bench.raft.isLeader)
        bench.accept(through: 3, from: 5)
        #expect(!bench.raft.isLeader)
        #expect(bench.raft.commitIndex == LogIndex(rawValue: 3))
    }

    @Test func anExchangeIsCheckedBeforeItIsMade() {
        let old = Configuration(voters: members(1, 2, 3), learners: members(4, 5))
        func refusal(_ voters: [MemberID], removing: [MemberID] = []) -> ConfigurationRefusal? {
            if case .failure(let why) = old.applying(.exchangeVoters(for: voters, removing: removing)) {
                why
            } else {
                nil
            }
        }
        #expect(refusal([]) == .wouldLeaveNoVoter)
        #expect(refusal(members(1, 9)) == .unknownMember)
        #expect(refusal(members(1, 4, 4)) == .unknownMember)
        #expect(refusal(members(1, 4), removing: members(4)) == .unknownMember)
        #expect(refusal(members(1, 4), removing: members(9)) == .unknownMember)
        #expect(refusal(members(3, 2, 1)) == .nothingToChange)
        #expect(refusal((1...8).map { member($0) }) == .tooMany)
        #expect(refusal(members(1, 4, 5)) == nil)
        let twice = Configuration.isWellFormed(
            voters: members(1), learners: members(2), outgoingVoters: members(2), learnersNext: [])
        #expect(!twice)
        #expect(
            !Configuration.isWellFormed(
                voters: members(1), learners: [], outgoingVoters: members(1, 2), learnersNext: members(1)))
        #expect(!Configuration.isWellFormed(voters: [], learners: [], outgoingVoters: members(1), learnersNext: []))
    }

    @Test func onlyCaughtUpLearnersAreExchangedIn() {
        var bench = Bench.leader(learners: [4, 5], terms: Array(repeating: 1, count: 100))
        bench.accept(through: 101, from: 2)
        bench.accept(through: 101, from: 4)
        bench.accept(through: 20, from: 5)
        #expect(bench.trial(.exchangeVoters(for: members(1, 4, 5), removing: [])) == .failure(.notCaughtUp))
        bench.accept(through: 101, from: 5)
        #expect(
            bench.trial(.exchangeVoters(for: members(1, 4, 5), removing: [])) == .success(LogIndex(rawValue: 102)))
    }

    /// One that cannot read it would stand still at it until it is upgraded.
    @Test func noExchangeWhileSomebodyCouldNotReadIt() {
        var bench = Bench.leader(learners: [4, 5])
        for number in 2...5 as ClosedRange<UInt64> { bench.accept(through: 1, from: number) }
        let exchange = ConfigurationChange.exchangeVoters(for: members(1, 4, 5), removing: [])
        #expect(bench.trial(exchange) == .success(LogIndex(rawValue: 2)))
        let round = bench.raft.leadership?.quorumLease.round ?? 0
        func answer(_ knows: Bool) -> Message {
            .heartbeatReply(HeartbeatReply(round: round, leaseAsked: nil, knowsJointConfigurations: knows))
        }
        bench.receive(answer(false), from: 3, term: 1)
        #expect(bench.trial(exchange) == .failure(.notKnownToAll))
        #expect(bench.trial(.promote(member(4))) == .success(LogIndex(rawValue: 2)))
        // It was upgraded.
        bench.receive(answer(true), from: 3, term: 1)
        #expect(bench.trial(exchange) == .success(LogIndex(rawValue: 2)))
    }

    /// The leader is lost at every moment of an exchange of all voters but one, and comes back; whoever leads then carries
    /// the exchange through or has never heard of it, and nothing that was acknowledged is lost.
    @Test("38 the leader is lost in each phase of an exchange", arguments: [false, true])
    func theLeaderIsLostInEachPhase(_ isOnItsWayOut: Bool) {
        for step in 0..<60 {
            var cluster = TestCluster(voters: 3, spares: 2, seed: UInt64(step + 1))
            cluster.establish(leader: 1)
            for number in 4...5 as ClosedRange<UInt64> {
                _ = cluster.change(.addLearner(member(number)), at: 1)
                cluster.run(for: .milliseconds(400))
            }
            cluster.propose(7, at: 1)
            let voters = isOnItsWayOut ? members(3, 4, 5) : members(1, 4, 5)
            let change = cluster.change(.exchangeVoters(for: voters, removing: members(2)), at: 1)
            #expect(throws: Never.self) { try change.get() }
            // From before anybody has heard of it to long after it is over; members are told of it at different times.
            cluster.run(for: .microseconds(Int64(step) * 12_000))
            cluster.crash(1)
            cluster.run(for: .seconds(2))
            cluster.restart(1)
            let settled = cluster.run(within: .seconds(10)) { $0.hasConverged && $0.settledLeader != nil }
            cluster.run(for: .seconds(1))
            #expect(settled, "step \(step)")
            #expect(cluster.checks.violation == nil, "step \(step)")
            let end = cluster.leader.map { cluster.raft($0).configuration }
            #expect(end?.isJoint == false, "step \(step)")
            #expect([voters, members(1, 2, 3)].contains(end?.voters), "step \(step): \(String(describing: end))")
        }
    }

    /// What is in a snapshot may be joint too, and whoever begins with it leaves it when it leads.
    @Test func aJointConfigurationSurvivesInASnapshot() {
        let joint = Configuration(voters: members(1, 4, 5), outgoingVoters: members(1, 2, 3), learnersNext: members(3))
        let snapshot = Snapshot(
            mark: SnapshotMark(index: LogIndex(rawValue: 9), term: Term(rawValue: 2), configuration: joint), bytes: [1])
        var random = SplitMix64(seed: 1)
        var raft = Raft(
            id: member(1), cluster: TestCluster.identity, timing: Timing(), rank: .preferred, incarnation: 1,
            hardState: HardState(term: Term(rawValue: 2)), snapshot: snapshot, entries: [],
            initialConfiguration: Configuration(voters: []), now: .zero)
        #expect(raft.configuration == joint)
        raft.handle(.tick, now: Instant(nanoseconds: 900_000_000), random: &random)
        #expect(raft.role == .preCandidate)
        #expect(raft.configuration.left.learners == members(3))
    }
}
