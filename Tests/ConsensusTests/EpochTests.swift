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

    /// Two survivors that know nothing of each other begin at the same index. Were their entries of one term, each would take
    /// the other's for its own.
    @Test(arguments: [(3, 9), (9, 3), (4, 4)] as [(UInt64, UInt64)])
    func theHigherOfTwoEpochsHasTheLaterTerm(terms: (UInt64, UInt64)) {
        let (lower, higher) = (Epoch.first.next(drawn: 5), Epoch.first.next(drawn: 6))
        var (one, other) = (Bench(1), Bench(1))
        one.begin(lower, voters: [1, 2], after: terms.0)
        other.begin(higher, voters: [1, 2], after: terms.1)
        #expect(one.raft.log.lastTerm < other.raft.log.lastTerm)
        // Nobody is elected that far by trying.
        #expect(one.raft.term.rawValue > 9 + UInt64(UInt32.max) / 2)
        // A further recovery is later than either, whatever it draws.
        var next = Bench(1)
        next.begin(lower.next(drawn: 0), voters: [1], after: other.raft.term.rawValue + 7)
        #expect(next.raft.term > other.raft.term)
    }

    /// A member that began, or followed, the lower of two epochs and takes over the higher one.
    private func follower(committed: Bool) -> Bench {
        var bench = Bench(1, voters: [1, 2, 3], hardState: HardState(term: Term(rawValue: 4)), terms: [3, 4])
        bench.begin(second, voters: committed ? [1] : [1, 2], after: 4)
        bench.persist()
        if committed {
            bench.pass(.seconds(1))
            bench.tick()
            bench.persist()
            #expect(bench.raft.commitIndex == LogIndex(rawValue: 5))
        }
        return bench
    }

    private func beginning(of epoch: Epoch) -> (term: UInt64, entries: [Entry]) {
        var other = Bench(2, voters: [1, 2, 3], hardState: HardState(term: Term(rawValue: 4)), terms: [3, 4])
        other.begin(epoch, voters: [1, 2], after: 4)
        return (
            other.raft.term.rawValue, Array(other.raft.log.slice(LogIndex(rawValue: 3), through: LogIndex(rawValue: 4)))
        )
    }

    @Test func whatOneOfTwoRecoveriesWroteIsReplacedByTheOther() {
        var bench = follower(committed: false)
        let third = Epoch.first.next(drawn: 6)
        let (term, entries) = beginning(of: third)
        #expect(!bench.raft.contradicts(third))
        bench.adopt(third)
        bench.forget()
        // Its own entries stand at the same place, and are not taken for the leader's.
        let probe = Bench.append(after: 4, term: term)
        bench.handle(envelope(probe, from: 2, term: term + 1, epoch: third))
        bench.persist()
        guard case .refused(_, let hint, _)? = bench.messages(to: 2).appendReplies.first else {
            Issue.record("an append behind another epoch's entries was taken")
            return
        }
        #expect(hint.rawValue == 4)
        bench.handle(envelope(Bench.append(after: 2, term: 4, entries), from: 2, term: term + 1, epoch: third))
        bench.persist()
        #expect(bench.raft.log.slice(LogIndex(rawValue: 3), through: LogIndex(rawValue: 4)).elementsEqual(entries))
        #expect(bench.raft.knowsItsEpoch)
        #expect(!bench.notices.contains(.epochContradicts))
    }

    /// What was committed stays. So the two can never be one again, which a person has to know.
    @Test func whatOneOfTwoRecoveriesCommittedEndsInWords() {
        var bench = follower(committed: true)
        let third = Epoch.first.next(drawn: 6)
        let (term, entries) = beginning(of: third)
        #expect(bench.raft.contradicts(third))
        #expect(!bench.raft.contradicts(second) && !bench.raft.contradicts(second.next(drawn: 0)))
        bench.adopt(third)
        bench.handle(envelope(Bench.append(after: 2, term: 4, entries), from: 2, term: term + 1, epoch: third))
        bench.persist()
        #expect(bench.notices.contains(.epochContradicts))
        #expect(bench.raft.log.lastIndex == LogIndex(rawValue: 5))
        #expect(bench.messages(to: 2).appendReplies.isEmpty)
    }

    /// Leases of the leader before may live where this one has not heard of it for long. Its election proves nothing about
    /// them: no majority of before had a part in it.
    @Test func theFirstLeaderOfAnEpochWaitsForTheLeasesOfTheOneBefore() {
        let hardState = HardState(term: Term(rawValue: 4), longestPromise: .seconds(21))
        var bench = Bench(1, voters: [1, 2, 3], hardState: hardState, terms: [3, 4])
        bench.pass(.seconds(60))
        bench.begin(second, voters: [1], after: 4)
        bench.persist()
        bench.tick()
        bench.persist()
        let elected = bench.now
        while bench.now - elected < .seconds(22) {
            #expect(bench.raft.isLeader)
            let isOver = bench.raft.leaseIsCertainlyOver(member(2), now: bench.now)
            #expect(isOver == (bench.now - elected > .seconds(21)))
            bench.pass(.milliseconds(50))
            bench.tick()
            bench.persist()
        }
        #expect(bench.raft.leaseIsCertainlyOver(member(2), now: bench.now))
    }

    /// The next one was elected by a majority of its members, as ever.
    @Test func aLaterLeaderOfAnEpochDoesNotWait() {
        let members = Configuration(voters: [member(1), member(2)], epoch: second)
        var bench = Bench(1, hardState: HardState(term: Term(rawValue: 4), longestPromise: .seconds(21), epoch: second))
        bench.handle(
            envelope(
                Bench.append(
                    after: 0, term: 0,
                    [Entry(index: LogIndex(rawValue: 1), term: Term(rawValue: 4), payload: .configuration(members))],
                    commit: 1), from: 2, term: 4, epoch: second))
        bench.persist()
        bench.pass(.seconds(60))
        bench.tick()
        for message in [
            Message.preVoteReply(PreVoteReply(granted: true)), .voteReply(VoteReply(granted: true)),
        ] {
            bench.handle(envelope(message, from: 2, term: 5, epoch: second))
            bench.persist()
        }
        #expect(bench.raft.isLeader)
        #expect(bench.raft.leaseIsCertainlyOver(member(2), now: bench.now))
    }
}
