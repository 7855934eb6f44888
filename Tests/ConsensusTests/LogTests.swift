// The log: what is accepted, what counts as durable, and what is committed.

import Consensus
import Testing

@Suite struct LogTests {
    private func index(_ number: UInt64) -> LogIndex { LogIndex(rawValue: number) }

    /// A torn write may leave entries without the term that came with them.
    @Test func aLogAheadOfTheTermRaisesTheTerm() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 1), vote: MemberID(rawValue: 3)), terms: [1, 4])
        #expect(bench.raft.term == Term(rawValue: 4))
        #expect(bench.raft.hardState.vote == nil)
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .zero, commit: .zero)), from: 2, term: 4)
        #expect(bench.sent.isEmpty)
        #expect(bench.writes.first?.hardState?.term == Term(rawValue: 4))
        bench.persist()
        #expect(bench.messages(to: 2).count == 1)
    }
}
