// Tells the network where an address is, and notices when somebody else says otherwise.
// Gratuitous ARP (RFC 5227 section 3, RFC 5944 section 4.6) over one packet socket that stays open: closing one takes
// the kernel 15 ms.

import CKernel
import Consensus
import Glibc
import Kinds

/// An interface an address can be announced on.
struct Link: Hashable {
    let index: Int32
    let name: String
}

/// Sends and hears ARP. One thread only.
final class Announcer {
    /// Another machine used one of our addresses as its own.
    struct Conflict: Hashable {
        let address: IPv4Address
        let interface: Int32
        let hardwareAddress: [UInt8]
    }

    /// When to announce after the first time. Stations lose broadcasts, and switches that just came up need more.
    static let repeats: [Interval] = [
        .milliseconds(20), .milliseconds(100), .milliseconds(500), .seconds(2), .seconds(5),
    ]
    /// At most so many frames are read in one go; the rest stays in the socket's buffer or is lost.
    private static let framesAtOnce = 16

    let descriptor: Int32

    init() throws(AddressDriverError) {
        descriptor = holdfast_arp_socket()
        guard descriptor >= 0 else {
            throw AddressDriverError(
                attempted: "open a packet socket for ARP", code: -descriptor, capability: "CAP_NET_RAW",
                advice: "the kernel lacks packet sockets: use Debian's kernel")
        }
    }

    deinit { close(descriptor) }

    /// The interface of that name, if an address can be announced on it.
    func link(named name: String, attempted: String) throws(AddressDriverError) -> Link {
        var link = holdfast_link()
        let code = name.utf8.contains(0) ? -ENODEV : holdfast_link_named(descriptor, name, &link)
        guard code == 0 else {
            throw .unusable(
                attempted, "interface '\(name)': \(AddressDriverError.text(of: -code))",
                advice: "name an interface that `ip link` shows")
        }
        guard link.is_up != 0 else {
            throw .unusable(attempted, "interface \(name) is down", advice: "ip link set \(name) up")
        }
        guard link.speaks_arp != 0 else {
            throw .unusable(
                attempted, "interface \(name) is not an Ethernet interface with ARP", advice: "name one that is")
        }
        return Link(index: link.index, name: name)
    }

    /// Says "this address is at my hardware address", as request and as reply, because some stations heed only one.
    /// Returns the error number of the first failure, 0 when both went out.
    func announce(_ address: IPv4Address, on link: Link) -> Int32 {
        guard let hardwareAddress = hardwareAddress(of: link) else { return ENODEV }
        for operation in [UInt8(1), 2] {
            let packet = Self.packet(
                operation, sender: (hardwareAddress, address),
                target: (operation == 1 ? Self.nowhere : hardwareAddress, address))
            let code = holdfast_arp_broadcast(descriptor, link.index, packet, packet.count)
            if code < 0 { return -code }
        }
        return 0
    }

    /// Asks whether anybody else has the address (RFC 5227's probe: no sender address). An answer is a conflict.
    func probe(_ address: IPv4Address, on link: Link) {
        guard let hardwareAddress = hardwareAddress(of: link) else { return }
        let nobody = IPv4Address(number: 0)
        let packet = Self.packet(1, sender: (hardwareAddress, nobody), target: (Self.nowhere, address))
        _ = holdfast_arp_broadcast(descriptor, link.index, packet, packet.count)
    }

    /// From now on only ARP of others from one of these addresses is delivered; beyond 512 addresses, of the first 512.
    func watch(_ addresses: [IPv4Address]) throws(AddressDriverError) {
        let numbers = addresses.prefix(Int(HOLDFAST_WATCHED_MAXIMUM)).map(\.number)
        let code = holdfast_arp_watch(descriptor, numbers, numbers.count)
        guard code == 0 else {
            throw AddressDriverError(
                attempted: "listen for ARP", code: -code, capability: "CAP_NET_RAW",
                advice: "see the kernel log (dmesg)")
        }
    }

    /// What was heard since the last call.
    func conflicts() -> [Conflict] {
        var found: [Conflict] = []
        var packet = [UInt8](repeating: 0, count: 64)
        for _ in 0..<Self.framesAtOnce {
            var interface: Int32 = 0
            let length = holdfast_arp_receive(descriptor, &packet, packet.count, &interface)
            if length < 0 { break }
            guard length >= 28, packet[4] == 6, packet[5] == 4 else { continue }
            let number = packet[14..<18].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let conflict = Conflict(
                address: IPv4Address(number: number), interface: interface, hardwareAddress: Array(packet[8..<14]))
            if !found.contains(conflict) { found.append(conflict) }
        }
        return found
    }

    /// The hardware address as of now; a bond's changes when it fails over.
    func hardwareAddress(of link: Link) -> [UInt8]? {
        var current = holdfast_link()
        guard holdfast_link_named(descriptor, link.name, &current) == 0, current.index == link.index else { return nil }
        return withUnsafeBytes(of: current.hardware_address) { Array($0) }
    }

    private static let nowhere = [UInt8](repeating: 0, count: 6)

    /// RFC 826 for Ethernet and IPv4.
    private static func packet(
        _ operation: UInt8, sender: ([UInt8], IPv4Address), target: ([UInt8], IPv4Address)
    ) -> [UInt8] {
        [0, 1, 8, 0, 6, 4, 0, operation] + sender.0 + sender.1.bytes + target.0 + target.1.bytes
    }
}
