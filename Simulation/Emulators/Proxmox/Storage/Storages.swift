// The storages of storage.cfg: their kind, whether all nodes see them, and how they name their volumes.

import FoundationEssentials

/// A storage of the cluster's configuration.
public struct Storage: Hashable, Sendable, Codable {
    public var name: String
    /// "dir", "rbd", "lvmthin", "nfs", ...
    public var type: String
    public var isShared: Bool
    public var content: [String]
    public var path: String?
    /// Other settings, as they were given.
    public var settings: [String: String] = [:]
    /// Bytes.
    public var total: Int64
    public var used: Int64 = 8_957_952
    /// Nodes that have it; all when empty.
    public var nodes: [String] = []
    public var isDisabled = false

    public init(
        name: String, type: String, isShared: Bool, content: [String], path: String? = nil,
        total: Int64 = 6_442_450_944
    ) {
        self.name = name
        self.type = type
        self.isShared = isShared
        self.content = content
        self.path = path
        self.total = total
    }

    /// Whether volumes are files in a folder per guest, with the format at their end.
    var isFiles: Bool { ["dir", "nfs", "cifs", "cephfs", "btrfs"].contains(type) }

    /// A second opener takes the image from the first, as with RBD's exclusive lock.
    var stealsLocks: Bool { type == "rbd" }

    /// The part of a volume's identifier behind the colon.
    func volumeName(_ base: String, vmid: Int, format: String) -> String {
        isFiles ? "\(vmid)/\(base).\(format)" : base
    }

    /// Where QEMU finds an image.
    func imagePath(_ name: String) -> String {
        isFiles ? "\(path ?? "/mnt/pve/\(self.name)")/images/\(name)" : "\(type):\(self.name)/\(name)"
    }

    var defaultFormat: String { "raw" }

    static let defaultContent = ["backup", "images", "iso", "rootdir", "snippets", "vztmpl"]

    /// "local", as every installation has it.
    public static var local: Storage {
        var storage = Storage(
            name: "local", type: "dir", isShared: false, content: defaultContent, path: "/var/lib/vz")
        storage.settings["prune-backups"] = "keep-all=1"
        return storage
    }
}

/// A size as Proxmox writes it: "1G", "512M", "4M".
enum DiskSize {
    private static let units: [(Character, Int64)] = [
        ("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10),
    ]

    /// nil for text that is no size.
    static func parse(_ text: String) -> Int64? {
        guard let last = text.last else { return nil }
        guard let unit = units.first(where: { $0.0 == last }) else { return Int64(text) }
        guard let number = Double(text.dropLast()) else { return nil }
        return Int64(number * Double(unit.1))
    }

    static func format(_ bytes: Int64) -> String {
        for (name, size) in units where bytes >= size && bytes % size == 0 { return "\(bytes / size)\(name)" }
        return String(bytes)
    }
}
