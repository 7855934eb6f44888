// What is done to the guests that belong here: started, ended, given away, and ended for good after a fence.

import Cluster
import Consensus
import Decisions
import Kinds

extension AgentCore {
    mutating func run(_ name: String, now: Instant) {
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
        sweepLeftovers(name)
    }

    /// After a move that failed: ends what it has left here, or says that there is nothing of it. The host that the workload
    /// has stayed on says so for all when it runs there: until it stops there it does not begin to work elsewhere (a live move
    /// of QEMU lets its target work only once its source has stopped).
    private mutating func sweepLeftovers(_ name: String) {
        func isMine(_ workload: ResourceKey, _ placement: Placement) -> Bool {
            placement.phase == .on(name)
                ? !placement.leftovers.isEmpty
                : (placement.leftovers.contains(name) || isAstray(workload, placement, on: name))
                    && !placement.hosts.contains(name)
        }
        for workload in guests.sweeps.keys where state.placements[workload].map({ isMine(workload, $0) }) != true {
            guests.sweeps[workload] = nil
        }
        for (workload, placement) in state.placements.pairs where isMine(workload, placement) {
            guard let host = placement.host, guests.orders[workload] == nil, guests.results[workload] == nil,
                guests.retryAt[workload] == nil, guests.unseen[workload] == nil,
                let spec = workloadSpecs.workloads[workload], let observation = guests.observed[workload],
                isCertain(workload, placement.epoch, \.sweeps)
            else { continue }
            // While anything works on it a move may be under way again, or still.
            let isOver =
                host == name
                ? observation.state == .running && !observation.isWorkedOn && !observation.isStarting
                    // What is seen there is ended there, and that host says so itself.
                    && !placement.leftovers.contains { placement.sighting(on: $0) == .stuck }
                : !observation.mayRun
            if isOver, host == name || placement.leftovers.contains(name) {
                guests.results[workload] = .handBack(epoch: placement.epoch)
            } else if host != name, observation.state == .stuck, let there = placement.sighting(on: host),
                there != .absent || isAstray(workload, placement, on: name)
            {
                // One that works is no leftover: it has come after all, and is to belong here.
                order(.destroy(spec.guest, epoch: placement.epoch))
            }
        }
    }

    /// A process of it is here although it belongs elsewhere, where it does not run either, and it is seen to run nowhere: its
    /// move failed behind the cluster's back, or before it was declared anew. Whoever is to start it waits for the end of that.
    private func isAstray(_ workload: ResourceKey, _ placement: Placement, on name: String) -> Bool {
        guard case .on(let host) = placement.phase, host != name, placement.sighting(on: name) == .stuck,
            let spec = workloadSpecs.workloads[workload], workloadSpecs.shallRun(workload, placement) == true,
            guests.observed[workload].map({ !$0.isStarting && !$0.isManagedElsewhere }) ?? false
        else { return false }
        // What a host said before it was lost does not count.
        func stands(_ other: String) -> GuestState? {
            let isLost = workloadSpecs.isProven(that: other, lostItsHoldOn: placement, spec, in: state)
            return isLost ? .absent : placement.sighting(on: other)
        }
        return [.absent, .stopped].contains(stands(host))
            && placement.sightings.keys.allSatisfy { stands($0) != .running }
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
            // It is started again, like any other, once the cluster has taken note that it has ended; until then it would be
            // ended again. What could not be started again now is not ended either.
            if observation.state == .running, !observation.isWorkedOn, couldStart(workload, spec, placement, host) {
                order(.stop(spec.guest, epoch: placement.epoch, grace: spec.shutdownGrace))
            }
            return
        }
        // One that is being started here already is waited for: by a person, or by the process before this one.
        guard observation.state != .running, !observation.isStarting, host.fence.isNone else { return }
        // A process before this one may have declined it, and its word may be on its way still: until the cluster knows that this
        // host can look again it takes that word, and gives the workload to another one.
        if placement.isDeclined || host.facts.isBlind == true { return }
        // A host that is back may start what lies in its folder, and nothing is taken out of it any more.
        if observation.state == .absent, state.hostToHandBack(placement) != nil {
            guests.results[workload] = .handBack(epoch: placement.epoch)
            return
        }
        // A second one of it would write to its disks. The leader says so, and what comes of it. What is here and does no
        // work is ended all the same: while it is there nobody can see that the guest has left this host.
        guard
            state.holders(of: placement, besides: hostName ?? "", suffices: { workloadSpecs.suffices($0, for: spec) })
                .isEmpty
        else {
            if observation.state == .stuck { endWhatIsStuck(workload, spec, placement) }
            return
        }
        let takeFrom = state.hostsToTakeFrom(placement) { workloadSpecs.suffices($0, for: spec) }
        guard placement.failures <= UInt64(spec.budget.restarts), dependenciesAreMet(spec) else { return }
        if observation.state == .stuck { return endWhatIsStuck(workload, spec, placement) }
        if isForbidden(workload, spec) { return }
        // It would lose its only proof against a second writer.
        if needsWatchdog(spec), !isGuarded(host) {
            if case .failed(let reason) = guests.watchdog.word {
                guests.retryAt[workload] = now + HostWorkloads.retryAfter
                guests.results[workload] = .startFailed(
                    epoch: placement.epoch, before: placement.failures,
                    reason: "nothing would reset this host when it is cut off: \(reason)", isFinal: false)
            }
            return
        }
        let away = hostsProvenAway
        // What passes by itself is waited for, and uses up no try. A lock that nothing holds was left by what died in its
        // midst, and passes never: the driver removes it, or says why it may not.
        if observation.isWorkedOn { return }
        if guests.facts?.isQuorate == false, away.isEmpty { return }
        order(.start(spec.guest, epoch: placement.epoch, takeFrom: takeFrom, provenAway: away))
    }

    /// What is being moved stands still in the last moments, at its source, and is waited for with all that is under way
    /// (`isStarting`): whoever ended it then could stop the move in the midst of handing the guest over. A lock says nothing of
    /// that: a move that fails at its end leaves it behind.
    private mutating func endWhatIsStuck(_ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement) {
        if isCertain(workload, placement.epoch, \.doubts) { order(.destroy(spec.guest, epoch: placement.epoch)) }
    }

    /// Whether nothing that is known now would stand in the way of a start.
    private func couldStart(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, _ host: HostRecord
    ) -> Bool {
        let holders = state.holders(of: placement, besides: hostName ?? "") { workloadSpecs.suffices($0, for: spec) }
        return host.fence.isNone && holders.isEmpty && !isForbidden(workload, spec) && dependenciesAreMet(spec)
            && (!needsWatchdog(spec) || isGuarded(host))
            && (guests.facts?.isQuorate != false || !hostsProvenAway.isEmpty)
    }

    /// Whether it was seen so in looks that began since it has this epoch; until then another look is asked for, once for each.
    private mutating func isCertain(
        _ workload: ResourceKey, _ epoch: UInt64,
        _ doubts: WritableKeyPath<HostWorkloads, SortedMap<ResourceKey, HostWorkloads.Doubt>>
    ) -> Bool {
        var doubt = HostWorkloads.Doubt(epoch: epoch, since: guests.looks)
        if let present = guests[keyPath: doubts][workload], present.epoch == epoch { doubt = present }
        guard guests.looks < doubt.since + HostWorkloads.Doubt.looks else { return true }
        if doubt.askedAfter != guests.looks {
            doubt.askedAfter = guests.looks
            effects.append(.guests(.watch(guests.watched ?? [])))
        }
        guests[keyPath: doubts][workload] = doubt
        return false
    }

    /// Whether a rule that is never given up forbids that it is started here. It may lie here all the same: found here,
    /// or here before there was the rule. The leader moves it, or says why it cannot.
    private func isForbidden(_ workload: ResourceKey, _ spec: WorkloadSpec) -> Bool {
        func runsHere(_ other: ResourceKey) -> Bool {
            guard other != workload else { return false }
            // What was just started was not looked at yet.
            if guests.orders[other]?.step == .start || guests.unseen[other] == .start { return true }
            return guests.observed[other].map { $0.isStarting || $0.state == .running } ?? false
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

    /// The other hosts, when every one of them is proven to be away; else none. One that is there is not enough: it may be so
    /// only for this cluster, and not for Proxmox's own, and with the votes lowered on both sides its file system would part in
    /// two. What Proxmox's own cluster has besides them its driver knows.
    private var hostsProvenAway: [String] {
        let others = state.hosts.keys.filter { $0 != hostName }
        return others.allSatisfy { state.isProvenAway($0) } ? others : []
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
        // A move that is under way already, by the process before this one or by a person, is waited for, and so is whatever else
        // is about to let it run: ordered once more it would fail on the lock of the first, and be taken for one that has ended.
        if observation.isStarting, observation.state != .absent { return }
        // Nothing is sent to a host that is fenced: it would come there after what is proven of it. What is under way already
        // ends as it does.
        if observation.state == .running || observation.state == .stopped, state.hosts[to]?.fence.isNone != true {
            if observation.isWorkedOn { return }
            guests.results[workload] = .moveEnded(
                epoch: placement.epoch, at: hostName ?? "", reason: "\(to) is fenced, or about to be")
            return
        }
        switch observation.state {
        case .absent: guests.results[workload] = .moveEnded(epoch: placement.epoch, at: to, reason: "")
        case .stuck: endWhatIsStuck(workload, spec, placement)
        case .running, .stopped:
            // What passes by itself is waited for.
            if observation.isWorkedOn { return }
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

    /// Nothing that ran here before the fence may go on, and nothing that was begun before it may come of itself: it is placed
    /// elsewhere, or its disks are lost to it. One that is to be left alone, belongs here, and kept its disks is left alone.
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
            // Also one that is about to run: to end it ends what starts it.
            guard observation.mayRun else { continue }
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
}
