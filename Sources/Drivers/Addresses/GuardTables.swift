// The nftables tables that enforce the leases: what is in them, and how they are put in place at the start.
// Their elements are changed by LeaseGuard, in-process; here `nft` is run, never on the renewal path.

import CKernel
import Glibc
import Kinds

/// The sets of our tables, each in the protocol family it belongs to. Names avoid nft's reserved words.
enum GuardSet: CaseIterable {
    /// Addresses that may be used only under a lease. No timeout: what is guarded stays so when the process dies.
    case guardedARP, guardedIP, guardedEgress, guardedIPv6
    /// Addresses that may appear as sender in ARP or neighbour discovery, until their element times out.
    case announcedARP, announcedEgress, announcedIPv6
    /// Addresses that may receive and send IP packets, until their element times out.
    case acceptedIP, acceptedIPv6
    /// Short-lived tickets, one per arming; see LeaseGuard.
    case ticket

    static let table = "holdfast"

    /// NFPROTO_ARP, NFPROTO_IPV4, NFPROTO_NETDEV and NFPROTO_IPV6 of linux/netfilter.h, which collides with the C library's headers.
    var family: UInt8 {
        switch self {
        case .guardedARP, .announcedARP, .ticket: 3
        case .guardedIP, .acceptedIP: 2
        case .guardedEgress, .announcedEgress: 5
        case .guardedIPv6, .announcedIPv6, .acceptedIPv6: 10
        }
    }

    var name: String {
        switch self {
        case .guardedARP, .guardedIP, .guardedEgress, .guardedIPv6: "guarded"
        case .announcedARP, .announcedEgress, .announcedIPv6: "announced"
        case .acceptedIP, .acceptedIPv6: "accepted"
        case .ticket: "ticket"
        }
    }

    /// Whether its elements time out.
    var hasTimeouts: Bool { name != "guarded" }
}

/// Creates, replaces and removes the tables.
enum GuardTables {
    /// The tables that every kernel since 5.4 with nftables can carry. Deleting and creating happen in one
    /// transaction, so at no moment a guarded address is without its rules; afterwards nothing is announced or accepted.
    ///
    /// - `fib ... type local` limits the IP rules to traffic of this host itself. Packets that are only forwarded or
    ///   bridged here, to or from a holder elsewhere, are none of our business.
    /// - prerouting at -300 and postrouting at 300 lie outside of address translation, so a published container port is
    ///   covered as well.
    static func script(guarding all: [IPAddress]) -> String {
        let table = GuardSet.table
        let addresses = all.filter { !$0.isIPv6 }
        return """
            add table arp \(table)
            delete table arp \(table)
            add table ip \(table)
            delete table ip \(table)
            table arp \(table) {
                set guarded {
                    type ipv4_addr
                    \(elements(addresses))
                }
                set announced {
                    type ipv4_addr
                    flags timeout
                }
                set ticket {
                    type ipv4_addr
                    flags timeout
                }
                chain output {
                    type filter hook output priority -300; policy accept;
                    arp saddr ip @guarded arp saddr ip != @announced drop
                }
            }
            table ip \(table) {
                set guarded {
                    type ipv4_addr
                    \(elements(addresses))
                }
                set accepted {
                    type ipv4_addr
                    flags timeout
                }
                chain prerouting {
                    type filter hook prerouting priority -300; policy accept;
                    ip daddr @guarded ip daddr != @accepted fib daddr type local drop
                }
                chain postrouting {
                    type filter hook postrouting priority 300; policy accept;
                    ip saddr @guarded ip saddr != @accepted fib saddr type local drop
                }
            }

            """
    }

    /// The same for IPv6. Neighbour discovery is ICMPv6: what this host says about its own address, asked or unasked, has
    /// that address as its source (RFC 4861 sections 7.2.2 and 7.2.4), and passes the output hook, also when it comes from
    /// our raw socket. A question for the address goes to a multicast group and is let in; the answer does not get out.
    static func scriptForIPv6(guarding all: [IPAddress]) -> String {
        let table = GuardSet.table
        return """
            add table ip6 \(table)
            delete table ip6 \(table)
            table ip6 \(table) {
                set guarded {
                    type ipv6_addr
                    \(elements(all.filter(\.isIPv6)))
                }
                set announced {
                    type ipv6_addr
                    flags timeout
                }
                set accepted {
                    type ipv6_addr
                    flags timeout
                }
                chain output {
                    type filter hook output priority -300; policy accept;
                    ip6 saddr @guarded ip6 saddr != @announced icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, \
            nd-router-solicit } drop
                }
                chain prerouting {
                    type filter hook prerouting priority -300; policy accept;
                    ip6 daddr @guarded ip6 daddr != @accepted fib daddr type local drop
                }
                chain postrouting {
                    type filter hook postrouting priority 300; policy accept;
                    ip6 saddr @guarded ip6 saddr != @accepted fib saddr type local drop
                }
            }

            """
    }

    /// Our own announcements leave through a packet socket, past the ARP hook; the egress hook of the interface
    /// (Linux 5.16) sees them. Without it a process that is stopped in the middle of announcing could do so too late.
    static func egressScript(guarding all: [IPAddress]) -> String {
        let table = GuardSet.table
        let addresses = all.filter { !$0.isIPv6 }
        return """
            add table netdev \(table)
            delete table netdev \(table)
            table netdev \(table) {
                set guarded {
                    type ipv4_addr
                    \(elements(addresses))
                }
                set announced {
                    type ipv4_addr
                    flags timeout
                }
            }

            """
    }

    /// One more interface under the egress table.
    static func egressAddition(index: Int32, name: String) -> String {
        """
        table netdev \(GuardSet.table) {
            chain egress_\(index) {
                type filter hook egress device "\(name)" priority -300; policy accept;
                arp saddr ip @guarded arp saddr ip != @announced drop
            }
        }

        """
    }

    /// Whether nft's grammar can carry the name of the interface.
    static func canName(_ interface: String) -> Bool {
        !interface.utf8.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") || $0 < 0x21 || $0 > 0x7e }
    }

    private static func elements(_ addresses: [IPAddress]) -> String {
        addresses.isEmpty ? "" : "elements = { \(addresses.map(\.description).joined(separator: ", ")) }"
    }

    /// Feeds a script to nft, all of it or nothing.
    static func apply(_ script: String, attempted: String) throws(AddressDriverError) {
        let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"]
        guard let nft = places.first(where: { access($0, X_OK) == 0 }) else {
            throw AddressDriverError(
                .refused(code: ENOENT), attempted: attempted, answer: "the program nft is not installed",
                advice: "apt install nftables")
        }
        let end = try Program.run(nft, ["-f", "-"], input: script, limitSeconds: 5)
        guard end.status != 0 else { return }
        let answer = end.errors.split(separator: "\n").first.map(String.init) ?? "status \(end.status)"
        if answer.contains("Operation not permitted") {
            throw AddressDriverError(attempted: attempted, code: EPERM)
        }
        throw AddressDriverError(
            .refused(code: end.status), attempted: attempted, answer: "nft said: \(answer)",
            advice:
                "the kernel needs nf_tables with the arp and ip families and fib; Debian's and Proxmox's kernels have them"
        )
    }
}
