// Where an address goes: the interface it is to be held on.

import Consensus

extension AddressHolder {
    /// The declared interface, or the one that has an address in the same network. Throws when there is none, and when
    /// the address is on this host by somebody else's doing, because then no lease of ours can silence it for long.
    func place(for checked: CheckedAddress, attempted: String) throws(AddressDriverError) -> Link {
        let present = try addresses.list()
        if let foreign = present.first(where: { $0.address == checked.address && !$0.isOurs }) {
            let name = Self.interfaceName(foreign.interface)
            throw .unusable(
                attempted, "\(checked.address) is already on \(name), added by somebody else",
                advice: "remove it there (`ip addr del \(checked.address)/\(foreign.prefixLength) dev \(name)`) and "
                    + "wherever it is configured")
        }
        if let name = checked.interface {
            if let vlan = checked.createdVLAN, announcer.index(named: name) == nil {
                try addresses.make(vlan, named: name)
                log.notice("made the VLAN interface \(name) for \(checked.address)")
            }
            return try announcer.link(named: name, attempted: attempted)
        }
        // Of several, the one whose network is the declared one; then the first the kernel lists.
        let near = present.filter {
            !$0.isOurs && $0.prefixLength < $0.address.bitCount
                && $0.address.sharesNetwork(with: checked.address, prefixLength: checked.prefixLength)
        }
        guard let best = near.first(where: { $0.prefixLength == checked.prefixLength }) ?? near.first else {
            throw .unusable(
                attempted, "no interface of this host has an address in \(checked.address)/\(checked.prefixLength)",
                advice: "name the interface in the VirtualIP, or correct its prefix length")
        }
        return try announcer.link(named: Self.interfaceName(best.interface), attempted: attempted)
    }

    static func interfaceName(_ index: Int32) -> String { KernelGuard.interfaceName(index) ?? "interface \(index)" }
}
