// Netlink messages as bytes: a writer for requests and a reader for answers (linux/netlink.h; man 7 netlink).
// It knows the framing only, not what a message means.

import CKernel
import Glibc

/// Writes netlink messages with nested attributes, padded to four bytes as the protocol wants it.
struct NetlinkWriter {
    private(set) var bytes: [UInt8] = []

    /// One message: header, then what `body` writes.
    mutating func message(
        type: Int, flags: Int32, sequence: UInt32, _ body: (inout NetlinkWriter) -> Void
    ) {
        let start = bytes.count
        value(
            nlmsghdr(
                nlmsg_len: 0, nlmsg_type: UInt16(type), nlmsg_flags: UInt16(NLM_F_REQUEST | flags),
                nlmsg_seq: sequence, nlmsg_pid: 0))
        body(&self)
        patch(UInt32(bytes.count - start), at: start)
    }

    /// A fixed part of a message, in the machine's layout.
    mutating func value<Value: BitwiseCopyable>(_ value: Value) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
        pad()
    }

    mutating func attribute(_ type: Int, _ content: [UInt8]) {
        value(nlattr(nla_len: UInt16(MemoryLayout<nlattr>.size + content.count), nla_type: UInt16(type)))
        bytes.append(contentsOf: content)
        pad()
    }

    /// A text with the terminating zero that the kernel expects.
    mutating func attribute(_ type: Int, _ text: String) { attribute(type, Array(text.utf8) + [0]) }

    mutating func attribute<Value: BitwiseCopyable>(_ type: Int, value: Value) {
        attribute(type, withUnsafeBytes(of: value) { Array($0) })
    }

    /// An attribute made of attributes.
    mutating func nested(_ type: Int, _ body: (inout NetlinkWriter) -> Void) {
        let start = bytes.count
        value(nlattr(nla_len: 0, nla_type: UInt16(type) | UInt16(1 << 15)))
        body(&self)
        patch(UInt16(bytes.count - start), at: start)
    }

    private mutating func patch<Value: BitwiseCopyable>(_ value: Value, at position: Int) {
        withUnsafeBytes(of: value) { bytes.replaceSubrange(position..<position + $0.count, with: $0) }
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}

/// A message the kernel sent.
struct NetlinkMessage {
    let type: Int
    let sequence: UInt32
    /// What follows the header.
    let payload: [UInt8]

    /// The error number of an acknowledgement, 0 for success; nil for any other message.
    var acknowledgement: Int32? {
        guard type == Int(NLMSG_ERROR), let code: Int32 = Self.load(payload[...]) else { return nil }
        return -code
    }

    /// The attributes after a fixed part of `headerSize` bytes.
    func attributes(after headerSize: Int) -> [(type: Int, content: ArraySlice<UInt8>)] {
        Self.attributes(in: payload.dropFirst((headerSize + 3) & ~3))
    }

    static func attributes(in bytes: ArraySlice<UInt8>) -> [(type: Int, content: ArraySlice<UInt8>)] {
        var result: [(type: Int, content: ArraySlice<UInt8>)] = []
        var rest = bytes
        while let header: nlattr = load(rest) {
            let length = Int(header.nla_len)
            guard length >= MemoryLayout<nlattr>.size, length <= rest.count else { break }
            // The two top bits of the type are flags (nested, network byte order).
            result.append((Int(header.nla_type & 0x3fff), rest.prefix(length).dropFirst(MemoryLayout<nlattr>.size)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return result
    }

    /// The messages in one datagram; what is cut short is left out.
    static func messages(in datagram: ArraySlice<UInt8>) -> [NetlinkMessage] {
        var result: [NetlinkMessage] = []
        var rest = datagram
        while let header: nlmsghdr = load(rest) {
            let length = Int(header.nlmsg_len)
            guard length >= MemoryLayout<nlmsghdr>.size, length <= rest.count else { break }
            result.append(
                NetlinkMessage(
                    type: Int(header.nlmsg_type), sequence: header.nlmsg_seq,
                    payload: Array(rest.prefix(length).dropFirst(MemoryLayout<nlmsghdr>.size))))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return result
    }

    /// A fixed part in the machine's layout; nil when there are too few bytes.
    static func load<Value: BitwiseCopyable>(_ bytes: ArraySlice<UInt8>) -> Value? {
        guard bytes.count >= MemoryLayout<Value>.size else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
    }
}
