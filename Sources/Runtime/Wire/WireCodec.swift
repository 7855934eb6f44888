// Peer frames as bytes.

import Agent
import NIOCore

/// Why bytes are not a frame, or a frame cannot be sent.
public enum WireError: Error, Hashable, Sendable {
    /// Longer than `WireCodec.longestFrame`.
    case tooLong(bytes: Int)
    /// Not a protocol buffer of this kind.
    case malformed(String)
    /// A field is missing or outside its range.
    case invalid(field: String, reason: String)
    /// Of a kind this version does not know; a newer version sent it.
    case unknownKind(String)
}

/// Peer frames to bytes and back.
public enum WireCodec {
    /// Most bytes of one frame, without its length prefix.
    public static let longestFrame = 4 * 1024 * 1024

    /// The frame without a length prefix.
    public static func encode(_ frame: PeerFrame) throws(WireError) -> [UInt8] { throw .malformed("") }

    /// Appends the frame with its length prefix (four bytes, big-endian).
    public static func encode(_ frame: PeerFrame, into buffer: inout ByteBuffer) throws(WireError) {}

    /// Reads one frame without a length prefix. Every field is checked: what comes out cannot trap the agent.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> PeerFrame { throw .malformed("") }
}
