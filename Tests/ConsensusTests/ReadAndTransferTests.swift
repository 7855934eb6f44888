// Linearizable reads, and leadership handed over on purpose.

import Consensus
import Testing

@Suite struct ReadAndTransferTests {
    private func member(_ number: UInt64) -> MemberID { MemberID(rawValue: number) }
    private func index(_ number: UInt64) -> LogIndex { LogIndex(rawValue: number) }

    // MARK: Transfer

    @Test("43 a successor that lags gets everything first") func aLaggingSuccessorGetsEverythingFirst() {
        var bench = Bench.leader(terms: [1, 1])
        bench.accept(through: 3, from: 2)
        let started = bench.transfer(to: 3)
        #expect(started)
        #expect(bench.messages(to: 3).orders.isEmpty)
        let proposed = bench.propose(1)
        #expect(!proposed)
        bench.accept(through: 3, from: 3)
        #expect(bench.messages(to: 3).orders.count == 1)
    }

    @Test("43 a transfer to the dead is given up") func aTransferToTheDeadIsGivenUp() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        cluster.crash(3)
        cluster.propose(1, at: 1)
        cluster.run(for: .milliseconds(100))
        let term = cluster.raft(1).term
        cluster.transfer(from: 1, to: 3)
        cluster.propose(2, at: 1)
        cluster.run(for: .seconds(1))
        cluster.propose(3, at: 1)
        cluster.run(for: .milliseconds(100))
        #expect(cluster.leader == 1)
        #expect(cluster.raft(1).term == term)
        #expect(cluster[1].state.values == [1, 3])
    }

    /// The order left, and nobody knows what became of it: the leader grants nothing more and ends its term.
    @Test("43 a transfer whose order is lost ends the term") func aTransferWhoseOrderIsLostEndsTheTerm() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        let term = cluster.raft(1).term
        cluster.network.fate = { if case .campaignNow = $0.message { .drop } else { .deliver } }
        cluster.transfer(from: 1, to: 3)
        #expect(!cluster.raft(1).holdsQuorumLease(now: cluster.reading(1)))
        // It does not wait for long: as long as it does, nobody grants anything.
        cluster.run(for: .milliseconds(110))
        #expect(!cluster.raft(1).isLeader)
        cluster.network.fate = nil
        let leader = cluster.elect()
        #expect(leader.map { cluster.raft($0).term > term } == true)
        #expect(cluster.checks.violation == nil)
    }

    @Test("43 nobody hands over to a stranger, a learner or itself") func aTransferNeedsAnotherVoter() {
        var bench = Bench.leader(learners: [4])
        for target in [1, 4, 9] as [UInt64] {
            let started = bench.transfer(to: target)
            #expect(!started)
        }
        let first = bench.transfer(to: 2)
        let second = bench.transfer(to: 3)
        #expect(first && !second)
    }

    @Test("43 a removed member is no successor") func aRemovedMemberIsNoSuccessor() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        _ = bench.propose(.remove(member(3)))
        let started = bench.transfer(to: 3)
        #expect(!started)
    }

    @Test("43 a delayed order does nothing", arguments: [4, 5] as [UInt64]) func aDelayedOrderDoesNothing(term: UInt64)
    {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 5)))
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)), from: 3, term: 5)
        bench.persist()
        bench.forget()
        bench.receive(.campaignNow(CampaignNow(longestGrant: .zero)), from: 2, term: term)
        bench.persist()
        #expect(bench.raft.role == .follower)
        #expect(bench.sent.isEmpty)
    }

    @Test("43 a hand-over takes less than a lease") func aHandOverTakesLessThanALease() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        cluster.transfer(from: 1, to: 2)
        let moved = cluster.run(within: .milliseconds(30)) { $0.settledLeader == 2 }
        #expect(moved)
    }

    // MARK: Reads

    @Test("44 no read before an entry of the own term is committed", arguments: [true, false])
    func noReadBeforeAnOwnEntryIsCommitted(mayUseLease: Bool) {
        var bench = Bench.leader(terms: [1, 1])
        bench.forget()
        bench.answerRound(from: 2)
        bench.read(1, mayUseLease: mayUseLease)
        bench.pass(.milliseconds(1))
        bench.tick()
        bench.answerRound(from: 2)
        #expect(bench.notices.isEmpty)
        bench.accept(through: 3, from: 2)
        #expect(bench.notices.contains(.readReady(ReadID(rawValue: 1), index: index(3))))
    }

    @Test("44 a round that was under way proves nothing for a read") func aReadWaitsForARoundOpenedAfterIt() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        bench.forget()
        bench.read(1, mayUseLease: false)
        bench.answerRound(from: 2)
        #expect(bench.notices.isEmpty)
        #expect(bench.raft.nextDeadline == bench.now)
        bench.tick()
        bench.answerRound(from: 2)
        #expect(bench.notices == [.readReady(ReadID(rawValue: 1), index: index(1))])
    }

    @Test func readsAreRefusedWhenLeadershipEnds() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        bench.read(1, mayUseLease: false)
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .zero, commit: .zero)), from: 2, term: 9)
        #expect(bench.notices.contains(.readRefused(ReadID(rawValue: 1))))
        bench.read(2, mayUseLease: true)
        #expect(bench.notices.contains(.readRefused(ReadID(rawValue: 2))))
    }

    /// Every millisecond somebody reads at the old leader and at the new one, while the new one commits.
    @Test(
        "45 lease reads on a slow and a fast clock",
        arguments: [(50_000, -50_000), (-50_000, 50_000), (0, 0)] as [(Int64, Int64)])
    func noLeaseReadIsStaleOnASlowOrFastClock(leader: Int64, others: Int64) {
        var timing = Timing()
        timing.driftPartsPerMillion = 50_000
        timing.promise = timing.stretched(timing.quorumLease)
        timing.electionTimeoutLeast = timing.promise
        timing.electionTimeoutMost = timing.promise + .milliseconds(60)
        var cluster = TestCluster(voters: 3, timing: timing, drift: [leader, others, others])
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        cluster.network.isolate([1])
        var value: UInt64 = 0
        for _ in 0..<1_500 {
            cluster.run(for: .milliseconds(1))
            _ = cluster.read(1, mayUseLease: true)
            if let newer = cluster.settledLeader {
                value += 1
                cluster.propose(value, at: newer)
                _ = cluster.read(newer, mayUseLease: true)
            }
        }
        #expect(cluster.leader != 1)
        #expect(cluster.checks.committed.count > 100)
        #expect(cluster.checks.violation == nil)
    }

    @Test("45 a paused guest answers no stale read") func aPausedGuestAnswersNoStaleRead() {
        var cluster = TestCluster(voters: 3, guests: [1])
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        cluster.pause(1)
        #expect(cluster.elect() != nil)
        if let leader = cluster.leader { cluster.propose(1, at: leader) }
        cluster.run(for: .seconds(1))
        cluster.resume(1)
        #expect(cluster.raft(1).holdsQuorumLease(now: cluster.reading(1)), "its clock has not noticed")
        let read = cluster.read(1, mayUseLease: false)
        cluster.run(for: .seconds(2))
        #expect(!cluster.checks.answeredReads.contains(read.rawValue))
        #expect(cluster.checks.violation == nil)
    }

    /// Its order of term 4 was on the way when it was elected again in term 5.
    @Test("43 an old order of the present leader does nothing") func anOldOrderOfThePresentLeaderDoesNothing() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 5)))
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)), from: 2, term: 5)
        bench.persist()
        bench.receive(.campaignNow(CampaignNow(longestGrant: .zero)), from: 2, term: 4)
        #expect(bench.raft.role == .follower)
        bench.receive(.campaignNow(CampaignNow(longestGrant: .zero)), from: 2, term: 5)
        #expect(bench.raft.role == .candidate)
    }

    @Test("43 a learner obeys no order") func aLearnerObeysNoOrder() {
        var bench = Bench(4, learners: [4])
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)), from: 2, term: 1)
        bench.receive(.campaignNow(CampaignNow(longestGrant: .zero)), from: 2, term: 1)
        #expect(bench.raft.role == .follower)
    }

    /// The leader's disk hangs; 2 has more of the log, and has not been heard of for long. Also where nobody is left who
    /// should lead, and the log alone would decide.
    @Test("29 leadership is handed to somebody who answers", arguments: [false, true])
    func aHangingDiskHandsOverToSomebodyWhoAnswers(onlyLastResortIsLeft: Bool) {
        var bench = Bench.leader()
        if onlyLastResortIsLeft { bench.raft.membersOfLastResort = [member(2), member(3)] }
        bench.accept(through: 1, from: 2)
        bench.accept(through: 1, from: 3)
        _ = bench.propose(7)
        bench.accept(through: 2, from: 2)
        bench.pass(.milliseconds(360))
        bench.answerRound(from: 3)
        bench.tick()
        #expect(bench.raft.leadership?.transfer?.to == member(3))
    }
}
