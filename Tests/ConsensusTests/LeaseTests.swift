// The chain of leases and its four traps, message by message on one member, and on whole clusters.

import Consensus
import Testing

@Suite struct LeaseTests {
    private func request(_ bench: Bench) -> LeaseRequest { LeaseRequest(stamp: bench.now, incarnation: 9) }

    /// A successor that waits for its predecessor's leases hands leadership on: the next one must wait as long.
    @Test func aSecondTransferPassesOnWhatTheFirstLeftOut() throws {
        var bench = Bench(1, hardState: HardState(term: Term(rawValue: 1)), terms: [1])
        bench.receive(Bench.append(after: 1, term: 1, commit: 1), from: 2, term: 1)
        bench.receive(.campaignNow(CampaignNow(longestGrant: .milliseconds(250))), from: 2, term: 1)
        bench.persist()
        bench.receive(.voteReply(VoteReply(granted: true)), from: 2, term: 2)
        #expect(bench.raft.isLeader)
        bench.pass(.milliseconds(10))
        bench.accept(through: 2, from: 3)
        let started = bench.transfer(to: 3)
        #expect(started)
        let order = try #require(bench.messages(to: 3).orders.first)
        #expect(order.longestGrant >= .milliseconds(240))
    }
}
