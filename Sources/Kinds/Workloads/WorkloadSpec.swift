// What the deciding half reads of a workload's declaration: a virtual machine or a system container that one host at a
// time runs. What the hypervisor is to make of it (cores, disks, networks) is read by its driver, from the same declaration.

import Cluster
import Consensus

/// The spec of a VirtualMachine or a SystemContainer, checked and with its defaults filled in, as far as placing goes.
public struct WorkloadSpec: Hashable, Sendable {
    public enum Desired: String, Hashable, Sendable, CaseIterable {
        case running, stopped
        /// Left alone, whatever it does.
        case ignored
    }
    /// What becomes of it when its host is shut down or restarted by plan.
    public enum HostShutdown: String, Hashable, Sendable, CaseIterable {
        /// It goes to another host first, live if it may.
        case migrate
        /// It is stopped here and started on another host.
        case restart
        /// It is stopped here, and started here when the host is back.
        case freeze
        /// freeze when the host restarts, restart when it is powered off.
        case conditional
    }
    /// Where its disks lie, which decides what proves that a lost host cannot write to them any more. In this order: what
    /// suffices for one suffices for those before it, but for `local`, which no other host can reach.
    public enum Storage: String, Hashable, Sendable, CaseIterable, Comparable {
        case cephRbd, shared, local
        private var rank: Int { Self.allCases.firstIndex(of: self)! }
        public static func < (left: Storage, right: Storage) -> Bool { left.rank < right.rank }
    }
    public struct Preference: Hashable, Sendable {
        public var host: String
        /// The greater, the better.
        public var weight: Int64
    }
    /// How often it is tried again before it is left for a person.
    public struct Budget: Hashable, Sendable {
        /// Further starts on the same host after one that failed.
        public var restarts: Int64
        /// Further hosts after that.
        public var moves: Int64
        /// After so long of running without a failure the count begins anew.
        public var per: Interval
    }
    /// What follows from its health check.
    public struct Tending: Hashable, Sendable {
        /// Whether it is restarted and moved when the check fails; otherwise that is only told.
        public var acts: Bool
        /// How long it gets after a start before a failing check counts. After each step that did not help it gets twice as
        /// long as before, and no longer than the budget's `per`, or this if it is more.
        public var grace: Interval

        public init(acts: Bool, grace: Interval) {
            self.acts = acts
            self.grace = grace
        }
    }
    public struct Disk: Hashable, Sendable {
        public var name: String
        /// The name of a StoragePool.
        public var pool: String
    }

    public let guest: Guest
    public let desired: Desired
    public let memoryBytes: Int64
    public let cores: Int64
    public let disks: [Disk]
    public let prefer: [Preference]
    /// Workloads, by key, that must not run on the same host.
    public let apartFrom: [ResourceKey]
    public let failsBack: Bool
    /// Whether it may be moved while it runs.
    public let migratesLive: Bool
    /// 0 to 100; the greater, the earlier it is recovered.
    public let priority: Int64
    /// Fence methods for this one, in order; empty: those of the FencePolicy.
    public let fence: [FenceMethod]
    public let budget: Budget
    public let onHostShutdown: HostShutdown
    /// How long it gets to end by itself.
    public let shutdownGrace: Interval
    public let health: HealthCheck?
    /// Nil without a health check.
    public let tending: Tending?
    public let dependsOn: [ResourceKey]

    /// - Throws: everything that is wrong with the declaration.
    public init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let isMachine = declaration.kind == Self.machine
        let spec = try (isMachine ? Self.machineSchema : Self.containerSchema).checkedSpec(of: declaration)
        let hypervisor = spec.map("proxmox")
        guest = Guest(
            workload: declaration.key, form: isMachine ? .machine : .container, vmid: hypervisor.integer("vmid"))
        memoryBytes = ByteSize.parse(hypervisor.text("memory")) ?? 0
        cores = hypervisor.integer("cores")
        desired = Desired(rawValue: spec.text("desired")) ?? .running
        disks = spec.maps("disks").map { Disk(name: $0.text("name"), pool: $0.text("pool")) }
        let placement = spec.map("placement")
        prefer = placement.maps("prefer").map { Preference(host: $0.text("host"), weight: $0.integer("weight")) }
        apartFrom = placement.texts("apartFrom").map { ResourceKey(workload: $0, besides: declaration.kind) }
        failsBack = placement.text("failback") == "always"
        migratesLive = isMachine && (spec.optionalTruth("live") ?? true)
        let recovery = spec.map("recovery")
        priority = recovery.integer("priority")
        fence = recovery.texts("fence").compactMap(FenceMethod.init)
        let budget = recovery.map("budget")
        self.budget = Budget(
            restarts: budget.integer("restarts"), moves: budget.integer("moves"), per: budget.duration("per"))
        onHostShutdown = HostShutdown(rawValue: spec.text("onHostShutdown")) ?? .migrate
        shutdownGrace = spec.duration("shutdownGrace")
        health = spec.has("health") ? HealthCheck(spec.map("health")) : nil
        tending =
            spec.has("health")
            ? Tending(
                acts: spec.map("health").text("action") == "restart", grace: spec.map("health").duration("grace"))
            : nil
        dependsOn = spec.texts("dependsOn").compactMap(ResourceKey.init(reference:))
    }

    public static let machine = "VirtualMachine"
    public static let container = "SystemContainer"
    /// Whether resources of a kind are workloads that a host runs.
    public static func isWorkload(_ kind: String) -> Bool { kind == machine || kind == container }
}

extension ResourceKey {
    /// `VirtualMachine/gitlab`.
    public init?(reference: String) {
        guard let parts = TextForm.reference(reference) else { return nil }
        self.init(kind: parts.kind, name: parts.name)
    }

    /// `SystemContainer/dns`, or a bare name of the same kind.
    init(workload text: String, besides kind: String) {
        self = ResourceKey(reference: text) ?? ResourceKey(kind: kind, name: text)
    }
}
