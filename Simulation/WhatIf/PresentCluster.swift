// A cluster as it is, and the plan of a world that begins with it: the same members, with the same identities, in the same
// state. What the state does not say is taken to be as usual, and said to be so.
//
// Does not: run anything, or judge what comes of it.

import Cluster
import Consensus
import Decisions
import Kinds
import SimulationWorld

/// What is known of a live cluster.
public struct PresentCluster: Hashable, Sendable {
    /// More than a home lab has, and what a rehearsal can carry.
    public static let mostMembers = 64
    public static let mostWorkloads = 1_000

    public var state: ClusterState
    public var configuration: Configuration
    public var leader: MemberID?
    /// Members that the leader has not heard of lately, beyond those that the state says are unreachable.
    public var silent: [MemberID]
    /// Round trips that a member has measured to others, in microseconds.
    public var roundTrips: [Int64]

    public init(
        state: ClusterState, configuration: Configuration, leader: MemberID?, silent: [MemberID] = [],
        roundTrips: [Int64] = []
    ) {
        self.state = state.forRehearsal()
        self.configuration = configuration
        self.leader = leader
        self.silent = silent
        self.roundTrips = roundTrips
    }

    public func answers(_ member: MemberRecord) -> Bool { member.reachable && !silent.contains(member.id) }

    /// Members by name, in the order of their names.
    var members: [MemberRecord] { state.members.values.sorted { $0.name < $1.name } }
    var workloads: SortedMap<ResourceKey, WorkloadSpec> { WorkloadSpecs(state).workloads }
}

/// Why a rehearsal cannot be held, with what to do about it.
public struct RehearsalRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A plan, and what it takes for granted.
public struct PresentPlan: Sendable {
    public var plan: Plan
    /// Each a sentence.
    public var assumptions: [String]
}

extension PresentCluster {
    /// - Throws: `RehearsalRefusal` when there is nothing to rehearse with, or too much.
    public func plan(seed: UInt64) throws(RehearsalRefusal) -> PresentPlan {
        guard !state.members.isEmpty else { throw RehearsalRefusal("the cluster has no members yet") }
        guard state.members.count <= Self.mostMembers else {
            throw RehearsalRefusal(
                "the cluster has \(state.members.count) members; a rehearsal takes at most \(Self.mostMembers)")
        }
        let specs = WorkloadSpecs(state)
        guard specs.workloads.count <= Self.mostWorkloads else {
            throw RehearsalRefusal(
                "\(specs.workloads.count) workloads are declared; a rehearsal takes at most \(Self.mostWorkloads)")
        }
        var plan = Plan(name: "what-if", seed: seed, length: 0)
        plan.members = members.map { member($0, specs) }
        plan.addresses = addresses
        plan.workloads = specs.workloads.pairs.map { workload($0, $1, specs) }
        plan.rules = specs.rules.map { rule($0.spec) }
        plan.policy.overcommitsMemory = specs.policy.overcommitsMemory
        // Each guest says where its own disks lie.
        plan.storage = .ceph
        plan.hypervisors.hasQDevice = state.members.values.contains { $0.kind == .witness }
        plan.hypervisors.corosync = pause ?? Self.usualPause
        if let timing = state.resources(ofKind: "Cluster").first.flatMap({ try? ClusterSpec($0.declaration).timing }) {
            plan.timing = timing
        }
        // Nobody is to wait for a snapshot in a rehearsal of minutes.
        plan.conditions.snapshotEvery = 1_000_000
        if let delay { plan.conditions.delay = delay }
        let silent = members.filter { !answers($0) }.map(\.name)
        plan.present = Plan.Present(state: state, configuration: configuration, leader: leader, silent: silent)
        return PresentPlan(plan: plan, assumptions: assumptions(plan, silent))
    }

    /// Half of the measured round trips, one way.
    private var delay: ClosedRange<Int64>? {
        let sound = roundTrips.filter { $0 > 0 && $0 < 10_000_000 }
        guard let least = sound.min(), let most = sound.max() else { return nil }
        return (least * 500)...(max(most, least + 20) * 500)
    }

    /// With corosync's defaults for two hosts.
    private static let usualPause: Int64 = 6_600_000_000

    /// The longest that a host's own configuration of corosync makes it, in nanoseconds.
    private var pause: Int64? {
        state.hosts.values.compactMap(\.facts.pauseMilliseconds).max().map { min(max($0, 1), 60_000) * 1_000_000 }
    }

    private func assumptions(_ plan: Plan, _ silent: [String]) -> [String] {
        var all: [String] = []
        if let delay {
            all.append(
                "a message takes \(delay.lowerBound / 1_000) to \(delay.upperBound / 1_000) µs, half of the measured round trips"
            )
        } else {
            all.append("a message takes 80 to 250 µs: nobody has measured a round trip")
        }
        all.append("a write of a member's disk takes 0.3 to 4 ms, and a host takes 20 to 40 s to start again")
        if plan.runsWorkloads {
            let hypervisors = plan.hypervisors
            all.append(
                "a guest takes \(Self.seconds(hypervisors.start)) to start and \(Self.seconds(hypervisors.stop)) to stop; what runs in it takes its own time"
            )
            if plan.members.count(where: { $0.kind == .host }) > 1 {
                all.append(
                    "corosync goes on without a lost host after \(Self.tenths(hypervisors.corosync)) s\(pause == nil ? "" : ", by its configuration"); no guest is taken over before"
                )
            }
            if plan.members.contains(where: { $0.facts?.storageAddress.isEmpty == false }) {
                all.append(
                    "Ceph's monitors are on the first hosts and the witness, and take \(Self.seconds(hypervisors.election)) to agree anew"
                )
            }
        }
        for name in silent { all.append("\(name), which does not answer, is off") }
        return all
    }

    private static func seconds(_ range: ClosedRange<Int64>) -> String {
        "\(tenths(range.lowerBound)) to \(tenths(range.upperBound)) s"
    }

    private static func tenths(_ nanoseconds: Int64) -> String {
        "\(nanoseconds / 1_000_000_000).\(nanoseconds / 100_000_000 % 10)"
    }

    // MARK: The parts of the plan

    private func member(_ record: MemberRecord, _ specs: WorkloadSpecs) -> Plan.Member {
        var member = Plan.Member(name: record.name, kind: record.kind, host: record.kind == .guest ? record.host : "")
        member.id = record.id
        member.version = record.version.isEmpty ? "1.0.0" : record.version
        member.unwell = state.roles.pairs.filter { $0.1.isUnfit(record.id) }.map(\.0)
        if record.kind == .host, let facts = state.hosts[record.name]?.facts {
            member.facts = facts
            member.memory = facts.memoryBytes
            member.cores = facts.cores
        }
        // An agent that bears a workload's name, on the host where that runs, is taken to live in it.
        let inside = specs.workloads.keys.first { key in
            key.name == record.name && state.placements[key]?.host == record.host
        }
        if record.kind == .guest, let inside { member.workload = inside.description }
        return member
    }

    private var addresses: [Plan.Address] {
        state.resources(ofKind: "VirtualIP").map { resource in
            let spec = try? VirtualIPSpec(resource.declaration)
            return Plan.Address(
                name: resource.declaration.name, address: spec?.addressText ?? "",
                candidates: spec?.candidates.map(\.member) ?? [])
        }
    }

    private func workload(_ key: ResourceKey, _ spec: WorkloadSpec, _ specs: WorkloadSpecs) -> Plan.Workload {
        let placement = state.placements[key] ?? Placement()
        var workload = Plan.Workload(name: key.description, host: placement.host ?? "")
        workload.guest = spec.guest
        workload.memory = spec.memoryBytes
        workload.cores = spec.cores
        switch specs.shallRun(key, placement) {
        case true?: workload.desired = "running"
        case false?: workload.desired = "stopped"
        case nil: workload.desired = "ignored"
        }
        switch specs.storage(of: spec) {
        case .cephRbd: workload.storage = .ceph
        case .shared: workload.storage = .shared
        case .local: workload.storage = .local
        }
        return workload
    }

    private func rule(_ spec: PlacementRuleSpec) -> Plan.Rule {
        let form: Plan.Rule.Form
        switch spec.rule {
        case .hosts(let hosts, let strict):
            form = .hosts(
                hosts.map { Plan.Rule.Preference(host: $0.host, priority: $0.weight) }, strict: strict)
        case .together: form = .together
        case .apart: form = .apart
        }
        return Plan.Rule(form, workloads: spec.workloads.map(\.description))
    }
}
