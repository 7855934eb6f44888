// What the API says about this node and its guests, as values. Lenient: a field that is missing or strange is nil or a
// harmless default, except where guessing could start a guest twice. Decides nothing.

import Cluster

/// The version of Proxmox VE on the node.
public struct ProxmoxVersion: Hashable, Sendable, CustomStringConvertible {
    public let major: Int
    public let minor: Int
    /// As told: `9.1.6`.
    public let text: String

    init?(_ data: JSONValue) {
        guard let text = data["version"]?.lenientText ?? data["release"]?.lenientText else { return nil }
        let parts = text.split(whereSeparator: { $0 == "." || $0 == "-" })
        guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
        (self.major, self.minor, self.text) = (major, minor, text)
    }

    /// Whether this driver was made for it: 8.4 and all of 9.
    public var isKnown: Bool { major == 9 || (major == 8 && minor >= 4) }
    public var description: String { text }
}

/// Whether the Proxmox cluster may write its configuration, and whom it sees.
public struct ProxmoxQuorum: Hashable, Sendable {
    public struct Node: Hashable, Sendable {
        public let name: String
        public let address: String?
        /// Notices a loss after seven to eight seconds.
        public let isOnline: Bool
        public let isLocal: Bool
    }

    /// nil on a host that is in no cluster; such a host is its own quorum.
    public let cluster: String?
    public let isQuorate: Bool
    public let nodes: [Node]

    /// nil when it cannot be told from the answer; what is not known to be quorate is not.
    init?(_ data: JSONValue) {
        guard let entries = data.lenientList, !entries.isEmpty,
            // One that is left out would be one that nobody has to be sure of.
            entries.allSatisfy({ $0["type"]?.string != "node" || $0["name"]?.lenientText != nil })
        else { return nil }
        nodes = entries.compactMap { entry in
            guard entry["type"]?.string == "node", let name = entry["name"]?.lenientText else { return nil }
            return Node(
                name: name, address: entry["ip"]?.lenientText, isOnline: entry["online"]?.lenientBool ?? false,
                isLocal: entry["local"]?.lenientBool ?? false)
        }
        let whole = entries.first { $0["type"]?.string == "cluster" }
        guard nodes.contains(where: \.isLocal) else { return nil }
        cluster = whole.map { $0["name"]?.lenientText ?? "" }
        isQuorate = whole.map { $0["quorate"]?.lenientBool ?? false } ?? (nodes.count == 1)
    }

    /// The node that answered.
    public var local: Node? { nodes.first(where: \.isLocal) }
}

/// A guest in the list of its node: its configuration lies here.
public struct GuestSummary: Hashable, Sendable {
    public let guest: GuestNumber
    public let name: String
    public let isRunning: Bool
    public let isTemplate: Bool
    /// What holds its configuration's lock: `backup`, `migrate`, ...
    public let lock: String?
    public let memoryBytes: Int64
    public let cores: Int64
    public let uptimeSeconds: Int64

    init?(_ entry: JSONValue, _ kind: GuestNumber.Kind) {
        guard let number = entry["vmid"]?.lenientInt.flatMap(Int.init(exactly:)), let guest = GuestNumber(kind, number)
        else { return nil }
        self.guest = guest
        name = entry["name"]?.lenientText ?? ""
        // Anything but the word for it counts as running: nothing is started on a guess.
        isRunning = entry["status"]?.lenientText != "stopped"
        isTemplate = entry["template"]?.lenientBool ?? false
        lock = entry["lock"]?.lenientText.flatMap { $0.isEmpty ? nil : $0 }
        memoryBytes = entry["maxmem"]?.lenientInt ?? 0
        cores = entry["cpus"]?.lenientInt ?? 0
        uptimeSeconds = entry["uptime"]?.lenientInt ?? 0
    }
}

/// One guest looked at closely.
public struct GuestStatus: Hashable, Sendable {
    public let isRunning: Bool
    /// QEMU's own word: `running`, `paused`, `io-error`, `internal-error`, `prelaunch`, ...; nil for a container.
    public let machineStatus: String?
    public let lock: String?
    public let isManagedByProxmox: Bool
    public let uptimeSeconds: Int64
    public let process: Int64?

    init?(_ data: JSONValue) {
        guard let status = data["status"]?.lenientText else { return nil }
        isRunning = status != "stopped"
        machineStatus = data["qmpstatus"]?.lenientText
        lock = data["lock"]?.lenientText.flatMap { $0.isEmpty ? nil : $0 }
        isManagedByProxmox = data["ha"]?["managed"]?.lenientBool ?? false
        uptimeSeconds = data["uptime"]?.lenientInt ?? 0
        process = data["pid"]?.lenientInt
    }

    /// Why the machine does nothing although its process runs; nil when it works. A machine whose storage was fenced
    /// stops with `io-error`; one that has been handed over by a live move stands still for good (`postmigrate`), and the guest
    /// works at the target.
    public var standstill: String? { machineStatus.flatMap { Self.isStandstill($0) ? $0 : nil } }

    static func isStandstill(_ word: String) -> Bool {
        ["io-error", "internal-error", "guest-panicked", "watchdog", "postmigrate"].contains(word)
    }
}

/// A storage as this node sees it.
public struct StorageState: Hashable, Sendable {
    public let name: String
    public let type: String
    public let isShared: Bool
    public let isActive: Bool
    public let totalBytes: Int64
    public let freeBytes: Int64
    /// What it may hold: `images`, `rootdir`, `iso`, ...
    public let contents: [String]

    init?(_ entry: JSONValue) {
        guard let name = entry["storage"]?.lenientText else { return nil }
        self.name = name
        type = entry["type"]?.lenientText ?? ""
        // Network storages are shared whether or not the entry says so.
        let isOfNetwork = ["rbd", "cephfs", "nfs", "cifs", "iscsi", "iscsidirect", "glusterfs", "pbs"].contains(type)
        isShared = entry["shared"]?.lenientBool ?? isOfNetwork
        isActive = (entry["active"]?.lenientBool ?? false) && (entry["enabled"]?.lenientBool ?? true)
        totalBytes = entry["total"]?.lenientInt ?? 0
        freeBytes = entry["avail"]?.lenientInt ?? 0
        contents = (entry["content"]?.lenientText ?? "").split(separator: ",").map(String.init).sorted()
    }
}

/// A setting that waits for a restart of its guest.
public struct PendingChange: Hashable, Sendable {
    public let setting: String
    /// nil when the setting is to be removed.
    public let value: String?

    init?(_ entry: JSONValue) {
        guard let setting = entry["key"]?.lenientText, setting != "digest" else { return nil }
        let isDeletion = (entry["delete"]?.lenientInt ?? 0) != 0
        guard isDeletion || entry["pending"] != nil else { return nil }
        self.setting = setting
        value = isDeletion ? nil : entry["pending"]?.lenientText
    }
}
