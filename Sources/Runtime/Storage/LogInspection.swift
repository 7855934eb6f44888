// A look inside a log's directory, for people: what each file holds and what of it cannot be read. Reads only, claims
// nothing, and so works beside a running agent; what that one is just writing may look cut off at the end.
//
// Does not: recover, decide what a start would make of it, or show what is inside an entry.

import Consensus
import Glibc

/// What a log's directory holds.
public struct LogInspection: Codable, Sendable {
    public struct Segment: Codable, Sendable {
        public var file: String
        public var format: UInt32 = 0
        public var cluster = ""
        public var member = ""
        /// Bytes of the file, and of its header and readable records.
        public var bytes = 0
        public var usedBytes = 0
        public var records = 0
        /// Sequences of the first and the last record.
        public var firstSequence: UInt64 = 0
        public var lastSequence: UInt64 = 0
        /// The entries its records write, the first and the last index; zero: none.
        public var firstEntry: UInt64 = 0
        public var lastEntry: UInt64 = 0
        public var firstTerm: UInt64 = 0
        public var lastTerm: UInt64 = 0
        /// The last hard state in it, or in its header.
        public var hardState = ""
        /// What cannot be read although it was acknowledged.
        public var damage: String?
        /// In the last segment: bytes of a write that is under way or was torn. A start cuts them.
        public var unfinishedBytes = 0
    }

    public struct Snapshot: Codable, Sendable {
        public var file: String
        public var bytes = 0
        public var lastEntry: UInt64 = 0
        public var term: UInt64 = 0
        public var voters: [String] = []
        public var learners: [String] = []
        public var damage: String?
    }

    public struct Slot: Codable, Sendable {
        public var counter: UInt64
        public var logSequence: UInt64
        public var hardState: String
    }

    /// One record, as `--records` lists it.
    public struct Record: Codable, Sendable {
        public var file: String
        public var offset: Int
        public var sequence: UInt64
        /// Records of the same flush before it.
        public var positionInFlush: UInt32
        public var kind: String
        public var what: String
    }

    public var directory: String
    public var segments: [Segment] = []
    public var snapshots: [Snapshot] = []
    /// The readable slots of the second copy of term and vote, the newest first.
    public var votes: [Slot] = []
    /// Damaged files that were set aside.
    public var setAside: [String] = []
    public var records: [Record] = []

    /// Whether anything that stands in its place cannot be read.
    public var isDamaged: Bool {
        segments.contains { $0.damage != nil } || snapshots.contains { $0.damage != nil }
    }

    /// Looks at a directory.
    /// - Throws: `StorageError` when the directory cannot be listed.
    public init(directory: String, listingRecords: Bool = false) throws(StorageError) {
        try self.init(disk: DirectoryDisk(reading: directory), listingRecords: listingRecords)
    }

    init(disk: any LogDisk, listingRecords: Bool) throws(StorageError) {
        directory = disk.path
        let names = try disk.attempt { () throws(DiskFault) in try disk.names() }
        setAside = names.filter { SetAside.start(of: $0) != nil }
        let numbered = names.filter { SegmentHeader.number(of: $0) != nil }.sorted()
        for name in numbered { look(at: name, isLast: name == numbered.last, on: disk, listingRecords) }
        for name in names.filter({ SnapshotHeader.place(of: $0) != nil }).sorted() { look(atSnapshot: name, on: disk) }
        if names.contains(VoteFile.name) { lookAtVotes(on: disk) }
    }

    private init(path: String) { directory = path }

    /// What cannot be read of one closed segment or one snapshot; nil: all of it can, or it is not there any more.
    static func damage(of name: String, on disk: any LogDisk) -> String? {
        var one = LogInspection(path: disk.path)
        if SegmentHeader.number(of: name) != nil {
            one.look(at: name, isLast: false, on: disk, false)
        } else {
            one.look(atSnapshot: name, on: disk)
        }
        guard let damage = one.segments.first?.damage ?? one.snapshots.first?.damage else { return nil }
        // Old files go while this one looks at them.
        return (try? disk.names().contains(name)) == false ? nil : damage
    }

    private mutating func look(at name: String, isLast: Bool, on disk: any LogDisk, _ listing: Bool) {
        var segment = Segment(file: name)
        defer { segments.append(segment) }
        do {
            let file = try disk.readWhole(name)
            segment.bytes = file.count
            try file.withBytes { (raw) throws(SegmentHeader.Fault) in
                let header = try SegmentHeader(raw)
                segment.take(header)
                var reading = RecordReading(header)
                while let record = reading.next(in: raw) {
                    segment.take(record, in: raw)
                    if listing { records.append(record.shown(in: raw, file: name, at: reading.begin)) }
                }
                segment.usedBytes = reading.offset
                let rest = reading.unreadableBytes(in: raw)
                if rest > 0, !isLast || reading.isFollowed(in: raw) {
                    segment.damage = "record \(reading.sequence) at byte \(reading.offset) cannot be read"
                } else {
                    segment.unfinishedBytes = rest
                }
            }
        } catch {
            switch error {
            case let fault as SegmentHeader.Fault: segment.damage = fault.words
            default: segment.damage = "\(error)"
            }
        }
    }

    private mutating func look(atSnapshot name: String, on disk: any LogDisk) {
        var snapshot = Snapshot(file: name)
        defer { snapshots.append(snapshot) }
        do {
            let file = try disk.readWhole(name)
            snapshot.bytes = file.count
            let header = try SnapshotHeader.read(file).0
            snapshot.lastEntry = header.mark.index.rawValue
            snapshot.term = header.mark.term.rawValue
            snapshot.voters = header.mark.configuration.voters.map { "\($0)" }
            snapshot.learners = header.mark.configuration.learners.map { "\($0)" }
        } catch {
            switch error {
            case let fault as SegmentHeader.Fault: snapshot.damage = fault.words
            default: snapshot.damage = "\(error)"
            }
        }
    }

    /// A slot that cannot be read is left out: the agent may be writing it.
    private mutating func lookAtVotes(on disk: any LogDisk) {
        guard let file = try? disk.read(VoteFile.name) else { return }
        for place in [0, VoteFile.slotBytes] where place + VoteFile.slotBytes <= file.count {
            let slot = file.withUnsafeBytes { VoteFile.look($0.part(place..<place + VoteFile.slotBytes)) }
            guard let slot else { continue }
            votes.append(
                Slot(counter: slot.counter, logSequence: slot.logSequence, hardState: slot.hardState.words))
        }
        votes.sort { $0.counter > $1.counter }
    }
}

/// Walks through the records of one segment.
private struct RecordReading {
    private let nonce: UInt32
    /// Of the next record.
    private(set) var sequence: UInt64
    private var previous: UInt32
    /// Where the last record began, and where the next one does.
    private(set) var begin = SegmentHeader.bytes
    private(set) var offset = SegmentHeader.bytes

    init(_ header: SegmentHeader) {
        nonce = header.nonce
        sequence = header.firstSequence
        previous = header.previousChecksum
    }

    mutating func next(in file: UnsafeRawBufferPointer) -> LogRecord? {
        guard let record = LogRecord(in: file, at: offset, nonce: nonce), record.sequence == sequence,
            record.previous == previous
        else { return nil }
        begin = offset
        offset = record.end
        sequence += 1
        previous = record.checksum
        return record
    }

    /// Bytes behind the last readable record that are not zeros.
    func unreadableBytes(in file: UnsafeRawBufferPointer) -> Int {
        var place = file.count - file.count % 8
        while place > offset, file.number(at: place - 8, as: UInt64.self) == 0 { place -= 8 }
        return max(0, place - offset)
    }

    /// Whether a record of a later flush stands behind: then what cannot be read was acknowledged (DESIGN.md).
    func isFollowed(in file: UnsafeRawBufferPointer) -> Bool {
        stride(from: offset, to: file.count - LogRecord.headerBytes, by: LogRecord.alignment).contains { place in
            guard file.number(at: place, as: UInt32.self) == LogRecord.magic else { return false }
            return LogRecord(in: file, at: place, nonce: nonce).map { $0.batchStart > sequence } ?? false
        }
    }
}

extension LogInspection.Segment {
    fileprivate mutating func take(_ header: SegmentHeader) {
        format = header.format
        cluster = "\(header.cluster)"
        member = "\(header.member)"
        hardState = header.hardState.words
        firstSequence = header.firstSequence
    }

    fileprivate mutating func take(_ record: LogRecord, in file: UnsafeRawBufferPointer) {
        records += 1
        lastSequence = record.sequence
        let payload = file.part(record.payload)
        switch LogRecord.Kind(rawValue: record.kind) {
        case .hardState: if let found = HardState.stored(in: payload) { hardState = found.words }
        case .entries:
            guard let entries = StoredEntries.decode(payload), let first = entries.first, let last = entries.last else {
                return
            }
            if firstEntry == 0 { (firstEntry, firstTerm) = (first.index.rawValue, first.term.rawValue) }
            (lastEntry, lastTerm) = (last.index.rawValue, last.term.rawValue)
        case .restart, nil: break
        }
    }
}

extension LogRecord {
    fileprivate func shown(in file: UnsafeRawBufferPointer, file name: String, at offset: Int) -> LogInspection.Record {
        let payload = file.part(payload)
        let (kind, what): (String, String)
        switch Kind(rawValue: self.kind) {
        case .hardState: (kind, what) = ("hard state", HardState.stored(in: payload)?.words ?? "not understood")
        case .entries:
            kind = "entries"
            let entries = StoredEntries.decode(payload) ?? []
            let range = entries.first.map { "\($0.index) to \(entries.last!.index)" } ?? "not understood"
            what = "\(range), \(payload.count) bytes, terms \(Set(entries.map(\.term.rawValue)).sorted())"
        case .restart:
            kind = "beginning anew"
            what = "behind entry \(payload.count >= 8 ? payload.number(at: 0, as: UInt64.self) : 0)"
        case nil: (kind, what) = ("unknown kind \(self.kind)", "\(payload.count) bytes")
        }
        return LogInspection.Record(
            file: name, offset: offset, sequence: sequence, positionInFlush: positionInBatch, kind: kind, what: what)
    }
}

extension HardState {
    /// As a record holds it, of whatever format.
    static func stored(in payload: UnsafeRawBufferPointer) -> HardState? {
        // Each says how much follows, so no record of one format ends where one of another would.
        for format: UInt32 in payload.count == 32 ? [2] : [4, 3] {
            var reader = ByteReader(payload)
            if let state = reader.hardState(format: format), reader.isAtEnd { return state }
        }
        return nil
    }

    /// "term 4, vote 00…07, memory whole, start 3".
    var words: String {
        "term \(term), vote \(vote.map { "\($0)" } ?? "none"), memory \(memory), start \(start.number)"
            + (epoch == .first ? "" : ", epoch \(epoch)")
    }
}

extension SegmentHeader.Fault {
    /// Why a header is of no use.
    var words: String {
        switch self {
        case .newer(let version): "it has format \(version), which this version does not know"
        case .damaged(let reason): reason
        }
    }
}
