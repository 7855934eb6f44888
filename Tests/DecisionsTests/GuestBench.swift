// Hosts with guests on the bench of the decisions: what the hosts say is said by the test, what the leader decides is applied.

import Cluster
import Consensus
import Decisions
import Kinds

/// Two hosts that run guests, on the bench of the other decisions.
struct GuestBench {
    static let vm = ResourceKey(kind: "VirtualMachine", name: "gitlab")
    static let other = ResourceKey(kind: "VirtualMachine", name: "vault")
    static let gibibyte: Int64 = 1 << 30

    var bench = DecisionBench()

    init(memory: Int64 = 16, pool: String = "cephRbd", hosts: [String] = ["pve1", "pve2"]) {
        for host in hosts {
            var facts = HostFacts(
                boot: "b1", memoryBytes: memory * Self.gibibyte, cores: 8, storageAddress: "10.0.0.\(host.last!)",
                watchdogMilliseconds: 10_000)
            facts.isGuarded = true
            apply(.reportHost(host, facts))
        }
        declare("StoragePool", "rbd", ["type": .string(pool)])
    }

    mutating func apply(_ command: WorkloadCommand) { _ = outcome(command) }
    mutating func outcome(_ command: WorkloadCommand) -> Outcome { bench.outcome(.workload(filledIn(command))) }

    /// A proof by the storage that names no addresses is one for all that it was to keep out.
    private func filledIn(_ command: WorkloadCommand) -> WorkloadCommand {
        guard case .fenceProven(let host, let epoch, .cephBlocklist, nil, let proof) = command else { return command }
        return .fenceProven(
            host, epoch: epoch, .cephBlocklist, barred: bench.state.hosts[host]?.barred ?? [], proof: proof)
    }

    mutating func declare(_ kind: String, _ name: String, _ spec: JSONValue) {
        bench.apply(.apply(declarations: [Declaration(kind: kind, name: name, spec: spec)], checkRevision: nil))
    }

    mutating func guest(
        _ key: ResourceKey = vm, on host: String?, memory: String = "4Gi", extra: SortedMap<String, JSONValue> = [:]
    ) {
        var spec: SortedMap<String, JSONValue> = [
            "proxmox": ["vmid": .int(key == Self.vm ? 120 : 121), "memory": .string(memory)],
            "disks": [["name": "scsi0", "pool": "rbd"]],
        ]
        for (name, value) in extra.pairs { spec[name] = value }
        declare(key.kind, key.name, .object(spec))
        guard let host else { return }
        for name in bench.state.hosts.keys {
            apply(.sight(key, on: name, Sighting(name == host ? .running : .absent)))
        }
        for command in decide() { apply(command) }
    }

    mutating func lose(_ member: MemberID, for length: Interval) {
        var standing = DecisionBench.lost
        standing.lostFor = length
        bench.view.standings[member] = standing
        bench.apply(.observeMember(member, reachable: false, reason: "test"))
    }

    mutating func find(_ member: MemberID) {
        bench.view.standings[member] = DecisionBench.well
        bench.apply(.observeMember(member, reachable: true, reason: "test"))
    }

    var specs: WorkloadSpecs { WorkloadSpecs(bench.state) }
    func decide() -> [WorkloadCommand] {
        FenceDecisions.decide(state: bench.state, specs: specs, view: bench.view)
            + PlacementDecisions.decide(state: bench.state, specs: specs, view: bench.view)
    }
    func placement(_ key: ResourceKey = vm) -> Placement { bench.state.placements[key] ?? Placement() }
    var fence: FencePhase { bench.state.hosts["pve2"]?.fence ?? .none }
    var fenceEpoch: UInt64 { bench.state.hosts["pve2"]?.fenceEpoch ?? 0 }

    mutating func settle() { for command in decide() { apply(command) } }
}
