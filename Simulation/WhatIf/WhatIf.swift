// Rehearses losses with the product's own deciding half in the simulated world, beginning with the cluster as it is.
// The same cluster, loss and seed give the same forecast, in every process.
//
// Relies on: the caller for a bound on real time (`isCancelled`); simulated time is bounded here.
// Does not: change anything, or ask the cluster for more than it was given.

import Cluster
import Consensus
import Decisions
import Kinds
import SimulationWorld

public enum WhatIf {
    /// The seed when nobody names one.
    public static let usualSeed: UInt64 = 1
    /// How long a rehearsal follows each group of losses at most, in simulated nanoseconds.
    public static let bound: Int64 = 300_000_000_000

    /// What would come of losses.
    /// - Parameters:
    ///   - suppositions: each befalls it when everything has come to rest from the one before.
    ///   - isCancelled: asked now and then; the forecast then says that it was cut short.
    /// - Throws: `RehearsalRefusal` when there is nothing to rehearse with, or it was cut short.
    public static func forecast(
        _ cluster: PresentCluster, _ suppositions: [Supposition], seed: UInt64 = usualSeed,
        isCancelled: @escaping () -> Bool = { false }
    ) throws(RehearsalRefusal) -> Forecast {
        let present = try cluster.plan(seed: seed)
        let world = World(present.plan)
        world.isCancelled = isCancelled
        let teller = Teller()
        world.witness = { teller.saw($1, at: $0) }
        let rehearsal = world.rehearse(
            suppositions.map { cluster.happenings(of: $0) }, calm: calm(cluster), within: bound)
        guard !rehearsal.wasCancelled else {
            throw RehearsalRefusal("the time for the rehearsal was up; give it more with --timeout")
        }
        var forecast = Forecast(supposed: suppositions.map(\.description).joined(separator: " --then "), seed: seed)
        forecast.steps = teller.steps(of: suppositions.flatMap(\.losses), rehearsal)
        forecast.assumptions = present.assumptions
        Judge(cluster: cluster, losses: suppositions.flatMap(\.losses), rehearsal: rehearsal).fill(&forecast)
        forecast.verdict = forecast.sentence()
        return forecast
    }

    /// Nothing that is waited for in silence takes longer: a lost host's watchdog, its agents' next tries.
    static func calm(_ cluster: PresentCluster) -> Int64 {
        let policy = WorkloadSpecs(cluster.state).policy
        let watchdog = cluster.state.hosts.values.map(\.facts.watchdogMilliseconds).max() ?? 0
        let waits = policy.after + policy.watchdogMargin + .milliseconds(watchdog) + .seconds(10)
        return max(20_000_000_000, min(waits.nanoseconds, bound / 2))
    }
}

/// Collects what is worth telling.
private final class Teller {
    private var seen: [(at: Int64, sight: Sight)] = []

    func saw(_ sight: Sight, at moment: Int64) {
        // Before the first loss everything comes to rest; that is nobody's story.
        if case .befell = sight { isTelling = true }
        if isTelling { seen.append((moment, sight)) }
    }
    private var isTelling = false

    func steps(of losses: [Loss], _ rehearsal: Rehearsal) -> [Forecast.Step] {
        var steps: [Forecast.Step] = []
        var losses = losses[...]
        var isFirst = true
        for (at, sight) in seen {
            let milliseconds = at / 1_000_000
            if case .befell(let happening) = sight {
                // A link is several wires; the loss is told once.
                while let loss = losses.first, isFirst || Self.begins(loss, happening) {
                    losses.removeFirst()
                    isFirst = false
                    steps.append(
                        Forecast.Step(at: milliseconds, what: "lost", subject: loss.subject, words: loss.words))
                }
                continue
            }
            if let step = Self.step(sight, milliseconds) { steps.append(step) }
        }
        return steps
    }

    private static func begins(_ loss: Loss, _ happening: Happening) -> Bool {
        switch (loss, happening) {
        case (.machine(let name), .powerOff(let other)), (.agent(let name), .killAgent(let other)),
            (.network(let name), .isolate(let other)), (.pause(let name, _), .pauseAgent(let other, _)):
            name == other
        case (.workload(let key), .crash(let name)): key.description == name
        case (.link(let one, let other), .cut(let left, let right, _)): one == left && other == right
        default: false
        }
    }

    private static func step(_ sight: Sight, _ at: Int64) -> Forecast.Step? {
        func step(_ what: String, _ subject: String, _ words: String) -> Forecast.Step {
            Forecast.Step(at: at, what: what, subject: subject, words: words)
        }
        switch sight {
        case .befell: return nil
        case .leads(let name): return step("elected", "member/\(name)", "\(name) is elected")
        case .answers(let role, let name):
            return step("address", role.description, "\(name) answers for \(role.name)")
        case .startOrdered(let key, let host): return step("ordered", key.description, "\(host) starts \(key.name)")
        case .runs(let key, let host): return step("running", key.description, "\(key.name) runs on \(host)")
        case .ends(let key, let host): return step("lost", key.description, "\(key.name) has ended on \(host)")
        case .reset(let host, let why): return step("reset", "host/\(host)", "\(host) is reset: \(why)")
        case .event(let event): return told(event, at)
        }
    }

    /// The cluster's own events, those of them that tell more than ground truth does.
    private static func told(_ event: ClusterEvent, _ at: Int64) -> Forecast.Step? {
        let what: String
        switch event.type {
        case "MemberLost": what = "missed"
        case "FenceWanted", "HostFenced", "FenceFailed", "HostReturned": what = "fenced"
        case "WorkloadPlaced": what = "placed"
        case "WorkloadMoving", "WorkloadMoved": what = "moved"
        case "WorkloadBlocked", "WorkloadFailed", "RoleVacant", "MemberReachable": what = "told"
        default: return nil
        }
        let name = event.subject.split(separator: "/", maxSplits: 1).last.map(String.init) ?? event.subject
        return Forecast.Step(at: at, what: what, subject: event.subject, words: "\(name): \(event.message)")
    }
}
