// Whether this member can serve the roles it is a candidate for: what its health checks say, and whether its driver
// could do what it was asked. The cluster is told when the answer changes.

import Cluster
import Consensus
import Kinds

struct Fitness: Sendable {
    /// After a driver failed, the role is tried again when this has passed, and twice as long after each further failure
    /// in a row, up to 16 times. Trying means holding: for a role that is taken back from others it is an outage.
    static let retryAfter = Interval.seconds(10)
    static let mostDoublings = 4

    private struct Failure: Sendable {
        let reason: String
        let retry: Instant
    }

    private var checks: SortedMap<ResourceKey, HealthCheck> = [:]
    /// What the health check said last: nil inside when well.
    private var results: SortedMap<ResourceKey, String?> = [:]
    private var failures: SortedMap<ResourceKey, Failure> = [:]
    /// Why the interfaces of a role cannot take its addresses now. Nothing is known of a role that is not here, and it
    /// counts as well: what a driver cannot do it says when it is asked to.
    private var places: SortedMap<ResourceKey, String> = [:]
    /// Failures of a role since it was held last.
    private var streaks: SortedMap<ResourceKey, Int> = [:]
    /// Counts changes of what is known here.
    private(set) var changes: UInt64 = 0
    /// The revision and the change that were looked at last, with nothing left to tell.
    var settledAt: (revision: UInt64, change: UInt64)?
    var told: SortedMap<ResourceKey, RequestStamp> = [:]

    var nextRetry: Instant { failures.isEmpty ? .distantFuture : failures.values.map(\.retry).min() ?? .distantFuture }

    /// From now on exactly these checks are run.
    mutating func keep(_ wanted: SortedMap<ResourceKey, HealthCheck>) {
        changes += 1
        for (role, check) in checks.pairs where wanted[role] != check { results[role] = nil }
        checks = wanted
    }

    /// Forgets what is not declared any more.
    mutating func keep(only roles: SortedMap<ResourceKey, VirtualIPSpec>) {
        for role in streaks.keys where !roles.contains(role) { streaks[role] = nil }
        for role in told.keys where !roles.contains(role) { told[role] = nil }
        for role in places.keys where !roles.contains(role) { places[role] = nil }
    }

    mutating func checked(_ role: ResourceKey, healthy: Bool, detail: String) {
        guard checks.contains(role) else { return }
        results[role] = .some(healthy ? nil : detail)
        changes += 1
    }

    mutating func failed(_ role: ResourceKey, _ reason: String, now: Instant) {
        // Renewals that were on their way already fail with the first.
        guard failures[role] == nil else { return }
        let streak = min(streaks[role] ?? 0, Self.mostDoublings)
        streaks[role] = streak + 1
        failures[role] = Failure(reason: reason, retry: now + Self.retryAfter * Int64(1 << streak))
        changes += 1
    }

    /// An interface that comes back ends the wait after a failure, too.
    mutating func placed(_ role: ResourceKey, problem: String?) {
        places[role] = problem
        if problem == nil { failures[role] = nil }
        changes += 1
    }

    mutating func succeeded(_ role: ResourceKey) { streaks[role] = nil }

    mutating func forgetOldFailures(now: Instant) {
        guard !failures.isEmpty else { return }
        for (role, failure) in failures.pairs where failure.retry <= now {
            failures[role] = nil
            changes += 1
        }
    }

    func hasFailed(_ role: ResourceKey) -> Bool { failures.contains(role) }

    /// Why this member cannot serve the role; nil when it can.
    func unfit(_ role: ResourceKey) -> String? {
        if let failure = failures[role] { return failure.reason }
        if let problem = places[role] { return problem }
        guard checks.contains(role) else { return nil }
        guard let result = results[role] else { return "its health has not been checked yet" }
        return result
    }
}

extension AgentCore {
    mutating func reconcileFitness(now: Instant) {
        fitness.forgetOldFailures(now: now)
        if let settled = fitness.settledAt, settled == (state.revision, fitness.changes) { return }
        guard state.members.contains(id) else { return }
        var isSettled = true
        for (role, spec) in specs.pairs where isCandidate(spec) {
            let unfit = fitness.unfit(role)
            // Mostly all is well and nobody says otherwise; spelling an id out takes longer than all the rest.
            if unfit == nil, spec.follow == nil, state.roles.look(role, { $0.unfit.isEmpty }) != false { continue }
            let name = id.description
            // With a health check silence is no word: it is told even that all is well.
            guard let record = state.roles[role],
                record.unfit[name] != unfit || (spec.follow != nil && !record.hasHeard(of: id))
            else { continue }
            isSettled = false
            if proposals.isOpen(fitness.told[role]) { continue }
            fitness.told[role] = propose(.reportFitness(role: role, member: id, unfit: unfit), now: now)
        }
        fitness.settledAt = isSettled ? (state.revision, fitness.changes) : nil
    }
}
