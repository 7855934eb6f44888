// What the settings of a machine's network do to virtual addresses, said with the remedy. The settings are those of
// Linux's Documentation/networking/ip-sysctl.rst.

/// What a member measures of its network, for the addresses it holds or would.
public struct NetworkReadings: Hashable, Sendable, Codable {
    public struct Interface: Hashable, Sendable, Codable {
        public var name: String
        public var takesIPv4: Bool
        public var takesIPv6: Bool
        /// An IPv4 address goes there although the interface has no address of its own in that network.
        public var lacksNetwork: Bool
        /// `arp_ignore`, `rp_filter` and `proxy_arp_pvlan` as they take effect there.
        public var arpIgnore: Int
        public var rpFilter: Int
        public var answersForNeighbours: Bool
        public var ipv6IsDisabled: Bool

        public init(name: String) {
            self.name = name
            (takesIPv4, takesIPv6, lacksNetwork) = (false, false, false)
            (arpIgnore, rpFilter) = (0, 0)
            (answersForNeighbours, ipv6IsDisabled) = (false, false)
        }
    }

    /// Why announcements by ARP do not end with the lease by the kernel's doing.
    public var announcementProblem: String?
    /// Why IPv6 addresses cannot be held under a lease.
    public var ipv6Problem: String?
    public var interfaces: [Interface]

    public init() {
        announcementProblem = nil
        ipv6Problem = nil
        interfaces = []
    }
}

public enum NetworkDiagnosis {
    static func judge(_ readings: SelfReadings) -> [Finding] {
        guard let network = readings.network else { return [] }
        let member = readings.member
        var findings: [Finding] = []
        if let problem = network.announcementProblem {
            findings.append(
                Finding(
                    .advice, member,
                    "the kernel does not end announcements with the lease, only a look at the clock does: \(problem)",
                    remedy: "use Linux 5.16 or later on \(member): apt full-upgrade, then reboot"))
        }
        if let problem = network.ipv6Problem {
            let isNeeded = network.interfaces.contains { $0.takesIPv6 }
            findings.append(
                Finding(
                    isNeeded ? .wrong : .advice, member, "it can hold no IPv6 address: \(problem)",
                    remedy: "take ipv6.disable=1 off the kernel's command line on \(member), then reboot"))
        }
        for interface in network.interfaces { findings += judge(interface, of: member) }
        if findings.isEmpty, !network.interfaces.isEmpty {
            let names = network.interfaces.map(\.name).joined(separator: ", ")
            findings.append(Finding(.fine, member, "the settings of \(names) suit virtual addresses"))
        }
        return findings
    }

    private static func judge(_ interface: NetworkReadings.Interface, of member: String) -> [Finding] {
        var findings: [Finding] = []
        func find(_ verdict: Finding.Verdict, _ sentence: String, _ remedy: String) {
            findings.append(Finding(verdict, member, sentence, remedy: remedy))
        }
        let name = interface.name
        if interface.takesIPv4, [2, 8].contains(interface.arpIgnore) {
            // 2 compares the asker with the network of the address, and a virtual address is a network of its own.
            find(
                .wrong,
                "arp_ignore is \(interface.arpIgnore) on \(name): it answers nobody who asks for a virtual address",
                setting("ipv4", name, "arp_ignore", 1, alsoAll: true))
        }
        if interface.takesIPv4, interface.lacksNetwork, interface.rpFilter == 1 {
            find(
                .wrong,
                "rp_filter is 1 on \(name), which has no address in the network of the virtual address: "
                    + "what comes for it is dropped",
                "give \(name) an address in that network, or " + setting("ipv4", name, "rp_filter", 2, alsoAll: false))
        }
        if interface.takesIPv4, interface.answersForNeighbours {
            find(
                .wrong, "proxy_arp_pvlan is on for \(name): it may answer for a virtual address that another holds",
                setting("ipv4", name, "proxy_arp_pvlan", 0, alsoAll: false))
        }
        if interface.takesIPv6, interface.ipv6IsDisabled {
            find(
                .wrong, "IPv6 is disabled on \(name), which is to take an IPv6 address",
                setting("ipv6", name, "disable_ipv6", 0, alsoAll: false))
        }
        return findings
    }

    /// The command that changes a setting, and keeps it. In names of settings a dot in an interface is a slash.
    private static func setting(_ family: String, _ interface: String, _ name: String, _ value: Int, alsoAll: Bool)
        -> String
    {
        let own = "net.\(family).conf.\(interface.replacing(".", with: "/")).\(name)=\(value)"
        // The greater of both takes effect.
        let all = alsoAll ? " net.\(family).conf.all.\(name)=\(value)" : ""
        return "sysctl -w \(own)\(all); to keep it, write the same into /etc/sysctl.d/holdfast.conf"
    }
}
