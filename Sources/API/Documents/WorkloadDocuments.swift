// Workloads and the hosts that run them, as they travel.

import Cluster
import Consensus
import Decisions
import Kinds

/// The answer to `GET /v1/workloads`.
public struct WorkloadsDocument: Hashable, Sendable, Codable {
    public var workloads: [WorkloadDocument]
    public var hosts: [HostDocument]
    /// Who disarmed the cluster, while it is.
    public var disarmedBy: String?
    public var read: ReadAge
}

public struct WorkloadDocument: Hashable, Sendable, Codable {
    /// `VirtualMachine` or `SystemContainer`.
    public var kind: String
    public var name: String
    public var vmid: Int64
    /// What it shall be, by its declaration or a person's word: running, stopped or ignored.
    public var desired: String
    /// What its host saw last: absent, stopped, running, stuck; nil: nothing yet, or it has no host.
    public var state: GuestState?
    public var host: String?
    /// While it moves: where to.
    public var target: String?
    public var epoch: UInt64
    public var since: String
    public var sinceMilliseconds: Int64
    public var reason: String
    /// Why it is not what it should be; nil: nothing stands in its way.
    public var obstacle: String?
    /// Where its disks lie, all in all: cephRbd, shared or local.
    public var storage: String
    public var memoryBytes: Int64
    public var cores: Int64
    /// What its health check says; nil: unchecked.
    public var healthy: Bool?
}

public struct HostDocument: Hashable, Sendable, Codable {
    public var name: String
    public var reachable: Bool
    public var draining: Bool
    /// reboot or powerOff, while it goes down by plan.
    public var leaving: String?
    /// none, wanted, proven, clean or lifting.
    public var fence: String
    public var fenceMethod: FenceMethod?
    public var fenceEpoch: UInt64
    /// What makes it certain that it writes no more.
    public var proof: String?
    /// What was tried in vain for the present fence.
    public var attempts: [String]
    public var memoryBytes: Int64
    /// Memory of the guests that run there or shall.
    public var memoryUsedBytes: Int64
    public var cores: Int64
    public var guests: Int
    public var storageAddress: String
    public var watchdogMilliseconds: Int64
    public var guarded: Bool
    /// Whether the hypervisor's own cluster lets it write its configuration.
    public var quorate: Bool
}

/// `POST /v1/workloads/steer`
public struct SteerRequest: Sendable, Codable {
    public enum Action: String, Sendable, Codable, CaseIterable {
        case start, stop, declared, move
    }
    public var kind: String
    public var name: String
    public var action: Action
    /// For move: the host.
    public var to: String?
    /// For move: false stops it and starts it there. Without it, it moves while it runs, if it may.
    public var live: Bool?

    public init(kind: String, name: String, action: Action, to: String? = nil, live: Bool? = nil) {
        self.kind = kind
        self.name = name
        self.action = action
        self.to = to
        self.live = live
    }
}

/// `POST /v1/hosts/steer`
public struct HostRequest: Sendable, Codable {
    public enum Action: String, Sendable, Codable, CaseIterable {
        case drain, undrain, fence
    }
    public var name: String
    public var action: Action
    /// For fence: a person has verified that the machine is off. Nothing else makes it so.
    public var verifiedOff: Bool?

    public init(name: String, action: Action, verifiedOff: Bool? = nil) {
        self.name = name
        self.action = action
        self.verifiedOff = verifiedOff
    }
}

/// `POST /v1/disarm`
public struct DisarmRequest: Sendable, Codable {
    /// 1 to 86,400; absent: armed again.
    public var seconds: Int64?

    public init(seconds: Int64?) { self.seconds = seconds }
}

// MARK: From the state

extension WorkloadDocument {
    init(_ key: ResourceKey, _ placement: Placement, _ specs: WorkloadSpecs) {
        let spec = specs.workloads[key]
        var target: String?
        if case .moving(_, let to, _) = placement.phase { target = to }
        let sighting = placement.host.flatMap { placement.sightings[$0] }
        let desired: String =
            switch specs.shallRun(key, placement) {
            case true?: "running"
            case false?: "stopped"
            case nil: "ignored"
            }
        self.init(
            kind: key.kind, name: key.name, vmid: spec?.guest.vmid ?? 0, desired: desired, state: sighting?.state,
            host: placement.host, target: target, epoch: placement.epoch,
            since: timestamp(milliseconds: placement.sinceMilliseconds),
            sinceMilliseconds: placement.sinceMilliseconds, reason: placement.reason,
            obstacle: placement.obstacle.isEmpty ? nil : placement.obstacle,
            storage: spec.map { specs.storage(of: $0).rawValue } ?? "local", memoryBytes: spec?.memoryBytes ?? 0,
            cores: spec?.cores ?? 0, healthy: sighting?.healthy)
    }

    static func all(_ state: ClusterState, _ specs: WorkloadSpecs) -> [WorkloadDocument] {
        state.placements.pairs.map { WorkloadDocument($0.0, $0.1, specs) }
    }
}

extension HostDocument {
    static func all(_ state: ClusterState, _ workloads: [WorkloadDocument], silent: [MemberID]) -> [HostDocument] {
        state.hosts.pairs.map { name, host in
            let member = state.member(named: name)
            let guests = workloads.filter {
                ($0.host == name || $0.target == name) && ($0.desired == "running" || $0.state == .running)
            }
            let phase: String
            var proof: String?
            switch host.fence {
            case .none: phase = "none"
            case .wanted: phase = "wanted"
            case .proven: (phase, proof) = ("proven", host.proofs.map(\.words).joined(separator: "; "))
            case .clean: phase = "clean"
            case .lifting: phase = "lifting"
            case .withdrawn: phase = "withdrawn"
            }
            return HostDocument(
                name: name, reachable: member.map { $0.reachable && !silent.contains($0.id) } ?? false,
                draining: host.isDraining, leaving: host.leaving?.rawValue, fence: phase,
                fenceMethod: host.fence.method, fenceEpoch: host.fenceEpoch, proof: proof, attempts: host.attempts,
                memoryBytes: host.facts.memoryBytes, memoryUsedBytes: guests.reduce(0) { $0 + $1.memoryBytes },
                cores: host.facts.cores, guests: guests.count, storageAddress: host.facts.storageAddress,
                watchdogMilliseconds: host.facts.watchdogMilliseconds, guarded: host.facts.isGuarded,
                quorate: host.facts.isQuorate)
        }
    }
}

extension StatusDocument {
    /// What is wrong with workloads and their hosts, each in a sentence.
    static func degradedWorkloads(_ workloads: [WorkloadDocument], _ hosts: [HostDocument], _ state: ClusterState)
        -> [String]
    {
        var sentences: [String] = []
        if let disarmed = state.disarmed {
            sentences.append(
                "disarmed by \(disarmed.actor): no host is fenced and no guest moved (holdfast cluster arm ends it)")
        }
        for host in hosts {
            switch host.fence {
            case "none": break
            case "wanted": sentences.append("host \(host.name) is being fenced by \(host.fenceMethod?.rawValue ?? "")")
            default: sentences.append("host \(host.name) is fenced: \(host.proof ?? "it is on its way back")")
            }
            if host.draining { sentences.append("host \(host.name) is drained and takes no guests") }
            if host.reachable, state.hosts[host.name]?.facts.isBlind == true {
                sentences.append(
                    "host \(host.name) cannot look at its guests, and is given none (holdfast doctor there)")
            }
            if host.reachable, !host.quorate {
                sentences.append("Proxmox on \(host.name) has no quorum: nothing can be started or changed there")
            }
        }
        for workload in workloads {
            let name = "\(workload.kind)/\(workload.name)"
            if let obstacle = workload.obstacle { sentences.append("\(name): \(obstacle)") }
            if workload.healthy == false { sentences.append("\(name) runs and fails its health check") }
        }
        return sentences
    }
}

extension ResourceDocument.Status {
    init(ofWorkload key: ResourceKey, _ placement: Placement, _ state: ClusterState) {
        let document = WorkloadDocument(key, placement, WorkloadSpecs(state))
        var conditions: [ResourceDocument.Condition] = []
        if let obstacle = document.obstacle { conditions.append(.init(type: "Blocked", message: obstacle)) }
        let sync: ResourceDocument.Sync
        let health: ResourceDocument.Health
        let wanted: GuestState = document.desired == "running" ? .running : .stopped
        switch (document.desired, document.state) {
        case ("ignored", _): (sync, health) = (.unknown, .suspended)
        case (_, nil): (sync, health) = (.unknown, document.obstacle == nil ? .unknown : .missing)
        case (_, let present?) where present == wanted && document.obstacle == nil:
            let isIll = document.healthy == false
            if isIll { conditions.append(.init(type: "Unhealthy", message: "its health check fails")) }
            (sync, health) = (.synced, isIll ? .degraded : wanted == .running ? .healthy : .suspended)
        case (_, _?): (sync, health) = (.outOfSync, document.obstacle == nil ? .progressing : .degraded)
        }
        self.init(
            sync: sync, health: health, conditions: conditions,
            placement: document.host.map {
                .init(member: $0, since: document.since, epoch: document.epoch, reason: document.reason)
            })
    }
}
