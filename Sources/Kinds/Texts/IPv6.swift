// IPv6 addresses, and addresses of either family. No look-ups, no zones (`%eth0`).
// Reading takes every spelling of RFC 4291, section 2.2; writing gives the one of RFC 5952. Where equal addresses must be
// equal texts, a text counts only when writing gives it back; see `IPAddress.init(canonical:)`.

/// An IPv6 address.
public struct IPv6Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first and the last eight bytes, in network order.
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Groups of hexadecimal digits, at most one `::`; nil for anything else. A dotted quad at the end is refused:
    /// such an address is an IPv4 address, and should be written as one.
    public init?(_ text: String) {
        guard text.utf8.count <= 39, let groups = Self.groups(text) else { return nil }
        high = groups[..<4].reduce(0) { $0 << 16 | UInt64($1) }
        low = groups[4...].reduce(0) { $0 << 16 | UInt64($1) }
    }

    private static func groups(_ text: String) -> [UInt16]? {
        guard let gap = gapStart(text) else { return plain(text[...]).flatMap { $0.count == 8 ? $0 : nil } }
        let end = text.index(gap, offsetBy: 2)
        guard !text[end...].hasPrefix(":"), gapStart(String(text[end...])) == nil,
            let left = plain(text[..<gap]), let right = plain(text[end...]), left.count + right.count < 8
        else { return nil }
        return left + [UInt16](repeating: 0, count: 8 - left.count - right.count) + right
    }

    /// Where `::` is.
    private static func gapStart(_ text: String) -> String.Index? {
        var last: String.Index?
        for index in text.indices where text[index] == ":" {
            if let last, text.index(after: last) == index { return last }
            last = index
        }
        return nil
    }

    private static func plain(_ text: Substring) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        for part in text.split(separator: ":", omittingEmptySubsequences: false) {
            guard (1...4).contains(part.utf8.count),
                part.utf8.allSatisfy({ CharacterClass.isHexadecimal($0) }), let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups
    }

    public static func < (left: IPv6Address, right: IPv6Address) -> Bool {
        left.high == right.high ? left.low < right.low : left.high < right.high
    }

    /// As RFC 5952 wants it: lower case, no leading zeros, the longest run of zero groups (the first of equals, at least
    /// two) as `::`.
    public var description: String {
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> UInt64(48 - 16 * ($0 % 4))) }
        var best = 0..<0
        var start = 0
        for position in 0...8 where position == 8 || groups[position] != 0 {
            if position - start > best.count { best = start..<position }
            start = position + 1
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard best.count > 1 else { return text(0..<8) }
        return text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
    }

    /// The sixteen bytes as they go over the wire.
    public var bytes: [UInt8] {
        [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * $0)) } }
    }

    /// Why no virtual address can be this one; nil when one can.
    public var unusable: String? {
        if high == 0, low == 0 { return "the address of no machine (::)" }
        if high == 0, low == 1 { return "a loopback address" }
        if high == 0 { return "an IPv4 address in IPv6 form, or reserved" }
        if high >> 56 == 0xff { return "a multicast address" }
        if high >> 54 == 0xfe80 >> 6 { return "a link-local address, which every network has anew" }
        return nil
    }

    /// The first `length` bits (0 to 128), the others zero.
    public func prefix(_ length: Int) -> IPv6Address {
        let upper = Swift.min(length, 64)
        let lower = Swift.max(length - 64, 0)
        return IPv6Address(
            high: upper == 0 ? 0 : high & UInt64.max << UInt64(64 - upper),
            low: lower == 0 ? 0 : low & UInt64.max << UInt64(64 - lower))
    }
}

/// An address of either family.
public enum IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    case v4(IPv4Address)
    case v6(IPv6Address)

    /// The address in the one spelling it has here; nil for anything else, also for another spelling.
    public init?(canonical text: String) {
        guard let address = IPAddress(text), address.description == text else { return nil }
        self = address
    }

    /// The address in any spelling.
    public init?(_ text: String) {
        if let address = IPv4Address(text) {
            self = .v4(address)
        } else if let address = IPv6Address(text) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }

    /// 32 or 128.
    public var bitCount: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    /// Why no machine on a network can be given this address; nil when one can.
    public var unusable: String? {
        switch self {
        case .v4(let address): address.unusable
        case .v6(let address): address.unusable
        }
    }
}

/// An address of either family with the length of its network's prefix: `192.168.1.99/24`, `fd00::99/64`.
public struct IPInterface: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    /// 1 to 32, or to 128.
    public let prefixLength: Int

    /// Takes any spelling of an IPv6 address.
    public init?(_ text: String) {
        if let interface = IPv4Interface(text) {
            address = .v4(interface.address)
            prefixLength = interface.prefixLength
            return
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let v6 = IPv6Address(String(parts[0])), (1...3).contains(parts[1].utf8.count),
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), parts[1].utf8.first != 0x30,
            let length = Int(parts[1]), (1...128).contains(length)
        else { return nil }
        address = .v6(v6)
        prefixLength = length
    }

    public var description: String { "\(address)/\(prefixLength)" }

    /// Why the address cannot be given to a machine of that network; nil when it can.
    public var objection: String? {
        if let unusable = address.unusable { return unusable }
        switch address {
        case .v4(let address):
            guard let interface = IPv4Interface(description), !interface.hosts.contains(address) else { return nil }
            return address == interface.network ? "the address of the network itself" : "a broadcast address"
        case .v6(let address):
            // RFC 4291 section 2.6.1; networks of two addresses have none (RFC 6164).
            guard prefixLength < 127, address == address.prefix(prefixLength) else { return nil }
            return "the address of all routers of its network"
        }
    }
}

extension CharacterClass {
    static func isHexadecimal(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }
}
