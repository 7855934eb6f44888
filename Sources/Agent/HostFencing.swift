// Carrying out fences this member was chosen for, and this host's own watchdog.
//
// The watchdog is what makes a lost host's silence a proof: it is armed before the first guest that needs it is started,
// fed only under a lease, and the cluster is told that it is armed before anybody counts on it, and that it no longer is
// before it is disarmed.

import Cluster
import Consensus
import Decisions
import Kinds

/// Fences of other hosts that this member carries out.
struct Fencing: Sendable {
    /// A fence that could not be reported, or did not succeed, is tried again after this.
    static let retryAfter = Interval.seconds(1)

    struct Task: Hashable, Sendable {
        var epoch: UInt64
        var isLifting: Bool
        /// Every attempt is one of its own.
        var failures: UInt64
    }

    /// By host.
    var tasks: SortedMap<String, Task> = [:]
    var results: SortedMap<String, WorkloadCommand> = [:]
    var retryAt: SortedMap<String, Instant> = [:]
    var told: SortedMap<String, RequestStamp> = [:]

    var nextRetry: Instant { retryAt.isEmpty ? .distantFuture : retryAt.values.min() ?? .distantFuture }
}

struct Watchdog: Sendable {
    /// It is not fed more often.
    static let pace = Interval.seconds(1)

    var isArmed = false
    var fedUntil: Instant = .distantPast
    /// When the guests that need it are ended unless the lease is renewed before.
    var endsGuestsAt: Instant = .distantFuture
    var hasEndedGuests = false

    var nextDeadline: Instant { isArmed && !hasEndedGuests ? endsGuestsAt : .distantFuture }
}

extension AgentCore {
    // MARK: Fences of others

    mutating func reconcileFencing(now: Instant) {
        for (name, host) in state.hosts.pairs {
            switch host.fence {
            case .wanted(let method, id): carryOut(method, on: name, host, now: now)
            case .lifting(let method, id): lift(method, from: name, host, now: now)
            default:
                if guests.fencing.tasks.contains(name) {
                    guests.fencing.tasks[name] = nil
                    guests.fencing.results[name] = nil
                    guests.fencing.retryAt[name] = nil
                    guests.fencing.told[name] = nil
                }
            }
        }
        for (name, command) in guests.fencing.results.pairs where !proposals.isOpen(guests.fencing.told[name]) {
            guests.fencing.told[name] = propose(.workload(command), now: now)
        }
    }

    /// Whether a task is a new one, to be begun now.
    private mutating func begins(_ name: String, _ host: HostRecord, isLifting: Bool, now: Instant) -> Bool {
        let task = Fencing.Task(epoch: host.fenceEpoch, isLifting: isLifting, failures: host.failures)
        if guests.fencing.tasks[name] == task { return false }
        if let retry = guests.fencing.retryAt[name], now < retry { return false }
        guests.fencing.tasks[name] = task
        guests.fencing.results[name] = nil
        guests.fencing.retryAt[name] = nil
        return true
    }

    private mutating func carryOut(_ method: FenceMethod, on name: String, _ host: HostRecord, now: Instant) {
        guard method == .cephBlocklist || method == .power,
            begins(name, host, isLifting: false, now: now)
        else { return }
        if method == .cephBlocklist {
            effects.append(
                .fence(.blocklist(host: name, epoch: host.fenceEpoch, address: host.facts.storageAddress)))
        } else {
            let command = workloadSpecs.policy.powerCommand.map { $0 == "{host}" ? name : $0 }
            effects.append(.fence(.powerOff(host: name, epoch: host.fenceEpoch, command: command)))
        }
    }

    private mutating func lift(_ method: FenceMethod, from name: String, _ host: HostRecord, now: Instant) {
        guard begins(name, host, isLifting: true, now: now) else { return }
        effects.append(
            .fence(.unblocklist(host: name, epoch: host.fenceEpoch, address: host.facts.storageAddress)))
    }

    mutating func receive(_ report: FenceReport, now: Instant) {
        guests.changes += 1
        switch report {
        case .fenced(let host, let epoch, let proof):
            guard let method = state.hosts[host]?.fence.method else { return }
            guests.fencing.results[host] = .fenceProven(host, epoch: epoch, method, proof: proof)
        case .lifted(let host, let epoch): guests.fencing.results[host] = .fenceLifted(host, epoch: epoch)
        case .failed(let host, let epoch, let reason):
            effects.append(.log("fencing \(host) failed: \(reason)"))
            guests.fencing.results[host] = .fenceFailed(host, epoch: epoch, reason: reason)
            guests.fencing.retryAt[host] = now + Fencing.retryAfter
        }
        guests.fencing.told[host(of: report)] = nil
    }

    private func host(of report: FenceReport) -> String {
        switch report {
        case .fenced(let host, _, _), .lifted(let host, _), .failed(let host, _, _): host
        }
    }

    // MARK: The own watchdog

    /// Whether the proof against a second writer of its disks would be this host's watchdog.
    func needsWatchdog(_ spec: WorkloadSpec) -> Bool {
        workloadSpecs.methods(for: spec).contains(.watchdog) && workloadSpecs.storage(of: spec) == .shared
            && (guests.facts?.watchdogMilliseconds ?? 0) > 0
    }

    /// Everybody knows that the watchdog is armed.
    func isGuarded(_ host: HostRecord) -> Bool { host.facts.isGuarded && guests.watchdog.isArmed }

    mutating func reconcileWatchdog(_ name: String, now: Instant) {
        guard let facts = guests.facts, facts.watchdogMilliseconds > 0 else { return }
        let isNeeded = watchdogIsNeeded(name)
        if !guests.watchdog.isArmed && !isNeeded { return }
        let timeout = Interval.milliseconds(facts.watchdogMilliseconds)
        if holdsLease(now: now) {
            feed(isNeeded: isNeeded, name, timeout: timeout, now: now)
        } else if guests.watchdog.isArmed {
            starve(name, now: now)
        }
    }

    private func watchdogIsNeeded(_ name: String) -> Bool {
        guard state.disarmed == nil else { return false }
        return workloadSpecs.workloads.pairs.contains { workload, spec in
            guard needsWatchdog(spec), let placement = state.placements[workload] else { return false }
            return placement.hosts.contains(name) || guests.observed[workload]?.state == .running
        }
    }

    private mutating func feed(isNeeded: Bool, _ name: String, timeout: Interval, now: Instant) {
        let isKnown = state.hosts[name]?.facts.isGuarded == true
        if !isNeeded, !isKnown {
            // Nobody counts on it any more.
            guests.watchdog = Watchdog()
            effects.append(.watchdog(.close))
            setGuarded(false)
            return
        }
        if leaseUntil >= guests.watchdog.fedUntil + Watchdog.pace || guests.watchdog.hasEndedGuests
            || !guests.watchdog.isArmed
        {
            guests.watchdog.isArmed = true
            guests.watchdog.hasEndedGuests = false
            guests.watchdog.fedUntil = leaseUntil
            guests.watchdog.endsGuestsAt = leaseUntil + timeout / 2
            effects.append(.watchdog(.feed(until: leaseUntil, timeout: timeout)))
        }
        setGuarded(isNeeded)
    }

    private mutating func setGuarded(_ isGuarded: Bool) {
        guard guests.facts?.isGuarded != isGuarded else { return }
        guests.facts?.isGuarded = isGuarded
        guests.changes += 1
    }

    /// Without a lease the machine would be reset in a while. Its guests that need that are ended first: once none of them
    /// runs there is nothing left to reset it for.
    private mutating func starve(_ name: String, now: Instant) {
        guard now >= guests.watchdog.endsGuestsAt else { return }
        guests.watchdog.hasEndedGuests = true
        var runs = false
        for (workload, spec) in workloadSpecs.workloads.pairs where needsWatchdog(spec) {
            guard let observation = guests.observed[workload],
                observation.state == .running || observation.state == .stuck
            else { continue }
            runs = true
            if guests.orders[workload]?.step != .destroy {
                guests.orders[workload] = HostWorkloads.Order(
                    step: .destroy, epoch: state.placements[workload]?.epoch ?? 0)
                effects.append(
                    .guests(.destroy(spec.guest, epoch: state.placements[workload]?.epoch ?? 0)))
            }
        }
        let isIdle = !guests.orders.values.contains { $0.step == .start || $0.step == .migrate }
        if !runs, isIdle, guests.seesGuests {
            effects.append(.log("no guest that needs the watchdog runs here any more; it is disarmed"))
            guests.watchdog = Watchdog()
            effects.append(.watchdog(.close))
        }
    }
}
