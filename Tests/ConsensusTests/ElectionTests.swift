// Elections: who votes when, and who gets to lead. The numbers are those of the simulator's list of cases.

import Consensus
import Testing

@Suite struct ElectionTests {
    private func request(last index: UInt64 = 0, term: UInt64 = 0, byTransfer: Bool = false) -> Message {
        .voteRequest(
            VoteRequest(lastIndex: LogIndex(rawValue: index), lastTerm: Term(rawValue: term), byTransfer: byTransfer))
    }

    @Test("1 a vote leaves only when term and vote are durable") func aVoteLeavesOnlyWhenItIsDurable() {
        var bench = Bench()
        bench.receive(request(), from: 2, term: 5)
        #expect(bench.sent.isEmpty)
        #expect(
            bench.writes.first?.hardState
                == HardState(term: Term(rawValue: 5), vote: MemberID(rawValue: 2), longestPromise: .zero))
        bench.persist()
        #expect(bench.messages(to: 2).votes == [true])
    }

    /// A member dies at every half millisecond of a first election, before or after any of its writes.
    @Test("1 a crash at any moment of an election", arguments: 1...3)
    func aCrashAtAnyMomentOfAnElectionElectsNobodyTwice(victim: Int) {
        for moment in 0..<40 as Range<Int64> {
            var cluster = TestCluster(voters: 3, seed: UInt64(moment))
            cluster.run(for: .microseconds(500 * moment))
            cluster.crash(victim, tearing: false)
            cluster.restart(victim)
            let recovered = cluster.run(within: .seconds(5)) { $0.hasConverged }
            #expect(recovered, "crash of \(victim) at \(moment)")
            #expect(cluster.checks.violation == nil)
        }
    }

    @Test("2 one vote per term across restarts") func oneVotePerTermAcrossRestarts() {
        var bench = Bench()
        bench.receive(request(), from: 2, term: 5)
        bench.persist()
        var restarted = Bench(hardState: bench.raft.hardState)
        restarted.receive(request(), from: 3, term: 5)
        restarted.receive(request(), from: 2, term: 5)
        restarted.persist()
        #expect(restarted.messages(to: 3).votes == [false])
        #expect(restarted.messages(to: 2).votes == [true])
    }

    @Test(
        "3 only a log that is not behind gets a vote",
        arguments: [
            (2, 1, false), (9, 1, false), (1, 2, false), (2, 2, true), (3, 2, true), (1, 3, true),
        ] as [(UInt64, UInt64, Bool)])
    func onlyALogThatIsNotBehindGetsAVote(index: UInt64, term: UInt64, granted: Bool) {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 2)), terms: [1, 2])
        let wish = PreVoteRequest(lastIndex: LogIndex(rawValue: index), lastTerm: Term(rawValue: term))
        bench.receive(.preVoteRequest(wish), from: 2, term: 5)
        bench.receive(request(last: index, term: term), from: 2, term: 5)
        bench.persist()
        #expect(bench.messages(to: 2).preVotes == [granted])
        #expect(bench.messages(to: 2).votes == [granted])
    }

    /// Entries that are not durable yet count too: they may be acknowledged before the vote is.
    @Test("3 a log that is not durable yet counts") func aLogThatIsNotDurableYetCounts() {
        var bench = Bench()
        bench.receive(Bench.append(after: 0, term: 0, [Bench.entry(1, term: 1)]), from: 2, term: 1)
        bench.receive(request(), from: 3, term: 2)
        bench.persist()
        #expect(bench.messages(to: 3).votes == [false])
    }

    @Test("4 split votes resolve", arguments: 1...10 as ClosedRange<UInt64>) func splitVotesResolve(seed: UInt64) {
        // All four start at the same moment and campaign at once.
        var cluster = TestCluster(voters: 4, seed: seed)
        let leader = cluster.elect(within: .seconds(4))
        #expect(leader != nil)
        #expect(cluster.checks.violation == nil)
    }

    @Test("5 an isolated member returns quietly") func anIsolatedMemberReturnsWithoutInflatingTerms() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        let term = cluster.raft(1).term
        cluster.network.isolate([3])
        cluster.run(for: .seconds(10))
        #expect(cluster.raft(3).term == term)
        cluster.network.heal()
        cluster.run(for: .seconds(3))
        #expect(cluster.leader == 1)
        #expect(cluster.raft(1).term == term)
    }

    /// 1 has the later term, 2 the better log: 1 must not keep 2 from winning, and cannot win itself.
    @Test("6 a later term with an older log") func aLaterTermWithAnOlderLogDoesNotWedgeTheElection() {
        var cluster = TestCluster(voters: 3)
        let log = [Bench.entry(1, term: 1), Bench.entry(2, term: 2)]
        for number in 1...3 { cluster.crash(number) }
        cluster[1].disk.preset(HardState(term: Term(rawValue: 7)), [log[0]])
        cluster[2].disk.preset(HardState(term: Term(rawValue: 2)), log)
        cluster.restart(1)
        cluster.restart(2)
        #expect(cluster.elect(within: .seconds(5)) == 2)
    }

    /// A leader whose followers have moved to a later term learns of it by its own heartbeats.
    @Test("6 a leader left behind finds out") func aLeaderOfAnOldTermFindsOut() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 5)))
        bench.receive(.heartbeat(Heartbeat(round: 3, promise: .milliseconds(320), commit: .zero)), from: 2, term: 4)
        #expect(bench.sent.map(\.term) == [Term(rawValue: 5)])
        #expect(bench.raft.promiseUntil < bench.now + .milliseconds(1))
    }

    /// Of two voters one refusal is enough, though it is no majority.
    @Test("4 an election that cannot be won any more is over") func aLostElectionIsOver() {
        var bench = Bench(voters: [1, 2])
        bench.campaign()
        #expect(bench.raft.role == .candidate)
        bench.receive(.voteReply(VoteReply(granted: false)), from: 2, term: bench.raft.term.rawValue)
        #expect(bench.raft.role == .follower)
    }

    @Test("7 a removed member cannot disrupt") func aRemovedMemberCannotDisrupt() {
        var cluster = TestCluster(voters: 4)
        cluster.establish(leader: 1)
<<<<<<< HEAD
        // It may have been handed leadership, and the voters stay while inherited leases are out.
        cluster.run(for: .milliseconds(500))
=======
        // A leader that was handed the office changes no voter before its predecessor's leases have ended.
        cluster.run(for: .milliseconds(700))
>>>>>>> raftalone
        cluster.network.isolate([4])
        let removed = cluster.change(.remove(MemberID(rawValue: 4)), at: 1)
        #expect(throws: Never.self) { try removed.get() }
        cluster.run(for: .seconds(1))
        let term = cluster.raft(1).term
        #expect(cluster.raft(1).configuration.voters.count == 3)
        cluster.network.heal()
        cluster.run(for: .seconds(10))
        #expect(cluster.leader == 1)
        #expect(cluster.raft(1).term == term)
        #expect(cluster.raft(4).configuration.isVoter(MemberID(rawValue: 4)))
    }

    /// Within its promise a voter does not even take the candidate's term over: that would depose its leader.
    @Test("7 a voter keeps its promise") func aVoterKeepsItsPromise() {
        var bench = Bench()
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)), from: 2, term: 1)
        bench.persist()
        bench.forget()
        bench.pass(.milliseconds(319))
        bench.receive(request(last: 9, term: 1), from: 3, term: 2)
        bench.receive(
            .preVoteRequest(PreVoteRequest(lastIndex: .greatest, lastTerm: bench.raft.term)), from: 3, term: 2)
        bench.persist()
        #expect(bench.raft.term == Term(rawValue: 1))
        #expect(bench.messages(to: 3).votes.isEmpty)
        #expect(bench.messages(to: 3).preVotes == [false])
        bench.receive(request(last: 9, term: 1, byTransfer: true), from: 3, term: 2)
        bench.persist()
        #expect(bench.messages(to: 3).votes == [true])
    }

    /// A leader stands behind its own rounds like any voter, also after it stepped down.
    @Test("7 a leader keeps the promise it gave itself") func aLeaderKeepsThePromiseItGaveItself() {
        var bench = Bench.leader()
        bench.pass(.milliseconds(319))
        bench.receive(request(last: 9, term: 9), from: 3, term: 2)
        #expect(bench.raft.isLeader)
        bench.pass(.milliseconds(2))
        bench.receive(request(last: 9, term: 9), from: 3, term: 2)
        #expect(!bench.raft.isLeader)
    }

    @Test("8 a leader without quorum stops serving within Q") func aLeaderWithoutQuorumStopsServing() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        #expect(cluster.raft(1).holdsQuorumLease(now: cluster.reading(1)))
        cluster.network.isolate([1])
        cluster.run(for: cluster.timing.quorumLease)
        #expect(cluster.raft(1).isLeader)
        #expect(!cluster.raft(1).holdsQuorumLease(now: cluster.reading(1)))
        let read = cluster.read(1, mayUseLease: true)
        cluster.run(for: .seconds(2))
        #expect(!cluster.raft(1).isLeader)
        #expect(!cluster.checks.answeredReads.contains(read.rawValue))
    }

    @Test("9 one-way cuts", arguments: [true, false]) func aOneWayCutCostsALeaderAndNoMore(outward: Bool) {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        for other in 2...3 {
            if outward { cluster.network.cut(from: 1, to: other) } else { cluster.network.cut(from: other, to: 1) }
        }
        let replaced = cluster.run(within: .seconds(4)) { ($0.settledLeader ?? 1) != 1 }
        #expect(replaced)
        let leader = cluster.leader
        let term = leader.map { cluster.raft($0).term }
        cluster.run(for: .seconds(10))
        #expect(cluster.leader == leader)
        #expect(leader.map { cluster.raft($0).term } == term)
        #expect(cluster.checks.violation == nil)
    }

    @Test("11 stale vote answers are ignored") func staleVoteAnswersAreIgnored() {
        var bench = Bench()
        bench.campaign()
        bench.campaign()
        #expect(bench.raft.term == Term(rawValue: 2))
        bench.receive(.voteReply(VoteReply(granted: true)), from: 2, term: 1)
        bench.receive(.voteReply(VoteReply(granted: true)), from: 3, term: 1)
        #expect(bench.raft.role == .candidate)
        bench.receive(.voteReply(VoteReply(granted: true)), from: 3, term: 2)
        #expect(bench.raft.isLeader)
        #expect(bench.raft.term == Term(rawValue: 2))
    }

    @Test("11 votes of strangers are not counted") func votesOfStrangersAreNotCounted() {
        var bench = Bench()
        bench.campaign()
        for stranger in 10...20 as ClosedRange<UInt64> {
            bench.receive(.voteReply(VoteReply(granted: true)), from: stranger, term: 1)
        }
        #expect(bench.raft.role == .candidate)
    }

    /// The candidate's configuration may be newer than the voter's.
    @Test("12 a learner that is a voter elsewhere votes") func aLearnerThatIsAVoterElsewhereVotes() {
        var bench = Bench(4, learners: [4])
        bench.receive(.preVoteRequest(PreVoteRequest(lastIndex: .zero, lastTerm: .zero)), from: 2, term: 1)
        bench.receive(request(), from: 2, term: 1)
        bench.persist()
        #expect(bench.messages(to: 2).preVotes == [true])
        #expect(bench.messages(to: 2).votes == [true])
    }

    /// Were it otherwise, a crash before the write would let the same member lead the same term twice, and its learners
    /// would keep what the first leadership sent them.
    @Test func aLoneVoterLeadsOnlyWhenItsOwnVoteIsDurable() {
        var bench = Bench(voters: [1], learners: [2])
        bench.pass(.milliseconds(700))
        bench.tick()
        #expect(!bench.raft.isLeader)
        #expect(bench.messages(to: 2).isEmpty)
        bench.persist(1)
        #expect(bench.raft.isLeader)
        #expect(!bench.messages(to: 2).isEmpty)
    }

    @Test func aMemberOfLastResortLeadsWhenNobodyElseCan() {
        var cluster = TestCluster(voters: 3, ranks: [.preferred, .preferred, .lastResort])
        cluster.establish(leader: 1)
        cluster.crash(1)
        #expect(cluster.elect(within: .seconds(3)) == 2)
        cluster.crash(2)
        cluster.run(for: .seconds(1))
        cluster.restart(1)
        cluster.crash(1)
        cluster.restart(2)
        #expect(cluster.elect(within: .seconds(3)) != nil)
    }

    /// An answer to an earlier campaign says nothing of the present log and the present promises.
    @Test("11 stale pre-vote answers are ignored") func stalePreVoteAnswersAreIgnored() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 4)))
        bench.pass(.milliseconds(700))
        bench.tick()
        #expect(bench.raft.role == .preCandidate)
        bench.receive(.preVoteReply(PreVoteReply(granted: true)), from: 2, term: 4)
        #expect(bench.raft.role == .preCandidate)
        #expect(bench.raft.term == Term(rawValue: 4))
        bench.receive(.preVoteReply(PreVoteReply(granted: true)), from: 2, term: 5)
        #expect(bench.raft.role == .candidate)
    }

    @Test func aMemberWhoseDiskHangsDoesNotCampaign() {
        var bench = Bench()
        bench.receive(Bench.append(after: 0, term: 0, [Bench.entry(1, term: 1)]), from: 2, term: 1)
        bench.forget()
        bench.pass(.seconds(1))
        bench.tick()
        #expect(bench.raft.role == .follower)
        #expect(bench.sent.isEmpty)
        bench.persist()
        bench.forget()
        bench.pass(.seconds(1))
        bench.tick()
        #expect(bench.raft.role == .preCandidate)
    }

    /// Were it otherwise, a witness would win every other election, and hand over each time.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func amongHostsThatCanLeadTheWitnessNeverDoes(seed: UInt64) {
        var cluster = TestCluster(voters: 3, seed: seed, ranks: [.preferred, .preferred, .lastResort])
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        cluster.crash(1)
        #expect(cluster.elect(within: .seconds(3)) == 2)
    }
}
