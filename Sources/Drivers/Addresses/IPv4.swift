// IPv4 addresses and networks as numbers.

import Glibc
import Kinds

/// An IPv4 address; the number is in host byte order.
struct IPv4Number: Hashable, Comparable, Sendable, CustomStringConvertible {
    let number: UInt32

    init(number: UInt32) { self.number = number }

    /// From dotted-quad text; nil for anything else.
    init?(_ text: String) {
        var parsed = in_addr()
        guard !text.utf8.contains(0), inet_pton(AF_INET, text, &parsed) == 1 else { return nil }
        number = UInt32(bigEndian: parsed.s_addr)
    }

    /// The four bytes as they go over the wire.
    var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }

    var description: String { bytes.map(String.init).joined(separator: ".") }

    static func < (left: IPv4Number, right: IPv4Number) -> Bool { left.number < right.number }

    /// Whether both lie in one network of that prefix length (1 to 32).
    func sharesNetwork(with other: IPv4Number, prefixLength: Int) -> Bool {
        (number ^ other.number) >> (32 - UInt32(prefixLength)) == 0
    }

    /// Whether a host can have it on a network: not 0/8, not loopback, not multicast, not reserved.
    var isUnicast: Bool {
        let first = number >> 24
        return first != 0 && first != 127 && first < 224
    }
}

/// A virtual address whose text has been checked.
struct CheckedAddress: Hashable, Sendable {
    let address: IPv4Number
    let prefixLength: Int
    let interface: String?

    init(_ declared: VirtualAddress) throws(AddressDriverError) {
        let attempted = "hold \(declared.address)/\(declared.prefixLength)"
        guard let parsed = IPv4Number(declared.address) else {
            throw .unusable(
                attempted, "'\(declared.address)' is not an IPv4 address", advice: "write it like 192.168.1.99")
        }
        guard parsed.isUnicast else {
            throw .unusable(
                attempted, "\(parsed) cannot be the address of a host", advice: "use a free address of the network")
        }
        guard (1...32).contains(declared.prefixLength) else {
            throw .unusable(
                attempted, "the prefix length \(declared.prefixLength) is not between 1 and 32",
                advice: "use that of the network, mostly 24")
        }
        address = parsed
        prefixLength = declared.prefixLength
        interface = declared.interface
    }
}
