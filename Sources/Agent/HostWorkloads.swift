// This host's own part in running guests: what its placements say it should run, held against what its hypervisor shows.
//
// It starts a guest only while four things hold together: the applied state says that the guest belongs here, no fence of
// this host is open, its member lease has not ended, and the state has applied the lease's floor. Without a quorum nothing
// is started, and what runs goes on.
//
// One order for a guest at a time. What came of it is told to the cluster until the cluster has taken note.

import Cluster
import Consensus
import Decisions
import Kinds

struct HostWorkloads: Sendable {
    /// After a step failed it is tried again when this has passed.
    static let retryAfter = Interval.seconds(5)

    /// Something the cluster must hear about a guest.
    enum Result: Hashable, Sendable {
        /// Holds until the placement counts more failures than `before`.
        case startFailed(epoch: UInt64, before: UInt64, reason: String, isFinal: Bool)
        case moveEnded(epoch: UInt64, at: String, reason: String)
        /// It lies on a host whose fence has ended before it was taken over from there.
        case handBack(epoch: UInt64)

        var epoch: UInt64 {
            switch self {
            case .startFailed(let epoch, _, _, _), .moveEnded(let epoch, _, _), .handBack(let epoch): epoch
            }
        }
    }

    /// A command that was refused, or changed nothing, is not repeated at once: it would come to the same.
    static let repeatAfter = Interval.seconds(1)

    struct Told: Hashable, Sendable {
        var command: WorkloadCommand
        var stamp: RequestStamp
        var at: Instant
    }

    /// A restart of this machine that a person asked for.
    struct Restart: Hashable, Sendable {
        var isForced: Bool
        /// What it waits for, as last told to the log.
        var waitsFor: [String] = []
    }

    struct Order: Hashable, Sendable {
        var step: GuestStep
        var epoch: UInt64
    }

    /// Nil until the driver has said what this host is; a member without a hypervisor has no part in any of this.
    var facts: HostFacts?
    var observed: SortedMap<ResourceKey, GuestObservation> = [:]
    /// False while the driver cannot look; then nothing is done on what was seen before.
    var seesGuests = false
    var watched: [Guest]?
    /// Guests of whom nothing was seen since their last step ended: what was seen before says nothing about now.
    var unseen: SortedMap<ResourceKey, GuestStep> = [:]
    var orders: SortedMap<ResourceKey, Order> = [:]
    var results: SortedMap<ResourceKey, Result> = [:]
    var retryAt: SortedMap<ResourceKey, Instant> = [:]
    var told: SortedMap<String, Told> = [:]
    /// Set once this machine was asked to go down.
    var leaving: HostRecord.Leaving?
    /// Set while this machine is to be restarted by the agent's own order.
    var restart: Restart?
    var watchdog = Watchdog()
    var fencing = Fencing()
    /// Counts what was reported.
    var changes: UInt64 = 0
    var settledOn: Grounds?

    /// All that this host's part follows from, but the time.
    struct Grounds: Equatable, Sendable {
        var revision: UInt64
        var changes: UInt64
        var holdsLease: Bool
    }

    func nextDeadline(now: Instant) -> Instant {
        guard facts != nil else { return .distantFuture }
        var next = min(watchdog.nextDeadline, fencing.nextRetry)
        for instant in retryAt.values where instant > now { next = min(next, instant) }
        let all = told.values
        for position in all.indices where all[position].at + Self.repeatAfter > now {
            next = min(next, all[position].at + Self.repeatAfter)
        }
        return next
    }
}

extension AgentCore {
    /// The name under which the cluster knows this host; nil: it is none, or not yet.
    var hostName: String? {
        guard guests.facts != nil, let record = state.members[id], record.kind == .host else { return nil }
        return record.name
    }

    mutating func receive(_ report: GuestReport, now: Instant) {
        guests.changes += 1
        switch report {
        case .host(let facts):
            var facts = facts
            facts.isGuarded = guests.facts?.isGuarded ?? false
            guests.facts = facts
        case .blind(let reason):
            if guests.seesGuests { effects.append(.log("the hypervisor cannot be asked: \(reason)")) }
            guests.seesGuests = false
        case .observed(let observations):
            guests.seesGuests = true
            guests.unseen = [:]
            guests.observed = SortedMap(observations.map { ($0.guest.workload, $0) })
        case .done(let guest, let epoch, let step):
            endOrder(guest.workload, step, epoch)
        case .failed(let guest, let epoch, let step, let failure):
            endOrder(guest.workload, step, epoch)
            effects.append(.log("\(guest.workload): \(step.rawValue) failed: \(failure.reason)"))
            failed(guest.workload, step, epoch, failure, now: now)
        }
    }

    private mutating func endOrder(_ workload: ResourceKey, _ step: GuestStep, _ epoch: UInt64) {
        guests.unseen[workload] = step
        if guests.orders[workload] == HostWorkloads.Order(step: step, epoch: epoch) { guests.orders[workload] = nil }
    }

    private mutating func failed(
        _ workload: ResourceKey, _ step: GuestStep, _ epoch: UInt64, _ failure: GuestFailure, now: Instant
    ) {
        guests.retryAt[workload] = now + HostWorkloads.retryAfter
        guard let placement = state.placements[workload], placement.epoch == epoch, let name = hostName else { return }
        switch placement.phase {
        case .on(name) where step == .start:
            guests.results[workload] = .startFailed(
                epoch: epoch, before: placement.failures, reason: failure.reason, isFinal: failure.isPermanent)
        case .moving(name, _, _) where guests.observed[workload]?.state != .absent:
            guests.results[workload] = .moveEnded(epoch: epoch, at: name, reason: failure.reason)
        default: break
        }
    }

    // MARK: Reconciling

    mutating func reconcileGuests(now: Instant) {
        guard guests.facts != nil, !isStopped else { return }
        guard let name = hostName, state.level >= 2 else { return }
        reconcileWatchdog(name, now: now)
        let grounds = HostWorkloads.Grounds(
            revision: state.revision, changes: guests.changes, holdsLease: holdsLease(now: now))
        let isDue = guests.retryAt.values.contains { $0 <= now } || guests.fencing.nextRetry <= now
        if guests.settledOn == grounds, !isDue { return }
        for (workload, retry) in guests.retryAt.pairs where retry <= now { guests.retryAt[workload] = nil }
        watch(name)
        tellFacts(name, now: now)
        guard state.hosts.contains(name) else { return }
        tellSightings(name, now: now)
        tellResults(name, now: now)
        if guests.seesGuests {
            run(name, now: now)
            // What was found on the way, without an order.
            tellResults(name, now: now)
        }
        reconcileFencing(now: now)
        leaveIfAsked(name, now: now)
        // What is to be told hangs on proposals, which are none of the grounds.
        guests.settledOn = guests.told.isEmpty ? grounds : nil
    }

    var isStopped: Bool { if case .stopped = stop.phase { true } else { false } }

    /// What is declared and not to be left alone. Under a fence of this host also what was left alone or deleted since: it
    /// may run elsewhere by now, and still here.
    ///
    /// Orders stand whatever is declared: the driver carries out what it was given, and says so in the end.
    private mutating func watch(_ name: String) {
        let host = state.hosts[name]
        let isFenced = host?.fence.isProven == true
        var wanted = workloadSpecs.workloads.values.filter { isFenced || $0.desired != .ignored }.map(\.guest)
        if isFenced, let retired = host?.retired, !retired.isEmpty {
            // What could never be read was never run by the cluster either.
            let old = retired.values.compactMap { try? WorkloadSpec($0).guest }
            wanted = (wanted.filter { !retired.contains($0.workload) } + old).sorted()
        }
        guard wanted != guests.watched else { return }
        guests.watched = wanted
        effects.append(.guests(.watch(wanted)))
    }

    /// Proposes once, and again when it was given up.
    mutating func tell(_ what: String, _ command: WorkloadCommand, now: Instant) {
        if let told = guests.told[what] {
            if proposals.isOpen(told.stamp) { return }
            if told.command == command, now < told.at + HostWorkloads.repeatAfter { return }
        }
        let stamp = propose(.workload(command), now: now)
        guests.told[what] = HostWorkloads.Told(command: command, stamp: stamp, at: now)
    }

    mutating func forget(_ what: String) { if guests.told.contains(what) { guests.told[what] = nil } }

    private mutating func tellFacts(_ name: String, now: Instant) {
        guard let facts = guests.facts else { return }
        let known = state.hosts[name]
        if known?.facts != facts {
            tell("facts", .reportHost(name, facts), now: now)
        } else {
            forget("facts")
        }
        // An agent that was started again without its machine going down.
        if known?.leaving != nil, guests.leaving == nil, known?.facts == facts {
            tell("leaving", .hostLeaves(name, nil), now: now)
        } else if let leaving = guests.leaving, known != nil, known?.leaving != leaving {
            tell("leaving", .hostLeaves(name, leaving), now: now)
        } else {
            forget("leaving")
        }
    }

    private mutating func tellSightings(_ name: String, now: Instant) {
        guard guests.seesGuests else { return }
        for (workload, observation) in guests.observed.pairs {
            guard let placement = state.placements[workload],
                workloadSpecs.workloads.look(workload, { $0.guest == observation.guest }) == true
            else { continue }
            // It was declared anew while an order from before is under way, which can bring it here at any moment.
            if let order = guests.orders[workload], order.step == .start,
                order.epoch != placement.epoch || placement.phase != .on(name)
            {
                continue
            }
            let sighting = Sighting(
                observation.state, healthy: observation.healthy, detail: observation.detail,
                clients: Array(observation.clients.prefix(Placement.mostClients)))
            let what = "sight \(workload)"
            if placement.sightings[name] == sighting {
                forget(what)
            } else {
                tell(what, .sight(workload, on: name, sighting), now: now)
            }
        }
    }

    private mutating func tellResults(_ name: String, now: Instant) {
        for (workload, result) in guests.results.pairs {
            let what = "result \(workload)"
            guard let placement = state.placements[workload], placement.epoch == result.epoch else {
                guests.results[workload] = nil
                forget(what)
                continue
            }
            switch result {
            case .startFailed(let epoch, let before, let reason, let isFinal):
                guard placement.failures == before else {
                    guests.results[workload] = nil
                    forget(what)
                    continue
                }
                tell(
                    what,
                    .startFailed(workload, epoch: epoch, on: name, reason: reason, isFinal: isFinal), now: now)
            case .moveEnded(let epoch, let host, let reason):
                tell(what, .moveEnded(workload, epoch: epoch, at: host, reason: reason), now: now)
            case .handBack(let epoch): tell(what, .handBack(workload, epoch: epoch, from: name), now: now)
            }
        }
    }

    // MARK: Running guests

    private mutating func run(_ name: String, now: Instant) {
        guard let host = state.hosts[name] else { return }
        // Old grounds: a lease that counts says that the state is as new as the fence of this host would be.
        guard holdsLease(now: now) else { return }
        if host.fence.isProven { return cleanUp(name, host, now: now) }
        for (workload, placement) in state.placements.pairs where placement.host == name {
            guard guests.orders[workload] == nil, guests.results[workload] == nil, guests.retryAt[workload] == nil,
                guests.unseen[workload] == nil, let spec = workloadSpecs.workloads[workload],
                let shallRun = workloadSpecs.shallRun(workload, placement),
                let observation = guests.observed[workload], !observation.isManagedElsewhere
            else { continue }
            switch placement.phase {
            case .nowhere: break
            case .on: keep(workload, spec, placement, observation, shallRun: shallRun, host, now: now)
            case .moving(_, let to, let live): give(workload, spec, placement, observation, to: to, live: live)
            }
        }
    }

    private mutating func keep(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, _ observation: GuestObservation,
        shallRun: Bool, _ host: HostRecord, now: Instant
    ) {
        if let leaving = host.leaving {
            // One that is to leave is stopped only when the leader found no place for it.
            let waits = shallRun && WorkloadPolicy.leaves(spec, leaving) && placement.obstacle.isEmpty
            if observation.state == .running, !waits {
                order(.stop(spec.guest, epoch: placement.epoch, grace: spec.shutdownGrace))
            }
            return
        }
        guard shallRun else {
            if observation.state == .running {
                order(.stop(spec.guest, epoch: placement.epoch, grace: spec.shutdownGrace))
            } else if observation.state == .stuck {
                order(.destroy(spec.guest, epoch: placement.epoch))
            }
            return
        }
        if placement.care.isRestarting {
            // It is started again when the cluster has taken note that it has ended; until then it would be ended again.
            if observation.state == .running {
                order(.stop(spec.guest, epoch: placement.epoch, grace: spec.shutdownGrace))
            }
            return
        }
        guard observation.state != .running, host.fence.isNone else { return }
        var takeFrom = placement.takenFrom.isEmpty ? nil : placement.takenFrom
        if let old = takeFrom, state.hosts.look(old, { $0.fence.isProven }) == false {
            // That host is back: it may start what lies in its folder, and nothing is taken out of it any more.
            if observation.state == .absent {
                guests.results[workload] = .handBack(epoch: placement.epoch)
                return
            }
            takeFrom = nil
        }
        guard placement.failures <= UInt64(spec.budget.restarts), dependenciesAreMet(spec) else { return }
        if observation.state == .stuck { return order(.destroy(spec.guest, epoch: placement.epoch)) }
        if isForbidden(workload, spec) { return }
        // It would lose its only proof against a second writer.
        if needsWatchdog(spec), !isGuarded(host) { return }
        let mayLowerVotes = othersAreThereOrFenced(host)
        // What passes by itself is waited for, and uses up no try. A lock of a move may be left over from a host that died
        // in its midst; the driver finds out.
        if let lock = observation.lock, lock != "migrate" { return }
        if guests.facts?.isQuorate == false, !mayLowerVotes { return }
        order(.start(spec.guest, epoch: placement.epoch, takeFrom: takeFrom, mayLowerVotes: mayLowerVotes))
    }

    /// Whether a rule that is never given up forbids that it is started here. It may lie here all the same: found here,
    /// or here before there was the rule. The leader moves it, or says why it cannot.
    private func isForbidden(_ workload: ResourceKey, _ spec: WorkloadSpec) -> Bool {
        func runsHere(_ other: ResourceKey) -> Bool {
            other != workload
                && (guests.observed[other]?.state == .running || guests.orders[other]?.step == .start)
        }
        if spec.apartFrom.contains(where: runsHere) { return true }
        return workloadSpecs.rules.contains { rule in
            guard rule.spec.workloads.contains(workload) else { return false }
            switch rule.spec.rule {
            case .hosts(let listed, let strict): return strict && !listed.contains { $0.host == hostName }
            case .apart: return rule.spec.workloads.contains(where: runsHere)
            case .together: return false
            }
        }
    }

    /// Whether every other host is there, or proven to be away.
    private func othersAreThereOrFenced(_ own: HostRecord) -> Bool {
        state.hosts.pairs.allSatisfy { name, host in
            host.fence.isProven || state.member(named: name)?.reachable == true
        }
    }

    private func dependenciesAreMet(_ spec: WorkloadSpec) -> Bool {
        spec.dependsOn.allSatisfy { key in
            if let placement = state.placements[key] {
                return placement.host.flatMap { placement.sighting(on: $0) } == .running
            }
            if let role = state.roles[key] { return role.holder != nil }
            return true
        }
    }

    private mutating func give(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, _ observation: GuestObservation,
        to: String, live: Bool
    ) {
        switch observation.state {
        case .absent: guests.results[workload] = .moveEnded(epoch: placement.epoch, at: to, reason: "")
        case .stuck: order(.destroy(spec.guest, epoch: placement.epoch))
        case .running, .stopped:
            // What passes by itself is waited for.
            if let lock = observation.lock, lock != "migrate" { return }
            order(.migrate(spec.guest, epoch: placement.epoch, to: to, live: live && observation.state == .running))
        }
    }

    private mutating func order(_ order: GuestOrder) {
        switch order {
        case .watch: break
        case .start(let guest, let epoch, _, _): note(guest, .start, epoch)
        case .stop(let guest, let epoch, _): note(guest, .stop, epoch)
        case .migrate(let guest, let epoch, _, _): note(guest, .migrate, epoch)
        case .destroy(let guest, let epoch): note(guest, .destroy, epoch)
        }
        effects.append(.guests(order))
    }

    private mutating func note(_ guest: Guest, _ step: GuestStep, _ epoch: UInt64) {
        guests.orders[guest.workload] = HostWorkloads.Order(step: step, epoch: epoch)
    }

    // MARK: Back from a fence

    /// Nothing that ran here before the fence may go on: it is placed elsewhere, or its disks are lost to it. One that is to
    /// be left alone, belongs here, and kept its disks is left alone.
    private mutating func cleanUp(_ name: String, _ host: HostRecord, now: Instant) {
        guard case .proven = host.fence else { return forget("clean") }
        var isClean = true
        for guest in guests.watched ?? [] {
            guard let observation = guests.observed[guest.workload], observation.guest == guest,
                guests.unseen[guest.workload] == nil
            else {
                isClean = false
                continue
            }
            guard observation.state == .running || observation.state == .stuck else { continue }
            if workloadSpecs.workloads[guest.workload]?.desired == .ignored, host.barred.isEmpty,
                state.placements[guest.workload]?.phase == .on(name)
            {
                continue
            }
            isClean = false
            if guests.orders[guest.workload] == nil, guests.retryAt[guest.workload] == nil {
                order(.destroy(guest, epoch: host.fenceEpoch))
            }
        }
        // An order that is under way could start one again.
        if isClean, guests.orders.isEmpty { tell("clean", .hostIsClean(name, epoch: host.fenceEpoch), now: now) }
    }

    // MARK: Going down

    mutating func hostStops(_ leaving: HostRecord.Leaving, now: Instant) {
        guard hostName != nil else { return beginStop(now: now) }
        guests.leaving = leaving
        guests.changes += 1
        effects.append(.log("this machine goes down (\(leaving.rawValue)): its guests leave it or end first"))
    }

    private mutating func leaveIfAsked(_ name: String, now: Instant) {
        guard let leaving = guests.leaving, !stop.isStopping, state.hosts[name]?.leaving == leaving, guests.seesGuests
        else { return }
        let isEmpty = guests.observed.values.allSatisfy { $0.state != .running }
        let owes = state.placements.pairs.contains { workload, placement in
            guard placement.hosts.contains(name), let spec = workloadSpecs.workloads[workload],
                workloadSpecs.shallRun(workload, placement) == true
            else { return false }
            // The leader has not decided yet, or it is on its way.
            return WorkloadPolicy.leaves(spec, leaving) && placement.obstacle.isEmpty
        }
        guard isEmpty, guests.orders.isEmpty, !owes else { return }
        if let restart = guests.restart, !restart.isForced {
            let obstacles = RestartDecisions.obstacles(
                toStopping: name, state: state, configuration: raft.configuration)
            if obstacles != restart.waitsFor {
                guests.restart?.waitsFor = obstacles
                if !obstacles.isEmpty {
                    effects.append(.log("the restart of this machine waits: \(obstacles.joined(separator: "; "))"))
                }
            }
            guard obstacles.isEmpty else { return }
        }
        beginStop(now: now)
    }

    mutating func restartMachine(isForced: Bool) {
        guard hostName != nil, !stop.isStopping else {
            let why = stop.isStopping ? "its agent stops" : "it is no host"
            effects.append(.log("this machine is not restarted: \(why)"))
            return
        }
        guests.leaving = .reboot
        guests.restart = HostWorkloads.Restart(isForced: isForced)
        guests.changes += 1
        effects.append(.log("this machine is to be restarted: its guests leave it or end first"))
    }

    mutating func keepMachine() {
        guard guests.restart != nil, !stop.isStopping else { return }
        guests.leaving = nil
        guests.restart = nil
        guests.changes += 1
        effects.append(.log("this machine is not restarted after all"))
    }
}
