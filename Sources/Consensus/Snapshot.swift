// A snapshot: what the log up to a position came to, so that the entries up to there need not be kept.
// Only values: Snapshots.swift says when one replaces entries, Messages/SnapshotChunk.swift how one travels.

/// A position of the log.
public struct LogPosition: Hashable, Sendable {
    public let index: LogIndex
    public let term: Term

    public init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }
}

/// What a snapshot stands for: everything up to and including one entry.
public struct SnapshotMark: Hashable, Sendable {
    /// The last entry it covers, and that entry's term.
    public let index: LogIndex
    public let term: Term
    /// The configuration in force there: the entry that set it may be gone with the others.
    public let configuration: Configuration

    public init(index: LogIndex, term: Term, configuration: Configuration) {
        self.index = index
        self.term = term
        self.configuration = configuration
    }

    public var position: LogPosition { LogPosition(index: index, term: term) }
}

/// A whole snapshot. The bytes are the owner's; the consensus never looks inside.
public struct Snapshot: Hashable, Sendable {
    public let mark: SnapshotMark
    public let bytes: [UInt8]
    /// CRC-32C of the bytes.
    public let checksum: UInt32

    public init(mark: SnapshotMark, bytes: [UInt8]) {
        self.init(mark: mark, bytes: bytes, checksum: Checksum.of(bytes))
    }

    /// For bytes whose checksum has been compared already.
    public init(mark: SnapshotMark, bytes: [UInt8], checksum: UInt32) {
        self.mark = mark
        self.bytes = bytes
        self.checksum = checksum
    }
}

/// CRC-32C (Castagnoli), computed piece by piece; eight bytes a step (Kounavis and Berry, "Novel Table Lookup-Based
/// Algorithms for High-Performance CRC Generation", 2008), because a snapshot is summed on the agent's own thread.
public struct Checksum: Hashable, Sendable {
    private var register: UInt32 = .max

    public init() {}

    /// The checksum of everything added so far.
    public var value: UInt32 { ~register }

    public static func of(_ bytes: [UInt8]) -> UInt32 {
        var checksum = Checksum()
        checksum.add(bytes)
        return checksum.value
    }

    public mutating func add(_ bytes: [UInt8]) {
        var register = register
        Self.tables.withUnsafeBufferPointer { tables in
            bytes.withUnsafeBytes { bytes in
                var place = 0
                while place + 8 <= bytes.count {
                    let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
                    let mixed = word ^ UInt64(register)
                    var next: UInt32 = 0
                    for step in 0..<8 {
                        next ^= tables[(7 - step) * 256 + Int(truncatingIfNeeded: (mixed >> UInt64(step * 8)) & 0xFF)]
                    }
                    register = next
                    place += 8
                }
                while place < bytes.count {
                    register = register >> 8 ^ tables[Int((register ^ UInt32(bytes[place])) & 0xFF)]
                    place += 1
                }
            }
        }
        self.register = register
    }

    /// Eight tables of 256: the first advances by one byte, each further one by one byte more.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var register = UInt32(byte)
            for _ in 0..<8 { register = register & 1 == 0 ? register >> 1 : register >> 1 ^ 0x82F6_3B78 }
            tables[byte] = register
        }
        for place in 256..<tables.count {
            let before = tables[place - 256]
            tables[place] = before >> 8 ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()
}
