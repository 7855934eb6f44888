// Snapshots beside the log: power is lost at every step of taking, installing and dropping, files rot, and what is read back
// is always all that was acknowledged, without a gap.

import Consensus
import Glibc
import Testing

@testable import Runtime

struct StorageSnapshotTests {
    private static let segmentBytes = 8_192
    private static let configuration = Configuration(
        voters: [1, 2, 3].map { MemberID(rawValue: $0) }, learners: [MemberID(rawValue: 9)])
    private static let joint = Configuration(
        voters: [1, 4].map { MemberID(rawValue: $0) }, learners: [MemberID(rawValue: 9)],
        outgoingVoters: [1, 2, 3].map { MemberID(rawValue: $0) }, learnersNext: [MemberID(rawValue: 2)])

    /// The entry at an index, as everybody has it.
    private static func truth(_ index: UInt64) -> Entry { entry(index, term: 1 + index / 20, bytes: 700) }

    private static func snapshot(_ index: UInt64) -> Snapshot {
        let mark = SnapshotMark(
            index: LogIndex(rawValue: index), term: truth(index).term,
            configuration: index % 2 == 0 ? configuration : joint)
        return Snapshot(mark: mark, bytes: (0..<300).map { UInt8(truncatingIfNeeded: $0 &* index) })
    }

    private struct Life {
        /// The last entry that is certainly there, in the log or under a snapshot.
        var acknowledged: UInt64 = 0
        /// The last that may be.
        var handedIn: UInt64 = 0
    }

    private func open(_ disk: ModelDisk) throws -> (SegmentWriter, SnapshotFiles, RecoveredLog) {
        try LogStore.recover(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: Self.segmentBytes)
    }

    /// Writes, takes snapshots and drops, then installs one that lies far ahead, and goes on; until the disk stops.
    private func live(_ disk: ModelDisk, after step: (ModelDisk, Life) -> Void = { _, _ in }) -> Life {
        var life = Life()
        guard let opened = try? open(disk) else { return life }
        var (writer, files) = (opened.0, opened.1)
        var next: UInt64 = 1
        func write(_ last: UInt64) throws {
            while next <= last {
                life.handedIn = next
                var hard = hardState(Self.truth(next).term.rawValue)
                hard.start = opened.2.hardState.start
                try writer.write([one(next, hard)])
                life.acknowledged = next
                try writer.reserveSpare()
                step(disk, life)
                next += 1
            }
        }
        func one(_ index: UInt64, _ hard: HardState) -> LogWrite {
            LogWrite(
                sequence: WriteSequence(rawValue: index), hardState: hard, entries: [Self.truth(index)], thenSend: [])
        }
        do {
            for round in 1...6 as ClosedRange<UInt64> {
                try write(round * 8)
                let dropThrough = try files.save(Self.snapshot(round * 8 - 2), copies: 1)
                step(disk, life)
                try writer.drop(through: dropThrough)
                step(disk, life)
            }
            life.handedIn = 90
            let dropThrough = try files.save(Self.snapshot(90), copies: 2)
            life.acknowledged = 90
            step(disk, life)
            try writer.write([LogStore.restarting(behind: Self.snapshot(90).mark.position)])
            step(disk, life)
            try writer.drop(through: dropThrough)
            next = 91
            try write(110)
            let later = try files.save(Self.snapshot(108), copies: 1)
            try writer.drop(through: later)
            step(disk, life)
        } catch {
            return life
        }
        return life
    }

    private func check(_ disk: ModelDisk, _ life: Life, _ place: @autoclosure () -> String) {
        do {
            let (_, _, log) = try open(disk)
            var last = log.snapshot?.mark.index.rawValue ?? 0
            if let snapshot = log.snapshot { #expect(snapshot == Self.snapshot(last), "\(place())") }
            for entry in log.entries {
                #expect(entry == Self.truth(last + 1), "\(place()): entry \(entry.index) after \(last)")
                last += 1
            }
            #expect(log.hardState.memory == .whole, "\(place()): \(log.notes)")
            #expect(last >= life.acknowledged && last <= life.handedIn, "\(place()): ends at \(last), \(life)")
        } catch { Issue.record("\(place()): \(error)") }
    }

    private var steps: Int {
        let disk = ModelDisk()
        let life = live(disk)
        #expect(life.acknowledged == 110)
        return disk.operations.count
    }

    @Test func everyCrashPointOfASnapshotLeavesNoGap() {
        for step in 0...steps {
            let disk = ModelDisk()
            disk.fault = { _, count in count >= step ? EIO : nil }
            let life = live(disk)
            for names in [false, true] {
                for share in [0, 1, 2] {
                    let crashed = disk.afterPowerLoss(keepingNames: names) { bytes, isLast in
                        [0..<(isLast ? bytes.count * share / 2 : bytes.count)]
                    }
                    check(crashed, life, "step \(step), names \(names), share \(share)")
                    // What a recovery began must not depend on being the last.
                    check(crashed.copy(), life, "again, step \(step), names \(names), share \(share)")
                }
            }
        }
    }

    @Test func aCrashDuringARecoveryLosesNothing() {
        for step in stride(from: 0, through: steps, by: 3) {
            let disk = ModelDisk()
            disk.fault = { _, count in count >= step ? EIO : nil }
            let life = live(disk)
            for second in 0..<14 {
                let again = disk.afterPowerLoss(keepingNames: true) { bytes, isLast in
                    [0..<(isLast ? bytes.count / 2 : bytes.count)]
                }
                again.fault = { _, count in count >= second ? EIO : nil }
                _ = try? open(again)
                let third = again.afterPowerLoss(keepingNames: true) { bytes, _ in [0..<bytes.count] }
                check(third, life, "step \(step), recovery to \(second)")
            }
        }
    }

    /// At no moment does anything rest on one file alone.
    @Test func anUnreadableNewestSnapshotLeavesNoGap() throws {
        var rotten = 0
        _ = live(ModelDisk()) { disk, life in
            let copy = disk.copy()
            guard let newest = copy.contents.keys.filter({ SnapshotHeader.place(of: $0) != nil }).max() else { return }
            rotten += 1
            copy.edit(newest) { $0[$0.count - 1] ^= 0x10 }
            check(copy, life, "\(newest) is rotten after \(life.acknowledged)")
        }
        #expect(rotten > 50)
    }

    @Test("28 without any readable snapshot a dropped log is of no use, and the member says so")
    func withoutAnyReadableSnapshotADroppedLogIsSetAside() throws {
        let disk = ModelDisk()
        _ = live(disk)
        for name in disk.contents.keys where SnapshotHeader.place(of: name) != nil {
            disk.edit(name) { $0[20] ^= 1 }
        }
        let before = disk.contents.filter { $0.key.hasPrefix("log-") || $0.key.hasPrefix("snapshot-") }
        let (_, _, log) = try open(disk)
        #expect(log.entries == [] && log.snapshot == nil)
        #expect(log.hardState.memory == .incomplete)
        #expect(log.hardState.term == Self.truth(110).term)
        #expect(log.notes.contains { $0.contains("no snapshot can be read") })
        // All of it is still there for a person to look at.
        for (name, bytes) in before {
            let kept = disk.contents.first { $0.key.hasPrefix(SetAside.prefix + name + "-") }
            #expect(kept?.value == bytes, "\(name)")
        }
        let (_, _, again) = try open(disk)
        #expect(again.hardState.memory == .incomplete)
    }

    /// A segment's header says where the log ended when it began; its first record may replace what was before.
    @Test(arguments: [false, true]) func aReplacedTailStaysReadableWhenTheSegmentBeforeGoes(later: Bool) throws {
        let disk = ModelDisk()
        var (writer, files, _) = try open(disk)
        var sequence: UInt64 = 0
        func write(_ index: UInt64, term: UInt64, bytes: Int = 700) throws {
            sequence += 1
            let entries = [entry(index, term: term, bytes: bytes)]
            try writer.write([
                LogWrite(
                    sequence: WriteSequence(rawValue: sequence), hardState: hardState(term), entries: entries,
                    thenSend: [])
            ])
        }
        var last: UInt64 = 0
        let room = LogRecord.size(payload: 64) + LogRecord.size(payload: StoredEntries.frameBytes + 800)
        while writer.end.segmentBytes == 0 || writer.end.offset + room <= writer.end.segmentBytes {
            last += 1
            try write(last, term: 1)
        }
        #expect(writer.end.segment == 1)
        // The new segment begins with the replacement, or replaces after it has gone on for a while.
        if later { for index in last + 1...last + 2 { try write(index, term: 1) } }
        for index in last - 3...last + 4 { try write(index, term: 2, bytes: index == last - 3 ? 700 : 50) }
        #expect(writer.end.segment == 2)
        let covered = SnapshotMark(
            index: LogIndex(rawValue: last + 1), term: Term(rawValue: 2), configuration: Self.configuration)
        try writer.drop(through: try files.save(Snapshot(mark: covered, bytes: [1, 2, 3]), copies: 2))
        #expect(!disk.contents.keys.contains(SegmentHeader.name(1)))
        let (_, _, log) = try open(disk)
        #expect(log.snapshot?.mark == covered)
        #expect(log.entries == (last + 2...last + 4).map { entry($0, term: 2, bytes: 50) })
    }

    @Test func oldFilesGo() throws {
        let disk = ModelDisk()
        _ = live(disk)
        let names = disk.contents.keys.filter { SnapshotHeader.place(of: $0) != nil }.sorted()
        #expect(
            names == [
                SnapshotHeader.name(LogIndex(rawValue: 90), copy: 2),
                SnapshotHeader.name(LogIndex(rawValue: 108), copy: 1),
            ])
        #expect(!disk.contents.keys.contains(SegmentHeader.name(1)))
    }

    @Test func noFlippedBitOfASnapshotIsTakenForData() throws {
        let snapshot = Self.snapshot(6)
        let header = SnapshotHeader(
            cluster: exampleCluster, member: exampleMember, mark: snapshot.mark, size: snapshot.bytes.count,
            checksum: snapshot.checksum)
        let file = header.encoded() + snapshot.bytes
        #expect(try SnapshotHeader.read(file).0 == header)
        #expect(try SnapshotHeader.read(file).content == snapshot.bytes)
        for bit in 0..<file.count * 8 {
            var damaged = file
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: SegmentHeader.Fault.self) { try SnapshotHeader.read(damaged) }
        }
        for length in 0..<file.count {
            #expect(throws: SegmentHeader.Fault.self) { try SnapshotHeader.read(Array(file[..<length])) }
        }
    }

    @Test func aSnapshotOfAnotherMemberIsRefused() throws {
        let disk = ModelDisk()
        _ = live(disk)
        #expect(throws: StorageError.self) {
            try SnapshotFiles.recover(disk: disk, cluster: exampleCluster, member: MemberID(rawValue: 5))
        }
    }
}
