// A disk that was set back, or exists twice: whoever speaks from it is refused, and knows what to do.

import Consensus
import Testing

@Suite struct DiskStartTests {
    private let first = DiskStart(number: 4, nonce: 1)
    private let second = DiskStart(number: 5, nonce: 2)

    private func index(_ value: UInt64) -> LogIndex { LogIndex(rawValue: value) }
    private func heartbeat(_ round: UInt64 = 1) -> Message {
        .heartbeat(Heartbeat(round: round, promise: .milliseconds(300), commit: .zero))
    }
    private let request = VoteRequest(
        lastIndex: LogIndex(rawValue: 9), lastTerm: Term(rawValue: 9), byTransfer: false)

    @Test func startsFollowEachOther() {
        #expect(!first.isOver(since: first))
        #expect(first.isOver(since: second))
        #expect(!second.isOver(since: first))
        #expect(DiskStart(number: 5, nonce: 3).isOver(since: second))
        #expect(DiskStart.none.isOver(since: first))
    }

    @Test("27 nobody votes for a member whose disk was set back") func aCandidateFromAnOldDiskGetsNoVote() {
        var bench = Bench()
        bench.pass(.seconds(2))
        bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: 2, term: 1, start: second)
        bench.receive(.voteRequest(request), from: 2, term: 9, start: first)
        bench.persist()
        #expect(bench.messages(to: 2).votes.isEmpty)
        #expect(bench.messages(to: 2).overs == [StartIsOver(known: second, isAlive: false)])
        #expect(bench.raft.term.rawValue < 9)
        bench.receive(.voteRequest(request), from: 2, term: 9, start: DiskStart(number: 6, nonce: 3))
        bench.persist()
        #expect(bench.messages(to: 2).votes == [true])
    }

    @Test func aVoteFromAnOldDiskIsNotCounted() {
        var bench = Bench()
        bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: 2, term: 1, start: second)
        bench.persist()
        bench.campaign()
        let term = bench.raft.term.rawValue
        bench.receive(.voteReply(VoteReply(granted: true)), from: 2, term: term, start: first)
        #expect(bench.raft.role == .candidate)
        bench.receive(.voteReply(VoteReply(granted: true)), from: 2, term: term, start: second)
        #expect(bench.raft.isLeader)
    }

    @Test func whatIsKnownOfStartsSurvivesARestart() {
        // In that term already: there is nothing else to write.
        var bench = Bench(hardState: HardState(term: Term(rawValue: 1)))
        bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: 2, term: 1, start: second)
        let written = bench.writes.last?.hardState
        #expect(written?.knownStarts[MemberID(rawValue: 2)] == second)
    }

    @Test func strangersAreNotRemembered() {
        var bench = Bench()
        for stranger in UInt64(10)...40 {
            bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: stranger, term: 1, start: second)
        }
        #expect(bench.raft.hardState.knownStarts.isEmpty)
    }

    /// In a joint configuration twice as many vote, and the disk has room for no more than that.
    @Test func whatIsKnownOfStartsIsBoundedInAJointConfiguration() {
        let old = (UInt64(1)...7).map(MemberID.init)
        let new = (UInt64(8)...14).map(MemberID.init)
        var bench = Bench(voters: Array(1...7))
        for voter in UInt64(2)...7 {
            bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: voter, term: 1, start: second)
        }
        let joint = Entry(
            index: index(1), term: Term(rawValue: 1),
            payload: .configuration(Configuration(voters: new, outgoingVoters: old)))
        bench.receive(Bench.append(after: 0, term: 0, [joint]), from: 2, term: 1, start: second)
        for voter in UInt64(8)...14 {
            bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: voter, term: 1, start: second)
        }
        bench.persist()
        #expect(bench.raft.hardState.knownStarts.count == 13)
        #expect(bench.raft.hardState.knownStarts.count <= HardState.mostKnownStarts)
        // The next exchange, before anything of the last one is forgotten.
        let next = (UInt64(15)...21).map(MemberID.init)
        let later = Entry(
            index: index(2), term: Term(rawValue: 1),
            payload: .configuration(Configuration(voters: next, outgoingVoters: new, learnersNext: [], epoch: .first)))
        let demoted = Entry(
            index: index(3), term: Term(rawValue: 1),
            payload: .configuration(Configuration(voters: next, learners: old, outgoingVoters: new)))
        bench.receive(Bench.append(after: 1, term: 1, [later, demoted]), from: 2, term: 1, start: second)
        for voter in UInt64(8)...21 {
            bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: voter, term: 1, start: second)
        }
        #expect(bench.raft.hardState.knownStarts.count <= HardState.mostKnownStarts)
        for voter in next { #expect(bench.raft.hardState.knownStarts[voter] == second) }
    }

    /// The disk was set back to a moment within its last start, so it shows a new one. It refuses what it acknowledged.
    @Test("27 a disk set back within one start is noticed by what it forgot")
    func aDiskThatForgotWhatItAcknowledgedIsNoticed() {
        var bench = Bench.leader(terms: [1, 1, 1])
        bench.receive(.appendReply(.accepted(through: index(4))), from: 2, term: 2, start: first)
        bench.receive(.appendReply(.accepted(through: index(4))), from: 2, term: 2, start: second)
        let refusal = AppendReply.refused(after: index(4), hintIndex: index(2), hintTerm: Term(rawValue: 1))
        bench.receive(.appendReply(refusal), from: 2, term: 2, start: second)
        bench.forget()
        say(second, &bench)
        bench.pass(.seconds(1))
        say(second, &bench)
        let over = bench.messages(to: 2).overs
        #expect(over.map(\.isAlive) == [false])
        #expect(over.allSatisfy { second.isOver(since: $0.known) })
    }

    private func say(_ start: DiskStart, _ bench: inout Bench) {
        let newest = bench.raft.leadership?.quorumLease.round ?? 0
        bench.receive(
            .heartbeatReply(HeartbeatReply(round: newest, leaseAsked: nil)), from: 2,
            term: bench.raft.term.rawValue, start: start)
    }

    /// One that ended just before the other began is not taken for a second one; one that goes on speaking is.
    @Test("27 a leader tells a copy from a restart by listening", arguments: [false, true])
    func aLeaderListensBeforeItCallsADiskACopy(goesOn: Bool) {
        var bench = Bench.leader()
        say(second, &bench)
        bench.forget()
        say(first, &bench)
        #expect(bench.messages(to: 2).overs.isEmpty)
        bench.pass(.milliseconds(500))
        if goesOn { say(second, &bench) }
        bench.pass(.milliseconds(500))
        say(first, &bench)
        #expect(bench.messages(to: 2).overs == [StartIsOver(known: second, isAlive: goesOn)])
    }

    @Test func aMemberThatOnlyRestartedIsNotSuspected() {
        var bench = Bench.leader(terms: [1, 1, 1])
        bench.receive(.appendReply(.accepted(through: index(4))), from: 2, term: 2, start: first)
        bench.receive(.appendReply(.accepted(through: index(4))), from: 2, term: 2, start: second)
        _ = bench.propose(7)
        // What was on its way to the process before is refused by the one that came after it.
        let refusal = AppendReply.refused(after: index(5), hintIndex: index(4), hintTerm: Term(rawValue: 2))
        bench.receive(.appendReply(refusal), from: 2, term: 2, start: second)
        bench.forget()
        bench.receive(.appendReply(.accepted(through: index(5))), from: 2, term: 2, start: second)
        #expect(bench.messages(to: 2).overs.isEmpty)
        #expect(bench.raft.leadership?.progress[MemberID(rawValue: 2)]?.match == index(5))
    }

    // MARK: The one that is told

    private func old() -> Bench {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 2), start: first), terms: [1, 2])
        bench.receive(heartbeat(), from: 2, term: 3)
        return bench
    }

    @Test func aMemberWhoseDiskWasSetBackForgetsAndBeginsALaterStart() {
        var bench = old()
        bench.receive(.startIsOver(StartIsOver(known: second, isAlive: false)), from: 2, term: 3)
        #expect(bench.raft.hardState.memory == .lost)
        #expect(bench.raft.hardState.start.number == 6)
        #expect(bench.notices.contains(.memoryIsLost))
        // Told once more it has nothing to add.
        bench.receive(.startIsOver(StartIsOver(known: second, isAlive: false)), from: 2, term: 3)
        #expect(bench.raft.hardState.start.number == 6)
    }

    @Test func aMemberWhoseDiskIsInUseElsewhereEndsInWords() {
        var bench = old()
        bench.receive(.startIsOver(StartIsOver(known: second, isAlive: true)), from: 2, term: 3)
        // Whatever starts it again must find that it is not whole, so that comes first.
        #expect(!bench.notices.contains(.diskIsInUse(second)))
        #expect(bench.raft.hardState.memory == .lost)
        #expect(bench.writes.last?.hardState?.memory == .lost)
        bench.persist()
        #expect(bench.notices.contains(.diskIsInUse(second)))
        #expect(bench.raft.hardState.start == first)
        #expect(!bench.notices.contains(.memoryIsLost))
        // It is started again and told again, with nothing left to write.
        var again = Bench(hardState: bench.raft.hardState, terms: [1, 2])
        again.receive(heartbeat(), from: 2, term: 4)
        again.persist()
        again.forget()
        again.receive(.startIsOver(StartIsOver(known: second, isAlive: true)), from: 2, term: 4)
        #expect(again.notices == [.diskIsInUse(second)])
    }

    // MARK: Starts that nobody heard of

    private func disk(_ start: DiskStart, memory: Memory = .whole) -> HardState {
        HardState(term: Term(rawValue: 2), memory: memory, start: start)
    }

    private func started(_ state: HardState, times: Int = 1, nonce: UInt64) -> HardState {
        var state = state
        for time in 0..<UInt64(times) {
            state.begin(DiskStart(number: state.start.number + 1, nonce: nonce + time))
        }
        return state
    }

    /// An image of start 4 was put back after start 5 had spoken. Its own start 5 failed before it said a word, and it is
    /// started until its number is higher.
    @Test("27 a disk that was set back is noticed however often it was started since", arguments: 1...8)
    func aDiskThatWasSetBackDoesNotCatchUp(times: Int) {
        let there = started(disk(first), nonce: 2)
        let back = started(disk(first), times: times, nonce: 100)
        #expect(back.start.isOver(since: there.start, after: back.earlierStarts))
        var bench = Bench()
        bench.pass(.seconds(2))
        let no = Message.preVoteReply(PreVoteReply(granted: false))
        bench.receive(no, from: 2, term: 1, start: there.start, after: there.earlierStarts)
        bench.receive(.voteRequest(request), from: 2, term: 9, start: back.start, after: back.earlierStarts)
        bench.persist()
        #expect(bench.messages(to: 2).votes.isEmpty)
        #expect(bench.messages(to: 2).overs == [StartIsOver(known: there.start, isAlive: false)])
        // Told so, it gives up what it remembers, and is believed from then on.
        var told = Bench(2, hardState: back, terms: [1, 2])
        told.receive(heartbeat(), from: 1, term: 3)
        told.receive(.startIsOver(StartIsOver(known: there.start, isAlive: false)), from: 1, term: 3)
        #expect(told.raft.hardState.memory == .lost)
        let after = told.raft.hardState
        #expect(!after.start.isOver(since: there.start, after: after.earlierStarts))
        #expect(!after.start.isOver(since: back.start, after: after.earlierStarts))
    }

    @Test func aDiskThatGoesOnIsBelieved() {
        var state = disk(first)
        for time in 0..<30 {
            let before = state
            state = started(state, times: time % 8 + 1, nonce: UInt64(time) * 10 + 1_000)
            #expect(!state.start.isOver(since: before.start, after: state.earlierStarts))
            #expect(before.start.isOver(since: state.start, after: before.earlierStarts))
            #expect(state.earlierStarts.count <= HardState.mostEarlierStarts)
        }
        // A version that did not say them, and one that failed to start more often than it can say.
        #expect(!DiskStart(number: 9, nonce: 7).isOver(since: second))
        let often = started(disk(first), times: 20, nonce: 500)
        #expect(!often.start.isOver(since: second, after: often.earlierStarts))
    }

    /// Two copies that are both started again and again: the one that was told never gets ahead.
    @Test func aCopyThatWasToldDoesNotCatchUpByStarting() {
        let copy = started(disk(first), nonce: 2)
        var told = disk(first)
        told.earlierStarts = [DiskStart(number: 3, nonce: 9)]
        told.memory = .lost
        for time in 0..<40 {
            told = started(told, nonce: UInt64(time) + 50)
            #expect(told.start.isOver(since: copy.start, after: told.earlierStarts), "start \(told.start)")
        }
        #expect(told.memory == .lost)
    }

    /// Asked before a recovery, when nobody leads.
    @Test func whoeverKnowsTellsADiskOutsideOfTheConsensusToo() {
        var bench = Bench()
        bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: 2, term: 1, start: second)
        let isOver = bench.tell(first, of: 2)
        #expect(isOver)
        #expect(bench.messages(to: 2).overs == [StartIsOver(known: second, isAlive: false)])
        bench.forget()
        for (start, earlier) in [(second, []), (DiskStart(number: 6, nonce: 1), [second]), (.none, [])] {
            let isOver = bench.tell(start, after: earlier, of: 2)
            #expect(!isOver)
        }
        #expect(bench.messages(to: 2).isEmpty)
    }

    /// Who is not the leader cannot say whether the other one is there. Until the leader has had its say nobody gets a vote.
    @Test func aMemberThatIsDoubtedDoesNotVote() {
        var bench = old()
        bench.receive(.startIsOver(StartIsOver(known: second, isAlive: false)), from: 3, term: 3)
        #expect(bench.raft.hardState.memory == .whole)
        bench.pass(.seconds(2))
        bench.receive(.voteRequest(request), from: 3, term: 9)
        bench.persist()
        #expect(bench.messages(to: 3).votes == [false])
        bench.receive(heartbeat(2), from: 2, term: 9)
        #expect(bench.raft.hardState.memory == .lost)
    }

    @Test func twoMembersThatDoubtEachOtherDoNotGoOnSayingSo() {
        var bench = Bench(hardState: HardState(start: first))
        bench.receive(.preVoteReply(PreVoteReply(granted: false)), from: 2, term: 1, start: second)
        bench.forget()
        bench.receive(.startIsOver(StartIsOver(known: second, isAlive: false)), from: 2, term: 1, start: first)
        #expect(bench.messages(to: 2).isEmpty)
    }
}
