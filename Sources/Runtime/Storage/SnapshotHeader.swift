// The first bytes of a snapshot's file: whose it is, what it stands for, and what its content must sum to. DESIGN.md has
// the layout byte by byte.

import Consensus

struct SnapshotHeader: Hashable {
    static let magic: UInt64 = 0x504E_5354_5346_4448  // "HDFSTSNP" as the file shows it
    /// The newest form; a plain configuration is written as version 1, which older releases read.
    static let version: UInt32 = 2
    /// Before the members of the configuration.
    static let fixedBytes = 72
    /// Written under this name first.
    static let temporaryName = "snapshot-new"

    var cluster: ClusterID
    var member: MemberID
    var mark: SnapshotMark
    /// Of the content.
    var size: Int
    var checksum: UInt32

    /// How long the header is; the content follows.
    var bytes: Int { Self.fixedBytes + mark.configuration.storedBytes - 8 }

    func encoded() -> [UInt8] {
        let configuration = mark.configuration
        var block: [UInt8] = []
        block.append(number: Self.magic)
        block.append(number: configuration.isPlain ? 1 : Self.version)
        block.append(number: UInt32(0))
        block.append(number: cluster.rawValue)
        block.append(number: member.rawValue)
        block.append(number: mark.index.rawValue)
        block.append(number: mark.term.rawValue)
        block.append(number: UInt64(size))
        block.append(number: checksum)
        block.append(number: UInt32(configuration.voters.count))
        block.append(number: UInt32(configuration.learners.count))
        block.append(number: UInt32(0))
        precondition(block.count == Self.fixedBytes, "the header's layout is fixed")
        let lists = configuration.storedLists
        for list in lists.dropFirst(2) { block.append(number: UInt32(list.count)) }
        if !configuration.isPlain { block.append(number: configuration.epoch.rawValue) }
        for list in lists {
            for id in list { block.append(number: id.rawValue) }
        }
        block.set(number: block.withUnsafeBytes { crc32c($0) }, at: 12)
        return block
    }

    /// Reads a whole file. Throws when any byte of it is not as it was written.
    static func read(_ file: [UInt8]) throws(SegmentHeader.Fault) -> (SnapshotHeader, content: [UInt8]) {
        try file.withBytes { (raw) throws(SegmentHeader.Fault) in
            let header = try SnapshotHeader(raw)
            guard raw.count - header.bytes == header.size else {
                throw .damaged("it has \(raw.count - header.bytes) bytes of content, not \(header.size)")
            }
            let content = raw.part(header.bytes..<raw.count)
            guard crc32c(content) == header.checksum else { throw .damaged("its content's checksum is wrong") }
            return (header, [UInt8](content))
        }
    }

    private init(_ file: UnsafeRawBufferPointer) throws(SegmentHeader.Fault) {
        guard file.count >= Self.fixedBytes else { throw .damaged("the file ends within its header") }
        guard file.number(at: 0, as: UInt64.self) == Self.magic else {
            throw .damaged("it does not begin as a snapshot does")
        }
        // The version comes first: a later format may compute its checksum differently.
        let version = file.number(at: 8, as: UInt32.self)
        guard version <= Self.version else { throw .newer(version) }
        let isPlain = version == 1
        let start = Self.fixedBytes + (isPlain ? 0 : 16)
        guard file.count >= start else { throw .damaged("the file ends within its header") }
        let counts = [60, 64, 72, 76].prefix(isPlain ? 2 : 4).map { Int(file.number(at: $0, as: UInt32.self)) }
        let length = start + 8 * counts.reduce(0, +)
        guard counts.allSatisfy({ $0 <= Configuration.mostLearners }), length <= file.count else {
            throw .damaged("the file ends within its header")
        }
        var block = [UInt8](file.part(0..<length))
        block.set(number: UInt32(0), at: 12)
        guard file.number(at: 12, as: UInt32.self) == block.withUnsafeBytes({ crc32c($0) }) else {
            throw .damaged("the header's checksum is wrong")
        }
        var place = start
        var lists: [[UInt64]] = []
        for count in counts {
            lists.append((0..<count).map { file.number(at: place + 8 * $0, as: UInt64.self) })
            place += 8 * count
        }
        let epoch = isPlain ? .first : Epoch(rawValue: file.number(at: 80, as: UInt64.self))
        guard let configuration = Configuration(lists: lists, epoch: epoch), configuration.isPlain == isPlain else {
            throw .damaged("its configuration makes no sense")
        }
        cluster = ClusterID(rawValue: file.number(at: 16, as: UInt64.self))
        member = MemberID(rawValue: file.number(at: 24, as: UInt64.self))
        mark = SnapshotMark(
            index: LogIndex(rawValue: file.number(at: 32, as: UInt64.self)),
            term: Term(rawValue: file.number(at: 40, as: UInt64.self)), configuration: configuration)
        size = Int(clamping: file.number(at: 48, as: UInt64.self))
        checksum = file.number(at: 56, as: UInt32.self)
        guard mark.index > .zero, mark.index <= .greatest, mark.term > .zero, mark.term <= .greatest else {
            throw .damaged("it stands for no place in a log")
        }
    }

    init(cluster: ClusterID, member: MemberID, mark: SnapshotMark, size: Int, checksum: UInt32) {
        self.cluster = cluster
        self.member = member
        self.mark = mark
        self.size = size
        self.checksum = checksum
    }

    /// "snapshot-", the index in twenty digits, and the number of the copy, so that names sort as snapshots do.
    static func name(_ index: LogIndex, copy: Int) -> String {
        let digits = String(index.rawValue)
        return "snapshot-" + String(repeating: "0", count: 20 - digits.utf8.count) + digits + "-\(copy)"
    }

    /// What a name stands for; nil for any other name.
    static func place(of name: String) -> (index: LogIndex, copy: Int)? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "snapshot", let number = UInt64(parts[1]), let copy = Int(parts[2]),
            self.name(LogIndex(rawValue: number), copy: copy) == name
        else { return nil }
        return (LogIndex(rawValue: number), copy)
    }
}
