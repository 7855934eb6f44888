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

    /// A disk that hangs for hours while the leader goes on: what waits for it is bounded, and all of it arrives.
    @Test func writesThatWaitForAStalledDiskAreBounded() {
        var limits = Limits()
        limits.waitingWrites = 8
        var bench = Bench(limits: limits)
        for number in 1...100 as ClosedRange<UInt64> {
            bench.receive(
                Bench.append(after: number - 1, term: number == 1 ? 0 : 1, [Bench.entry(number, term: 1)]), from: 2,
                term: 1)
        }
        #expect(bench.writes.count == 8)
        #expect(bench.raft.log.lastIndex <= index(9))
        bench.persist()
        let held = bench.raft.log.lastIndex.rawValue
        bench.receive(Bench.append(after: held, term: 1, [Bench.entry(held + 1, term: 1)]), from: 2, term: 1)
        bench.persist()
        #expect(bench.messages(to: 2).appendReplies.last == .accepted(through: index(held + 1)))
        #expect(bench.raft.durability.durableIndex == index(held + 1))
    }

    /// A member that lost acknowledged entries with its disk says so at the very match point. It gets them again, and it
    /// does not make the leader send the same thing as fast as it can refuse it.
    @Test func aMemberThatLostAcknowledgedEntriesGetsThemAgain() {
        var bench = Bench.leader(terms: [1, 1, 1])
        bench.accept(through: 4, from: 2)
        _ = bench.propose(7)
        bench.pass(.milliseconds(200))
        bench.answerRound(from: 2)
        bench.forget()
        let refusal = AppendReply.refused(after: index(4), hintIndex: index(2), hintTerm: Term(rawValue: 1))
        bench.receive(.appendReply(refusal), from: 2, term: 2)
        #expect(bench.messages(to: 2).appends.map(\.previousIndex) == [index(2)])
        bench.accept(through: 5, from: 2)
        #expect(bench.raft.leadership?.progress[MemberID(rawValue: 2)]?.match == index(5))
    }

    @Test func aRefusalThatLeavesNowhereToGoIsNotAnsweredAtOnce() {
        var bench = Bench.leader()
        let refusal = AppendReply.refused(after: .zero, hintIndex: .zero, hintTerm: .zero)
        bench.forget()
        for _ in 0..<100 { bench.receive(.appendReply(refusal), from: 2, term: 1) }
        #expect(bench.messages(to: 2).appends.isEmpty)
    }

    /// Followers learn of a commit at once, not with the next heartbeat: a planned move waits for it twice.
    @Test func aCommitIsToldAtOnce() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        _ = bench.propose(7)
        bench.persist()
        bench.forget()
        bench.accept(through: 2, from: 2)
        #expect(bench.messages(to: 2).notices.map(\.commit) == [index(2)])
        bench.accept(through: 2, from: 2)
        #expect(bench.messages(to: 2).notices.count == 1)
    }

    @Test func aLeaderThatRemovedItselfTellsTheCommitBeforeItStepsDown() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        _ = bench.propose(.remove(MemberID(rawValue: 1)))
        bench.accept(through: 2, from: 3)
        bench.forget()
        bench.accept(through: 2, from: 2)
        #expect(!bench.raft.isLeader)
        #expect(bench.messages(to: 2).notices.map(\.commit) == [index(2)])
        #expect(bench.messages(to: 3).notices.map(\.commit) == [index(2)])
    }
}
