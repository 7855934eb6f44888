// The bytes of an ICMP echo (RFC 792, RFC 4443) and of an ARP who-has (RFC 826), made and read. Nothing else of the
// protocols; for IPv6's who-has see NeighbourFrames.

import Glibc

/// Bytes on the wire.
enum Frames {
    /// An echo request that carries its number in full; the 16 bits of the header wrap too soon.
    static func echoRequest(identifier: UInt16, number: Int, isIPv6: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = [isIPv6 ? 128 : 8, 0, 0, 0]
        bytes += bigEndian(identifier) + bigEndian(UInt16(truncatingIfNeeded: number))
        bytes += bigEndian(UInt64(number))
        // The kernel does ICMPv6's, which covers the addresses.
        if isIPv6 { return bytes }
        let sum = checksum(bytes)
        bytes[2] = UInt8(sum >> 8)
        bytes[3] = UInt8(sum & 0xff)
        return bytes
    }

    /// The number in an echo reply, an IPv4 packet, if it answers our `identifier` and comes from `address`.
    static func echoReply(_ packet: some Collection<UInt8>, identifier: UInt16, from address: [UInt8]) -> Int? {
        let bytes = Array(packet)
        guard let first = bytes.first, first >> 4 == 4 else { return nil }
        let header = Int(first & 0x0f) * 4
        guard bytes.count >= header + 16, Array(bytes[12..<16]) == address, bytes[header] == 0,
            Array(bytes[header + 4..<header + 6]) == bigEndian(identifier)
        else { return nil }
        return Int(truncatingIfNeeded: bytes[(header + 8)..<(header + 16)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    /// The number in an ICMPv6 echo reply, which comes without its IPv6 header, if it answers our `identifier`.
    static func echoReplyIPv6(_ message: some Collection<UInt8>, identifier: UInt16) -> Int? {
        let bytes = Array(message)
        guard bytes.count >= 16, bytes[0] == 129, Array(bytes[4..<6]) == bigEndian(identifier) else { return nil }
        return Int(truncatingIfNeeded: bytes[8..<16].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    /// A broadcast that asks who has `target`.
    static func whoHas(_ target: [UInt8], sender: [UInt8], hardware: [UInt8]) -> [UInt8] {
        let broadcast = [UInt8](repeating: 0xff, count: 6)
        let header: [UInt8] = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]
        return broadcast + hardware + header + hardware + sender + [UInt8](repeating: 0, count: 6) + target
    }

    /// Who answers that it has `target`, to a question of `asker`. Announcements answer nobody and are none.
    static func answer(_ frame: some Collection<UInt8>, about target: [UInt8], to asker: [UInt8]) -> String? {
        let bytes = Array(frame)
        guard bytes.count >= 42, bytes[12] == 0x08, bytes[13] == 0x06, bytes[20] == 0, bytes[21] == 2,
            Array(bytes[28..<32]) == target, Array(bytes[38..<42]) == asker
        else { return nil }
        return bytes[22..<28].map(hexadecimal).joined(separator: ":")
    }

    /// The four bytes of an IPv4 address in text; nil when it is none.
    static func address(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        guard parts.count == 4 else { return nil }
        let bytes = parts.compactMap { $0 }
        return bytes.count == 4 ? bytes : nil
    }

    static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    /// RFC 1071.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        return ~UInt16(sum)
    }
}
