// Elections: who votes when, and who gets to lead.

import Consensus
import Testing

@Suite struct ElectionTests {
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
}
