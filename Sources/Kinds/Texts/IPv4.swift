// IPv4 addresses and the networks they are in. No look-ups, no host names.
// Stricter than inet_aton on purpose: one address has one spelling, so equal addresses are equal texts.

/// An IPv4 address.
public struct IPv4Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let number: UInt32

    public init(number: UInt32) { self.number = number }

    /// A dotted quad; nil for anything else. A leading zero is refused, because some programs read it as octal.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                return nil
            }
            guard part.utf8.count == 1 || part.utf8.first != 0x30, let octet = UInt8(part) else { return nil }
            number = number << 8 | UInt32(octet)
        }
        self.number = number
    }

    public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.number < right.number }

    public var description: String {
        "\(number >> 24).\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)"
    }

    /// Why no machine can have this address on a network; nil when one can.
    public var unusable: String? {
        switch number >> 24 {
        case 0: "an address of no machine (0.0.0.0/8)"
        case 127: "a loopback address"
        case 224...239: "a multicast address"
        case 240...255: "a reserved address"
        default: nil
        }
    }
}

/// An IPv4 address with the length of its network's prefix: `192.168.1.99/24`.
public struct IPv4Interface: Hashable, Sendable, CustomStringConvertible {
    public let address: IPv4Address
    /// 1 to 32.
    public let prefixLength: Int

    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(String(parts[0])) else { return nil }
        guard (1...2).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            parts[1].utf8.first != 0x30,
            let length = Int(parts[1]), (1...32).contains(length)
        else { return nil }
        self.address = address
        prefixLength = length
    }

    public var description: String { "\(address)/\(prefixLength)" }

    private var hostBits: UInt32 { prefixLength == 32 ? 0 : UInt32.max >> UInt32(prefixLength) }
    public var network: IPv4Address { IPv4Address(number: address.number & ~hostBits) }
    public var broadcast: IPv4Address { IPv4Address(number: address.number | hostBits) }

    /// The addresses of the network that machines may have. In networks of one or two addresses all of them (RFC 3021).
    public var hosts: ClosedRange<IPv4Address> {
        guard prefixLength < 31 else { return network...broadcast }
        return IPv4Address(number: network.number + 1)...IPv4Address(number: broadcast.number - 1)
    }
}
