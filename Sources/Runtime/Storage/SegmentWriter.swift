// Appends to the log on disk: turns writes into records, fills segments, begins new ones.
//
// Confined to one thread. Invariant: between two calls everything appended is durable. Records are gathered in `buffer`
// and leave in one write and one flush; nothing after a flush is written before that flush has succeeded.
// Does not: go on after a fault. Its owner drops it then, and the next start recovers.

import Consensus

/// Where the log goes on.
struct LogEnd: Hashable {
    /// The current segment; zero before the first.
    var segment: UInt64 = 0
    /// Seeds the checksums in the current segment.
    var nonce: UInt32 = 0
    /// The size of the current segment's file.
    var segmentBytes = 0
    /// Where the next record goes in it.
    var offset = 0
    /// The number of the next record.
    var sequence: UInt64 = 1
    /// The checksum of the record before it.
    var previousChecksum: UInt32 = 0
    var hardState = HardState()
    var lastIndex = LogIndex.zero
    /// The segments there are, each with the last entry before it.
    var segments: [PresentSegment] = []
}

/// A segment's file, and the last entry before it.
struct PresentSegment: Hashable {
    let number: UInt64
    let lastIndexBefore: LogIndex
}

struct SegmentWriter {
    /// Bytes of entries from which on a new record is begun.
    static let recordBytes = 1024 * 1024
    /// Bytes from which on a flush does not wait for more.
    static let flushBytes = 4 * 1024 * 1024
    /// A buffer that grew beyond this is given back after use.
    static let keptBufferBytes = 256 * 1024
    /// The next segment, reserved and not yet named.
    static let spareName = "spare"

    let disk: any LogDisk
    let cluster: ClusterID
    let member: MemberID
    /// The size of new segments.
    let segmentBytes: Int
    private(set) var end: LogEnd
    /// The second copy of term and vote; nil in tests of the log alone.
    private var votes: VoteFile?
    /// Given up when the next segment finds no space.
    let reserve: SpaceReserve?
    /// Called when there is no space for the next segment and nothing put by: waits for a while, and says whether to try
    /// again. Everything before is durable then.
    var waitForSpace: (StorageError) -> Bool = { _ in false }
    private var file: (any LogFile)?
    private var spare: (any LogFile)?
    private var buffer: [UInt8] = []
    /// Records in `buffer`.
    private var recordsInBatch: UInt32 = 0

    /// Goes on at `end` in `file`, or begins the first segment when there is none.
    init(
        disk: any LogDisk, cluster: ClusterID, member: MemberID, segmentBytes: Int, end: LogEnd, file: (any LogFile)?,
        votes: VoteFile? = nil, reserve: SpaceReserve? = nil
    ) throws(StorageError) {
        self.disk = disk
        self.cluster = cluster
        self.member = member
        self.segmentBytes = segmentBytes
        self.end = end
        self.file = file
        self.votes = votes
        self.reserve = reserve
        if file == nil { try roll() }
    }

    /// Makes all writes durable, in order.
    mutating func write(_ writes: ArraySlice<LogWrite>) throws(StorageError) {
        for write in writes {
            if let hardState = write.hardState { try append(hardState) }
            if let position = write.restartsBehind { try append(position) }
            try append(write.entries)
        }
        try flush()
        if let newest = writes.last(where: { $0.hardState != nil })?.hardState { try copy(newest) }
    }

    /// Copies a hard state that the log has beside it. What rests on it waits for both.
    private mutating func copy(_ hardState: HardState, inBoth: Bool = false) throws(StorageError) {
        try votes?.save(hardState, logSequence: end.sequence, inBoth: inBoth)
    }

    /// The first write of a start: the disk's new start number, in the log and in both slots beside it.
    mutating func begin(with hardState: HardState) throws(StorageError) {
        try append(hardState)
        try flush()
        try copy(hardState, inBoth: true)
    }

    /// Reserves the next segment ahead of need, so that a full disk is noticed while everything still works.
    mutating func reserveSpare() throws(StorageError) {
        guard spare == nil else { return }
        spare = try disk.attempt(needing: segmentBytes) { () throws(DiskFault) in
            try disk.create(Self.spareName, bytes: segmentBytes)
        }
    }

    mutating func close() {
        file?.close()
        spare?.close()
        votes?.close()
        file = nil
        spare = nil
        disk.release()
    }

    // MARK: Records

    private mutating func append(_ hardState: HardState) throws(StorageError) {
        guard hardState.term >= end.hardState.term else {
            throw .invalidWrite(reason: "term \(hardState.term) after term \(end.hardState.term)")
        }
        try makeRoom(for: LogRecord.size(payload: hardState.storedBytes))
        let start = LogRecord.begin(&buffer)
        buffer.append(hardState: hardState)
        seal(from: start, kind: .hardState)
        end.hardState = hardState
    }

    /// A snapshot has taken the place of all entries so far.
    private mutating func append(_ position: LogPosition) throws(StorageError) {
        try makeRoom(for: LogRecord.size(payload: 16))
        let start = LogRecord.begin(&buffer)
        buffer.append(number: position.index.rawValue)
        buffer.append(number: position.term.rawValue)
        seal(from: start, kind: .restart)
        end.lastIndex = position.index
    }

    /// Removes whole segments of which nothing behind `index` is needed. The caller has something durable that covers the
    /// entries up to there. Each name is gone for good before the next goes, so the rest has no gap whatever happens.
    mutating func drop(through index: LogIndex) throws(StorageError) {
        while end.segments.count > 1, end.segments[1].lastIndexBefore <= index {
            let name = SegmentHeader.name(end.segments[0].number)
            try disk.attempt { () throws(DiskFault) in
                try disk.remove(name)
                try disk.synchronizeNames()
            }
            end.segments.removeFirst()
        }
    }

    private mutating func append(_ entries: [Entry]) throws(StorageError) {
        try check(entries)
        var next = entries.startIndex
        while next < entries.endIndex {
            try makeRoom(for: LogRecord.size(payload: StoredEntries.frameBytes + entries[next].storedBytes))
            let room = end.segmentBytes - end.offset - buffer.count
            let start = LogRecord.begin(&buffer)
            buffer.append(number: entries[next].index.rawValue)
            buffer.append(number: UInt64(0))
            var payload = StoredEntries.frameBytes
            let first = next
            repeat {
                buffer.append(entry: entries[next])
                payload += entries[next].storedBytes
                next += 1
            } while next < entries.endIndex && payload + entries[next].storedBytes <= Self.recordBytes
                && LogRecord.size(payload: payload + entries[next].storedBytes) <= room
            buffer.set(number: UInt64(next - first), at: start + LogRecord.headerBytes + 8)
            seal(from: start, kind: .entries)
            end.lastIndex = entries[next - 1].index
        }
    }

    /// What the pure half promises about a write; a log that broke it could not be read again.
    private func check(_ entries: [Entry]) throws(StorageError) {
        guard let first = entries.first else { return }
        guard first.index > .zero, first.index <= end.lastIndex.next else {
            throw .invalidWrite(reason: "entry \(first.index) after entry \(end.lastIndex)")
        }
        for (earlier, later) in zip(entries, entries.dropFirst()) {
            guard later.index == earlier.index.next, later.term >= earlier.term else {
                throw .invalidWrite(
                    reason: "entry \(later.index) of term \(later.term) after entry \(earlier.index) of term "
                        + "\(earlier.term)")
            }
        }
    }

    private mutating func seal(from start: Int, kind: LogRecord.Kind) {
        end.previousChecksum = LogRecord.seal(
            &buffer, from: start, kind: kind, sequence: end.sequence, previous: end.previousChecksum,
            positionInBatch: recordsInBatch, nonce: end.nonce)
        end.sequence += 1
        recordsInBatch += 1
    }

    /// Sees that the next record fits into the current segment, and the buffer stays bounded.
    private mutating func makeRoom(for bytes: Int) throws(StorageError) {
        if buffer.count >= Self.flushBytes { try flush() }
        guard end.offset + buffer.count + bytes > end.segmentBytes else { return }
        guard SegmentHeader.bytes + bytes <= segmentBytes else {
            throw .invalidWrite(reason: "a record of \(bytes) bytes does not fit into a segment of \(segmentBytes)")
        }
        try roll()
    }

    // MARK: The disk

    private mutating func flush() throws(StorageError) {
        guard !buffer.isEmpty, let file else { return }
        try disk.attempt(needing: buffer.count) { () throws(DiskFault) in
            try file.write(buffer, at: end.offset)
            try file.synchronize()
        }
        end.offset += buffer.count
        buffer.removeAll(keepingCapacity: buffer.count <= Self.keptBufferBytes)
        recordsInBatch = 0
    }

    /// Sees that there is a next segment, however long it takes until there is space for one.
    private mutating func reserveOrWait() throws(StorageError) {
        while true {
            do { return try reserveSpare() } catch {
                guard error.isDiskFull, reserve?.release() == true || waitForSpace(error) else { throw error }
            }
        }
    }

    /// Begins the next segment. Its header is durable before it gets its name, its name before it gets a record.
    private mutating func roll() throws(StorageError) {
        try flush()
        try reserveOrWait()
        guard let next = spare else { return }
        var header = SegmentHeader(
            cluster: cluster, member: member, segment: end.segment + 1, segmentBytes: segmentBytes, nonce: 0,
            previousChecksum: end.previousChecksum, firstSequence: end.sequence, lastIndex: end.lastIndex,
            hardState: end.hardState)
        header.nonce = .random(in: .min ... .max)
        let (block, name) = (header.encoded(), SegmentHeader.name(header.segment))
        try disk.attempt(needing: SegmentHeader.bytes) { () throws(DiskFault) in
            try next.write(block, at: 0)
            try next.synchronize()
            try next.rename(to: name)
            try disk.synchronizeNames()
        }
        file?.close()
        file = next
        spare = nil
        end.segment = header.segment
        end.segments.append(PresentSegment(number: header.segment, lastIndexBefore: header.lastIndex))
        end.segmentBytes = segmentBytes
        end.nonce = header.nonce
        end.offset = SegmentHeader.bytes
    }
}
