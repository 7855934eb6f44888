// The workloads of a plan: what is declared of them, the rules and the policy they stand under, and what hypervisors,
// Ceph and watchdogs are like.

import Cluster
import Consensus
import Kinds

extension Plan {
    /// Where all disks of a lab lie, which decides what can fence a host.
    public enum Storage: String, Hashable, Sendable, CaseIterable {
        case ceph, shared, local
    }

    /// What is left at its source by a live move that fails after the guest has begun to run at its target. There the guest's
    /// process runs in any case; QEMU ends the one at the source last, and Proxmox moves the configuration in between.
    public enum MoveFailure: String, Hashable, Sendable, CaseIterable {
        /// Its configuration. The driver says that the move failed.
        case config
        /// Its process, which has nothing more to do. The driver looks, finds the guest at its target, and says so.
        case process
        case both
        /// As `process`, but the driver cannot look: it says that the move failed.
        case unseen

        public var leavesConfiguration: Bool { self == .config || self == .both }
        public var leavesProcess: Bool { self != .config }
        /// Whether the driver knows that the guest is where it was to go.
        public var isKnownToHaveArrived: Bool { self == .process }
    }

    /// A virtual machine (`vm:101`) or a system container (`ct:102`).
    public struct Workload: Hashable, Sendable {
        /// What fails for it, and how often.
        public struct Faults: Hashable, Sendable {
            /// So many tries of each start fail, then it succeeds.
            public var startFails: Int64 = 0
            /// The same for moves.
            public var migrateFails: Int64 = 0
            /// It does not end by itself.
            public var stopFails = false
            /// On other hosts it never starts; empty: it starts everywhere.
            public var onlyOn = ""
            /// On other hosts it runs and fails its health check; empty: it is well everywhere.
            public var wellOn = ""
            public init() {}
        }

        public var name: String
        /// Where its configuration lies when the plan begins, and where it runs if it is to run.
        public var host: String
        public var desired = "running"
        // Nil is left out of the declaration: the product's own default.
        public var failback: Bool?
        public var restarts: Int64?
        public var moves: Int64?
        public var isLive: Bool?
        /// Bytes.
        public var memory: Int64 = 1 << 30
        public var cores: Int64 = 1
        public var faults = Faults()
        /// It has a health check, and this is its grace; nil: it has none.
        public var health: Int64?
        /// As a present cluster declares it; nil: by its name.
        public var guest: Guest?
        /// Where its own disks lie; nil: where all do.
        public var storage: Storage?

        public init(name: String, host: String) {
            self.name = name
            self.host = host
        }

        public var isContainer: Bool { guest.map { $0.form == .container } ?? name.hasPrefix("ct:") }
        public var vmid: Int64 { guest?.vmid ?? name.split(separator: ":").last.flatMap { Int64($0) } ?? 0 }
        /// VirtualMachine/vm-101.
        public var key: ResourceKey {
            guest?.workload
                ?? ResourceKey(
                    kind: isContainer ? "SystemContainer" : "VirtualMachine",
                    name: "\(isContainer ? "ct" : "vm")-\(vmid)")
        }
    }

    public struct Rule: Hashable, Sendable {
        public struct Preference: Hashable, Sendable {
            public var host: String
            public var priority: Int64
            public init(host: String, priority: Int64) {
                self.host = host
                self.priority = priority
            }
        }
        public enum Form: Hashable, Sendable {
            case hosts([Preference], strict: Bool)
            case together, apart
        }
        public var workloads: [String]
        public var form: Form

        public init(_ form: Form, workloads: [String]) {
            self.form = form
            self.workloads = workloads
        }
    }

    /// What is declared for all of them; nil is left to the product.
    public struct Policy: Hashable, Sendable {
        /// migrate, restart, freeze or conditional.
        public var onHostShutdown: String?
        /// Names of fence methods, in order.
        public var methods: [String]?
        /// From when a host is lost to its guests.
        public var after: Int64?
        /// Whether guests may be given more memory together than a host has.
        public var overcommitsMemory = false
        public init() {}
    }

    /// How hypervisors, Ceph and watchdogs behave. Times are true nanoseconds.
    public struct Hypervisors: Hashable, Sendable {
        /// Whether the witness also votes in Proxmox's own cluster.
        public var hasQDevice = true
        /// From the loss of a host until corosync goes on without it; no guest is taken over before. As deploy/OPERATING.md
        /// sets it for two hosts; at corosync's defaults it is 6.3 s, and with a QDevice at its own 12 s (Simulation/Corosync).
        public var corosync: Int64 = 1_500_000_000
        public var start: ClosedRange<Int64> = 1_200_000_000...1_700_000_000
        public var stop: ClosedRange<Int64> = 1_000_000_000...5_000_000_000
        public var migration: ClosedRange<Int64> = 2_000_000_000...7_000_000_000
        /// Between two looks of a driver at its guests.
        public var look: Int64 = 1_000_000_000
        /// After so long without being fed a watchdog resets its machine; zero: there are none.
        public var watchdog: Int64 = 10_000_000_000
        /// The machines with a monitor; empty: the first hosts and the witness, three in all.
        public var monitors: [String] = []
        /// From a change of the monitors' quorum until they answer again (facts: 1.8 to 4.1 s with the settings of deploy/).
        public var election: ClosedRange<Int64> = 1_800_000_000...4_100_000_000
        /// From a command to the map that carries it out.
        public var proposal: ClosedRange<Int64> = 60_000_000...400_000_000
        public init() {}
    }

    public var runsWorkloads: Bool { !workloads.isEmpty || !laterWorkloads.isEmpty }
}

extension Plan.Workload {
    /// Its fields as scenario files write them, without those that are as usual.
    public var fields: [String] {
        let usual = Plan.Workload(name: name, host: host)
        var parts = ["host: \(host)"]
        if desired != usual.desired { parts.append("desired: \(desired)") }
        if let failback { parts.append("failback: \(failback)") }
        if let restarts { parts.append("restarts: \(restarts)") }
        if let moves { parts.append("moves: \(moves)") }
        if let isLive { parts.append("live: \(isLive)") }
        if memory != usual.memory { parts.append("memory: \(ByteSize.text(memory))") }
        if let health { parts.append("health: \(TimeText.length(health))") }
        if cores != usual.cores { parts.append("cores: \(cores)") }
        var faulty: [String] = []
        if faults.startFails != 0 { faulty.append("startFails: \(faults.startFails)") }
        if faults.migrateFails != 0 { faulty.append("migrateFails: \(faults.migrateFails)") }
        if faults.stopFails { faulty.append("stopFails: true") }
        if !faults.onlyOn.isEmpty { faulty.append("onlyOn: \(faults.onlyOn)") }
        if !faults.wellOn.isEmpty { faulty.append("wellOn: \(faults.wellOn)") }
        if !faulty.isEmpty { parts.append("faults: {\(faulty.joined(separator: ", "))}") }
        return parts
    }
}
