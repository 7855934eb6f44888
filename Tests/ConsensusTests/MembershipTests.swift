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
}
