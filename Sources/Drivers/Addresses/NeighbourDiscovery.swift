// What ARP is for IPv4: says where an IPv6 address is (RFC 4861 section 7.2.6), and hears when somebody else says
// otherwise. Everything goes through a raw ICMPv6 socket, and so through the guard's output hook; only the probe, which
// names no sender, leaves through the packet socket of Announcer.

import CKernel
import Glibc
import Kinds

/// Sends and hears neighbour advertisements. One thread only.
final class NeighbourDiscovery {
    static let etherType: UInt16 = 0x86dd
    private static let allNodes = IPv6Address(high: 0xff02 << 48, low: 1)
    private static let framesAtOnce = 16

    let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Nil when the kernel has no IPv6.
    static func open() throws(AddressDriverError) -> NeighbourDiscovery? {
        let descriptor = holdfast_neighbour_socket()
        if descriptor == -EAFNOSUPPORT { return nil }
        guard descriptor >= 0 else {
            throw AddressDriverError(
                attempted: "open a socket for neighbour discovery", code: -descriptor, capability: "CAP_NET_RAW",
                advice: "see the kernel log (dmesg)")
        }
        return NeighbourDiscovery(descriptor: descriptor)
    }

    /// An unsolicited advertisement with the override flag to all nodes: whoever knows the address under another hardware
    /// address takes this one. Returns the error number, 0 when it went out.
    func announce(_ address: IPv6Address, at hardwareAddress: [UInt8], on interface: Int32) -> Int32 {
        // Type, code, checksum (the kernel's), the flags R, S and O, the target, and its link-layer address.
        let message: [UInt8] = [136, 0, 0, 0, 0x20, 0, 0, 0] + address.bytes + [2, 1] + hardwareAddress
        return -holdfast_neighbour_send(
            descriptor, interface, address.bytes, Self.allNodes.bytes, message, message.count)
    }

    /// The probe of duplicate address detection (RFC 4862 section 5.4.2) as an IPv6 packet, and where it goes.
    static func probe(for address: IPv6Address) -> (packet: [UInt8], destination: [UInt8]) {
        let unspecified = [UInt8](repeating: 0, count: 16)
        // The solicited-node group of the address (RFC 4291 section 2.7.1), and its Ethernet address (RFC 2464).
        let group = IPv6Address(high: 0xff02 << 48, low: 0x1_ff00_0000 | address.low & 0xff_ffff).bytes
        var message: [UInt8] = [135, 0, 0, 0, 0, 0, 0, 0] + address.bytes
        let length = UInt8(message.count)
        let sum = checksum(unspecified + group + [0, 0, 0, length, 0, 0, 0, 58] + message)
        message[2] = UInt8(sum >> 8)
        message[3] = UInt8(sum & 0xff)
        return ([0x60, 0, 0, 0, 0, length, 58, 255] + unspecified + group + message, [0x33, 0x33] + group.suffix(4))
    }

    /// RFC 1071, of an even number of bytes.
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum = stride(from: 0, to: bytes.count, by: 2).reduce(UInt32(0)) {
            $0 + UInt32(bytes[$1]) << 8 + UInt32(bytes[$1 + 1])
        }
        while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// From now on what others say about, or from, one of these addresses is delivered; and a little more, which
    /// `conflicts` leaves to the holder to tell apart.
    func watch(_ addresses: [IPAddress]) throws(AddressDriverError) {
        let endings = addresses.compactMap { address -> UInt32? in
            if case .v6(let address) = address { UInt32(truncatingIfNeeded: address.low) } else { nil }
        }.prefix(Int(HOLDFAST_WATCHED_MAXIMUM)).map { $0 }
        let code = holdfast_neighbour_watch(descriptor, endings, endings.count)
        guard code == 0 else {
            throw AddressDriverError(
                attempted: "listen for neighbour advertisements", code: -code, capability: "CAP_NET_RAW",
                advice: "see the kernel log (dmesg)")
        }
    }

    /// What was heard since the last call.
    func conflicts() -> [Announcer.Conflict] {
        var found: [Announcer.Conflict] = []
        var message = [UInt8](repeating: 0, count: 128)
        var source = [UInt8](repeating: 0, count: 16)
        for _ in 0..<Self.framesAtOnce {
            var interface: Int32 = 0
            let length = Int(holdfast_neighbour_receive(descriptor, &message, message.count, &source, &interface))
            if length < 0 { break }
            guard length >= 24, let conflict = Self.conflict(message.prefix(length), source, interface) else {
                continue
            }
            if !found.contains(conflict) { found.append(conflict) }
        }
        return found
    }

    /// Whose address the message claims, and for which hardware address; nil when it does not say.
    static func conflict(
        _ message: ArraySlice<UInt8>, _ source: [UInt8], _ interface: Int32
    ) -> Announcer.Conflict? {
        let isAdvertisement = message[0] == 136
        let claimed = isAdvertisement ? message[8..<24] : source[...]
        guard let address = IPAddress(bytes: claimed),
            let hardwareAddress = linkLayerAddress(in: message.dropFirst(24), option: isAdvertisement ? 2 : 1)
        else { return nil }
        return Announcer.Conflict(address: address, interface: interface, hardwareAddress: hardwareAddress)
    }

    /// RFC 4861 section 4.6.1.
    private static func linkLayerAddress(in options: ArraySlice<UInt8>, option: UInt8) -> [UInt8]? {
        var rest = options
        while rest.count >= 8, let type = rest.first {
            let length = Int(rest[rest.startIndex + 1]) * 8
            guard length > 0, length <= rest.count else { return nil }
            if type == option { return Array(rest.dropFirst(2).prefix(6)) }
            rest = rest.dropFirst(length)
        }
        return nil
    }
}
