// Tells the network where an address is, and notices when somebody else says otherwise. For IPv6 see NeighbourDiscovery.
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
        let address: IPAddress
        let interface: Int32
        let hardwareAddress: [UInt8]
    }

    /// When to announce after the first time. Stations lose broadcasts, and switches that just came up need more.
    static let repeats: [Interval] = [
        .milliseconds(20), .milliseconds(100), .milliseconds(500), .seconds(2), .seconds(5),
    ]
    /// At most so many frames are read in one go; the rest stays in the socket's buffer or is lost.
    private static let framesAtOnce = 16

    private let descriptor: Int32
    /// Nil when the kernel has no IPv6.
    private let neighbours: NeighbourDiscovery?
    /// Readable when somebody else used one of our addresses.
    var descriptors: [Int32] { [descriptor] + (neighbours.map { [$0.descriptor] } ?? []) }

    init() throws(AddressDriverError) {
        descriptor = holdfast_arp_socket()
        neighbours = try NeighbourDiscovery.open()
        guard descriptor >= 0 else {
            throw AddressDriverError(
                attempted: "open a packet socket for ARP", code: -descriptor, capability: "CAP_NET_RAW",
                advice: "the kernel lacks packet sockets: use Debian's kernel")
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The interface of that name, if an address can be announced on it.
    func link(named name: String, attempted: String) throws(AddressDriverError) -> Link {
        var link = holdfast_link()
        let code = name.utf8.contains(0) ? -ENODEV : holdfast_link_named(descriptor, name, &link)
        guard code == 0 else {
            throw .unusable(
                attempted, "interface '\(name)': \(AddressDriverError.text(of: -code))", advice: advice(missing: name))
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

    /// Most interfaces with a number behind a dot are VLANs, which are easily made.
    private func advice(missing name: String) -> String {
        let parts = name.split(separator: ".")
        guard parts.count == 2, let number = Int(parts[1]), (1...4_094).contains(number),
            index(named: String(parts[0])) != nil
        else { return "name an interface that `ip link` shows" }
        return "ip link add link \(parts[0]) name \(name) type vlan id \(number) && ip link set \(name) up; or let the "
            + "VirtualIP say interface: \(parts[0]), vlan: \(number), createVLAN: true"
    }

    /// Says "this address is at my hardware address"; in ARP as request and as reply, because some stations heed only one.
    /// Returns the error number of the first failure, 0 when all went out.
    func announce(_ address: IPAddress, on link: Link) -> Int32 {
        guard let hardwareAddress = hardwareAddress(of: link) else { return ENODEV }
        switch address {
        case .v4(let address): return announceByARP(address, hardwareAddress, on: link)
        case .v6(let address):
            return neighbours?.announce(address, at: hardwareAddress, on: link.index) ?? EAFNOSUPPORT
        }
    }

    private func announceByARP(_ address: IPv4Address, _ hardwareAddress: [UInt8], on link: Link) -> Int32 {
        for operation in [UInt8(1), 2] {
            let packet = Self.packet(
                operation, sender: (hardwareAddress, address),
                target: (operation == 1 ? Self.nowhere : hardwareAddress, address))
            let code = broadcast(packet, on: link)
            if code < 0 { return -code }
        }
        return 0
    }

    /// Asks whether anybody else has the address, without giving one's own (RFC 5227 section 2.1.1; RFC 4862 section
    /// 5.4.2): nobody learns anything from the question. An answer is a conflict.
    func probe(_ address: IPAddress, on link: Link) {
        guard let hardwareAddress = hardwareAddress(of: link) else { return }
        switch address {
        case .v4(let address):
            let nobody = IPv4Address(number: 0)
            _ = broadcast(
                Self.packet(1, sender: (hardwareAddress, nobody), target: (Self.nowhere, address)), on: link)
        case .v6(let address):
            let probe = NeighbourDiscovery.probe(for: address)
            _ = holdfast_frame(
                descriptor, link.index, NeighbourDiscovery.etherType, probe.destination, probe.packet,
                probe.packet.count)
        }
    }

    private func broadcast(_ packet: [UInt8], on link: Link) -> Int32 {
        holdfast_arp_broadcast(descriptor, link.index, packet, packet.count)
    }

    /// From now on only what others say from, or about, one of these addresses is delivered; beyond 512 addresses of a
    /// family, of the first 512.
    func watch(_ addresses: [IPAddress]) throws(AddressDriverError) {
        try neighbours?.watch(addresses)
        let numbers = addresses.compactMap { if case .v4(let address) = $0 { address.number } else { nil } }
            .prefix(Int(HOLDFAST_WATCHED_MAXIMUM)).map { $0 }
        let code = holdfast_arp_watch(descriptor, numbers, numbers.count)
        guard code == 0 else {
            throw AddressDriverError(
                attempted: "listen for ARP", code: -code, capability: "CAP_NET_RAW",
                advice: "see the kernel log (dmesg)")
        }
    }

    /// What was heard since the last call.
    func conflicts() -> [Conflict] {
        var found = neighbours?.conflicts() ?? []
        var packet = [UInt8](repeating: 0, count: 64)
        for _ in 0..<Self.framesAtOnce {
            var interface: Int32 = 0
            let length = holdfast_arp_receive(descriptor, &packet, packet.count, &interface)
            if length < 0 { break }
            guard length >= 28, packet[4] == 6, packet[5] == 4 else { continue }
            let number = packet[14..<18].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let conflict = Conflict(
                address: .v4(IPv4Address(number: number)), interface: interface, hardwareAddress: Array(packet[8..<14]))
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

    /// The index of the interface of that name; nil when there is none.
    func index(named name: String) -> Int32? {
        var current = holdfast_link()
        return holdfast_link_named(descriptor, name, &current) == 0 ? current.index : nil
    }

    /// Whether frames can leave by it, as far as this host knows.
    func hasCarrier(_ link: Link) -> Bool {
        var current = holdfast_link()
        return holdfast_link_named(descriptor, link.name, &current) == 0 && current.is_running != 0
    }

    private static let nowhere = [UInt8](repeating: 0, count: 6)

    /// RFC 826 for Ethernet and IPv4.
    private static func packet(
        _ operation: UInt8, sender: ([UInt8], IPv4Address), target: ([UInt8], IPv4Address)
    ) -> [UInt8] {
        [0, 1, 8, 0, 6, 4, 0, operation] + sender.0 + sender.1.bytes + target.0 + target.1.bytes
    }
}
