// What would become of the workloads of a host if it were lost this moment: which of them could not be started elsewhere,
// and why. The others are placed one after the other, as they would be, so that memory is counted once.

import Cluster
import Consensus
import Kinds

public enum WorkloadTolerance {
    /// - Parameter isThere: whether a member could take guests.
    /// - Returns: one sentence for each workload that would stay down, the most important first.
    public static func obstacles(
        toLosing host: String, state: ClusterState, specs: WorkloadSpecs, isThere: (MemberRecord) -> Bool
    ) -> [String] {
        guard !state.placements.isEmpty, state.hosts.contains(host) else { return [] }
        var placer = Placer(state: state, specs: specs) { id in
            state.members[id].map { $0.name != host && isThere($0) } ?? false
        }
        let order = specs.workloads.pairs.sorted { ($1.1.priority, $0.0) < ($0.1.priority, $1.0) }
        return order.compactMap { workload, spec in
            guard let placement = state.placements[workload], placement.host == host,
                specs.shallRun(workload, placement) == true
            else { return nil }
            if specs.storage(of: spec) == .local { return "\(workload.name) has its disks on \(host)" }
            if let why = FenceDecisions.obstacle(to: spec, on: host, specs: specs, state: state) {
                return "\(workload.name) could not be fenced: \(why)"
            }
            switch placer.best(for: workload, excluding: [host]) {
            case .host(let target):
                placer.settle(workload, on: target, leaving: true)
                return nil
            case .none(let why): return "\(workload.name) would stay down: \(why)"
            }
        }
    }
}
