// Whether this member can serve the roles it is a candidate for: what its health checks say, and whether its driver
// could do what it was asked. The cluster is told when the answer changes.

import Cluster
import Consensus
import Kinds

struct Fitness: Sendable {
    /// After a driver failed, the role is tried again when this has passed.
    static let retryAfter = Interval.seconds(10)

    private struct Failure: Sendable {
        let reason: String
        let retry: Instant
    }

    private var checks: SortedMap<ResourceKey, HealthCheck> = [:]
    /// What the health check said last: nil inside when well.
    private var results: SortedMap<ResourceKey, String?> = [:]
    private var failures: SortedMap<ResourceKey, Failure> = [:]
    /// Counts changes of what is known here.
    private(set) var changes: UInt64 = 0
    /// The revision and the change that were looked at last, with nothing left to tell.
    var settledAt: (revision: UInt64, change: UInt64)?
    var told: SortedMap<ResourceKey, RequestStamp> = [:]

    var nextRetry: Instant { failures.values.map(\.retry).min() ?? .distantFuture }

    /// From now on exactly these checks are run.
    mutating func keep(_ wanted: SortedMap<ResourceKey, HealthCheck>) {
        changes += 1
        for (role, check) in checks.pairs where wanted[role] != check { results[role] = nil }
        checks = wanted
    }

    mutating func checked(_ role: ResourceKey, healthy: Bool, detail: String) {
        guard checks.contains(role) else { return }
        results[role] = .some(healthy ? nil : detail)
        changes += 1
    }

    mutating func failed(_ role: ResourceKey, _ reason: String, now: Instant) {
        failures[role] = Failure(reason: reason, retry: now + Self.retryAfter)
        changes += 1
    }

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
        let name = id.description
        var isSettled = true
        for (role, spec) in specs.pairs where isCandidate(spec) {
            let unfit = fitness.unfit(role)
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
