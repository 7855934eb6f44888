// Snapshots, message by message: what is sent and answered, and what takes the place of what. Faults in any order are in
// RandomScheduleTests.

import Consensus
import Testing

@Suite struct SnapshotTests {
    private static let mark = SnapshotMark(
        index: LogIndex(rawValue: 9), term: Term(rawValue: 2),
        configuration: Configuration(voters: [1, 2, 4].map(MemberID.init), learners: [MemberID(rawValue: 7)]))
    private static let snapshot = Snapshot(mark: mark, bytes: Array(0..<100))

    private static func chunk(
        _ offset: Int, _ count: Int = 40, of snapshot: Snapshot = snapshot, checksum: UInt32? = nil
    ) -> Message {
        .snapshotChunk(
            SnapshotChunk(
                mark: snapshot.mark, size: snapshot.bytes.count, checksum: checksum ?? snapshot.checksum,
                offset: offset, bytes: Array(snapshot.bytes[offset..<min(offset + count, snapshot.bytes.count)])))
    }

    /// A leader of five entries and a snapshot of the first four of them, which its log no longer holds.
    private static func leader(chunkBytes: Int = 40) -> Bench {
        var limits = Limits()
        limits.snapshotChunkBytes = chunkBytes
        var bench = Bench.leader(terms: [1, 1, 1, 1], limits: limits)
        bench.accept(through: 5, from: 2)
        bench.persist()
        let four = LogIndex(rawValue: 4)
        let mark = bench.raft.snapshotMark(at: four)!
        bench.handle(.snapshotStored(Snapshot(mark: mark, bytes: Array(0..<100))))
        bench.raft.compact(through: four)
        bench.forget()
        return bench
    }

    private static func refuse(_ bench: inout Bench, from member: UInt64) {
        let last = bench.raft.log.lastIndex
        let refusal = AppendReply.refused(after: last.previous, hintIndex: .zero, hintTerm: .zero)
        bench.receive(.appendReply(refusal), from: member, term: bench.raft.term.rawValue)
    }

    private static func reply(_ bench: inout Bench, offset: Int, received: Int, from member: UInt64 = 3) {
        let reply = SnapshotReply(index: LogIndex(rawValue: 4), offset: offset, received: received)
        bench.receive(.snapshotReply(reply), from: member, term: bench.raft.term.rawValue)
    }

    private static func offsets(_ bench: Bench, to member: UInt64 = 3) -> [Int] {
        bench.messages(to: member).compactMap { if case .snapshotChunk(let chunk) = $0 { chunk.offset } else { nil } }
    }

    @Test func theChecksumIsTheOneOfItsName() {
        #expect(Checksum.of(Array("123456789".utf8)) == 0xE306_9283)
        var parts = Checksum()
        parts.add(Array("1234".utf8))
        parts.add(Array("56789".utf8))
        #expect(parts.value == 0xE306_9283)
    }

    /// The member does not know who leads when its disk has what arrived.
    @Test func aRestartBehindASnapshotIsWrittenAtOnceWhoeverLeads() {
        var bench = Bench(voters: [1, 2, 4])
        bench.handle(.snapshotStored(Self.snapshot))
        #expect(bench.raft.log.base == Self.mark.index)
        #expect(bench.writes.contains { $0.restartsBehind == Self.mark.position })
        #expect(!bench.raft.hasOutput)
    }

    @Test func aLogIsNeverDroppedBeforeASnapshotIsDurable() {
        var bench = Bench.leader(terms: [1, 1, 1, 1])
        bench.accept(through: 5, from: 2)
        #expect(bench.raft.compact(through: LogIndex(rawValue: 4)) == .zero)
        let mark = bench.raft.snapshotMark(at: LogIndex(rawValue: 3))!
        bench.handle(.snapshotStored(Snapshot(mark: mark, bytes: [])))
        #expect(bench.raft.compact(through: LogIndex(rawValue: 5)) == LogIndex(rawValue: 3))
        #expect(bench.raft.log.firstIndex == LogIndex(rawValue: 4))
        #expect(bench.raft.log.term(at: LogIndex(rawValue: 3)) == Term(rawValue: 1))
    }

    @Test func aMemberBehindTheLogGetsTheSnapshotPartByPart() {
        var bench = Self.leader()
        Self.refuse(&bench, from: 3)
        #expect(Self.offsets(bench) == [0])
        Self.reply(&bench, offset: 0, received: 40)
        Self.reply(&bench, offset: 40, received: 80)
        #expect(Self.offsets(bench) == [0, 40, 80])
        Self.reply(&bench, offset: 80, received: 100)
        #expect(Self.offsets(bench) == [0, 40, 80])
        bench.accept(through: 4, from: 3)
        #expect(bench.messages(to: 3).appends.last?.previousIndex == LogIndex(rawValue: 4))
    }

    /// The member had the first part from another leader.
    @Test func theLeaderGoesOnWhereTheMemberIs() {
        var bench = Self.leader()
        Self.refuse(&bench, from: 3)
        Self.reply(&bench, offset: 0, received: 60)
        #expect(Self.offsets(bench) == [0, 60])
    }

    @Test func aCopyOfAnOldAnswerStartsNoSecondTrainOfParts() {
        var bench = Self.leader()
        Self.refuse(&bench, from: 3)
        Self.reply(&bench, offset: 0, received: 40)
        for _ in 0..<5 { Self.reply(&bench, offset: 0, received: 40) }
        #expect(Self.offsets(bench) == [0, 40])
    }

    @Test func aLostPartIsSentAgain() {
        var bench = Self.leader()
        Self.refuse(&bench, from: 3)
        bench.pass(.milliseconds(150))
        bench.answerRound(from: 3)
        #expect(Self.offsets(bench) == [0, 0])
        bench.pass(.milliseconds(150))
        bench.answerRound(from: 3)
        #expect(Self.offsets(bench) == [0, 0])
    }

    @Test func aSnapshotUnderWayIsKeptAlthoughANewerOneWasTaken() {
        var bench = Self.leader()
        Self.refuse(&bench, from: 3)
        let mark = bench.raft.snapshotMark(at: LogIndex(rawValue: 5))!
        bench.handle(.snapshotStored(Snapshot(mark: mark, bytes: Array(repeating: 7, count: 100))))
        bench.raft.compact(through: LogIndex(rawValue: 5))
        Self.reply(&bench, offset: 0, received: 40)
        guard case .snapshotChunk(let chunk)? = bench.messages(to: 3).last else {
            Issue.record("no part was sent")
            return
        }
        #expect(chunk.mark.index == LogIndex(rawValue: 4))
        #expect(chunk.bytes == Array(40..<80))
    }

    // MARK: The receiver

    private static func receiver(terms: [UInt64] = [1]) -> Bench {
        Bench(3, hardState: HardState(term: Term(rawValue: 2)), terms: terms)
    }

    private static func receiveAll(_ bench: inout Bench) {
        for offset in [0, 40, 80] { bench.receive(chunk(offset), from: 1, term: 2) }
    }

    @Test func nothingIsInstalledBeforeTheSnapshotIsDurable() {
        var bench = Self.receiver()
        Self.receiveAll(&bench)
        bench.persist()
        #expect(bench.notices.contains(.storeSnapshot(Self.snapshot)))
        #expect(bench.raft.commitIndex == .zero)
        #expect(bench.messages(to: 1).appendReplies.isEmpty)
        bench.handle(.snapshotStored(Self.snapshot))
        bench.persist()
        #expect(bench.raft.commitIndex == Self.mark.index)
        #expect(bench.raft.log.base == Self.mark.index)
        #expect(bench.raft.configuration == Self.mark.configuration)
        #expect(bench.notices.contains(.restored(Self.mark)))
        #expect(bench.messages(to: 1).appendReplies == [.accepted(through: Self.mark.index)])
    }

    @Test func theDiskIsToldThatTheLogBeginsAnew() {
        var bench = Self.receiver()
        Self.receiveAll(&bench)
        bench.handle(.snapshotStored(Self.snapshot))
        #expect(bench.writes.last?.restartsBehind == Self.mark.position)
    }

    @Test func aDamagedSnapshotIsNotInstalledAndFetchedAnew() {
        var bench = Self.receiver()
        for offset in [0, 40, 80] { bench.receive(Self.chunk(offset, checksum: 1), from: 1, term: 2) }
        bench.persist()
        #expect(bench.notices.contains(.snapshotDamaged(Self.mark)))
        let last = bench.messages(to: 1).compactMap {
            if case .snapshotReply(let reply) = $0 { reply.received } else { nil }
        }.last
        #expect(last == 0)
    }

    @Test func aPartThatComesTwiceOrTooEarlyChangesNothing() {
        var bench = Self.receiver()
        bench.receive(Self.chunk(80), from: 1, term: 2)
        bench.receive(Self.chunk(0), from: 1, term: 2)
        bench.receive(Self.chunk(0), from: 1, term: 2)
        bench.receive(Self.chunk(40), from: 1, term: 2)
        bench.receive(Self.chunk(80), from: 1, term: 2)
        #expect(bench.notices.contains(.storeSnapshot(Self.snapshot)))
    }

    /// What one leader began another ends: equal mark, size and checksum are equal bytes.
    @Test func aSnapshotIsResumedFromAnotherLeader() {
        var bench = Self.receiver()
        bench.receive(Self.chunk(0), from: 1, term: 2)
        bench.receive(Self.chunk(0), from: 2, term: 3)
        bench.persist()
        guard case .snapshotReply(let reply)? = bench.messages(to: 2).last else {
            Issue.record("the second leader was not answered")
            return
        }
        #expect(reply.received == 40)
        bench.receive(Self.chunk(40), from: 2, term: 3)
        bench.receive(Self.chunk(80), from: 2, term: 3)
        #expect(bench.notices.contains(.storeSnapshot(Self.snapshot)))
    }

    @Test func aLogThatHoldsTheLastEntryKeepsItsTail() {
        var bench = Self.receiver(terms: [1, 1, 1, 1, 1, 1, 1, 1, 2, 2])
        bench.receive(Self.chunk(0), from: 1, term: 2)
        bench.persist()
        #expect(bench.raft.log.lastIndex == LogIndex(rawValue: 10))
        #expect(bench.raft.commitIndex == Self.mark.index)
        #expect(bench.messages(to: 1).appendReplies == [.accepted(through: Self.mark.index)])
    }

    @Test func aConflictingTailGoesWithEverythingBeforeIt() {
        var bench = Self.receiver(terms: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
        Self.receiveAll(&bench)
        bench.handle(.snapshotStored(Self.snapshot))
        bench.persist()
        #expect(bench.raft.log.lastIndex == Self.mark.index)
        #expect(bench.raft.log.lastTerm == Self.mark.term)
    }

    /// Writes of the log from before must not count for entries that come after.
    @Test func aWriteFromBeforeTheSnapshotCountsForNothing() {
        var bench = Self.receiver(terms: [])
        bench.receive(
            Bench.append(after: 0, term: 0, (1...12).map { Bench.entry($0, term: 1) }), from: 1, term: 2)
        Self.receiveAll(&bench)
        bench.handle(.snapshotStored(Self.snapshot))
        bench.receive(Bench.append(after: 9, term: 2, [Bench.entry(10, term: 2)]), from: 1, term: 2)
        bench.persist(1)
        #expect(bench.raft.durability.durableIndex == Self.mark.index)
    }

    @Test func aSnapshotThatTheDiskDoesNotTakeIsFetchedAgainLater() {
        var bench = Self.receiver()
        Self.receiveAll(&bench)
        bench.handle(.snapshotNotStored(Self.mark.index, forGood: false))
        bench.forget()
        Self.receiveAll(&bench)
        #expect(bench.notices.isEmpty)
        bench.pass(.seconds(6))
        Self.receiveAll(&bench)
        #expect(bench.notices.contains(.storeSnapshot(Self.snapshot)))
    }

    @Test func whatIsCommittedHereAlreadyIsAnsweredAsSuch() {
        var bench = Self.receiver()
        Self.receiveAll(&bench)
        bench.handle(.snapshotStored(Self.snapshot))
        bench.persist()
        bench.forget()
        bench.receive(Self.chunk(0), from: 1, term: 2)
        bench.receive(Bench.append(after: 3, term: 1, [Bench.entry(4, term: 1)]), from: 1, term: 2)
        #expect(
            bench.messages(to: 1).appendReplies
                == [.accepted(through: Self.mark.index), .accepted(through: Self.mark.index)])
    }

    @Test func aRestartBeginsBehindTheSnapshot() {
        let raft = Raft(
            id: MemberID(rawValue: 1), cluster: TestCluster.identity, timing: Timing(), rank: .preferred,
            incarnation: 1, hardState: HardState(term: Term(rawValue: 1)), snapshot: Self.snapshot,
            entries: [Bench.entry(10, term: 2)], initialConfiguration: Configuration(voters: []), now: .zero)
        #expect(raft.commitIndex == Self.mark.index)
        #expect(raft.configuration == Self.mark.configuration)
        #expect(raft.log.lastIndex == LogIndex(rawValue: 10))
        #expect(raft.term == Term(rawValue: 2))
    }

    /// A member was removed and added again; an answer from before its removal is late. The leader looks for the match
    /// point at the end of its log, and must not take that place for one where something is on its way.
    @Test func aLateAnswerDoesNotHideWhatAMemberLacks() {
        var bench = Bench.leader(terms: [1, 1, 1, 1])
        bench.accept(through: 2, from: 3)
        #expect(bench.messages(to: 3).appends.contains { $0.previousIndex == LogIndex(rawValue: 2) })
    }
}
