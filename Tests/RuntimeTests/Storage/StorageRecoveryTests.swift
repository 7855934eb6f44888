// What is repaired, what is refused, and in which words.

import CKernel
import Consensus
import Glibc
import Testing

@testable import Runtime

struct StorageRecoveryTests {
    private let first = SegmentHeader.name(1)

    private func open(_ disk: ModelDisk, member: MemberID = exampleMember) throws -> (SegmentWriter, RecoveredLog) {
        let (recovery, file) = try LogRecovery.recover(disk: disk, cluster: exampleCluster, member: member)
        let writer = try SegmentWriter(
            disk: disk, cluster: exampleCluster, member: member, segmentBytes: 8_192, end: recovery.end, file: file)
        return (writer, recovery.log)
    }

    /// A disk with these groups written, one flush each, and where the log ended after each.
    private func disk(with groups: [[LogWrite]]) throws -> (ModelDisk, [LogEnd]) {
        let disk = ModelDisk()
        var (writer, _) = try open(disk)
        var ends = [writer.end]
        for group in groups {
            try writer.write(group[...])
            ends.append(writer.end)
        }
        return (disk, ends)
    }

    private func state(after groups: ArraySlice<[LogWrite]>) -> LogState {
        var state = LogState()
        for group in groups { state.apply(group) }
        return state
    }

    @Test func anEmptyDirectoryIsAFreshLog() throws {
        let (_, log) = try open(ModelDisk())
        #expect(log == RecoveredLog(hardState: HardState(), entries: [], notes: []))
    }

    @Test func everythingWrittenIsReadBack() throws {
        let (disk, ends) = try disk(with: exampleGroups)
        let (writer, log) = try open(disk)
        #expect(log.state == state(after: exampleGroups[...]))
        #expect(log.notes == [])
        #expect(writer.end == ends.last)
        #expect(writer.end.segment > 2)
    }

    @Test func theLogGoesOnAfterEveryStart() throws {
        let disk = ModelDisk()
        for group in exampleGroups {
            var (writer, _) = try open(disk)
            try writer.write(group[...])
            writer.close()
        }
        let (_, log) = try open(disk)
        #expect(log.state == state(after: exampleGroups[...]))
    }

    @Test func hardStateSurvivesTheBeginningOfASegment() throws {
        let disk = ModelDisk()
        var (writer, _) = try open(disk)
        try writer.write([write(1, hardState: hardState(5, vote: 3, promiseMilliseconds: 320))])
        var index: UInt64 = 1
        while writer.end.segment == 1 {
            try writer.write([write(index + 1, [entry(index, term: 5, bytes: 700)])])
            index += 1
        }
        let header = try disk.content(SegmentHeader.name(2)).withUnsafeBytes { try SegmentHeader($0) }
        #expect(header.hardState == hardState(5, vote: 3, promiseMilliseconds: 320))
        #expect(header.lastIndex == LogIndex(rawValue: index - 2))
        #expect(try open(disk).1.hardState == hardState(5, vote: 3, promiseMilliseconds: 320))
    }

    @Test func aReplacedTailIsReadAsReplaced() throws {
        let (disk, _) = try disk(with: [
            [write(1, (1...6).map { entry($0, term: 1) })],
            [write(2, [entry(4, term: 2), entry(5, term: 2)])],
        ])
        let (_, log) = try open(disk)
        #expect(log.entries == (1...3).map { entry($0, term: 1) } + [entry(4, term: 2), entry(5, term: 2)])
    }

    @Test func aTornTailIsCutAndSaidSo() throws {
        let (disk, ends) = try disk(with: [[write(1, [entry(1, term: 1)])], [write(2, [entry(2, term: 1)])]])
        disk.edit(first) { $0[ends[2].offset - 10] ^= 1 }
        let (writer, log) = try open(disk)
        #expect(log.entries == [entry(1, term: 1)])
        #expect(log.notes.count == 1)
        #expect(log.notes.first?.contains("torn at byte \(ends[1].offset)") == true)
        #expect(writer.end.offset == ends[1].offset)
        // It is gone for good, and the next start has nothing to say.
        #expect(disk.content(first)[ends[1].offset...].allSatisfy { $0 == 0 })
        #expect(try open(disk).1.notes == [])
    }

    @Test func aWholeRecordBehindATornOneOfTheSameFlushIsCutToo() throws {
        let (disk, ends) = try disk(with: [
            [write(1, [entry(1, term: 1)])],
            [write(2, [entry(2, term: 1)]), write(3, [entry(3, term: 1)])],
        ])
        disk.edit(first) { $0[ends[1].offset + 40] ^= 1 }
        let (_, log) = try open(disk)
        #expect(log.entries == [entry(1, term: 1)])
        #expect(log.notes.count == 1)
    }

    @Test func damageBeforeAnAcknowledgedRecordIsNotCut() throws {
        let (disk, ends) = try disk(with: [
            [write(1, [entry(1, term: 1)])], [write(2, [entry(2, term: 1)])], [write(3, [entry(3, term: 1)])],
        ])
        disk.edit(first) { $0[ends[1].offset + 40] ^= 1 }
        let before = disk.contents
        let (recovery, file) = try LogRecovery.recover(disk: disk, cluster: exampleCluster, member: exampleMember)
        #expect(file == nil)
        #expect(recovery.setAside == [first])
        #expect(recovery.losses.count == 1)
        #expect(recovery.losses.first?.contains("\(first) is damaged at byte \(ends[1].offset)") == true)
        #expect(!recovery.knowsHardState)
        #expect(disk.contents.filter { $0.key != SegmentWriter.spareName } == before)
    }

    @Test func noFlippedBitIsEverTakenForData() throws {
        let (disk, ends) = try disk(with: exampleGroups)
        let whole = state(after: exampleGroups[...])
        var torn: Set<LogState> = [state(after: exampleGroups.dropLast())]
        var passed = state(after: exampleGroups.dropLast())
        for write in exampleGroups.last ?? [] {
            torn.formUnion(passed.steps(write))
            passed.apply([write])
        }
        let lastFlush = ends[ends.count - 2]
        for name in try disk.names() {
            for place in stride(from: 0, to: 8_192, by: 3) {
                let damaged = disk.copy()
                damaged.edit(name) { $0[place] ^= 1 << UInt8(place % 8) }
                // Told as a loss; or the byte meant nothing; or it lay in the last flush, which looks torn then.
                // A number in the place of the format may look like that of a later version, which is refused.
                guard
                    let (recovery, _) = try? LogRecovery.recover(
                        disk: damaged, cluster: exampleCluster, member: exampleMember)
                else { continue }
                let found = recovery.log.state
                guard recovery.losses.isEmpty else {
                    let kept = found.entries.count
                    #expect(found.entries.isEmpty || passed.entries.count >= kept, "\(name) byte \(place)")
                    continue
                }
                guard found != whole else { continue }
                let isInLastFlush = name == SegmentHeader.name(lastFlush.segment) && place >= lastFlush.offset
                #expect(isInLastFlush && torn.contains(found), "\(name) byte \(place)")
            }
        }
    }

    @Test func aRecordOfAnEarlierLifeIsNotTakenForTheNextOne() throws {
        // Two lives part after the first write; the second of each has the same length.
        let disk = ModelDisk()
        var (earlier, _) = try open(disk)
        try earlier.write([write(1, [entry(1, term: 1)])])
        let later = disk.copy()
        try earlier.write([write(2, [entry(2, term: 1)])])
        let place = earlier.end.offset
        try earlier.write([write(3, [entry(3, term: 1)])])
        let stale = Array(disk.content(first)[place..<earlier.end.offset])
        var (writer, _) = try open(later)
        try writer.write([write(2, [entry(2, term: 2)])])
        #expect(writer.end.offset == place)
        // Whole, with the right sequence, at the right place: only its predecessor was another.
        later.edit(first) { $0.replaceSubrange(place..<place + stale.count, with: stale) }
        let (_, log) = try open(later)
        #expect(log.entries == [entry(1, term: 1), entry(2, term: 2)])
        #expect(log.notes.count == 1)
    }

    @Test func whatOnlyTheKernelStillRemembersIsWrittenAgainBeforeItCounts() throws {
        let disk = ModelDisk()
        disk.forgetsPagesOfFailedFlush = true
        var (writer, _) = try open(disk)
        try writer.write([write(1, [entry(1, term: 1)])])
        disk.fault = { operation, _ in operation == .synchronize ? EIO : nil }
        #expect(throws: StorageError.self) { try writer.write([write(2, [entry(2, term: 1)])]) }
        disk.fault = { _, _ in nil }
        // The failed write is still readable, so a start takes it for the log's end, and the agent may rely on it.
        let (_, log) = try open(disk)
        #expect(log.entries == [entry(1, term: 1), entry(2, term: 1)])
        let afterwards = disk.afterPowerLoss(keepingNames: false) { _, _ in [] }
        #expect(try open(afterwards).1.entries == log.entries)
    }

    @Test(arguments: [false, true]) func aSegmentThatIsMissingOrShortenedIsALoss(isMissing: Bool) throws {
        let (disk, _) = try disk(with: exampleGroups)
        if isMissing {
            disk.removeBehindTheBack(SegmentHeader.name(2))
        } else {
            disk.edit(SegmentHeader.name(2)) { $0.removeLast(4_096) }
        }
        let (recovery, _) = try LogRecovery.recover(disk: disk, cluster: exampleCluster, member: exampleMember)
        #expect(recovery.end.segment == 1)
        #expect(recovery.losses.count == 1)
        #expect(recovery.setAside.contains(SegmentHeader.name(3)))
        #expect(recovery.setAside.contains(SegmentHeader.name(2)) != isMissing)
    }

    @Test func anotherMembersLogIsRefused() throws {
        let (disk, _) = try disk(with: [[write(1, [entry(1, term: 1)])]])
        let stranger = MemberID(rawValue: 0xB2)
        #expect(
            throws: StorageError.foreign(
                file: "/model/" + first, found: "member \(exampleMember)", expected: "member \(stranger)")
        ) { try open(disk, member: stranger) }
    }

    @Test func anotherClustersLogIsRefused() throws {
        let (disk, _) = try disk(with: [[write(1, [entry(1, term: 1)])]])
        let stranger = ClusterID(rawValue: 0xC2)
        #expect(
            throws: StorageError.foreign(
                file: "/model/" + first, found: "cluster \(exampleCluster)", expected: "cluster \(stranger)")
        ) { try LogRecovery.recover(disk: disk, cluster: stranger, member: exampleMember) }
    }

    @Test func aNewerFormatIsRefused() throws {
        let (disk, _) = try disk(with: [[write(1, [entry(1, term: 1)])]])
        let (known, newer) = (SegmentHeader.version, SegmentHeader.version + 1)
        disk.edit(first) { $0[8] = UInt8(newer) }
        let refusal = StorageError.newerVersion(file: "/model/" + first, found: newer, known: known)
        #expect(throws: refusal) { try open(disk) }
    }

    @Test func aLogOfTheFirstFormatIsRead() throws {
        let (disk, _) = try disk(with: [[write(1, [entry(1, term: 1)])]])
        disk.edit(first) { file in
            var block = Array(file[..<SegmentHeader.bytes])
            block[8] = 1
            block.set(number: UInt32(0), at: 12)
            block.set(number: block.withUnsafeBytes { crc32c($0) }, at: 12)
            file.replaceSubrange(..<SegmentHeader.bytes, with: block)
        }
        #expect(try open(disk).1.entries == [entry(1, term: 1)])
    }

    @Test func aWriteThatLeavesAGapIsRefused() throws {
        var (writer, _) = try open(ModelDisk())
        #expect(throws: StorageError.self) { try writer.write([write(1, [entry(2, term: 1)])]) }
    }

    @Test func anEntryLargerThanASegmentIsRefused() throws {
        var (writer, _) = try open(ModelDisk())
        #expect(throws: StorageError.self) { try writer.write([write(1, [entry(1, term: 1, bytes: 5_000)])]) }
    }

    @Test func checksumsAreCastagnoliByInstructionAndByTable() {
        #expect(Array("123456789".utf8).withUnsafeBytes { crc32c($0) } == 0xE306_9283)
        var random = SeededGenerator(state: 3)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            bytes.withUnsafeBytes {
                #expect(crc32c($0, seed: 7) == holdfast_crc32c_by_table(7, $0.baseAddress, count))
            }
        }
    }
}
