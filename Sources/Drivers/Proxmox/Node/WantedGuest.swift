// What a guest is declared to be, in Proxmox's terms, and how it differs from what is there: pure, so that `plan`, the
// drift in the status, and the change itself say the same. Does nothing.

import Cluster
import Consensus

/// A disk that is declared.
public struct WantedDisk: Hashable, Sendable {
    public var slot: String
    public var storage: String
    public var bytes: Int64
    /// The image a new disk is made from (`cephfs:import/debian.qcow2`); nil for an empty one. Looked at only when the
    /// disk is created.
    public var image: String?

    public init(slot: String, storage: String, bytes: Int64, image: String? = nil) {
        (self.slot, self.storage, self.bytes, self.image) = (slot, storage, bytes, image)
    }
}

/// A network interface that is declared. What is nil is left as it is, or to Proxmox.
public struct WantedNetwork: Hashable, Sendable {
    public var slot: String
    public var bridge: String
    public var vlan: Int64?
    public var model: String?
    public var hardwareAddress: String?
    /// The address of a container, as Proxmox writes it: `dhcp`, or `192.168.1.5/24`; of a machine it is `ipconfig0`.
    public var address: String?

    public init(
        slot: String, bridge: String, vlan: Int64? = nil, model: String? = nil, hardwareAddress: String? = nil,
        address: String? = nil
    ) {
        (self.slot, self.bridge, self.vlan, self.model) = (slot, bridge, vlan, model)
        (self.hardwareAddress, self.address) = (hardwareAddress, address)
    }
}

/// What a guest is declared to be. What is not declared is not looked at.
public struct WantedGuest: Hashable, Sendable {
    public var guest: GuestNumber
    public var name: String
    /// Settings of Proxmox by name: `cores`, `memory` (in MiB), `tags`, `onboot`, `agent`, `ipconfig0`, ...
    public var settings: SortedMap<String, String>
    public var disks: [WantedDisk]
    public var networks: [WantedNetwork]

    public init(
        guest: GuestNumber, name: String, settings: SortedMap<String, String> = [:], disks: [WantedDisk] = [],
        networks: [WantedNetwork] = []
    ) {
        (self.guest, self.name, self.settings) = (guest, name, settings)
        (self.disks, self.networks) = (disks, networks)
    }
}

/// One difference between what is declared and what is there.
public struct Drift: Hashable, Sendable, CustomStringConvertible {
    public enum Remedy: Hashable, Sendable {
        /// Set it.
        case set(String)
        /// Grow the disk to this size.
        case grow(bytes: Int64)
        /// Add a disk.
        case add(String)
        /// It cannot be changed in place: why.
        case none(String)
    }
    public let setting: String
    public let wanted: String
    /// nil: it is not set.
    public let found: String?
    public let remedy: Remedy

    public var description: String {
        let line = "\(setting) is \(found ?? "not set"), declared is \(wanted)"
        if case .none(let why) = remedy { return "\(line); \(why)" }
        return line
    }
}

extension WantedGuest {
    /// Every difference, in a fixed order. The name is given once and is the guest's own from then on.
    public func drift(from present: GuestConfiguration) -> [Drift] {
        var found: [Drift] = []
        for (setting, value) in settings.pairs where !Self.isSame(setting, value, present.settings[setting]) {
            found.append(
                Drift(setting: setting, wanted: value, found: present.settings[setting], remedy: .set(value)))
        }
        found += networks.compactMap { drift(of: $0, from: present) }
        found += disks.compactMap { drift(of: $0, from: present) }
        return found
    }

    /// Whether two values mean the same to Proxmox.
    private static func isSame(_ setting: String, _ wanted: String, _ found: String?) -> Bool {
        guard let found else {
            // Unset is the default of switches that are off.
            return wanted == "0" && ["onboot", "protection", "template", "numa"].contains(setting)
        }
        if wanted == found { return true }
        switch setting {
        // A set, in any order and with any separator.
        case "tags":
            func tags(_ text: String) -> [String] {
                text.split { ";, ".contains($0) }.map { $0.lowercased() }.sorted()
            }
            return tags(wanted) == tags(found)
        case "memory", "cores", "sockets", "balloon", "swap", "cpulimit", "cpuunits":
            guard let one = Double(PropertyText(wanted).first ?? ""), let two = Double(PropertyText(found).first ?? "")
            else { return false }
            return one == two
        // `1` and `enabled=1` are the same.
        case "agent":
            func isOn(_ text: String) -> Bool {
                let parts = PropertyText(text)
                return (parts.first ?? parts.properties["enabled"]) == "1"
            }
            return PropertyText(wanted).properties.isEmpty && isOn(wanted) == isOn(found)
        case "description":
            func trimmed(_ text: String) -> Substring {
                var rest = Substring(text)
                while rest.last?.isNewline == true { rest.removeLast() }
                return rest
            }
            return trimmed(wanted) == trimmed(found)
        default: return false
        }
    }

    private func drift(of network: WantedNetwork, from present: GuestConfiguration) -> Drift? {
        let found = present.networks.first { $0.slot == network.slot }
        guard let found else {
            let text = network.text(guest.kind, keeping: nil)
            return Drift(setting: network.slot, wanted: text, found: nil, remedy: .set(text))
        }
        let isSame =
            found.bridge == network.bridge && (found.vlan == network.vlan)
            && (network.model == nil || found.model == network.model)
            && (network.hardwareAddress == nil
                || found.hardwareAddress?.uppercased() == network.hardwareAddress?.uppercased())
            && (network.address == nil || PropertyText(found.text).properties["ip"] == network.address)
        guard !isSame else { return nil }
        let text = network.text(guest.kind, keeping: found)
        return Drift(setting: network.slot, wanted: text, found: found.text, remedy: .set(text))
    }

    private func drift(of disk: WantedDisk, from present: GuestConfiguration) -> Drift? {
        func difference(_ found: String?, _ remedy: Drift.Remedy) -> Drift {
            Drift(
                setting: disk.slot, wanted: "\(DiskSize.text(disk.bytes)) on \(disk.storage)", found: found,
                remedy: remedy)
        }
        guard let found = present.disks.first(where: { $0.slot == disk.slot }) else {
            return difference(nil, .add(disk.creationText(guest.kind)))
        }
        guard found.storage == disk.storage else {
            return difference(
                "\(found.volume)",
                .none("a disk is not moved to another storage by itself: qm move-disk or pct move-volume"))
        }
        guard let bytes = found.bytes else { return nil }
        guard bytes != disk.bytes else { return nil }
        guard bytes < disk.bytes else {
            return difference(
                DiskSize.text(bytes), .none("a disk is never made smaller; declare at least \(DiskSize.text(bytes))"))
        }
        return difference(DiskSize.text(bytes), .grow(bytes: disk.bytes))
    }
}

extension WantedNetwork {
    /// As Proxmox writes it. What is not declared stays as it is: the hardware address above all.
    func text(_ kind: GuestNumber.Kind, keeping found: GuestNetwork?) -> String {
        var properties = found.map { PropertyText($0.text).properties } ?? [:]
        let address = hardwareAddress ?? found?.hardwareAddress
        var parts: [String] = []
        switch kind {
        case .machine:
            let model = model ?? found?.model ?? "virtio"
            if let old = found?.model { properties[old] = nil }
            properties["model"] = nil
            properties["macaddr"] = nil
            parts.append(address.map { "\(model)=\($0)" } ?? model)
        case .container:
            parts.append("name=\(properties["name"] ?? "eth\(slot.dropFirst(3))")")
            properties["name"] = nil
            properties["hwaddr"] = nil
            if let address { parts.append("hwaddr=\(address)") }
            if let own = self.address { properties["ip"] = own }
        }
        properties["bridge"] = nil
        parts.append("bridge=\(bridge)")
        properties["tag"] = vlan.map { "\($0)" }
        for (name, value) in properties.pairs { parts.append("\(name)=\(value)") }
        return parts.joined(separator: ",")
    }
}

extension WantedDisk {
    /// The words that make Proxmox create it: a size in GiB without a unit, rounded up; it is grown to the exact size
    /// afterwards if that was not whole.
    func creationText(_ kind: GuestNumber.Kind) -> String {
        let gibibytes = max(1, (bytes + (1 << 30) - 1) >> 30)
        if let image, kind == .machine { return "\(storage):0,import-from=\(image)" }
        let place = kind == .container && slot.hasPrefix("mp") ? ",mp=/mnt/\(slot)" : ""
        return "\(storage):\(gibibytes)\(place)"
    }
}
