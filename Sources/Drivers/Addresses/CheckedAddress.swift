// Addresses as the kernel and the wire want them, and a virtual address whose text has been checked.

import Glibc
import Kinds

extension IPv4Address {
    /// The four bytes as they go over the wire.
    var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }
}

extension IPAddress {
    /// The bytes as they go over the wire: four or sixteen.
    var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }

    /// Nil for any number of bytes but four and sixteen.
    init?(bytes: ArraySlice<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(IPv4Address(number: bytes.reduce(0) { $0 << 8 | UInt32($1) }))
        case 16:
            func number(_ half: ArraySlice<UInt8>) -> UInt64 { half.reduce(0) { $0 << 8 | UInt64($1) } }
            self = .v6(IPv6Address(high: number(bytes.prefix(8)), low: number(bytes.suffix(8))))
        default: return nil
        }
    }

    var isIPv6: Bool { if case .v6 = self { true } else { false } }

    /// The address family as rtnetlink has it.
    var family: UInt8 { UInt8(isIPv6 ? AF_INET6 : AF_INET) }

    /// Whether both lie in one network of that prefix length (1 to `bitCount`).
    func sharesNetwork(with other: IPAddress, prefixLength: Int) -> Bool {
        switch (self, other) {
        case (.v4(let left), .v4(let right)): (left.number ^ right.number) >> (32 - UInt32(prefixLength)) == 0
        case (.v6(let left), .v6(let right)): left.prefix(prefixLength) == right.prefix(prefixLength)
        default: false
        }
    }
}

/// A virtual address whose text has been checked.
struct CheckedAddress: Hashable, Sendable {
    let address: IPAddress
    let prefixLength: Int
    let interface: String?
    let createdVLAN: VirtualAddress.VLAN?

    init(_ declared: VirtualAddress) throws(AddressDriverError) {
        let attempted = "hold \(declared.address)/\(declared.prefixLength)"
        guard let parsed = IPAddress(declared.address) else {
            throw .unusable(
                attempted, "'\(declared.address)' is not an IP address",
                advice: "write it like 192.168.1.99 or fd00::99")
        }
        if let reason = parsed.unusable {
            throw .unusable(attempted, "\(parsed) is \(reason)", advice: "use a free address of the network")
        }
        guard (1...parsed.bitCount).contains(declared.prefixLength) else {
            throw .unusable(
                attempted, "the prefix length \(declared.prefixLength) is not between 1 and \(parsed.bitCount)",
                advice: "use that of the network, mostly \(parsed.isIPv6 ? 64 : 24)")
        }
        address = parsed
        prefixLength = declared.prefixLength
        interface = declared.interface
        createdVLAN = declared.createdVLAN
    }
}
