// Addresses on this host's interfaces, over rtnetlink (man 7 rtnetlink, linux/if_addr.h).
// A virtual address is added as a /32 or /128: it brings no route to the network and no broadcast address, is never the
// "secondary" that disappears with another address, and is not chosen as source for what this host sends by itself. In
// IPv6 the length alone does not see to the last (RFC 6724, rule 8, likes the longest common prefix), so there the address
// is deprecated from its first moment: good for answering, not preferred for asking. It does without the kernel's
// duplicate address detection, which would keep it silent for a second or more; see DESIGN.md.

import CKernel
import Glibc
import Kinds

/// Reads and changes addresses. One thread only.
final class InterfaceAddresses {
    /// An address on an interface.
    struct Entry: Equatable {
        let address: IPAddress
        let prefixLength: Int
        let interface: Int32
        /// Who added it (IFA_PROTO, Linux 5.18); 0 when nobody said.
        let origin: UInt8
        /// The kernel removes it by itself when its lifetime ends.
        let isTemporary: Bool

        var isOurs: Bool { origin == InterfaceAddresses.origin }
    }

    /// The mark on our addresses, `ip addr` shows it as `proto 0x48`. Below 4 is the kernel's own.
    static let origin: UInt8 = 0x48
    private let socket: NetlinkSocket

    init() throws(AddressDriverError) { socket = try NetlinkSocket(family: Int32(NETLINK_ROUTE), name: "rtnetlink") }

    /// All addresses of this host.
    func list() throws(AddressDriverError) -> [Entry] {
        let sequence = socket.sequences()
        var request = NetlinkWriter()
        request.message(type: Int(RTM_GETADDR), flags: NLM_F_DUMP, sequence: sequence) {
            $0.value(Self.header(family: UInt8(AF_UNSPEC), prefixLength: 0, interface: 0))
        }
        let answer = try socket.dump(request.bytes, sequence: sequence)
        guard answer.code == 0 else {
            throw AddressDriverError(attempted: "list the addresses of this host", code: answer.code)
        }
        return answer.parts.compactMap(Self.entry)
    }

    /// Adds the address, or gives it a new lifetime when it is there. The kernel removes it after `lifetimeSeconds`,
    /// up to 1.3 s late. Returns the error number, 0 when done.
    func put(_ address: IPAddress, on interface: Int32, lifetimeSeconds: UInt32) throws(AddressDriverError) -> Int32 {
        let lifetime = ifa_cacheinfo(
            ifa_prefered: address.isIPv6 ? 0 : lifetimeSeconds, ifa_valid: lifetimeSeconds, cstamp: 0, tstamp: 0)
        let flags = UInt32(IFA_F_NOPREFIXROUTE) | (address.isIPv6 ? UInt32(IFA_F_NODAD) : 0)
        return try change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address, interface) { message in
            message.attribute(Int(IFA_CACHEINFO), value: lifetime)
            message.attribute(Int(IFA_FLAGS), value: flags)
            message.attribute(Int(IFA_PROTO), value: Self.origin)
        }
    }

    /// Removes the address. Returns the error number, 0 when it is not there any more.
    func remove(
        _ address: IPAddress, prefixLength: Int? = nil, from interface: Int32
    ) throws(AddressDriverError) -> Int32 {
        let code = try change(RTM_DELADDR, 0, address, interface, prefixLength: prefixLength) { _ in }
        return code == EADDRNOTAVAIL || code == ENODEV ? 0 : code
    }

    private func change(
        _ type: Int, _ flags: Int32, _ address: IPAddress, _ interface: Int32, prefixLength: Int? = nil,
        _ more: (inout NetlinkWriter) -> Void
    ) throws(AddressDriverError) -> Int32 {
        try request(type, flags) { message in
            message.value(
                Self.header(
                    family: address.family, prefixLength: UInt8(clamping: prefixLength ?? address.bitCount),
                    interface: interface))
            message.attribute(Int(IFA_LOCAL), address.bytes)
            message.attribute(Int(IFA_ADDRESS), address.bytes)
            more(&message)
        }
    }

    /// Sends one request; returns the error number, 0 when done.
    func request(
        _ type: Int, _ flags: Int32, _ body: (inout NetlinkWriter) -> Void
    ) throws(AddressDriverError) -> Int32 {
        let sequence = socket.sequences()
        var request = NetlinkWriter()
        request.message(type: type, flags: flags | NLM_F_ACK, sequence: sequence, body)
        return try socket.acknowledged(request.bytes, sequence: sequence)
    }

    private static func header(family: UInt8, prefixLength: UInt8, interface: Int32) -> ifaddrmsg {
        ifaddrmsg(
            ifa_family: family, ifa_prefixlen: prefixLength, ifa_flags: 0,
            ifa_scope: UInt8(RT_SCOPE_UNIVERSE.rawValue), ifa_index: UInt32(interface))
    }

    private static func entry(_ message: NetlinkMessage) -> Entry? {
        guard message.type == Int(RTM_NEWADDR), let header: ifaddrmsg = NetlinkMessage.load(message.payload[...])
        else { return nil }
        var address: IPAddress?
        var origin: UInt8 = 0
        var isTemporary = false
        for attribute in message.attributes(after: MemoryLayout<ifaddrmsg>.size) {
            switch attribute.type {
            // IPv6 has only the latter; on a link between two hosts the latter is the other's in IPv4.
            case Int(IFA_LOCAL): address = IPAddress(bytes: attribute.content)
            case Int(IFA_ADDRESS): address = address ?? IPAddress(bytes: attribute.content)
            case Int(IFA_PROTO): origin = attribute.content.first ?? 0
            case Int(IFA_CACHEINFO):
                let lifetime: ifa_cacheinfo? = NetlinkMessage.load(attribute.content)
                isTemporary = lifetime.map { $0.ifa_valid != UInt32.max } ?? false
            default: break
            }
        }
        guard let address else { return nil }
        return Entry(
            address: address, prefixLength: Int(header.ifa_prefixlen), interface: Int32(header.ifa_index),
            origin: origin,
            isTemporary: isTemporary)
    }
}
