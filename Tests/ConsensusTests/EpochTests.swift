// Epochs: nothing of one counts in another, and whoever knows only the members of the last one is elected by nobody.

import Consensus
import Testing

@Suite struct EpochTests {
    private let second = Epoch.first.next(drawn: 5)

    private func member(_ number: UInt64) -> MemberID { MemberID(rawValue: number) }

    private func envelope(_ message: Message, from: UInt64, term: UInt64, epoch: Epoch) -> Input {
        .received(
            Envelope(
                cluster: TestCluster.identity, from: member(from), to: member(1), term: Term(rawValue: term),
                message: message, epoch: epoch))
    }

    @Test func epochsAreOrderedByTheirNumberFirst() {
        #expect(Epoch.first < second)
        #expect(second.next(drawn: 0) > Epoch.first.next(drawn: .max))
        #expect("\(second)" == "1 (00000005)")
        #expect("\(Epoch.first)" == "0")
    }

    @Test func nothingOfAnotherEpochIsListenedTo() {
        var bench = Bench()
        let request = Message.voteRequest(VoteRequest(lastIndex: .zero, lastTerm: .zero, byTransfer: false))
        bench.handle(envelope(request, from: 2, term: 5, epoch: second))
        #expect(bench.raft.term == .zero)
        bench.handle(envelope(request, from: 2, term: 5, epoch: .first))
        #expect(bench.raft.term == Term(rawValue: 5))
        bench.adopt(second)
        bench.persist()
        bench.forget()
        bench.handle(envelope(request, from: 2, term: 6, epoch: .first))
        #expect(bench.raft.term == Term(rawValue: 5))
        bench.handle(envelope(request, from: 2, term: 6, epoch: second))
        bench.persist()
        #expect(bench.sent.allSatisfy { $0.epoch == second })
        #expect(bench.messages(to: 2).votes == [true])
    }

    /// It was told of the epoch and not yet of its members. By those of the last one, the dead could elect it.
    @Test func whoKnowsNoMembersOfItsEpochDoesNotCampaign() {
        var bench = Bench()
        bench.adopt(second)
        bench.persist()
        bench.pass(.seconds(2))
        bench.tick()
        #expect(bench.raft.role == .follower)
        let members = Configuration(voters: [member(1), member(2)], epoch: second)
        let entry = Entry(index: LogIndex(rawValue: 1), term: Term(rawValue: 1), payload: .configuration(members))
        bench.handle(envelope(Bench.append(after: 0, term: 0, [entry]), from: 2, term: 1, epoch: second))
        bench.persist()
        bench.pass(.seconds(2))
        bench.tick()
        #expect(bench.raft.role == .preCandidate)
    }

    /// A disk that forgot term, vote and epoch, and not its snapshot or log.
    @Test func aConfigurationShowsTheEpochThatTheDiskForgot() {
        let members = Configuration(voters: [member(1), member(2)], epoch: second)
        func start(_ hardState: HardState) -> Raft {
            Raft(
                id: member(1), cluster: TestCluster.identity, timing: Timing(), rank: .preferred, incarnation: 7,
                hardState: hardState,
                entries: [
                    Entry(index: LogIndex(rawValue: 1), term: Term(rawValue: 1), payload: .configuration(members))
                ], initialConfiguration: Configuration(voters: []), now: .zero)
        }
        #expect(start(HardState(memory: .lost)).epoch == second)
        let later = second.next(drawn: 1)
        #expect(start(HardState(epoch: later)).epoch == later)
    }

    /// Epoch, configuration and record are in one write, before anything is said.
    @Test func anEpochBeginsInOneWrite() {
        var bench = Bench(1, voters: [1, 2, 3], hardState: HardState(term: Term(rawValue: 4)), terms: [3, 4])
        bench.begin(second, voters: [1], after: 9)
        #expect(bench.writes.count == 1)
        #expect(bench.writes.first?.hardState?.epoch == second)
        #expect(bench.writes.first?.hardState?.term == Term(rawValue: 1 << 32 | 5))
        #expect(bench.writes.first?.entries.map(\.index.rawValue) == [3, 4])
        #expect(bench.sent.isEmpty)
        bench.persist()
        bench.pass(.seconds(1))
        bench.tick()
        bench.persist()
        #expect(bench.raft.isLeader)
        #expect(bench.raft.commitIndex == LogIndex(rawValue: 5))
        #expect(bench.raft.configuration == Configuration(voters: [member(1)], epoch: second))
        // What follows stays in the epoch.
        #expect(bench.trial(.addLearner(member(4))) == .success(LogIndex(rawValue: 6)))
        _ = bench.propose(.addLearner(member(4)))
        #expect(bench.raft.configuration.epoch == second)
    }
}
