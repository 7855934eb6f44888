// Whether a declared Scenario holds on a cluster: the loss is rehearsed, and what comes of it is compared with what is
// expected.

import Cluster
import Consensus
import Kinds
import SimulationWorld

/// What became of one Scenario.
public struct ScenarioCheck: Hashable, Sendable, Codable {
    /// `Scenario/pve1-dies`
    public var name: String
    /// What is not as expected, each in a sentence; empty: it holds.
    public var complaints: [String]
    /// Whether apply refuses what breaks it.
    public var isEnforced: Bool

    public var holds: Bool { complaints.isEmpty }

    public init(name: String, complaints: [String], isEnforced: Bool) {
        self.name = name
        self.complaints = complaints
        self.isEnforced = isEnforced
    }
}

extension PresentCluster {
    /// The declared scenarios, in the order of their names; those that this version cannot read are passed over.
    public var scenarios: [(key: ResourceKey, spec: ScenarioSpec)] {
        state.resources(ofKind: ScenarioSpec.schema.kind).compactMap { resource in
            (try? ScenarioSpec(resource.declaration)).map { (resource.declaration.key, $0) }
        }
    }
}

extension WhatIf {
    /// Rehearses every declared Scenario.
    /// - Throws: `RehearsalRefusal` when it was cut short.
    public static func check(
        scenariosOf cluster: PresentCluster, seed: UInt64 = usualSeed, isCancelled: @escaping () -> Bool = { false }
    ) throws(RehearsalRefusal) -> [ScenarioCheck] {
        var checks: [ScenarioCheck] = []
        for (key, spec) in cluster.scenarios {
            checks.append(
                ScenarioCheck(
                    name: key.description,
                    complaints: try complaints(spec, cluster, seed: seed, isCancelled: isCancelled),
                    isEnforced: spec.enforcement == .refuse))
        }
        return checks
    }

    private static func complaints(
        _ spec: ScenarioSpec, _ cluster: PresentCluster, seed: UInt64, isCancelled: @escaping () -> Bool
    ) throws(RehearsalRefusal) -> [String] {
        let suppositions: [Supposition]
        do {
            var all = [try cluster.supposition(spec.losses)]
            for each in spec.then { all.append(try cluster.supposition([each])) }
            suppositions = all
        } catch {
            // Nothing can be lost that is not there. Said, because a scenario about nothing would always hold.
            return ["it cannot be rehearsed: \(error)"]
        }
        return complaints(
            of: try forecast(cluster, suppositions, seed: seed, isCancelled: isCancelled), against: spec)
    }

    static func complaints(of forecast: Forecast, against spec: ScenarioSpec) -> [String] {
        var complaints = forecast.violations.map { "a promise would be broken: \($0)" }
        complaints += forecast.down.filter { !spec.staysDown.contains($0.subject) }.map {
            "\($0.subject) would stay down: \($0.why)"
        }
        if forecast.restedAt == nil { complaints.append("it would not come to rest") }
        let addresses = forecast.addresses.compactMap { address in
            address.gaps.max().map { ("VirtualIP/\(address.name)", $0) }
        }
        let workloads = forecast.workloads.compactMap { guest in guest.gap.map { (guest.name, $0) } }
        complaints += late(addresses + workloads, spec.within)
        // One that is late for both is said to be once.
        if let most = spec.mostGap, spec.within.map({ most < $0 }) ?? true { complaints += late(addresses, most) }
        return complaints
    }

    private static func late(_ gaps: [(String, Int64)], _ most: Interval?) -> [String] {
        guard let most else { return [] }
        return gaps.filter { $0.1 > most.milliseconds }.map {
            "\($0.0) would be gone for \(Forecast.length($0.1)), and may be for \(DurationText.text(most))"
        }
    }
}
