// Records: what follows a segment's header, one after the other, each at a multiple of eight bytes.
//
//     0   magic        4    "HFR1"; zero where no record was ever written
//     4   checksum     4    CRC-32C of bytes 8 to the end of the payload, seeded with the segment's nonce
//     8   length       4    of the payload
//     12  kind         1    1 hard state, 2 entries, 3 beginning behind a snapshot; three zero bytes follow
//     16  sequence     8    one more than the record before
//     24  previous     4    the checksum of the record before; across segments too
//     28  in batch     4    how many records of the same flush stand before this one
//     32  payload, then zeros up to the next multiple of eight
//
// "In batch" is what tells a torn write from a damaged disk: the first record of a flush is written only after everything
// before it is durable. So a record that cannot be read was acknowledged if and only if a later flush has begun.

import Consensus

/// A record's frame, as read.
struct LogRecord {
    static let magic: UInt32 = 0x3152_4648
    static let headerBytes = 32
    static let alignment = 8

    enum Kind: UInt8 {
        case hardState = 1
        case entries = 2
        case restart = 3
    }

    let kind: UInt8
    let sequence: UInt64
    let checksum: UInt32
    let previous: UInt32
    let positionInBatch: UInt32
    let payload: Range<Int>

    /// The sequence of the first record of the same flush.
    var batchStart: UInt64 { sequence &- UInt64(positionInBatch) }
    /// Where the next record begins.
    var end: Int { Self.aligned(payload.upperBound) }

    /// The record at `offset` of a segment; nil unless every checked byte of it is as it was written.
    init?(in file: UnsafeRawBufferPointer, at offset: Int, nonce: UInt32) {
        guard file.count - offset >= Self.headerBytes, file.number(at: offset, as: UInt32.self) == Self.magic else {
            return nil
        }
        let length = Int(file.number(at: offset + 8, as: UInt32.self))
        guard length <= file.count - offset - Self.headerBytes else { return nil }
        checksum = file.number(at: offset + 4, as: UInt32.self)
        payload = offset + Self.headerBytes..<offset + Self.headerBytes + length
        guard crc32c(file.part(offset + 8..<payload.upperBound), seed: nonce) == checksum else { return nil }
        kind = file[offset + 12]
        sequence = file.number(at: offset + 16, as: UInt64.self)
        previous = file.number(at: offset + 24, as: UInt32.self)
        positionInBatch = file.number(at: offset + 28, as: UInt32.self)
    }

    static func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }

    /// What a payload of that many bytes costs in a segment.
    static func size(payload: Int) -> Int { aligned(headerBytes + payload) }

    /// Completes the record that was begun at `start` of `buffer` with a frame of zeros and its payload.
    /// Returns its checksum.
    static func seal(
        _ buffer: inout [UInt8], from start: Int, kind: Kind, sequence: UInt64, previous: UInt32,
        positionInBatch: UInt32, nonce: UInt32
    ) -> UInt32 {
        let end = buffer.count
        buffer.set(number: magic, at: start)
        buffer.set(number: UInt32(end - start - headerBytes), at: start + 8)
        buffer[start + 12] = kind.rawValue
        buffer.set(number: sequence, at: start + 16)
        buffer.set(number: previous, at: start + 24)
        buffer.set(number: positionInBatch, at: start + 28)
        let sum = buffer.withUnsafeBytes { crc32c($0.part(start + 8..<end), seed: nonce) }
        buffer.set(number: sum, at: start + 4)
        while buffer.count % alignment != 0 { buffer.append(0) }
        return sum
    }

    /// The frame's place, to be filled by `seal`.
    static func begin(_ buffer: inout [UInt8]) -> Int {
        let start = buffer.count
        for _ in 0..<headerBytes / 8 { buffer.append(number: UInt64(0)) }
        return start
    }
}
