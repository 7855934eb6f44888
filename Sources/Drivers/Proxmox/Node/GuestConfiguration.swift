// A guest's configuration as Proxmox keeps it: settings by name, and the disks and networks among them taken apart.
// Understands what it needs of Proxmox's property strings and keeps the rest untouched.

import Cluster
import Consensus

/// `first,name=value,...`: how Proxmox writes several things into one setting.
struct PropertyText: Hashable, Sendable {
    /// The part without a name, if there is one: a volume, mostly.
    var first: String?
    var properties: SortedMap<String, String> = [:]

    init(_ text: String) {
        for (index, part) in text.split(separator: ",").enumerated() {
            guard let equals = part.firstIndex(of: "=") else {
                if index == 0 { first = String(part) } else { properties[String(part)] = "" }
                continue
            }
            properties[String(part[..<equals])] = String(part[part.index(after: equals)...])
        }
    }
}

/// A disk of a guest.
public struct GuestDisk: Hashable, Sendable {
    /// `scsi0`, `rootfs`, `mp1`, ...
    public let slot: String
    /// The storage it lies on; nil for a path or device of the host, which exists on this host only.
    public let storage: String?
    /// `rbd-vms:vm-120-disk-0`.
    public let volume: String
    public let bytes: Int64?
    /// A CD-ROM drive, with an image or without.
    public let isDrive: Bool
    /// The drive with the guest's cloud-init data.
    public let isCloudInit: Bool
}

/// A network interface of a guest.
public struct GuestNetwork: Hashable, Sendable {
    /// `net0`.
    public let slot: String
    /// `virtio`; nil for a container.
    public let model: String?
    public let hardwareAddress: String?
    public let bridge: String?
    public let vlan: Int64?
    public let text: String
}

/// Everything that is set for a guest.
public struct GuestConfiguration: Hashable, Sendable {
    public let kind: GuestNumber.Kind
    /// Changes with every edit; handed back with a change, it keeps two editors apart.
    public let digest: String
    public let settings: SortedMap<String, String>

    /// nil when it is no configuration.
    init?(_ data: JSONValue, _ kind: GuestNumber.Kind) {
        guard let fields = data.object, let digest = fields["digest"]?.lenientText else { return nil }
        self.kind = kind
        self.digest = digest
        var settings = SortedMap<String, String>()
        for (name, value) in fields.pairs where name != "digest" {
            if let text = value.lenientText { settings[name] = text }
        }
        self.settings = settings
    }

    public init(kind: GuestNumber.Kind, digest: String, settings: SortedMap<String, String>) {
        self.kind = kind
        self.digest = digest
        self.settings = settings
    }

    public var lock: String? { settings["lock"] }
    public var isTemplate: Bool { settings["template"] == "1" }

    /// In the order of their slots' names.
    public var disks: [GuestDisk] {
        settings.pairs.compactMap { slot, text in
            guard Self.isDiskSlot(slot, of: kind) else { return nil }
            let property = PropertyText(text)
            guard let volume = property.first ?? property.properties["file"] ?? property.properties["volume"] else {
                return nil
            }
            let isDrive = property.properties["media"] == "cdrom"
            let colon = volume.firstIndex(of: ":")
            let storage = volume.hasPrefix("/") ? nil : colon.map { String(volume[..<$0]) }
            return GuestDisk(
                slot: slot, storage: storage, volume: volume,
                bytes: property.properties["size"].flatMap(DiskSize.bytes), isDrive: isDrive,
                isCloudInit: isDrive && volume.contains("cloudinit"))
        }
    }

    /// In the order of their slots' names.
    public var networks: [GuestNetwork] {
        settings.pairs.compactMap { slot, text in
            guard Self.isNumbered(slot, "net") else { return nil }
            let properties = PropertyText(text).properties
            // A machine's model carries the address as its value: `virtio=BC:24:11:...`.
            let model =
                kind == .machine ? properties.keys.first { Self.models.contains($0) } ?? properties["model"] : nil
            let address = model.flatMap { properties[$0] } ?? properties["macaddr"] ?? properties["hwaddr"]
            return GuestNetwork(
                slot: slot, model: model ?? PropertyText(text).first, hardwareAddress: address,
                bridge: properties["bridge"], vlan: properties["tag"].flatMap { Int64($0) }, text: text)
        }
    }

    private static let models = [
        "e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551", "i82557b", "i82559er",
        "ne2k_isa",
        "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3",
    ]

    static func isNumbered(_ slot: String, _ bus: String) -> Bool {
        slot.hasPrefix(bus) && slot.utf8.count > bus.utf8.count && slot.dropFirst(bus.count).allSatisfy(\.isNumber)
    }

    static func isDiskSlot(_ slot: String, of kind: GuestNumber.Kind) -> Bool {
        let buses = kind == .machine ? ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate"] : ["mp"]
        return (kind == .container && slot == "rootfs") || buses.contains { isNumbered(slot, $0) }
    }

    /// The disks that exist on this host only; a guest with any is never moved.
    /// - Parameter storages: all that this host knows.
    public func localDisks(_ storages: [StorageState]) -> [GuestDisk] {
        disks.filter { disk in
            // An empty drive, and a drive that can be made anew elsewhere, hold nothing back.
            guard !(disk.isDrive && disk.volume == "none") else { return false }
            guard let name = disk.storage else { return true }
            // A storage nobody knows is not taken for a shared one.
            return storages.first { $0.name == name }?.isShared != true
        }
    }

    /// Devices of this host handed to the guest (PCI, USB): it cannot run elsewhere.
    public var hostDevices: [String] {
        settings.pairs.compactMap { slot, text in
            let isDevice = Self.isNumbered(slot, "hostpci") || (Self.isNumbered(slot, "usb") && text.contains("host="))
            // A mapping names a device on every host.
            return isDevice && !text.contains("mapping=") ? slot : nil
        }
    }
}

/// Sizes as Proxmox writes them: `32G`, `1536M`, powers of 1024.
public enum DiskSize {
    public static func bytes(_ text: String) -> Int64? {
        var digits = Substring(text)
        var factor: Int64 = 1
        if let unit = digits.last, let place = "KMGT".firstIndex(of: unit) {
            factor = Int64(1) << (10 * Int64("KMGT".distance(from: "KMGT".startIndex, to: place) + 1))
            digits.removeLast()
        }
        guard !digits.isEmpty, digits.utf8.count <= 18,
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2e })
        else { return nil }
        if let whole = Int64(digits) {
            let (bytes, overflow) = whole.multipliedReportingOverflow(by: factor)
            return overflow ? nil : bytes
        }
        guard let value = Double(digits), (value * Double(factor)) < 9e18 else { return nil }
        return Int64(value * Double(factor))
    }

    /// The shortest exact way to write it; in bytes when there is none.
    public static func text(_ bytes: Int64) -> String {
        for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] as [(String, Int64)]
        where bytes >= 1 << shift && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}
