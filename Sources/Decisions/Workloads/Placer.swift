// Which hosts may run a workload, and which of them best. Knows what has been decided in the same breath, so that two
// guests are not given the same memory.
//
// What may never be bent: a strict rule, workloads that must be apart, the memory a host has. What is given up when
// nothing else is left: the hosts of a rule that is not strict. Preference decides among what remains.

import Cluster
import Consensus
import Kinds

public struct Placer: Sendable {
    let state: ClusterState
    let specs: WorkloadSpecs
    /// Hosts that can take guests now, in the order of their names.
    let available: [String]
    /// Workloads that shall run, or run, with the hosts where they count.
    private var hosts: SortedMap<ResourceKey, [String]> = [:]
    private var memory: SortedMap<String, Int64> = [:]
    private var guests: SortedMap<String, Int> = [:]
    /// Those that would take guests if they could look at them.
    private let blind: [String]

    /// - Parameter isThere: whether the leader hears of a member now.
    public init(state: ClusterState, specs: WorkloadSpecs, isThere: (MemberID) -> Bool) {
        self.state = state
        self.specs = specs
        let willing = state.hosts.pairs.filter { name, host in
            guard host.fence.isNone, !host.isDraining, host.leaving == nil, let member = state.member(named: name)
            else {
                return false
            }
            return member.reachable && !member.stopping && isThere(member.id)
        }
        available = willing.filter { $0.1.facts.isBlind != true }.map(\.0)
        blind = willing.filter { $0.1.facts.isBlind == true }.map(\.0)
        let known = state.hostsToHear
        for (workload, placement) in state.placements.pairs {
            for host in Self.places(of: placement, known) where counts(workload, placement, on: host) {
                add(workload, on: host)
            }
        }
    }

    /// Where a workload takes its room: while it has no place, where it was found, and before it is found wherever it may be.
    private static func places(of placement: Placement, _ known: [String]) -> [String] {
        guard placement.phase == .nowhere else { return placement.hosts }
        let found = placement.sightings.pairs.filter { $0.1.state != .absent }.map(\.0)
        return found.isEmpty ? known.filter { placement.sighting(on: $0) == nil } : found
    }

    /// One that neither runs nor shall run takes nothing.
    private func counts(_ workload: ResourceKey, _ placement: Placement, on host: String) -> Bool {
        specs.shallRun(workload, placement) == true || placement.sighting(on: host) == .running
    }

    private mutating func add(_ workload: ResourceKey, on host: String) {
        hosts[workload] = (hosts[workload] ?? []) + [host]
        memory[host] = (memory[host] ?? 0) + (specs.workloads[workload]?.memoryBytes ?? 0)
        guests[host] = (guests[host] ?? 0) + 1
    }

    /// From here on the workload counts there, and nowhere else.
    mutating func settle(_ workload: ResourceKey, on host: String, leaving others: Bool) {
        if others { remove(workload) }
        add(workload, on: host)
    }

    mutating func remove(_ workload: ResourceKey) {
        for old in hosts[workload] ?? [] {
            memory[old] = (memory[old] ?? 0) - (specs.workloads[workload]?.memoryBytes ?? 0)
            guests[old] = (guests[old] ?? 0) - 1
        }
        hosts[workload] = nil
    }

    // MARK: Judging

    /// Why a host may not run a workload; nil: it may.
    public func objection(to workload: ResourceKey, on host: String) -> String? {
        objection(to: workload, on: host, countingMemory: true)
    }

    func objection(to workload: ResourceKey, on host: String, countingMemory: Bool) -> String? {
        guard let spec = specs.workloads[workload] else { return "it is not declared" }
        guard available.contains(host) else { return "\(host) takes no guests now" }
        for rule in specs.rules where rule.spec.workloads.contains(workload) {
            if let objection = objection(rule, to: workload, on: host) { return objection }
        }
        if let neighbour = neighbours(of: workload, spec).first(where: { isOn($0, host) }) {
            return "\(neighbour) is on \(host), from which it must be apart"
        }
        return countingMemory ? objectionOfMemory(to: workload, spec, on: host) : nil
    }

    private func objection(_ rule: WorkloadSpecs.Rule, to workload: ResourceKey, on host: String) -> String? {
        switch rule.spec.rule {
        case .hosts(let listed, let strict):
            return strict && !listed.contains { $0.host == host } ? "\(rule.key) allows other hosts only" : nil
        case .apart:
            let other = rule.spec.workloads.first { $0 != workload && isOn($0, host) }
            return other.map { "\($0) is on \(host), and \(rule.key) keeps them apart" }
        case .together:
            // Where the others are. They follow one another: while one moves, both its hosts will do.
            let other = rule.spec.workloads.first { other in
                other != workload && !(hosts[other] ?? []).isEmpty && !isOn(other, host)
                    && !(hosts[other] ?? []).allSatisfy { !available.contains($0) }
            }
            return other.map { "\($0) is elsewhere, and \(rule.key) keeps them together" }
        }
    }

    /// What must not be on the same host, by its own word or by that of the other.
    private func neighbours(of workload: ResourceKey, _ spec: WorkloadSpec) -> [ResourceKey] {
        spec.apartFrom
            + specs.workloads.pairs.filter { $0.0 != workload && $0.1.apartFrom.contains(workload) }.map(\.0)
    }

    private func isOn(_ workload: ResourceKey, _ host: String) -> Bool { hosts[workload]?.contains(host) ?? false }

    private func objectionOfMemory(to workload: ResourceKey, _ spec: WorkloadSpec, on host: String) -> String? {
        guard !specs.policy.overcommitsMemory, let facts = state.hosts.look(host, { $0.facts }) else { return nil }
        let group = companions(of: workload).filter { !isOn($0, host) }
        let needed = group.reduce(Int64(0)) { $0 + (specs.workloads[$1]?.memoryBytes ?? 0) }
        let used = memory[host] ?? 0
        guard used + needed > facts.memoryBytes else { return nil }
        let left = max(facts.memoryBytes - used, 0)
        return "\(host) has \(ByteSize.text(left)) of memory left, and it needs \(ByteSize.text(needed))"
    }

    /// The workload and all that must be on the same host.
    private func companions(of workload: ResourceKey) -> [ResourceKey] {
        var group = [workload]
        for rule in specs.rules where rule.spec.rule == .together && rule.spec.workloads.contains(workload) {
            for other in rule.spec.workloads where !group.contains(other) {
                if let placement = state.placements[other], specs.shallRun(other, placement) == true {
                    group.append(other)
                }
            }
        }
        return group
    }

    // MARK: Choosing

    /// How good a host is for a workload: the greater, the better.
    public func preference(of workload: ResourceKey, for host: String) -> (rule: Int64, weight: Int64) {
        var rule: Int64 = -1
        var isRuled = false
        for candidate in specs.rules where candidate.spec.workloads.contains(workload) {
            guard case .hosts(let listed, _) = candidate.spec.rule else { continue }
            isRuled = true
            if let found = listed.first(where: { $0.host == host }) { rule = max(rule, found.weight) }
        }
        let weight = specs.workloads[workload]?.prefer.first { $0.host == host }?.weight ?? 0
        return (isRuled ? rule : 0, weight)
    }

    /// The best host for a workload, or why there is none.
    /// - Parameter excluded: hosts that are out of the question.
    public func best(for workload: ResourceKey, excluding excluded: [String]) -> Choice {
        var objections: [String] = []
        var best: (host: String, score: Score)?
        for host in available where !excluded.contains(host) {
            if let objection = objection(to: workload, on: host) {
                objections.append(objection)
                continue
            }
            let score = score(workload, host)
            if best.map({ $0.score < score }) ?? true { best = (host, score) }
        }
        if let best { return .host(best.host) }
        objections += blind.filter { !excluded.contains($0) }.map { "\($0) cannot look at its guests" }
        return .none(objections.isEmpty ? "no other host is there" : objections.joined(separator: "; "))
    }

    public enum Choice: Hashable, Sendable {
        case host(String)
        case none(String)

        public var host: String? { if case .host(let host) = self { host } else { nil } }
        public var obstacle: String? { if case .none(let why) = self { why } else { nil } }
    }

    /// Rules, preferences, then the fewest guests, then the most memory left. Equal ones: the first by name.
    private struct Score: Comparable {
        var rule: Int64
        var weight: Int64
        var guests: Int
        var memoryLeft: Int64

        static func < (left: Score, right: Score) -> Bool {
            (left.rule, left.weight, right.guests, left.memoryLeft)
                < (right.rule, right.weight, left.guests, right.memoryLeft)
        }
    }

    private func score(_ workload: ResourceKey, _ host: String) -> Score {
        let preference = preference(of: workload, for: host)
        return Score(
            rule: preference.rule, weight: preference.weight, guests: guests[host] ?? 0,
            memoryLeft: (state.hosts.look(host) { $0.facts.memoryBytes } ?? 0) - (memory[host] ?? 0))
    }
}
