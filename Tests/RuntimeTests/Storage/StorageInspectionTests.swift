// What a person is shown of a log's directory.

import Consensus
import Synchronization
import Testing

@testable import Runtime

struct StorageInspectionTests {
    private func disk() throws -> ModelDisk {
        let disk = ModelDisk()
        var (writer, files, _) = try LogStore.recover(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: 8_192)
        for index in UInt64(1)...12 {
            try writer.write([write(index, hardState: hardState(3, vote: 7), [entry(index, term: 3, bytes: 900)])])
        }
        let mark = SnapshotMark(
            index: LogIndex(rawValue: 6), term: Term(rawValue: 3), configuration: Configuration(voters: [exampleMember])
        )
        _ = try files.save(Snapshot(mark: mark, bytes: [1, 2, 3]), copies: 1)
        return disk
    }

    @Test func everythingIsShownAndNothingTouched() throws {
        let disk = try disk()
        let before = disk.contents
        let operations = disk.operations.count
        let found = try LogInspection(disk: disk, listingRecords: true)
        #expect(disk.contents == before && disk.operations.count == operations)
        #expect(!found.isDamaged)
        #expect(found.segments.count > 2)
        #expect(found.segments.first?.firstEntry == 1 && found.segments.last?.lastEntry == 12)
        #expect(found.segments.allSatisfy { $0.lastTerm == 3 && $0.member == "\(exampleMember)" })
        #expect(found.snapshots.map(\.lastEntry) == [6])
        #expect(found.votes.count == 2)
        #expect(found.votes.first?.hardState.hasPrefix("term 3, vote 0000000000000007, memory whole") == true)
        // The start's own record, and two for each write.
        #expect(found.records.map(\.sequence) == Array(1...25))
        #expect(found.records.last?.what.hasPrefix("12 to 12") == true)
    }

    @Test func damageIsShownInItsPlace() throws {
        let disk = try disk()
        disk.edit(SegmentHeader.name(2)) { $0[SegmentHeader.bytes + 40] ^= 1 }
        disk.edit(SegmentHeader.name(1)) { $0[20] ^= 1 }
        let snapshot = SnapshotHeader.name(LogIndex(rawValue: 6), copy: 1)
        disk.edit(snapshot) { $0[$0.count - 1] ^= 1 }
        let found = try LogInspection(disk: disk, listingRecords: false)
        #expect(found.segments[0].damage == "the header's checksum is wrong")
        #expect(found.segments[1].damage?.hasSuffix("at byte 4096 cannot be read") == true)
        #expect(found.segments[2].damage == nil)
        #expect(found.snapshots.first?.damage == "its content's checksum is wrong")
        #expect(found.isDamaged)
    }

    @Test func oldFilesAreVerifiedAtABoundedRate() throws {
        let disk = try disk()
        let told = Told()
        let scrubber = Scrubber(disk: disk) { told.add($0) }
        var read = 0
        scrubber.scrub { bytes in
            read += bytes
            return true
        }
        #expect(told.words.isEmpty)
        // All segments but the one that is written, and the snapshot.
        let segments = disk.contents.keys.count { SegmentHeader.number(of: $0) != nil }
        #expect(read > (segments - 1) * 8_192 && read < segments * 8_192)
        #expect(scrubber.findings.verifiedBytes == UInt64(read))
        disk.edit(SegmentHeader.name(2)) { $0[SegmentHeader.bytes + 40] ^= 1 }
        for _ in 0..<2 { scrubber.scrub { _ in true } }
        #expect(told.words.count == 1)
        #expect(told.words.first?.contains("\(SegmentHeader.name(2)) rotted") == true)
        #expect(scrubber.findings.damaged == [SegmentHeader.name(2)])
        // What a snapshot covers goes, and with it the finding.
        disk.removeBehindTheBack(SegmentHeader.name(2))
        scrubber.scrub { _ in true }
        #expect(scrubber.findings.damaged.isEmpty)
    }

    private final class Told: Sendable {
        private let state = Mutex<[String]>([])
        var words: [String] { state.withLock { $0 } }
        func add(_ words: String) { state.withLock { $0.append(words) } }
    }
}
