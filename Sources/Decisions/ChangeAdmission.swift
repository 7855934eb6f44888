// Whether a change of the declarations leaves everything recoverable that shall be: for each failure domain, what could not
// be brought back after its loss any more, and could before. Cheap and exact as far as capacity, rules, fences and votes go;
// in what order and how fast things come back, a rehearsal says.
//
// Relies on: places as they are. A guest that the change makes leave its host is judged where it is now.

import Cluster
import Consensus
import Kinds

/// What a change would take from what can be lost.
public struct ChangeAdmission: Hashable, Sendable {
    /// For each failure domain the obstacles that the change adds; domains without any are left out.
    public var worse: [Tolerance]
    /// Workloads that would be new and that no host could take, each in a sentence.
    public var unplaced: [String]
    /// Scenarios with `enforce: refuse` that the change breaks, each with what would stay down. Only those about the loss
    /// of one machine, and only whether things come back: the rest takes a rehearsal.
    public var broken: [String] = []

    public var isFine: Bool { objections.isEmpty && broken.isEmpty }

    /// Every objection in a sentence.
    public var objections: [String] {
        unplaced + worse.flatMap { tolerance in tolerance.obstacles.map { "if \(tolerance.domain) is lost: \($0)" } }
    }

    /// - Parameters:
    ///   - before: the state as it is.
    ///   - after: the same with the change applied.
    public init(
        from before: ClusterState, to after: ClusterState, configuration: Configuration, silent: [MemberID] = []
    ) {
        var placed = after
        unplaced = Self.placeNewcomers(in: &placed, silent: silent)
        let known = SortedMap(
            Tolerance.all(state: before, configuration: configuration, silent: silent).map { ($0.domain, $0.obstacles) }
        )
        worse = Tolerance.all(state: placed, configuration: configuration, silent: silent).compactMap { tolerance in
            let new = tolerance.obstacles.filter { !(known[tolerance.domain] ?? []).contains($0) }
            guard !new.isEmpty else { return nil }
            return Tolerance(domain: tolerance.domain, members: tolerance.members, obstacles: new)
        }
        broken = Self.scenarios(of: placed).flatMap { key, spec, domain in
            let obstacles = worse.first { $0.domain == domain }?.obstacles ?? []
            let isNew = before.resources[key] == nil
            // A new scenario is held to everything, one that was there to what is new.
            let all =
                isNew
                ? Tolerance.all(state: placed, configuration: configuration, silent: silent)
                    .first { $0.domain == domain }?.obstacles ?? [] : obstacles
            return all.filter { !Self.isExpected($0, by: spec) }.map { "\(key) would not hold: \($0)" }
        }
    }

    private static func scenarios(of state: ClusterState) -> [(ResourceKey, ScenarioSpec, String)] {
        state.resources(ofKind: ScenarioSpec.schema.kind).compactMap { resource in
            guard let spec = try? ScenarioSpec(resource.declaration), spec.enforcement == .refuse,
                spec.losses.count == 1, spec.then.isEmpty, let loss = LossText(spec.losses[0]),
                [.host, .member, .witness].contains(loss.subject),
                let member = state.member(named: loss.name), member.kind != .guest
            else { return nil }
            return (resource.declaration.key, spec, member.failureDomain)
        }
    }

    /// Whether an obstacle is about something that may stay down.
    private static func isExpected(_ obstacle: String, by spec: ScenarioSpec) -> Bool {
        spec.staysDown.contains { reference in
            guard let key = ResourceKey(reference: reference) else { return false }
            return obstacle.hasPrefix("\(key.name) ") || obstacle.hasPrefix("nobody would be left to hold \(key.name) ")
        }
    }

    /// Puts what is declared and nowhere yet where the leader would put it, the most important first.
    private static func placeNewcomers(in state: inout ClusterState, silent: [MemberID]) -> [String] {
        let specs = WorkloadSpecs(state)
        let order = specs.workloads.pairs.sorted { ($1.1.priority, $0.0) < ($0.1.priority, $1.0) }
        // Without a host there is nothing to be placed on, and nothing to be lost.
        guard !state.hosts.isEmpty else { return [] }
        return order.compactMap { workload, _ in
            guard let placement = state.placements[workload], placement.phase == .nowhere,
                placement.sightings.values.allSatisfy({ $0.state == .absent }),
                specs.shallRun(workload, placement) == true
            else { return nil }
            let placer = Placer(state: state, specs: specs) { !silent.contains($0) }
            switch placer.best(for: workload, excluding: []) {
            case .none(let why): return "\(workload.name) could run nowhere: \(why)"
            case .host(let host):
                _ = state.apply(
                    CommandRecord(
                        stamp: RequestStamp(session: 0, request: state.revision + 1, settled: 0), milliseconds: 0,
                        actor: "plan",
                        command: .workload(
                            .place(workload, epoch: placement.epoch, on: host, reason: "it is new", because: nil))))
                return nil
            }
        }
    }
}
