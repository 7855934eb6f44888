// IPv4 addresses as the kernel and the wire want them, and a virtual address whose text has been checked.

import Kinds

extension IPv4Address {
    /// The four bytes as they go over the wire.
    var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }

    /// Whether both lie in one network of that prefix length (1 to 32).
    func sharesNetwork(with other: IPv4Address, prefixLength: Int) -> Bool {
        (number ^ other.number) >> (32 - UInt32(prefixLength)) == 0
    }
}

/// A virtual address whose text has been checked.
struct CheckedAddress: Hashable, Sendable {
    let address: IPv4Address
    let prefixLength: Int
    let interface: String?

    init(_ declared: VirtualAddress) throws(AddressDriverError) {
        let attempted = "hold \(declared.address)/\(declared.prefixLength)"
        guard let parsed = IPv4Address(declared.address) else {
            throw .unusable(
                attempted, "'\(declared.address)' is not an IPv4 address", advice: "write it like 192.168.1.99")
        }
        if let reason = parsed.unusable {
            throw .unusable(attempted, "\(parsed) is \(reason)", advice: "use a free address of the network")
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
