// The log: what is accepted, what counts as durable, and what is committed.

import Consensus
import Testing

@Suite struct LogTests {
    private func index(_ number: UInt64) -> LogIndex { LogIndex(rawValue: number) }

    @Test("13 Figure 8: nothing of an old term is committed by counting")
    func nothingOfAnOldTermIsCommittedByCounting() {
        var bench = Bench.leader(terms: [1, 2])
        bench.accept(through: 2, from: 2)
        bench.accept(through: 2, from: 3)
        #expect(bench.raft.commitIndex == .zero)
        bench.accept(through: 3, from: 2)
        #expect(bench.raft.commitIndex == index(3))
    }

    /// The six followers of the paper's figure. A refusal skips a whole term.
    @Test(
        "14 Figure 7: one probe per term repairs",
        arguments: [
            [1, 1, 1, 4, 4, 5, 5, 6, 6], [1, 1, 1, 4], [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
            [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], [1, 1, 1, 4, 4, 4, 4], [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        ] as [[UInt64]])
    func oneProbePerTermRepairs(terms: [UInt64]) {
        var leader = Bench.leader(of: 8, terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6])
        var follower = Bench(2, hardState: HardState(term: Term(rawValue: 7)), terms: terms)
        var probes = 0
        var seen = 0
        while follower.raft.log != leader.raft.log, probes < 10 {
            probes += 1
            for message in leader.messages(to: 2).dropFirst(seen) { follower.receive(message, from: 1, term: 8) }
            seen = leader.messages(to: 2).count
            follower.persist()
            for reply in follower.messages(to: 1) { leader.receive(reply, from: 2, term: 8) }
            follower.forget()
        }
        #expect(follower.raft.log == leader.raft.log)
        #expect(probes <= Set(terms).count + 1)
    }

    /// Every way an append may arrive late, twice, or in the wrong order.
    @Test("15 no late append shortens a matching log", arguments: 1...100 as ClosedRange<UInt64>)
    func noLateAppendShortensAMatchingLog(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var bench = Bench(hardState: HardState(term: Term(rawValue: 1)), terms: [1, 1])
        let log = (1...10).map { Bench.entry($0, term: $0 < 3 ? 1 : 2) }
        for _ in 0..<60 {
            let start = UInt64(random.draw(0...9))
            let end = UInt64(random.draw(Int64(start)...10))
            let before = bench.raft.log
            let message = Bench.append(
                after: start, term: start == 0 ? 0 : log[Int(start) - 1].term.rawValue,
                Array(log[Int(start)..<Int(end)]))
            bench.receive(message, from: 2, term: 2)
            #expect(bench.raft.log.lastIndex >= before.lastIndex)
            if random.chance(300) { bench.persist(1) }
        }
        bench.receive(Bench.append(after: 0, term: 0, log), from: 2, term: 2)
        bench.persist()
        #expect(bench.raft.log == RaftLog(entries: log))
        #expect(bench.raft.durability.durableIndex == index(10))
    }

    @Test("16 a leader that commits before its own disk has the entry may crash")
    func aLeaderMayCommitBeforeItsOwnDiskHasTheEntry() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        cluster.run(for: .milliseconds(200))
        cluster.stallDisk(1)
        cluster.propose(99, at: 1)
        cluster.run(for: .milliseconds(100))
        #expect(cluster[1].state.values == [99])
        #expect(cluster[1].disk.waiting.count > 0)
        cluster.crash(1, tearing: false)
        cluster.freeDisk(1)
        cluster.restart(1)
        let recovered = cluster.run(within: .seconds(5)) { cluster in
            cluster.hasConverged && cluster.members.allSatisfy { $0.state.values == [99] }
        }
        #expect(recovered)
        #expect(cluster.checks.violation == nil)
    }

    /// Entries 2 and 3 of term 1 are being written when a new leader replaces them; the old write completes first.
    @Test("17 a replaced write does not count for what replaced it") func aReplacedWriteDoesNotCount() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 1)), terms: [1])
        bench.receive(
            Bench.append(after: 1, term: 1, [Bench.entry(2, term: 1), Bench.entry(3, term: 1)]), from: 2, term: 1)
        bench.receive(
            Bench.append(after: 1, term: 1, [Bench.entry(2, term: 2), Bench.entry(3, term: 2)]), from: 3, term: 2)
        #expect(bench.writes.last?.entries.map(\.term) == [Term(rawValue: 2), Term(rawValue: 2)])
        bench.persist(1)
        #expect(bench.raft.durability.durableIndex == index(1))
        #expect(bench.messages(to: 3).isEmpty)
        bench.persist(1)
        #expect(bench.raft.durability.durableIndex == index(3))
        #expect(bench.messages(to: 3).appendReplies == [.accepted(through: index(3))])
    }

    @Test("18 a lost pipeline recovers") func aLostPipelineRecovers() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        cluster.network.fate = { envelope in
            if case .appendRequest(let request) = envelope.message, !request.entries.isEmpty { .drop } else { .deliver }
        }
        for value in 1...200 as ClosedRange<UInt64> { cluster.propose(value, at: 1) }
        cluster.run(for: .milliseconds(300))
        #expect(cluster.leader == 1)
        cluster.network.fate = nil
        let recovered = cluster.run(within: .milliseconds(500)) { $0.hasConverged }
        #expect(recovered)
        #expect(cluster[3].state.values.count == 200)
    }

    @Test("19 memory without a quorum is bounded") func memoryWithoutAQuorumIsBounded() {
        var limits = Limits()
        limits.uncommittedBytes = 4_096
        limits.pendingReads = 10
        var bench = Bench.leader(limits: limits)
        bench.accept(through: 1, from: 2)
        var accepted = 0
        while bench.propose(1), accepted < 1_000 { accepted += 1 }
        #expect(accepted > 50 && accepted < 200)
        for read in 1...100 as ClosedRange<UInt64> { bench.read(read, mayUseLease: false) }
        #expect(bench.notices.count { if case .readRefused = $0 { true } else { false } } == 90)
        bench.persist()
        bench.accept(through: UInt64(accepted) + 1, from: 2)
        let again = bench.propose(2)
        #expect(again)
    }

    @Test("20 a single member acknowledges only after its disk has the entry")
    func aSingleMemberAcknowledgesOnlyWhatIsDurable() {
        var bench = Bench(voters: [1])
        bench.pass(.milliseconds(700))
        bench.tick()
        bench.persist()
        #expect(bench.raft.commitIndex == index(1))
        _ = bench.propose(7)
        #expect(bench.raft.commitIndex == index(1))
        bench.persist()
        #expect(bench.raft.commitIndex == index(2))
    }

    /// What follows the entries of an append may be an old leader's, and the commit index of the new one says nothing of it.
    @Test("15 a commit index says nothing of entries that were not compared")
    func aCommitIndexSaysNothingOfEntriesNotCompared() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 1)), terms: [1, 1, 1])
        bench.receive(Bench.append(after: 1, term: 1, commit: 3), from: 2, term: 2)
        #expect(bench.raft.commitIndex == index(1))
        var leader = Bench.leader(terms: [1, 1])
        leader.accept(through: 3, from: 2)
        #expect(leader.raft.commitIndex == index(3))
        leader.forget()
        leader.pass(.milliseconds(50))
        leader.tick()
        #expect(leader.messages(to: 2).heartbeats.map(\.commit) == [index(3)])
        #expect(leader.messages(to: 3).heartbeats.map(\.commit) == [.zero])
    }

    @Test("20 a leader counts itself only for what is durable") func aLeaderCountsItselfOnlyForWhatIsDurable() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        _ = bench.propose(7)
        bench.accept(through: 2, from: 2)
        #expect(bench.raft.commitIndex == index(1))
        bench.persist()
        #expect(bench.raft.commitIndex == index(2))
    }

    @Test("29 a leader whose disk hangs hands over, once") func aLeaderWhoseDiskHangsHandsOverOnce() {
        var cluster = TestCluster(voters: 3)
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        let term = cluster.raft(1).term.rawValue
        cluster.stallDisk(1)
        cluster.propose(1, at: 1)
        let moved = cluster.run(within: .seconds(1)) { ($0.settledLeader ?? 1) != 1 }
        #expect(moved)
        let successor = cluster.leader
        for value in 2...20 as ClosedRange<UInt64> {
            if let successor { cluster.propose(value, at: successor) }
            cluster.run(for: .milliseconds(500))
        }
        cluster.freeDisk(1)
        cluster.run(for: .seconds(5))
        #expect(cluster.leader == successor)
        #expect(successor.map { cluster.raft($0).term.rawValue } == term + 1)
        #expect(cluster.hasConverged)
        #expect(cluster.checks.violation == nil)
    }

    @Test("29 a member of last resort succeeds a hanging disk last", arguments: [true, false])
    func aMemberOfLastResortSucceedsLast(knowsWhoThatIs: Bool) {
        var bench = Bench.leader(terms: [1, 1])
        bench.raft.membersOfLastResort = knowsWhoThatIs ? [MemberID(rawValue: 2)] : []
        let proposed = bench.propose(1)
        #expect(proposed)
        bench.accept(through: 4, from: 2)
        bench.accept(through: 3, from: 3)
        for _ in 0..<4 {
            bench.pass(.milliseconds(80))
            bench.tick()
            bench.answerRound(from: 2)
            bench.answerRound(from: 3)
        }
        bench.tick()
        #expect(bench.raft.leadership?.transfer?.to.rawValue == (knowsWhoThatIs ? 3 : 2))
    }

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
        #expect(!bench.raft.hasOutput, "nothing to spin on")
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

    /// Entries 2 and 3 are on disk when a new leader replaces them: its entries at the same places are not.
    @Test("17 what was durable does not count for what replaces it") func replacedEntriesAreNotDurable() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 1)), terms: [1, 1, 1])
        bench.receive(
            Bench.append(after: 1, term: 1, [Bench.entry(2, term: 2), Bench.entry(3, term: 2)]), from: 3, term: 2)
        #expect(bench.raft.durability.durableIndex == index(1))
        bench.persist()
        #expect(bench.raft.durability.durableIndex == index(3))
    }

    /// Until it has them again, what it lost is on one disk less.
    @Test func aMemberThatLostAcknowledgedEntriesIsNotCountedForThem() {
        var bench = Bench.leader(terms: [1, 1, 1])
        bench.accept(through: 4, from: 2)
        _ = bench.propose(7)
        bench.pass(.milliseconds(200))
        bench.answerRound(from: 2)
        let refusal = AppendReply.refused(after: index(4), hintIndex: index(2), hintTerm: Term(rawValue: 1))
        bench.receive(.appendReply(refusal), from: 2, term: 2)
        #expect(bench.raft.leadership?.progress[MemberID(rawValue: 2)]?.match == index(2))
    }

    @Test func aProbeThatGotLostIsSentAgain() {
        var bench = Bench.leader()
        #expect(bench.messages(to: 2).appends.count == 1)
        bench.forget()
        bench.pass(.milliseconds(99))
        bench.answerRound(from: 2)
        #expect(bench.messages(to: 2).appends.isEmpty)
        bench.pass(.milliseconds(10))
        bench.answerRound(from: 2)
        #expect(bench.messages(to: 2).appends.count == 1)
    }
}
