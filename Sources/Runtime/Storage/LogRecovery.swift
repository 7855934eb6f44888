// Reads the log back at start. What it accepts is exactly what was acknowledged, or more of what was handed in, in order.
//
// Relies on: SegmentHeader and LogRecord telling whether bytes are as they were written. Repairs one thing only, a torn
// last flush, which was never acknowledged. Anything else that cannot be read it leaves as it is, reads around it, and
// says which files are to be set aside and whether the member has lost something with them.

import Consensus

/// What a recovery found, and where the log goes on.
struct LogRecovery {
    private(set) var log = RecoveredLog(hardState: HardState(), entries: [], notes: [])
    private(set) var end = LogEnd()
    /// What the entries begin behind: zero, or what a snapshot covers.
    private(set) var base = LogIndex.zero
    /// The base is where the log ended when the oldest segment that is left began. Of those entries a later record may
    /// have replaced some; a segment does not tell how far back.
    private var baseIsLastOfDropped = false
    /// Files that take no part in the log any more, because they or their predecessors are damaged.
    private(set) var setAside: [String] = []
    /// What cannot be read any more although it may have been acknowledged, each in words.
    private(set) var losses: [String] = []
    /// Whether the hard state is the newest one the log held.
    private(set) var knowsHardState = true
    /// Bytes behind the last record were cut: a flush that was torn, or one that rotted.
    private(set) var wasCut = false
    /// The format of the last segment that was read.
    private(set) var format = SegmentHeader.version

    private let disk: any LogDisk
    private let cluster: ClusterID
    private let member: MemberID
    /// Where the last flush begins in the current segment.
    private var lastFlush = SegmentHeader.bytes
    /// The segment that is being read: where damage is found.
    private var reading: UInt64 = 0

    /// Reads every segment, repairs a torn end, and makes what was read durable. Returns the open last segment; nil
    /// when there is none.
    ///
    /// - Parameter snapshot: the newest that can be read; it has to cover what the log no longer holds.
    static func recover(
        disk: any LogDisk, cluster: ClusterID, member: MemberID, snapshot: Snapshot? = nil
    ) throws(StorageError) -> (LogRecovery, (any LogFile)?) {
        var range: Range<UInt64> = 0..<UInt64.max
        var losses: [String] = []
        var notes: [String] = []
        while true {
            var recovery = LogRecovery(disk: disk, cluster: cluster, member: member)
            recovery.log.snapshot = snapshot
            recovery.losses = losses
            recovery.knowsHardState = losses.isEmpty
            recovery.log.notes = notes
            do {
                let file = try recovery.readSegments(in: range)
                return (recovery, file)
            } catch {
                guard case .corrupted = error else { throw error }
                // The snapshot may cover everything up to a later segment; otherwise the log ends before the damage.
                if let next = try recovery.nextCovered(in: range) {
                    range = next..<range.upperBound
                    notes.append("\(error). The snapshot covers it: nothing is lost")
                } else {
                    range = range.lowerBound..<max(range.lowerBound, recovery.reading)
                    losses.append("\(error)")
                }
            }
        }
    }

    /// The first segment behind the damaged one that begins at an entry the snapshot covers.
    private func nextCovered(in range: Range<UInt64>) throws(StorageError) -> UInt64? {
        guard let covered = log.snapshot?.mark.index else { return nil }
        let names = try disk.attempt { () throws(DiskFault) in try disk.names() }
        for number in names.compactMap(SegmentHeader.number).sorted() where number > reading && range.contains(number) {
            // One that cannot be read either is passed over; the next may do.
            guard let bytes = try? disk.read(SegmentHeader.name(number)),
                let header = try? bytes.withBytes({ (raw) throws(SegmentHeader.Fault) in try SegmentHeader(raw) }),
                header.segment == number
            else { continue }
            return header.lastIndex <= covered ? number : nil
        }
        return nil
    }

    private init(disk: any LogDisk, cluster: ClusterID, member: MemberID) {
        self.disk = disk
        self.cluster = cluster
        self.member = member
    }

    private mutating func readSegments(in range: Range<UInt64>) throws(StorageError) -> (any LogFile)? {
        let names = try disk.attempt { () throws(DiskFault) in try disk.names() }
        // A spare was reserved and never written to, or a start of a segment that never came to be.
        if names.contains(SegmentWriter.spareName) {
            try disk.attempt { () throws(DiskFault) in try disk.remove(SegmentWriter.spareName) }
        }
        let all = names.compactMap(SegmentHeader.number).sorted()
        let numbers = all.filter { range.contains($0) }
        setAside = all.filter { !range.contains($0) }.map(SegmentHeader.name)
        for (position, number) in numbers.enumerated() {
            let name = SegmentHeader.name(number)
            // The first ones may have been dropped; that a snapshot covers them is looked at when all is read.
            let expected = numbers[0] + UInt64(position)
            guard number == expected else {
                reading = expected
                throw .corrupted(file: path(SegmentHeader.name(expected)), offset: 0, reason: "the file is missing")
            }
            reading = number
            let bytes = try disk.readWhole(name)
            // What follows on a segment that is set aside was acknowledged before that one began.
            let isLast = number == numbers.last && number == all.last
            let junk = try bytes.withBytes { (raw) throws(StorageError) in
                try readSegment(raw, name: name, isLast: isLast)
            }
            guard isLast else { continue }
            guard isCovered() else { return nil }
            return try secure(bytes, name: name, junk: junk)
        }
        _ = isCovered()
        return nil
    }

    // MARK: One segment

    /// Reads header and records. Returns where the last byte that is not zero lies behind the last record, for the
    /// last segment.
    private mutating func readSegment(
        _ bytes: UnsafeRawBufferPointer, name: String, isLast: Bool
    ) throws(StorageError) -> Int {
        try begin(try readHeader(bytes, name: name), name: name)
        while let record = LogRecord(in: bytes, at: end.offset, nonce: end.nonce),
            record.sequence == end.sequence, record.previous == end.previousChecksum
        {
            try apply(record, in: bytes, name: name)
            if record.positionInBatch == 0 { lastFlush = end.offset }
            end.offset = record.end
            end.sequence += 1
            end.previousChecksum = record.checksum
        }
        guard isLast else { return end.offset }
        if let later = acknowledgedRecord(behind: end.offset, in: bytes) {
            throw damaged(
                name,
                "record \(end.sequence) cannot be read, but record \(later.sequence) behind it proves that it "
                    + "was acknowledged")
        }
        return endOfData(in: bytes)
    }

    private func readHeader(_ bytes: UnsafeRawBufferPointer, name: String) throws(StorageError) -> SegmentHeader {
        let header: SegmentHeader
        do { header = try SegmentHeader(bytes) } catch {
            switch error {
            case .newer(let version):
                throw .newerVersion(file: path(name), found: version, known: SegmentHeader.version)
            case .damaged(let reason): throw .corrupted(file: path(name), offset: 0, reason: reason)
            }
        }
        guard header.cluster == cluster else {
            throw .foreign(file: path(name), found: "cluster \(header.cluster)", expected: "cluster \(cluster)")
        }
        guard header.member == member else {
            throw .foreign(file: path(name), found: "member \(header.member)", expected: "member \(member)")
        }
        guard SegmentHeader.name(header.segment) == name else {
            throw .corrupted(file: path(name), offset: 0, reason: "the file holds segment \(header.segment)")
        }
        guard header.segmentBytes == bytes.count else {
            throw .corrupted(
                file: path(name), offset: min(bytes.count, header.segmentBytes),
                reason: "the file has \(bytes.count) bytes, not \(header.segmentBytes)")
        }
        return header
    }

    /// Goes on in the next segment, when the one before led exactly up to it. `end` still stands in the one before.
    private mutating func begin(_ header: SegmentHeader, name: String) throws(StorageError) {
        if end.segment == 0, header.segment > 1 {
            end.sequence = header.firstSequence
            end.previousChecksum = header.previousChecksum
            end.hardState = header.hardState
            end.lastIndex = header.lastIndex
            log.hardState = header.hardState
            base = header.lastIndex
            baseIsLastOfDropped = true
        }
        guard header.firstSequence == end.sequence, header.previousChecksum == end.previousChecksum else {
            guard end.segment > 0 else { throw damaged(name, "the first segment does not begin the log") }
            reading = end.segment
            throw damaged(
                SegmentHeader.name(end.segment),
                "record \(end.sequence) cannot be read, but \(name) proves that the records before "
                    + "\(header.firstSequence) were acknowledged")
        }
        guard header.lastIndex == end.lastIndex, header.hardState == log.hardState else {
            throw .corrupted(
                file: path(name), offset: 0, reason: "its header does not agree with the records before it")
        }
        format = header.format
        end.segment = header.segment
        end.segments.append(PresentSegment(number: header.segment, lastIndexBefore: header.lastIndex))
        end.segmentBytes = header.segmentBytes
        end.nonce = header.nonce
        end.offset = SegmentHeader.bytes
        lastFlush = SegmentHeader.bytes
    }

    private mutating func apply(
        _ record: LogRecord, in bytes: UnsafeRawBufferPointer, name: String
    ) throws(StorageError) {
        let payload = bytes.part(record.payload)
        switch LogRecord.Kind(rawValue: record.kind) {
        case .hardState:
            guard let hardState = HardState.stored(in: payload) else {
                throw damaged(name, "record \(record.sequence) is whole, but holds no hard state")
            }
            log.hardState = hardState
            end.hardState = hardState
        case .entries:
            guard let entries = StoredEntries.decode(payload), let first = entries.first else {
                throw damaged(name, "record \(record.sequence) is whole, but its entries cannot be read")
            }
            if baseIsLastOfDropped, first.index <= base, first.index > .zero {
                // It replaces the tail from a place that was in a segment that is gone. All in front of it is covered by
                // a snapshot, which is looked at when all is read.
                log.entries = []
                base = first.index.previous
            }
            guard accept(first) else {
                throw damaged(name, "record \(record.sequence) is whole, but its entries do not continue the log")
            }
            // A record that begins at or before the last entry replaces the tail.
            log.entries.removeSubrange(Int(first.index.rawValue - base.rawValue) - 1..<log.entries.count)
            log.entries.append(contentsOf: entries)
            end.lastIndex = first.index + (entries.count - 1)
        case .restart:
            var reader = ByteReader(payload)
            guard let index = reader.number(UInt64.self), reader.number(UInt64.self) != nil, reader.isAtEnd,
                index <= LogIndex.greatest.rawValue
            else { throw damaged(name, "record \(record.sequence) is whole, but names no place in the log") }
            base = LogIndex(rawValue: index)
            baseIsLastOfDropped = false
            log.entries = []
            end.lastIndex = base
        case nil:
            throw damaged(name, "record \(record.sequence) is of an unknown kind, \(record.kind)")
        }
    }

    private func accept(_ first: Entry) -> Bool {
        guard first.index > base, first.index <= end.lastIndex.next else { return false }
        guard first.index > base.next else { return true }
        return log.entries[Int(first.index.rawValue - base.rawValue) - 2].term <= first.term
    }

    // MARK: The end of the log

    /// A whole record behind `offset` whose flush began after the one that should stand at `offset`. A flush begins
    /// only when everything before it is durable, so such a record means that something acknowledged is damaged:
    ///
    ///     flush 7: [20][21]   flush 8: [22][23][24]
    ///               20  21              22  ??  24      torn: 24 is of the same flush as 23. Cut 23 and 24.
    ///               20  ??              22  23  24      damaged: 22 began a flush after 21. Cut nothing.
    private func acknowledgedRecord(behind offset: Int, in bytes: UnsafeRawBufferPointer) -> LogRecord? {
        var place = offset
        while place + LogRecord.headerBytes <= bytes.count {
            if bytes.number(at: place, as: UInt32.self) == LogRecord.magic,
                let record = LogRecord(in: bytes, at: place, nonce: end.nonce), record.batchStart > end.sequence
            {
                return record
            }
            place += LogRecord.alignment
        }
        return nil
    }

    /// The end of the last eight bytes that are not all zero, at or behind the last record's end.
    private func endOfData(in bytes: UnsafeRawBufferPointer) -> Int {
        var place = bytes.count
        while place > end.offset && bytes.number(at: place - 8, as: UInt64.self) == 0 { place -= 8 }
        return place
    }

    /// Cuts what lies behind the last record, and makes durable what was just read.
    ///
    /// The last flush may never have reached the disk: its process was killed before the flush, or the flush failed
    /// and the kernel kept the pages as if it had not. What was read is only then the truth when it is written again.
    private mutating func secure(_ bytes: [UInt8], name: String, junk: Int) throws(StorageError) -> any LogFile {
        wasCut = junk > end.offset
        if wasCut {
            log.notes.append(
                "\(path(name)): a write was torn at byte \(end.offset); \(junk - end.offset) bytes that were never "
                    + "acknowledged were cut, the log ends with entry \(end.lastIndex)")
        }
        let start = lastFlush
        let again = bytes[start..<end.offset] + repeatElement(0, count: junk - end.offset)
        return try disk.attempt { () throws(DiskFault) in
            let file = try disk.open(name)
            try file.write([UInt8](again), at: start)
            try file.synchronize()
            try disk.synchronizeNames()
            return file
        }
    }

    // MARK: Snapshots

    /// Whatever the log does not hold, the snapshot must. Otherwise no entry of the log is of any use: all of it is set
    /// aside. The hard state stays known, since every record was read.
    private mutating func isCovered() -> Bool {
        guard base > log.snapshot?.mark.index ?? .zero else { return true }
        losses.append(
            "the log in \(disk.path) begins behind entry \(base), but "
                + (log.snapshot.map { "the newest readable snapshot ends at \($0.mark.index)" }
                    ?? "no snapshot can be read"))
        setAside += end.segments.map { SegmentHeader.name($0.number) }
        let hardState = log.hardState
        end = LogEnd()
        base = .zero
        log.entries = []
        log.hardState = hardState
        return false
    }

    /// Lets the log go on behind the newest readable snapshot. Returns where it must begin anew because it does not hold
    /// the snapshot's last entry: the snapshot covers or contradicts all of it.
    mutating func connect() -> LogPosition? {
        guard let position = log.snapshot?.mark.position else { return nil }
        // What was dropped was committed, and so is what a snapshot covers: one entry of that index.
        let covered = log.entries.prefix { $0.index <= position.index }
        let holds = covered.last.map { $0.index == position.index && $0.term == position.term }
        guard holds ?? (base == position.index) else {
            log.entries = []
            return position
        }
        log.entries.removeFirst(covered.count)
        return nil
    }

    private func path(_ name: String) -> String { disk.path + "/" + name }

    private func damaged(_ name: String, _ reason: String) -> StorageError {
        .corrupted(
            file: path(name), offset: end.offset, reason: reason + " (the last entry before it is \(end.lastIndex))")
    }
}
