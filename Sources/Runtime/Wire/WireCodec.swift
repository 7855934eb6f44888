// Peer frames as bytes: the two functions everything else uses, and what they refuse.
//
// Relies on: peer.proto for the shape; WireEncoding.swift and WireDecoding.swift for each kind.
// Does not: decide whether a frame is meant for this member, or who sent it (the connection's certificate says that).

import Agent
import Consensus
import NIOCore
import SwiftProtobuf

/// Why bytes are not a frame, or a frame cannot be sent.
public enum WireError: Error, Hashable, Sendable {
    /// Longer than `WireCodec.longestFrame`.
    case tooLong(bytes: Int)
    /// Not a protocol buffer of this kind.
    case malformed(String)
    /// A field is missing or outside its range.
    case invalid(field: String, reason: String)
    /// Of a kind this version does not know; a newer version sent it.
    case unknownKind(of: String)
}

extension WireError: CustomStringConvertible {
    /// One line for the log that explains why a connection was closed.
    public var description: String {
        switch self {
        case .tooLong(let bytes):
            "a peer frame of \(bytes) bytes; at most \(WireCodec.longestFrame) are allowed. Is the other side a Holdfast "
                + "peer port?"
        case .malformed(let reason):
            "bytes that are no peer frame (\(reason)); the other side is broken or something else than Holdfast"
        case .invalid(let field, let reason):
            "a peer frame whose \(field) \(reason); the other side is broken, or of a version this one cannot work with"
        case .unknownKind(let what):
            "a peer frame with a kind of \(what) this version does not know; bring this member to the others' version"
        }
    }
}

/// Peer frames to bytes and back.
public enum WireCodec {
    /// Most bytes of one frame, without its length prefix.
    public static let longestFrame = 4 * 1024 * 1024
    /// Indices, terms and rounds are at most this, as the consensus has it: no cluster lives to count so far, and
    /// arithmetic on them cannot overflow.
    static let greatestNumber = LogIndex.greatest.rawValue
    /// Longest duration a peer may name, in nanoseconds: one hour. What a message allows beyond that is its receiver's.
    static let longestDurationNanoseconds: Int64 = 3_600_000_000_000
    /// Latest reading of a clock a peer may name, in nanoseconds; some 73 years after boot.
    static let latestStampNanoseconds = Int64.max / 4

    /// The frame without a length prefix. Throws when it is too long, or holds entries that do not follow each other.
    public static func encode(_ frame: PeerFrame) throws(WireError) -> [UInt8] {
        let message = try WirePeerFrame(frame)
        let bytes: [UInt8]
        do { bytes = try message.serializedBytes() } catch { throw .malformed("\(error)") }
        guard bytes.count <= longestFrame else { throw .tooLong(bytes: bytes.count) }
        return bytes
    }

    /// Appends the frame with its length prefix (four bytes, big-endian). Appends nothing when it throws.
    public static func encode(_ frame: PeerFrame, into buffer: inout ByteBuffer) throws(WireError) {
        let bytes = try encode(frame)
        buffer.writeInteger(UInt32(bytes.count))
        buffer.writeBytes(bytes)
    }

    /// With its length prefix, a frame of a kind that no version knows, so that its recipient drops it: what is sent only
    /// to see whether the connection is still one.
    static func meaninglessFrame(cluster: ClusterID, from: MemberID, to: MemberID) -> ByteBuffer {
        var message = WirePeerFrame()
        message.cluster = cluster.rawValue
        message.from = from.rawValue
        message.to = to.rawValue
        var buffer = ByteBuffer()
        do {
            // Field 15, length-delimited, empty.
            let bytes: [UInt8] = try message.serializedBytes() + [0x7A, 0x00]
            buffer.writeInteger(UInt32(bytes.count))
            buffer.writeBytes(bytes)
        } catch {
            preconditionFailure("three numbers can be written: \(error)")
        }
        return buffer
    }

    /// Reads one frame without a length prefix. Every field is checked: what comes out cannot trap the agent.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> PeerFrame {
        guard bytes.count <= longestFrame else { throw .tooLong(bytes: bytes.count) }
        let message: WirePeerFrame
        do { message = try WirePeerFrame(serializedBytes: bytes) } catch { throw .malformed("\(error)") }
        return try message.checked()
    }

    /// What stood at the front of a buffer.
    enum Next: Sendable {
        case frame(PeerFrame)
        /// Of a kind that a later version knows. It counts as lost: whoever sent it may send others that are understood.
        case unknown
        case incomplete
    }

    /// Takes the next frame off the front of `buffer`. A length beyond the bound throws at once, before anything is
    /// collected for it.
    static func next(from buffer: inout ByteBuffer) throws(WireError) -> Next {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return .incomplete }
        guard length <= longestFrame else { throw .tooLong(bytes: Int(length)) }
        guard let bytes = buffer.getBytes(at: buffer.readerIndex + 4, length: Int(length)) else { return .incomplete }
        buffer.moveReaderIndex(forwardBy: 4 + Int(length))
        do { return .frame(try decode(bytes)) } catch {
            // An entry of an unknown kind is another matter: a log without it would not be the leader's.
            guard case .unknownKind(let what) = error, what == "body" || what == "consensus.message" else {
                throw error
            }
            return .unknown
        }
    }
}
