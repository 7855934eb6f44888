// The first 4,096 bytes of a segment file: whose log it is, which part of it, and what was true where it begins.
// DESIGN.md has the layout byte by byte.
//
// A header is durable before its file gets a segment's name, and everything before the segment is durable before the
// header is written. So a segment's header also proves that everything up to its first record was acknowledged.

import Consensus

struct SegmentHeader: Hashable {
    static let bytes = 4_096
    static let magic: UInt64 = 0x474F_4C54_5346_4448  // "HDFSTLOG" as the file shows it
    /// The format this version writes, and the newest it reads.
    static let version: UInt32 = 4

    var cluster: ClusterID
    var member: MemberID
    /// Counted from 1.
    var segment: UInt64
    /// The size of the whole file.
    var segmentBytes: Int
    /// Seeds the checksums of this file's records, so that no record of another file or life is taken for one of its
    /// own. Drawn at random.
    var nonce: UInt32
    /// The checksum of the last record before this segment, or zero.
    var previousChecksum: UInt32
    var firstSequence: UInt64
    /// The last entry before this segment.
    var lastIndex: LogIndex
    /// The hard state as of here, so that no earlier segment need be read for it.
    var hardState: HardState
    /// The format the segment was written in.
    var format = Self.version

    enum Fault: Error, Hashable {
        case newer(UInt32)
        case damaged(String)
    }

    func encoded() -> [UInt8] {
        var block: [UInt8] = []
        block.reserveCapacity(Self.bytes)
        block.append(number: Self.magic)
        block.append(number: Self.version)
        block.append(number: UInt32(0))
        block.append(number: cluster.rawValue)
        block.append(number: member.rawValue)
        block.append(number: segment)
        block.append(number: UInt64(segmentBytes))
        block.append(number: nonce)
        block.append(number: previousChecksum)
        block.append(number: firstSequence)
        block.append(number: lastIndex.rawValue)
        block.append(hardState: hardState)
        precondition(block.count <= Self.bytes, "a header has room for the starts of all voters")
        block.append(contentsOf: [UInt8](repeating: 0, count: Self.bytes - block.count))
        block.set(number: Self.checksum(of: block), at: 12)
        return block
    }

    /// Reads the header at the start of a file.
    init(_ file: UnsafeRawBufferPointer) throws(Fault) {
        guard file.count >= Self.bytes else { throw .damaged("the file ends within its header") }
        let block = file.part(0..<Self.bytes)
        guard block.number(at: 0, as: UInt64.self) == Self.magic else {
            throw .damaged("it does not begin as a log segment does")
        }
        // The version comes first: a later format may compute its checksum differently.
        let version = block.number(at: 8, as: UInt32.self)
        guard version <= Self.version else { throw .newer(version) }
        guard block.number(at: 12, as: UInt32.self) == Self.checksum(of: [UInt8](block)) else {
            throw .damaged("the header's checksum is wrong")
        }
        format = version
        cluster = ClusterID(rawValue: block.number(at: 16, as: UInt64.self))
        member = MemberID(rawValue: block.number(at: 24, as: UInt64.self))
        segment = block.number(at: 32, as: UInt64.self)
        segmentBytes = Int(clamping: block.number(at: 40, as: UInt64.self))
        nonce = block.number(at: 48, as: UInt32.self)
        previousChecksum = block.number(at: 52, as: UInt32.self)
        firstSequence = block.number(at: 56, as: UInt64.self)
        lastIndex = LogIndex(rawValue: block.number(at: 64, as: UInt64.self))
        var reader = ByteReader(block.part(72..<Self.bytes))
        guard let hardState = reader.hardState(format: version) else {
            throw .damaged("the header's hard state makes no sense")
        }
        self.hardState = hardState
    }

    init(
        cluster: ClusterID, member: MemberID, segment: UInt64, segmentBytes: Int, nonce: UInt32,
        previousChecksum: UInt32, firstSequence: UInt64, lastIndex: LogIndex, hardState: HardState
    ) {
        self.cluster = cluster
        self.member = member
        self.segment = segment
        self.segmentBytes = segmentBytes
        self.nonce = nonce
        self.previousChecksum = previousChecksum
        self.firstSequence = firstSequence
        self.lastIndex = lastIndex
        self.hardState = hardState
    }

    /// Over the whole block, with the checksum's own four bytes as zero.
    private static func checksum(of block: [UInt8]) -> UInt32 {
        var block = block
        block.set(number: UInt32(0), at: 12)
        return block.withUnsafeBytes { crc32c($0) }
    }

    /// "log-" and the number in twenty digits, so that names sort as numbers do.
    static func name(_ segment: UInt64) -> String {
        let digits = String(segment)
        return "log-" + String(repeating: "0", count: 20 - digits.utf8.count) + digits
    }

    /// The number of a segment's file name; nil for any other name.
    static func number(of name: String) -> UInt64? {
        guard name.hasPrefix("log-"), let number = UInt64(name.dropFirst(4)), self.name(number) == name else {
            return nil
        }
        return number
    }
}
