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

    /// An order that the driver has not answered yet, and the attempt that it was given for.
    struct Given: Hashable, Sendable {
        var order: FenceOrder
        var attempt: Attempt
    }

    /// What came of an order, as the cluster is to hear it.
    struct Result: Hashable, Sendable {
        var command: WorkloadCommand
        /// What was wanted when it came. Once that is another attempt the cluster has taken note, or asks for something else.
        var attempt: Attempt
    }

    /// By host.
    var attempts: SortedMap<String, Attempt> = [:]
    var given: SortedMap<String, [Given]> = [:]
    /// Told until the cluster has taken note.
    var results: SortedMap<String, Result> = [:]
    var retryAt: SortedMap<String, Instant> = [:]

    /// An answer to one of the orders that were given; each has one. Nil: none of them, or one about a fence that was none of
    /// this member's any more since.
    mutating func take(_ order: FenceOrder) -> Given? {
        guard let place = given[order.host]?.firstIndex(where: { $0.order == order }) else { return nil }
        let found = given[order.host]?[place]
        _ = given.update(order.host) { $0.remove(at: place) }
        return found
    }

    var nextRetry: Instant { retryAt.isEmpty ? .distantFuture : retryAt.values.min() ?? .distantFuture }
}

struct Watchdog: Sendable {
    /// It is not fed more often.
    static let pace = Interval.seconds(1)

    /// How long a process that has just started waits for its first lease before it ends guests for want of one: less than the
    /// margin that the cluster waits on top of the watchdog's own time.
    static func grace(within margin: Interval) -> Interval { margin * 4 / 5 }

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
            guard let attempt = wantedAttempt(on: name, host) else {
                // Also what the driver reported when the fence was none of this member's any more: told again and again,
                // nobody would ever take note of it.
                if guests.fencing.attempts.contains(name) || guests.fencing.results.contains(name) {
                    guests.fencing.attempts[name] = nil
                    guests.fencing.given[name] = nil
                    guests.fencing.results[name] = nil
                    guests.fencing.retryAt[name] = nil
                    forget("fence \(name)")
                }
                continue
            }
            if let result = guests.fencing.results[name], result.attempt != attempt {
                guests.fencing.results[name] = nil
                forget("fence \(name)")
            }
            if attempt.isLifting {
                lift(attempt, from: name, host, now: now)
            } else {
                carryOut(attempt, on: name, host, now: now)
            }
        }
        for (name, result) in guests.fencing.results.pairs { tell("fence \(name)", result.command, now: now) }
    }

    /// What this member is to do about the fence of a host now; nil: nothing.
    private func wantedAttempt(on name: String, _ host: HostRecord) -> Fencing.Attempt? {
        func attempt(_ method: FenceMethod, isLifting: Bool = false) -> Fencing.Attempt {
            Fencing.Attempt(
                method: method, epoch: host.fenceEpoch, isLifting: isLifting, orderedAt: host.orderedAt,
                failures: host.failures)
        }
        return switch host.fence {
        case .wanted(let method, id): attempt(method)
        case .proven where host.further?.member == id && state.member(named: name)?.reachable != true:
            host.further.map { attempt($0.method) }
        // The leader says when nothing of the others' orders can come any more.
        case .lifting(let method, id) where !host.isOrdered(besides: id),
            .withdrawn(let method, id) where !host.isOrdered(besides: id):
            attempt(method, isLifting: true)
        default: nil
        }
    }

    /// Whether an attempt is a new one, to be begun now.
    private mutating func begins(_ attempt: Fencing.Attempt, _ name: String, now: Instant) -> Bool {
        // A member that has just started reads old fences in its log: one that is lifted long since must not be carried out
        // again, and still less may an old lifting undo a new fence. A lease that counts says that the state is as new.
        guard holdsLease(now: now) else { return false }
        if guests.fencing.attempts[name] == attempt || guests.fencing.retryAt.contains(name) { return false }
        guests.fencing.attempts[name] = attempt
        return true
    }

    private mutating func carryOut(_ attempt: Fencing.Attempt, on name: String, _ host: HostRecord, now: Instant) {
        guard attempt.method == .cephBlocklist || attempt.method == .power else { return }
        // What is proven holds, and more has time; nobody would take note that nothing was begun, for as long as it lasts.
        if host.fence.isProven, state.disarmed != nil { return }
        guard begins(attempt, name, now: now) else { return }
        let isThere = state.member(named: name)?.reachable == true
        if isThere || state.disarmed != nil {
            // Its guests are well, and it would lose them for nothing; or somebody wants no host to lose any. What an attempt
            // before this one did is taken back.
            let spared = attempt.method == .power ? "its power is left alone" : "its storage is left to it"
            let why = isThere ? "\(name) is there again" : "the cluster is disarmed"
            guests.fencing.results[name] = Fencing.Result(
                command: .fenceFailed(name, epoch: host.fenceEpoch, reason: "\(why); \(spared)"), attempt: attempt)
            guests.fencing.retryAt[name] = now + Fencing.retryAfter
            return
        }
        let until = now + FenceOrder.mostWait
        if attempt.method == .cephBlocklist {
            give(.blocklist(host: name, epoch: host.fenceEpoch, addresses: host.barred, until: until), for: attempt)
        } else {
            let command = workloadSpecs.policy.powerCommand.map { $0.replacing("{host}", with: name) }
            give(.powerOff(host: name, epoch: host.fenceEpoch, command: command, until: until), for: attempt)
        }
    }

    private mutating func lift(_ attempt: Fencing.Attempt, from name: String, _ host: HostRecord, now: Instant) {
        guard begins(attempt, name, now: now) else { return }
        let until = now + FenceOrder.mostWait
        give(.unblocklist(host: name, epoch: host.fenceEpoch, addresses: host.barred, until: until), for: attempt)
    }

    private mutating func give(_ order: FenceOrder, for attempt: Fencing.Attempt) {
        // The driver drops what waits of an earlier fence, without a word.
        var given = (guests.fencing.given[order.host] ?? []).filter { $0.attempt.epoch == attempt.epoch }
        given.append(Fencing.Given(order: order, attempt: attempt))
        guests.fencing.given[order.host] = given
        effects.append(.fence(order))
    }

    mutating func receive(_ report: FenceReport, now: Instant) {
        guests.changes += 1
        let order = report.order
        let name = order.host
        if case .failed(_, let reason) = report { effects.append(.log("fencing \(name) failed: \(reason)")) }
        guard let given = guests.fencing.take(order), let host = state.hosts[name],
            let wanted = wantedAttempt(on: name, host), wanted.epoch == order.epoch
        else { return }
        let command: WorkloadCommand
        switch report {
        case .fenced(_, let proof):
            guard !wanted.isLifting else { return }
            // It proves what was ordered. The state may name another method by now, or more addresses: what was ordered
            // suffices for other disks, and for these addresses alone.
            command = .fenceProven(name, epoch: order.epoch, order.method, barred: order.addresses, proof: proof)
        case .lifted:
            guard wanted == given.attempt else { return }
            command = .fenceLifted(name, epoch: order.epoch)
        case .failed(_, let reason):
            // Of another attempt than the one that is wanted now it says nothing: that one is under way, or waits behind it.
            guard wanted == given.attempt else { return }
            command = .fenceFailed(name, epoch: order.epoch, reason: reason)
            let isProven = host.further != nil
            guests.fencing.retryAt[name] = now + (isProven ? Fencing.retryFurtherAfter : Fencing.retryAfter)
        }
        guests.fencing.results[name] = Fencing.Result(command: command, attempt: wanted)
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
        let timeout = reckonedWatchdogTime(name, facts)
        let holdsLease = holdsLease(now: now)
        if holdsLease {
            if guests.watchdog.isCountedOn {
                // It was closed. Said on, a silence of later would be taken for a reset by what is not armed.
                guests.watchdog.isCountedOn = false
                setGuarded(false)
            }
            inheritWatchdog(name, facts, isNeeded: isNeeded)
        } else {
            presumeWatchdog(name, facts, now: now)
        }
        if !guests.watchdog.mayBeArmed && !guests.watchdog.isCountedOn && !isNeeded { return }
        if holdsLease {
            feed(isNeeded: isNeeded, name, timeout: timeout, now: now)
        } else if guests.watchdog.mayBeArmed || guests.watchdog.isCountedOn {
            starve(name, now: now)
        }
    }

    /// How long the cluster waits at least before it takes a silence of this host for a reset: what it was told of, until it has
    /// taken note that it takes longer by now.
    private func reckonedWatchdogTime(_ name: String, _ facts: HostFacts) -> Interval {
        let own = Interval.milliseconds(facts.watchdogMilliseconds)
        guard let known = state.hosts[name]?.facts, known.isGuarded, known.watchdogMilliseconds > 0 else { return own }
        return min(own, .milliseconds(known.watchdogMilliseconds))
    }

    /// The process before this one, in the same boot, had said that it is armed, and there is no lease yet. Whether it still is
    /// nobody knows; the cluster counts on it, and on this host to end its guests within its time if it is not:
    ///
    ///     lease ends ── guests ended, closed ── agent restarts ── started by hand ─────────── proof by the watchdog
    ///                                                  └── grace ──┘└── ended again
    ///
    /// And if it is armed, to end just the guests spares the machine.
    private mutating func presumeWatchdog(_ name: String, _ facts: HostFacts, now: Instant) {
        guard !guests.watchdog.hasInherited, !guests.watchdog.mayBeArmed, !guests.watchdog.isCountedOn,
            let known = state.hosts[name]?.facts, known.isGuarded && known.boot == facts.boot
        else { return }
        guests.watchdog.mayBeArmed = true
        guests.watchdog.isSaid = true
        guests.watchdog.endsGuestsAt = now + Watchdog.grace(within: workloadSpecs.policy.watchdogMargin)
        setGuarded(true)
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
        } else {
            // Whatever was presumed from an older state.
            setGuarded(false)
            guard !isNeeded else { return }
            // Armed without anybody having heard of it, it would be fed by nobody.
            guests.watchdog = Watchdog(hasInherited: true)
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
            if !guests.watchdog.mayBeArmed { guests.changes += 1 }
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
            // What nobody has looked at may be running, also since something was done about it.
            let seen = guests.observed[workload]
            if let seen, !seen.mayRun, guests.unseen[workload] == nil { continue }
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
