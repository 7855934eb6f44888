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
        /// This host could not look at its guests, and has begun nothing for it. It stands also when the host sees again: once it
        /// is on its way to the log it may be committed at any moment, and the workload given to another host while it is started
        /// here. What is declined is given anew.
        case decline(epoch: UInt64)
        /// It cannot be started here before a person has looked at it.
        case blocked(epoch: UInt64, reason: String)

        var epoch: UInt64 {
            switch self {
            case .startFailed(let epoch, _, _, _), .moveEnded(let epoch, _, _), .handBack(let epoch),
                .decline(let epoch), .blocked(let epoch, _):
                epoch
            }
        }
    }

    /// A command that was refused, or changed nothing, is not repeated at once: it would come to the same.
    static let repeatAfter = Interval.seconds(1)

    /// A driver that has seen nothing for so long will probably see nothing for longer.
    static let blindAfter = Interval.seconds(10)

    struct Told: Hashable, Sendable {
        var command: WorkloadCommand
        var stamp: RequestStamp
        var at: Instant
    }

    struct Order: Hashable, Sendable {
        var step: GuestStep
        var epoch: UInt64
    }

    /// A process without its configuration is stuck, and so is, until the very moment in which a live move ends, what
    /// takes a guest over:
    ///
    ///     driver:    look: stuck ─────── (the move ends: it runs) ──────── look: running
    ///     cluster:                        the guest belongs here now
    ///     agent:                          seen is "stuck", and what is seen here is ended and started again
    ///
    /// Ending it then would kill a guest that has just been moved. So one is ended only after two looks that were reported
    /// since it belongs here: the first may have begun before.
    struct Doubt: Hashable, Sendable {
        static let looks: UInt64 = 2

        var epoch: UInt64
        /// The looks before.
        var since: UInt64
        /// The looks before another one was last asked for; nil: none was.
        var askedAfter: UInt64?
    }

    /// What the driver of a host can say of it that it may not look at.
    struct Refusal: Hashable, Sendable {
        var boot: String
        var watchdogMilliseconds: Int64
    }

    /// Nil until the driver has said what this host is; a member without a hypervisor has no part in any of this.
    var facts: HostFacts?
    /// Set while the driver may not take part.
    var refusal: Refusal?
    var observed: SortedMap<ResourceKey, GuestObservation> = [:]
    /// False while the driver cannot look; then nothing is done on what was seen before.
    var seesGuests = false
    /// Since when the driver has not looked, or there is none; nil: it looks.
    var blindSince: Instant?
    /// The cluster is to know that this host cannot look at its guests.
    var isBlind = false
    /// The revision of the first state that was certain to contain whatever an agent of this host had been told before this
    /// process began; nil: there was none yet.
    var knownFrom: UInt64?
    var watched: [Guest]?
    /// Guests of whom nothing was seen since their last step ended: what was seen before says nothing about now.
    var unseen: SortedMap<ResourceKey, GuestStep> = [:]
    /// Guests that seem to be stuck here, where they shall run, until that is certain.
    var doubts: SortedMap<ResourceKey, Doubt> = [:]
    /// Guests of which a move that failed may have left something here, until that is certain.
    var sweeps: SortedMap<ResourceKey, Doubt> = [:]
    /// Counts the looks that were reported.
    var looks: UInt64 = 0
    var orders: SortedMap<ResourceKey, Order> = [:]
    var results: SortedMap<ResourceKey, Result> = [:]
    var retryAt: SortedMap<ResourceKey, Instant> = [:]
    var told: SortedMap<String, Told> = [:]
    /// Set once this machine was asked to go down by its system.
    var leaving: HostRecord.Leaving?
    var restart = Restart()
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
        let turnsBlind = blindSince.map { $0 + Self.blindAfter } ?? .distantFuture
        let sight = isBlind || turnsBlind <= now ? .distantFuture : turnsBlind
        // Also without facts: what such a host tells is told until the cluster has taken note.
        var next = min(watchdog.nextDeadline, fencing.nextRetry, sight)
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

    /// The name of this host where the cluster counts on it to run guests; it may have no driver (any more). Nil: it does not.
    var countedHostName: String? {
        guard let record = state.members[id], record.kind == .host else { return nil }
        return state.hosts.contains(record.name) ? record.name : nil
    }

    mutating func receive(_ report: GuestReport, now: Instant) {
        guests.changes += 1
        switch report {
        case .host(let facts):
            var facts = facts
            facts.isGuarded = guests.facts?.isGuarded ?? false
            facts.isBlind = guests.facts?.isBlind
            // From the first on this is a host to itself, which needs a lease, whether or not the state changes soon.
            if guests.facts == nil { followed = nil }
            guests.facts = facts
            guests.refusal = nil
        case .refused(let boot, let watchdogMilliseconds, let reason):
            effects.append(.log("the driver of this host's hypervisor takes no part: \(reason)"))
            guests.refusal = HostWorkloads.Refusal(boot: boot, watchdogMilliseconds: watchdogMilliseconds)
            guests.seesGuests = false
        case .blind(let reason):
            if guests.seesGuests { effects.append(.log("the hypervisor cannot be asked: \(reason)")) }
            guests.seesGuests = false
        case .observed(let observations):
            guests.seesGuests = true
            guests.blindSince = nil
            // What was there before a step ended says nothing of what is there after it: a guest that was just started would be taken
            // for one that is stopped.
            let (before, stale) = (guests.observed, observations.filter(\.isStale).map(\.guest.workload))
            guests.unseen = SortedMap(guests.unseen.pairs.filter { stale.contains($0.0) })
            guests.looks += 1
            for observation in observations where observation.state != .stuck && !observation.isStale {
                if guests.doubts.contains(observation.guest.workload) {
                    guests.doubts[observation.guest.workload] = nil
                }
            }
            guests.observed = SortedMap(
                observations.compactMap { observation in
                    let workload = observation.guest.workload
                    return (observation.isStale ? before[workload] : observation).map { (workload, $0) }
                })
        case .done(let guest, let epoch, let step):
            endOrder(guest.workload, step, epoch)
        case .failed(let guest, let epoch, let step, let failure):
            // A host that cannot look any more would never see what there is of it, and keep for ever what it has not begun.
            endOrder(guest.workload, step, epoch, hasBegunNothing: failure.hasBegunNothing)
            effects.append(.log("\(guest.workload): \(step.rawValue) failed: \(failure.reason)"))
            failed(guest.workload, step, epoch, failure, now: now)
        }
    }

    private mutating func endOrder(
        _ workload: ResourceKey, _ step: GuestStep, _ epoch: UInt64, hasBegunNothing: Bool = false
    ) {
        if !hasBegunNothing { guests.unseen[workload] = step }
        if guests.orders[workload] == HostWorkloads.Order(step: step, epoch: epoch) { guests.orders[workload] = nil }
    }

    private mutating func failed(
        _ workload: ResourceKey, _ step: GuestStep, _ epoch: UInt64, _ failure: GuestFailure, now: Instant
    ) {
        guests.retryAt[workload] = now + HostWorkloads.retryAfter
        guard let placement = state.placements[workload], placement.epoch == epoch, let name = hostName else { return }
        switch placement.phase {
        case .on(name) where step == .start:
            guests.results[workload] =
                failure.awaitsPerson
                ? .blocked(epoch: epoch, reason: failure.reason)
                : .startFailed(
                    epoch: epoch, before: placement.failures, reason: failure.reason, isFinal: failure.isPermanent)
        case .moving(name, _, _) where guests.observed[workload]?.state != .absent:
            guests.results[workload] = .moveEnded(epoch: epoch, at: name, reason: failure.reason)
        default: break
        }
    }

    // MARK: Reconciling

    /// The facts of a host whose driver may not take part: what the cluster knows of it, but for what has certainly changed. One
    /// that was never reported stays unknown. Without them nobody would feed the watchdog that the process before this one left
    /// armed, and others would go on to count on this host.
    private mutating func takeKnownFacts() {
        guard let refusal = guests.refusal, let record = state.members[id], record.kind == .host,
            var facts = guests.facts ?? state.hosts.look(record.name, { $0.facts })
        else { return }
        // One that could not be read is not known to be another one.
        if !refusal.boot.isEmpty { facts.boot = refusal.boot }
        facts.isQuorate = false
        // Armed with what was known, it may be armed still, whatever is configured by now or found out of it.
        facts.watchdogMilliseconds = max(facts.watchdogMilliseconds, refusal.watchdogMilliseconds)
        facts.isGuarded = guests.facts?.isGuarded ?? false
        guard guests.facts != facts else { return }
        if guests.facts == nil { followed = nil }
        guests.facts = facts
        guests.changes += 1
    }

    mutating func reconcileGuests(now: Instant) {
        guard !isStopped, state.level >= 2 else { return }
        if guests.refusal != nil { takeKnownFacts() }
        reconcileSight(now: now)
        guard guests.facts != nil, let name = hostName else {
            // Without a driver it begins nothing, and nobody is to wait for it.
            if guests.facts == nil, let name = countedHostName { decline(name, now: now) }
            return
        }
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
        } else {
            decline(name, now: now)
        }
        reconcileFencing(now: now)
        followRestart(name, now: now)
        leaveIfAsked(name, now: now)
        // What is to be told hangs on proposals, and a restart on who votes, which are none of the grounds.
        guests.settledOn = guests.told.isEmpty && guests.restart.waitsFor.isEmpty ? grounds : nil
    }

    var isStopped: Bool { if case .stopped = stop.phase { true } else { false } }

    /// What is declared and not to be left alone. Under a fence of this host also what was left alone or deleted since: it
    /// may run elsewhere by now, and still here. And while its watchdog is counted on also what is left alone: of what nobody
    /// has looked at it must be taken that it runs, and the watchdog would stay armed for it until it resets this machine.
    ///
    /// Orders stand whatever is declared: the driver carries out what it was given, and says so in the end.
    private mutating func watch(_ name: String) {
        let host = state.hosts[name]
        let isFenced = host?.fence.isProven == true
        let isCountedOn = guests.watchdog.mayBeArmed || guests.watchdog.isCountedOn
        var wanted = workloadSpecs.workloads.values.filter { isFenced || $0.desired != .ignored || isCountedOn }
            .map(\.guest)
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
        guard var facts = guests.facts else { return }
        let known = state.hosts[name]
        // The process before this one had seen under which address its guests had their disks open.
        if facts.storageAddress.isEmpty, let known, known.facts.boot == facts.boot {
            facts.storageAddress = known.facts.storageAddress
        }
        if !guests.watchdog.hasInherited, facts.watchdogMilliseconds > 0, known?.facts.boot == facts.boot {
            facts.isGuarded = known?.facts.isGuarded == true
        }
        if known?.facts != facts {
            tell("facts", .reportHost(name, facts), now: now)
        } else {
            forget("facts")
        }
        let leaving = leaving(known)
        // An agent that was started again without its machine going down.
        if known?.leaving != nil, leaving == nil, known?.facts == facts {
            tell("leaving", .hostLeaves(name, nil), now: now)
        } else if let leaving, known != nil, known?.leaving != leaving {
            tell("leaving", .hostLeaves(name, leaving), now: now)
        } else {
            forget("leaving")
        }
    }

    private mutating func tellSightings(_ name: String, now: Instant) {
        // First the boot, then what is seen in it: said the other way round it would be forgotten with the boot before.
        guard guests.seesGuests, state.hosts[name]?.facts.boot == guests.facts?.boot else { return }
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
            var sighting = Sighting(
                observation.state, healthy: observation.healthy, detail: observation.detail,
                clients: Array(observation.clients.prefix(Placement.mostClients)))
            // What the process before this one had seen counts until this one has looked: a fence has to keep out all of them.
            if !observation.clientsAreKnown, sighting.state.mayWrite, let known = placement.sightings[name],
                known.state.mayWrite
            {
                sighting.clients = known.clients
            }
            let what = "sight \(workload)"
            if placement.sightings[name] == sighting {
                forget(what)
            } else {
                tell(what, .sight(workload, on: name, sighting), now: now)
            }
        }
    }

    /// Whether the cluster waits for this host to say that it has not taken something over, or that a move has left nothing.
    private func isOwedAWord(_ placement: Placement, by name: String) -> Bool {
        guard placement.phase == .on(name) else { return placement.leftovers.contains(name) }
        return !placement.sources.isEmpty || !placement.leftovers.isEmpty
    }

    mutating func tellResults(_ name: String, now: Instant) {
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
            case .moveEnded(let epoch, var host, let reason):
                // What was seen before the step ended says nothing of where it is now.
                guard guests.unseen[workload] == nil else { continue }
                // Nobody waits for it any more, and it goes on: of a move that is said to have ended the other host ends its part.
                if host == name, let seen = guests.observed[workload], seen.isStarting, seen.state != .absent {
                    guests.results[workload] = nil
                    forget(what)
                    continue
                }
                if host == name, guests.observed[workload]?.state == .absent,
                    case .moving(name, let to, _) = placement.phase
                {
                    host = to
                }
                tell(what, .moveEnded(workload, epoch: epoch, at: host, reason: reason), now: now)
            case .handBack(let epoch):
                guard isOwedAWord(placement, by: name) else {
                    guests.results[workload] = nil
                    forget(what)
                    continue
                }
                tell(what, .handBack(workload, epoch: epoch, from: name), now: now)
            case .decline(let epoch):
                // Once the cluster knows that something of it is here it takes no such word; one on its way may come before.
                let isUnderWay = guests.told[what].map { proposals.isOpen($0.stamp) } ?? false
                guard !placement.isDeclined, isUnderWay || placement.sighting(on: name) == .absent else {
                    guests.results[workload] = nil
                    forget(what)
                    continue
                }
                tell(what, .decline(workload, epoch: epoch, from: name), now: now)
            case .blocked(let epoch, let reason):
                let obstacle = "it cannot be started on \(name): \(reason)"
                guard placement.obstacle != obstacle, guests.observed[workload]?.state != .running else {
                    guests.results[workload] = nil
                    forget(what)
                    continue
                }
                tell(what, .block(workload, epoch: epoch, obstacle: obstacle), now: now)
            }
        }
    }
}
