// Makes the interface of a VLAN that a manifest wants made (rtnetlink, RTM_NEWLINK; linux/if_link.h), as
// `ip link add link vmbr0 name vmbr0.20 type vlan id 20` does. It is not taken away again: others may use it by then.

import CKernel
import Glibc
import Kinds

extension InterfaceAddresses {
    /// Makes the interface and takes it up; one of that name that is there is left as it is.
    func make(_ vlan: VirtualAddress.VLAN, named name: String) throws(AddressDriverError) {
        let attempted = "make the VLAN interface \(name)"
        let parent = if_nametoindex(vlan.parent)
        guard parent != 0 else {
            throw .unusable(
                attempted, "interface '\(vlan.parent)': \(AddressDriverError.text(of: errno))",
                advice: "name an interface that `ip link` shows")
        }
        let code = try request(Int(RTM_NEWLINK), NLM_F_CREATE | NLM_F_EXCL) { message in
            var header = ifinfomsg()
            header.ifi_flags = UInt32(IFF_UP)
            header.ifi_change = UInt32(IFF_UP)
            message.value(header)
            message.attribute(Int(IFLA_IFNAME), name)
            message.attribute(Int(IFLA_LINK), value: parent)
            message.nested(Int(IFLA_LINKINFO)) { info in
                info.attribute(Int(IFLA_INFO_KIND), "vlan")
                info.nested(Int(IFLA_INFO_DATA)) { data in
                    data.attribute(Int(IFLA_VLAN_ID), value: UInt16(clamping: vlan.number))
                }
            }
        }
        guard code != 0, code != EEXIST else { return }
        throw AddressDriverError(
            attempted: attempted, code: code,
            advice: "try `ip link add link \(vlan.parent) name \(name) type vlan id \(vlan.number)` (modprobe 8021q)")
    }
}
