// The settings of an interface that virtual addresses depend on, from /proc/sys/net; see NetworkDiagnosis for what is made
// of them. What cannot be read is left at what counts as fine.

import Decisions

public enum NetworkSettings {
    /// Reads the settings of one interface, in the network namespace of this process.
    public static func take(into interface: inout NetworkReadings.Interface) {
        func number(_ family: String, _ name: String, of place: String) -> Int {
            ProcessFigures.text("/proc/sys/net/\(family)/conf/\(place)/\(name)")
                .flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
        }
        let name = interface.name
        // Of these two the kernel takes the greater; the others are the interface's own.
        interface.arpIgnore = max(number("ipv4", "arp_ignore", of: "all"), number("ipv4", "arp_ignore", of: name))
        interface.rpFilter = max(number("ipv4", "rp_filter", of: "all"), number("ipv4", "rp_filter", of: name))
        interface.answersForNeighbours = number("ipv4", "proxy_arp_pvlan", of: name) == 1
        interface.ipv6IsDisabled = number("ipv6", "disable_ipv6", of: name) == 1
    }
}
