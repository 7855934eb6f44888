// Carrying out fences this member was chosen for, and this host's own watchdog.
//
// The watchdog is what makes a lost host's silence a proof: it is armed before the first guest that needs it is started,
// fed only under a lease, and the cluster is told that it is armed before anybody counts on it, and that it no longer is
// before it is disarmed. That it is armed is what its driver reports, never what it was ordered to do.

import Cluster
import Consensus
import Decisions
import Kinds

/// Fences of other hosts that this member carries out.
struct Fencing: Sendable {
    /// A fence that could not be reported, or did not succeed, is tried again after this.
    static let retryAfter = Interval.seconds(1)
    /// The same where something is proven already: it may go on for days, until a person has looked.
    static let retryFurtherAfter = Interval.seconds(30)

    struct Attempt: Hashable, Sendable {
        var method: FenceMethod
        var epoch: UInt64
        var isLifting: Bool
        /// The revision at which it was ordered: the same may be ordered again.
        var orderedAt: UInt64
        /// Every attempt is one of its own.
        var failures: UInt64
    }

    /// By host.
    var attempts: SortedMap<String, Attempt> = [:]
    /// What came of the attempts, until the cluster has taken note.
    var results: SortedMap<String, WorkloadCommand> = [:]
    var retryAt: SortedMap<String, Instant> = [:]

    var nextRetry: Instant { retryAt.isEmpty ? .distantFuture : retryAt.values.min() ?? .distantFuture }
}

struct Watchdog: Sendable {
    /// It is not fed more often.
    static let pace = Interval.seconds(1)

    /// What the driver said last of the orders since the watchdog was closed.
    enum Word: Hashable, Sendable {
        case armed
        /// Nothing resets this machine, and why.
        case failed(String)
    }

    /// It was ordered to be fed and not to be closed since. So it may be armed, whatever the driver says: then it resets this
    /// machine unless it is fed or closed.
    var mayBeArmed = false
    /// Nil until the driver has answered.
    var word: Word?
    /// Answers to orders before this one are about a watchdog that was closed since.
    var begunAt: Instant = .distantPast
    /// The cluster was told that it is armed, and is not certain to have heard otherwise.
    var isSaid = false
    /// Whether this process has found out if the one before it left it armed.
    var hasInherited = false
    var fedUntil: Instant = .distantPast
    /// When the guests that need it are ended unless the lease is renewed before.
    var endsGuestsAt: Instant = .distantFuture
    var hasEndedGuests = false
    /// Disarmed without a lease, because no guest ran any more: the cluster counts on it all the same, and no guest may run
    /// again before there is a lease.
    var isCountedOn = false

    var nextDeadline: Instant { mayBeArmed && !hasEndedGuests ? endsGuestsAt : .distantFuture }
}

extension AgentCore {
    // MARK: Fences of others

    mutating func reconcileFencing(now: Instant) {
        for (name, retry) in guests.fencing.retryAt.pairs where retry <= now { guests.fencing.retryAt[name] = nil }
        for (name, host) in state.hosts.pairs {
            switch host.fence {
            case .wanted(let method, id): carryOut(method, on: name, host, now: now)
            case .proven where host.further?.member == id && state.member(named: name)?.reachable != true:
                if let further = host.further { carryOut(further.method, on: name, host, now: now) }
            // The leader says when nothing of the others' orders can come any more.
            case .lifting(let method, id) where !host.isOrdered(besides: id),
                .withdrawn(let method, id) where !host.isOrdered(besides: id):
                lift(method, from: name, host, now: now)
            default:
                // Also what the driver reported when the fence was none of this member's any more: told again and again,
                // nobody would ever take note of it.
                if guests.fencing.attempts.contains(name) || guests.fencing.results.contains(name) {
                    guests.fencing.attempts[name] = nil
                    guests.fencing.results[name] = nil
                    guests.fencing.retryAt[name] = nil
                    forget("fence \(name)")
                }
            }
        }
        for (name, command) in guests.fencing.results.pairs { tell("fence \(name)", command, now: now) }
    }

    /// Whether an attempt is a new one, to be begun now.
    private mutating func begins(
        _ name: String, _ host: HostRecord, _ method: FenceMethod, isLifting: Bool, now: Instant
    ) -> Bool {
        // A member that has just started reads old fences in its log: one that is lifted long since must not be carried out
        // again, and still less may an old lifting undo a new fence. A lease that counts says that the state is as new.
        guard holdsLease(now: now) else { return false }
        let attempt = Fencing.Attempt(
            method: method, epoch: host.fenceEpoch, isLifting: isLifting, orderedAt: host.orderedAt,
            failures: host.failures)
        if guests.fencing.attempts[name] == attempt { return false }
        // The cluster has taken note of what came of the one before.
        guests.fencing.results[name] = nil
        if guests.fencing.retryAt.contains(name) { return false }
        guests.fencing.attempts[name] = attempt
        return true
    }

    private mutating func carryOut(_ method: FenceMethod, on name: String, _ host: HostRecord, now: Instant) {
        guard method == .cephBlocklist || method == .power,
            begins(name, host, method, isLifting: false, now: now)
        else { return }
        let isThere = state.member(named: name)?.reachable == true
        if isThere || state.disarmed != nil {
            // Its guests are well, and it would lose them for nothing; or somebody wants no host to lose any. What an attempt
            // before this one did is taken back.
            let spared = method == .power ? "its power is left alone" : "its storage is left to it"
            let why = isThere ? "\(name) is there again" : "the cluster is disarmed"
            guests.fencing.results[name] = .fenceFailed(name, epoch: host.fenceEpoch, reason: "\(why); \(spared)")
            guests.fencing.retryAt[name] = now + Fencing.retryAfter
            return
        }
        let until = now + FenceOrder.mostWait
        if method == .cephBlocklist {
            effects.append(
                .fence(.blocklist(host: name, epoch: host.fenceEpoch, addresses: host.barred, until: until)))
        } else {
            let command = workloadSpecs.policy.powerCommand.map { $0.replacing("{host}", with: name) }
            effects.append(.fence(.powerOff(host: name, epoch: host.fenceEpoch, command: command, until: until)))
        }
    }

    private mutating func lift(_ method: FenceMethod, from name: String, _ host: HostRecord, now: Instant) {
        guard begins(name, host, method, isLifting: true, now: now) else { return }
        effects.append(
            .fence(
                .unblocklist(
                    host: name, epoch: host.fenceEpoch, addresses: host.barred, until: now + FenceOrder.mostWait)))
    }

    mutating func receive(_ report: FenceReport, now: Instant) {
        guests.changes += 1
        switch report {
        case .fenced(let host, let epoch, let proof):
            // It proves what was attempted. The state may name another method by now, which suffices for other disks.
            guard let attempt = guests.fencing.attempts[host], attempt.epoch == epoch, !attempt.isLifting else {
                return
            }
            guests.fencing.results[host] = .fenceProven(host, epoch: epoch, attempt.method, proof: proof)
        case .lifted(let host, let epoch):
            guard let attempt = guests.fencing.attempts[host], attempt.epoch == epoch, attempt.isLifting else { return }
            guests.fencing.results[host] = .fenceLifted(host, epoch: epoch)
        case .failed(let host, let epoch, let reason):
            effects.append(.log("fencing \(host) failed: \(reason)"))
            // Of another fence than this one's it says nothing.
            guard guests.fencing.attempts[host]?.epoch == epoch else { return }
            guests.fencing.results[host] = .fenceFailed(host, epoch: epoch, reason: reason)
            let isProven = state.hosts[host]?.further != nil
            guests.fencing.retryAt[host] = now + (isProven ? Fencing.retryFurtherAfter : Fencing.retryAfter)
        }
    }

    // MARK: The own watchdog

    /// Whether the proof against a second writer of its disks would be this host's watchdog.
    func needsWatchdog(_ spec: WorkloadSpec) -> Bool {
        workloadSpecs.methods(for: spec).contains(.watchdog) && workloadSpecs.storage(of: spec) == .shared
            && (guests.facts?.watchdogMilliseconds ?? 0) > 0
    }

    /// Everybody knows that the watchdog is armed.
    func isGuarded(_ host: HostRecord) -> Bool { host.facts.isGuarded && guests.watchdog.word == .armed }

    mutating func receive(_ report: WatchdogReport) {
        guard guests.watchdog.mayBeArmed, report.until >= guests.watchdog.begunAt else { return }
        let word = report.failure.map(Watchdog.Word.failed) ?? .armed
        guard guests.watchdog.word != word else { return }
        if let failure = report.failure {
            effects.append(
                .log("nothing resets this host, and guests whose disks need that are not started here: \(failure)"))
            setGuarded(false)
        } else if case .failed = guests.watchdog.word {
            effects.append(.log("the watchdog is armed again"))
        }
        guests.watchdog.word = word
        guests.changes += 1
    }

    mutating func reconcileWatchdog(_ name: String, now: Instant) {
        guard let facts = guests.facts, facts.watchdogMilliseconds > 0 else { return }
        let isNeeded = watchdogIsNeeded(name)
        let timeout = Interval.milliseconds(facts.watchdogMilliseconds)
        let holdsLease = holdsLease(now: now)
        if holdsLease {
            inheritWatchdog(name, facts, isNeeded: isNeeded)
            guests.watchdog.isCountedOn = false
        }
        if !guests.watchdog.mayBeArmed && !guests.watchdog.isCountedOn && !isNeeded { return }
        if holdsLease {
            feed(isNeeded: isNeeded, name, timeout: timeout, now: now)
        } else if guests.watchdog.mayBeArmed || guests.watchdog.isCountedOn {
            starve(name, now: now)
        }
    }

    /// The process before this one, in the same boot, may have armed it and ended without disarming it: it would reset a machine
    /// that is well, also when nothing needs it any more.
    ///
    /// Only under a lease, when the state is as new as what that process last said. Until then it stays said.
    private mutating func inheritWatchdog(_ name: String, _ facts: HostFacts, isNeeded: Bool) {
        guard !guests.watchdog.hasInherited else { return }
        guests.watchdog.hasInherited = true
        if let known = state.hosts[name]?.facts, known.isGuarded, known.boot == facts.boot {
            guests.watchdog.mayBeArmed = true
            // Said on until its driver has answered.
            setGuarded(true)
        } else if !isNeeded {
            // Armed without anybody having heard of it, it would be fed by nobody.
            effects.append(.watchdog(.close))
        }
    }

    private func watchdogIsNeeded(_ name: String) -> Bool {
        guard state.disarmed == nil, !stop.isStopping else { return false }
        return workloadSpecs.workloads.pairs.contains { workload, spec in
            guard needsWatchdog(spec), let placement = state.placements[workload] else { return false }
            return placement.hosts.contains(name) || guests.observed[workload]?.state == .running
        }
    }

    private mutating func feed(isNeeded: Bool, _ name: String, timeout: Interval, now: Instant) {
        let isKnown = state.hosts[name]?.facts.isGuarded == true
        if !isNeeded, !isKnown {
            // Nobody counts on it any more.
            guests.watchdog = Watchdog(hasInherited: true)
            effects.append(.watchdog(.close))
            setGuarded(false)
            return
        }
        if leaseUntil >= guests.watchdog.fedUntil + min(Watchdog.pace, timeout / 4) || guests.watchdog.hasEndedGuests
            || !guests.watchdog.mayBeArmed
        {
            if guests.watchdog.begunAt == .distantPast { guests.watchdog.begunAt = leaseUntil }
            guests.watchdog.mayBeArmed = true
            guests.watchdog.hasEndedGuests = false
            guests.watchdog.fedUntil = leaseUntil
            guests.watchdog.endsGuestsAt = leaseUntil + timeout / 2
            effects.append(.watchdog(.feed(until: leaseUntil, timeout: timeout)))
        }
        switch guests.watchdog.word {
        case .armed?: setGuarded(isNeeded)
        case .failed?:
            setGuarded(false)
            if !isKnown { guests.watchdog.isSaid = false }
        case nil: if !isNeeded { setGuarded(false) }
        }
    }

    private mutating func setGuarded(_ isGuarded: Bool) {
        if isGuarded { guests.watchdog.isSaid = true }
        guard guests.facts?.isGuarded != isGuarded else { return }
        guests.facts?.isGuarded = isGuarded
        guests.changes += 1
    }

    /// Without a lease the machine would be reset in a while. Its guests that need that are ended first: once nothing runs
    /// there is nothing left to reset it for.
    ///
    /// What somebody starts by hand afterwards is ended as well, until there is a lease again.
    ///
    /// Others stay, and keep it armed: a proof by the watchdog lets every guest be started elsewhere whose disks it is
    /// proof for, also one that was meant to be fenced otherwise. So they are ended too when nothing resets the machine and
    /// the cluster may not have heard of that.
    private mutating func starve(_ name: String, now: Instant) {
        guard now >= guests.watchdog.endsGuestsAt else { return }
        guests.watchdog.hasEndedGuests = true
        var isReset = true
        if case .failed = guests.watchdog.word {
            // Nobody takes its silence for a proof: what runs goes on.
            guard guests.watchdog.isSaid else { return }
            isReset = false
        }
        var runs = false
        for (workload, spec) in workloadSpecs.workloads.pairs where workloadSpecs.suffices(.watchdog, for: spec) {
            // What nobody has looked at may be running.
            let seen = guests.observed[workload]
            if let seen, !seen.mayRun { continue }
            runs = true
            guard needsWatchdog(spec) || !isReset, seen != nil, guests.orders[workload]?.step != .destroy,
                guests.retryAt[workload] == nil, guests.unseen[workload] == nil
            else { continue }
            let epoch = state.placements[workload]?.epoch ?? 0
            guests.orders[workload] = HostWorkloads.Order(step: .destroy, epoch: epoch)
            effects.append(.guests(.destroy(spec.guest, epoch: epoch)))
        }
        let isIdle = !guests.orders.values.contains { $0.step == .start || $0.step == .migrate }
        if !runs, isIdle, guests.seesGuests, guests.watchdog.mayBeArmed {
            effects.append(.log("no guest that the watchdog answers for runs here any more; it is not needed"))
            guests.watchdog = Watchdog(
                hasInherited: true, endsGuestsAt: guests.watchdog.endsGuestsAt, hasEndedGuests: true, isCountedOn: true)
            effects.append(.watchdog(.close))
        }
    }
}
