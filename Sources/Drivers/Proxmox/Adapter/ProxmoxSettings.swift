// How the driver reaches what it drives on this host. Everything that is a place or a program can be pointed elsewhere,
// so that an emulator or a stand-in takes its part.

import Consensus

/// The settings of one host's driver.
public struct ProxmoxSettings: Sendable {
    public var node: NodeName
    public var access: ProxmoxAccess
    /// `/etc/pve`.
    public var files = GuestFiles()
    public var machines = MachineProcesses()
    public var containers = ContainerProcesses()
    public var votes = QuorumTool()
    /// Removes a lock that a dead host left: `qm unlock N`, `pct unlock N`. A token may not.
    public var machineTool = LocalProgram("/usr/sbin/qm", limit: .seconds(20))
    public var containerTool = LocalProgram("/usr/sbin/pct", limit: .seconds(20))
    /// nil: no Ceph here.
    public var ceph: CephFence?
    /// nil: none here.
    public var watchdog: WatchdogKind?
    /// The address of this host's clients of Ceph, as Ceph sees it. Without it, it is learned from the images that guests
    /// here have open; until one does, it is unknown.
    public var storageAddress: String?
    /// Holds another word after every start of the machine.
    public var bootFile = "/proc/sys/kernel/random/boot_id"
    /// What the host keeps for itself.
    public var reservedMemoryBytes: Int64 = 1 << 30
    public var limits = TaskLimits()
    /// How often guests are looked at, beside every look after a step.
    public var lookInterval: Interval = .seconds(2)
    /// How long a step waits for the Proxmox cluster's quorum to come (back), or for /etc/pve to become writable.
    public var quorumPatience: Interval = .seconds(20)
    /// How long a guest's lock is waited for.
    public var lockPatience: Interval = .seconds(60)
    /// How long a killed machine may take to be gone.
    public var killLimit: Interval = .seconds(10)

    public init(node: NodeName, access: ProxmoxAccess) {
        self.node = node
        self.access = access
    }
}
