// Virtual machines and system containers: what is alike, and the words in which they differ.

/// A kind of guest.
public enum GuestKind: String, Sendable, Codable, CaseIterable {
    case qemu
    case lxc

    /// The folder of its configurations below /etc/pve/nodes/NODE.
    public var folder: String { self == .qemu ? "qemu-server" : "lxc" }
    /// In error texts.
    var noun: String { self == .qemu ? "VM" : "CT" }
    /// The beginning of the names of its tasks.
    var taskPrefix: String { self == .qemu ? "qm" : "vz" }
    /// In /cluster/ha.
    var haType: String { self == .qemu ? "vm" : "ct" }

    func lockFile(_ vmid: Int) -> String {
        self == .qemu ? "/var/lock/qemu-server/lock-\(vmid).conf" : "/run/lock/lxc/pve-config-\(vmid).lock"
    }
}

/// A guest, whatever node it is on.
public struct GuestID: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public var kind: GuestKind
    public var vmid: Int

    public init(_ kind: GuestKind, _ vmid: Int) {
        self.kind = kind
        self.vmid = vmid
    }

    public static func < (left: GuestID, right: GuestID) -> Bool { left.vmid < right.vmid }

    /// "VM 100".
    public var description: String { "\(kind.noun) \(vmid)" }

    func path(on node: String) -> String { "nodes/\(node)/\(kind.folder)/\(vmid).conf" }
}

/// A guest that runs on a host, whoever has its configuration: a process.
public struct RunningGuest: Hashable, Sendable, Codable {
    public var pid: Int
    public var started: Moment
    public var isPaused = false
    /// The configuration it was started with; changes since then are pending.
    public var configuration: GuestConfiguration
    /// Images it has open for writing.
    public var images: [String]
    /// It was started outside of Proxmox (`qm showcmd`), or its configuration went away under it.
    public var isOrphan = false
}

/// How a guest behaves towards what is asked of it; set over the control socket.
public struct GuestBehaviour: Hashable, Sendable, Codable {
    /// It shuts down when asked to.
    public var obeysShutdown = true
    /// What it takes to do so, in milliseconds.
    public var shutdownMilliseconds: Int64 = 1_500
    /// The guest agent inside it answers.
    public var hasAgent = true
    /// The text a start ends with instead of running.
    public var startFailure: String?

    public init() {}
}
