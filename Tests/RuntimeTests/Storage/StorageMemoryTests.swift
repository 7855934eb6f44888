// What a start makes of a disk that has lost something: what is still known, what the member may do, and that a crash in the
// middle of it never makes a damaged log look like a short one.

import Consensus
import Glibc
import Testing

@testable import Runtime

struct StorageMemoryTests {
    private func open(_ disk: ModelDisk, hasLivedBefore: Bool = false) throws -> (SegmentWriter, RecoveredLog) {
        let (writer, _, log) = try LogStore.recover(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: 8_192,
            hasLivedBefore: hasLivedBefore)
        return (writer, log)
    }

    /// As a consensus hands it out: with the start that the disk has.
    private func hard(_ start: DiskStart, term: UInt64, vote: UInt64? = nil) -> HardState {
        HardState(
            term: Term(rawValue: term), vote: vote.map { MemberID(rawValue: $0) }, longestPromise: .milliseconds(320),
            start: start)
    }

    /// A disk with twelve entries in a few segments, then a vote in term 9 and one entry more, each with its own flush.
    private func disk(then last: [LogWrite] = []) throws -> (ModelDisk, HardState, SegmentWriter) {
        let disk = ModelDisk()
        var (writer, log) = try open(disk)
        for index in UInt64(1)...12 {
            try writer.write([
                write(index, hardState: hard(log.hardState.start, term: 3), [entry(index, term: 3, bytes: 900)])
            ])
        }
        let voted = hard(log.hardState.start, term: 9, vote: 7)
        try writer.write([write(13, hardState: voted)])
        try writer.write([write(14, [entry(13, term: 3)])])
        for write in last { try writer.write([write]) }
        return (disk, voted, writer)
    }

    private func damage(_ disk: ModelDisk, segment: UInt64, at place: Int = SegmentHeader.bytes + 40) {
        disk.edit(SegmentHeader.name(segment)) { $0[place] ^= 1 }
    }

    private func expectVote(_ found: HardState, _ voted: HardState, _ memory: Memory) {
        var expected = voted
        expected.memory = memory
        expected.start = found.start
        // What it goes on from, so that others see that it is the same disk.
        expected.earlierStarts = [voted.start]
        #expect(found == expected)
        #expect(found.start.number == voted.start.number + 1)
        #expect(found.start.nonce != voted.start.nonce)
    }

    /// Two sevens vote in a joint configuration. What a disk took it reads again, from the log and from the copy.
    @Test func asManyStartsAsThereCanBeVotersAreReadAgain() throws {
        let (disk, voted, writer) = try disk()
        var (full, last) = (voted, writer)
        for other in 1...UInt64(HardState.mostKnownStarts) {
            full.knownStarts[MemberID(rawValue: 100 + other)] = DiskStart(number: other, nonce: .max)
        }
        #expect(full.knownStarts.count == 2 * Configuration.mostVoters)
        try last.write([write(15, hardState: full), write(16, hardState: full)])
        let (_, log) = try open(disk)
        expectVote(log.hardState, full, .whole)
        let (_, again) = try open(disk)
        #expect(again.hardState.knownStarts == full.knownStarts)
        #expect(again.hardState.memory == .whole)
    }

    @Test func aDiskRemembersTheStartsBefore() throws {
        let (disk, _, _) = try disk()
        var seen: [DiskStart] = []
        for _ in 0..<12 {
            let (_, log) = try open(disk)
            #expect(log.hardState.earlierStarts.prefix(seen.count) == seen.prefix(HardState.mostEarlierStarts))
            #expect(log.hardState.earlierStarts.count <= HardState.mostEarlierStarts)
            seen.insert(log.hardState.start, at: 0)
        }
    }

    /// The formats before the earlier starts ended where those begin.
    @Test func aHardStateWithoutEarlierStartsIsRead() {
        var state = hard(DiskStart(number: 3, nonce: 4), term: 9, vote: 7)
        state.knownStarts[MemberID(rawValue: 8)] = DiskStart(number: 1, nonce: 2)
        var bytes: [UInt8] = []
        bytes.append(hardState: state)
        bytes.withUnsafeBytes { raw in
            #expect(HardState.stored(in: raw) == state)
            #expect(HardState.stored(in: UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 8)])) == state)
            #expect(HardState.stored(in: UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])) == nil)
        }
        state.earlierStarts = [DiskStart(number: 2, nonce: 1)]
        bytes = []
        bytes.append(hardState: state)
        bytes.withUnsafeBytes { #expect(HardState.stored(in: $0) == state) }
    }

    @Test("24 damage in the middle is set aside, and the member knows its vote and what it lacks")
    func aDamagedLogKeepsItsVote() throws {
        let (disk, voted, writer) = try disk()
        #expect(writer.end.segment > 3)
        let before = disk.contents
        damage(disk, segment: 2)
        let (_, log) = try open(disk)
        expectVote(log.hardState, voted, .incomplete)
        // The first segment's entries are left, and nothing of the others.
        #expect(!log.entries.isEmpty && log.entries.count < 12)
        #expect(log.entries == (1...UInt64(log.entries.count)).map { entry($0, term: 3, bytes: 900) })
        for segment in 2...writer.end.segment {
            let name = SegmentHeader.name(segment)
            let kept = disk.contents[SetAside.name(name, start: log.hardState.start.number)]
            #expect(kept?.count == before[name]?.count)
        }
        #expect(log.setAside.count == Int(writer.end.segment) - 1)
        #expect(log.notes.contains { $0.contains("does not vote until the leader has taken it back") })
        let (_, again) = try open(disk)
        #expect(again.hardState.memory == .incomplete)
        #expect(again.entries == log.entries)
    }

    @Test func aDiskThatCannotReadASegmentHasLostIt() throws {
        let (disk, voted, _) = try disk()
        disk.unreadable = [SegmentHeader.name(2)]
        let (_, log) = try open(disk)
        expectVote(log.hardState, voted, .incomplete)
    }

    @Test("26 one damaged copy of term and vote is harmless") func oneDamagedCopyIsHarmless() throws {
        let (whole, voted, _) = try disk()
        for places in [[100], [VoteFile.slotBytes + 100], [100, VoteFile.slotBytes + 100]] {
            let disk = whole.copy()
            disk.edit(VoteFile.name) { bytes in for place in places { bytes[place] ^= 4 } }
            let (_, log) = try open(disk)
            expectVote(log.hardState, voted, .whole)
            #expect(log.entries.count == 13)
            // Both slots are whole again.
            guard
                case .held(_, alone: false) = try VoteFile.find(
                    on: disk, cluster: exampleCluster, member: exampleMember)
            else {
                Issue.record("the copy was not made anew")
                continue
            }
        }
    }

    @Test("26 with both copies of term and vote gone nothing is certain", arguments: [false, true])
    func bothDamagedCopiesAreALoss(oneSlotIsLeft: Bool) throws {
        let (disk, _, _) = try disk()
        damage(disk, segment: 2)
        guard case .held(let slot, _) = try VoteFile.find(on: disk, cluster: exampleCluster, member: exampleMember)
        else { throw VoteIsMissing() }
        let newest = Int(slot.counter % 2) * VoteFile.slotBytes
        disk.edit(VoteFile.name) { bytes in
            bytes[newest + 100] ^= 4
            if !oneSlotIsLeft { bytes[(newest + VoteFile.slotBytes) % (2 * VoteFile.slotBytes) + 100] ^= 4 }
        }
        #expect(try open(disk).1.hardState.memory == .lost)
        #expect(try open(disk).1.hardState.memory == .lost)
    }

    private struct VoteIsMissing: Error {}

    /// The last flush looks torn. The copy knows better.
    @Test("25 a vote in a last flush that rotted is not forgotten") func aVoteInARottenLastFlushIsKept() throws {
        let (disk, _, writer) = try disk()
        let place = writer.end.offset
        var (again, log) = try open(disk)
        let voted = hard(log.hardState.start, term: 11, vote: 5)
        try again.write([write(20, hardState: voted, [entry(14, term: 10)])])
        let end = again.end.offset
        #expect(end > place)
        disk.edit(SegmentHeader.name(again.end.segment)) { $0[end - 30] ^= 1 }
        (again, log) = try open(disk)
        expectVote(log.hardState, voted, .incomplete)
        #expect(log.notes.contains { $0.contains("which was acknowledged") || $0.contains("was acknowledged") })
    }

    @Test("27 a wiped disk is known by the copy, or by who knew the member") func aWipedDiskIsNoticed() throws {
        #expect(try open(ModelDisk()).1.hardState.memory == .whole)
        #expect(try open(ModelDisk(), hasLivedBefore: true).1.hardState.memory == .lost)
        let (disk, voted, _) = try disk()
        for name in disk.contents.keys where name != VoteFile.name { disk.removeBehindTheBack(name) }
        let (_, log) = try open(disk)
        expectVote(log.hardState, voted, .incomplete)
        #expect(log.entries.isEmpty)
    }

    @Test func aLogOfAVersionWithoutACopyIsTrusted() throws {
        let disk = ModelDisk()
        let (recovery, file) = try LogRecovery.recover(disk: disk, cluster: exampleCluster, member: exampleMember)
        var writer = try SegmentWriter(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: 8_192, end: recovery.end,
            file: file)
        try writer.write([write(1, hardState: hardState(3, vote: 2), [entry(1, term: 3)])])
        let (_, log) = try open(disk)
        #expect(log.state == LogState(hardState: hardState(3, vote: 2), entries: [entry(1, term: 3)]))
        #expect(log.hardState.start.number == 1)
    }

    @Test func everyStartHasANumberOfItsOwn() throws {
        let disk = ModelDisk()
        var starts: Set<DiskStart> = []
        for number in UInt64(1)...5 {
            let (_, log) = try open(disk)
            #expect(log.hardState.start.number == number)
            starts.insert(log.hardState.start)
        }
        #expect(starts.count == 5)
    }

    /// The start is broken off at every operation. What the member has lost it still knows to have lost, and no start
    /// whose number could have been told to anybody comes again.
    @Test func aCrashWhileDamageIsSetAsideNeverHidesIt() throws {
        let (whole, voted, _) = try disk()
        damage(whole, segment: 2)
        let counted = whole.copy()
        let told = try open(counted).1.hardState.start.number
        let steps = counted.operations.count
        #expect(steps > 8)
        for step in 0...steps {
            for names in [false, true] {
                let disk = whole.copy()
                disk.fault = { _, count in count >= step ? EIO : nil }
                let opened = try? open(disk)
                let crashed = disk.afterPowerLoss(keepingNames: names) { bytes, isLast in
                    [0..<(isLast ? bytes.count / 2 : bytes.count)]
                }
                let (_, log) = try open(crashed)
                #expect(log.hardState.memory == .incomplete, "step \(step), names \(names)")
                #expect(log.hardState.term == voted.term && log.hardState.vote == voted.vote, "step \(step)")
                #expect(log.entries == Array((1...UInt64(log.entries.count)).map { entry($0, term: 3, bytes: 900) }))
                if opened != nil { #expect(log.hardState.start.number > told) }
            }
        }
    }

    /// Everything up to the damaged place is in a snapshot: nothing is lost, and the member is whole.
    @Test func damageThatASnapshotCoversLosesNothing() throws {
        let disk = ModelDisk()
        var (writer, files, log) = try LogStore.recover(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: 8_192)
        for index in UInt64(1)...12 {
            try writer.write([
                write(index, hardState: hard(log.hardState.start, term: 3), [entry(index, term: 3, bytes: 900)])
            ])
        }
        let configuration = Configuration(voters: [exampleMember])
        let mark = SnapshotMark(
            index: LogIndex(rawValue: 11), term: Term(rawValue: 3), configuration: configuration)
        _ = try files.save(Snapshot(mark: mark, bytes: [1, 2, 3]), copies: 1)
        damage(disk, segment: 1)
        let (_, again) = try open(disk)
        #expect(again.hardState.memory == .whole)
        #expect(again.snapshot?.mark == mark)
        #expect(again.entries == [entry(12, term: 3, bytes: 900)])
        #expect(again.notes.contains { $0.contains("nothing is lost") })
        #expect(again.setAside.count == 1)
        // The only snapshot now has nothing before it, so there are two of it.
        #expect(disk.contents.keys.count { SnapshotHeader.place(of: $0)?.index == mark.index } == 2)
    }

    @Test func aDamagedSnapshotIsKeptUnderAnotherName() throws {
        let disk = ModelDisk()
        let (_, files, _) = try LogStore.recover(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: 8_192)
        let mark = SnapshotMark(
            index: LogIndex(rawValue: 4), term: Term(rawValue: 3), configuration: Configuration(voters: [exampleMember])
        )
        _ = try files.save(Snapshot(mark: mark, bytes: [1, 2, 3]), copies: 2)
        let name = SnapshotHeader.name(mark.index, copy: 2)
        disk.edit(name) { $0[$0.count - 1] ^= 1 }
        let (_, log) = try open(disk)
        #expect(log.snapshot?.mark == mark && log.hardState.memory == .whole)
        #expect(log.setAside == [SetAside.name(name, start: log.hardState.start.number)])
    }

    @Test func onlyTheNewestDamageIsKept() throws {
        let (disk, _, _) = try disk()
        var newest: [UInt64] = []
        for round in 0..<4 {
            damage(disk, segment: 1, at: SegmentHeader.bytes + 40 + round)
            var (writer, log) = try open(disk)
            newest.append(log.hardState.start.number)
            for index in UInt64(1)...3 {
                try writer.write([
                    write(index, hardState: hard(log.hardState.start, term: 9, vote: 7), [entry(index, term: 3)])
                ])
            }
        }
        let starts = Set(disk.contents.keys.compactMap(SetAside.start))
        #expect(starts == Set(newest.suffix(SetAside.keptStarts)))
    }
}
