// Everything that is declared about workloads, read once for each revision of the declarations.
// Declarations that this version cannot read are passed over here; the agent says so in its log.

import Cluster
import Consensus
import Kinds

public struct WorkloadSpecs: Hashable, Sendable {
    public struct Rule: Hashable, Sendable {
        public var key: ResourceKey
        public var spec: PlacementRuleSpec
    }

    public private(set) var workloads: SortedMap<ResourceKey, WorkloadSpec> = [:]
    /// Those that something is done about when their health check fails, by key.
    public private(set) var tended: [ResourceKey] = []
    public private(set) var pools: SortedMap<String, WorkloadSpec.Storage> = [:]
    /// Those that are enabled, by key.
    public private(set) var rules: [Rule] = []
    public private(set) var policy = FencePolicySpec()

    public init() {}

    /// - Parameter complain: called with the key and the reason for each declaration that cannot be read.
    public init(_ state: ClusterState, complain: (ResourceKey, InvalidDeclaration) -> Void = { _, _ in }) {
        for resource in state.resources.values {
            let declaration = resource.declaration
            do {
                switch declaration.kind {
                case WorkloadSpec.machine, WorkloadSpec.container:
                    let spec = try WorkloadSpec(declaration)
                    workloads[declaration.key] = spec
                    if spec.tending?.acts == true { tended.append(declaration.key) }
                case "StoragePool": pools[declaration.name] = try StoragePoolSpec(declaration).storage
                case "PlacementRule":
                    let spec = try PlacementRuleSpec(declaration)
                    if spec.isEnabled { rules.append(Rule(key: declaration.key, spec: spec)) }
                case "FencePolicy": policy = try FencePolicySpec(declaration)
                default: break
                }
            } catch { complain(declaration.key, error) }
        }
    }

    public var isEmpty: Bool { workloads.isEmpty }

    /// Where the disks of a workload lie, all in all: what is true of the least favourable. One without disks, or with a
    /// disk in a pool that nobody declared, counts as local: nothing is known that would let another host have it.
    public func storage(of spec: WorkloadSpec) -> WorkloadSpec.Storage {
        if spec.disks.isEmpty { return .local }
        return spec.disks.map { pools[$0.pool] ?? .local }.max() ?? .local
    }

    /// Whether a proof of this kind lets a workload be started elsewhere.
    public func suffices(_ method: FenceMethod, for spec: WorkloadSpec) -> Bool {
        switch storage(of: spec) {
        case .local: false
        case .cephRbd: true
        case .shared: method != .cephBlocklist
        }
    }

    /// Whether it is proven that a host no longer writes to the disks of a workload.
    public func isProven(
        that host: String, lostItsHoldOn placement: Placement, _ spec: WorkloadSpec, in state: ClusterState
    ) -> Bool {
        state.proofs(that: host, lostItsHoldOn: placement).contains { suffices($0, for: spec) }
    }

    /// The methods that may be used for a workload, in order. A person's word is never named and always counts.
    public func methods(for spec: WorkloadSpec) -> [FenceMethod] {
        (spec.fence.isEmpty ? policy.methods : spec.fence).filter { suffices($0, for: spec) && $0 != .word }
    }

    /// Whether a workload shall run; nil: it is left alone.
    public func shallRun(_ workload: ResourceKey, _ placement: Placement) -> Bool? {
        guard let spec = workloads[workload], spec.desired != .ignored else { return nil }
        return placement.wanted ?? (spec.desired == .running)
    }
}
