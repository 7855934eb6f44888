// Placing and moving workloads. Every command of the leader names the epoch it was decided at; if the placement has moved
// on, it does nothing. That the old host can no longer write is checked here once more, whoever proposed it.

import Consensus

/// What is asked of a workload by a person.
public enum Steering: Hashable, Sendable, Codable {
    case run, stop
    /// As declared again.
    case asDeclared
    case move(to: String, live: Bool)
}

extension ClusterState {
    /// Whether resources of this kind are workloads that a host runs.
    static func isWorkload(_ key: ResourceKey) -> Bool {
        key.kind == "VirtualMachine" || key.kind == "SystemContainer"
    }

    mutating func declareWorkload(_ key: ResourceKey, before: Declaration?, event: UInt64, _ record: CommandRecord) {
        guard Self.isWorkload(key) else { return }
        if placements[key] == nil {
            var placement = Placement()
            placement.epoch = retiredEpoch
            placement.reason = "declared; no host has said that it has it"
            placement.since = revision
            placement.sinceMilliseconds = record.milliseconds
            placement.lastEvent = event
            placements[key] = placement
            return
        }
        let desired = resources[key]?.declaration.spec["desired"]
        _ = placements.update(key) {
            $0.lastEvent = event
            // A new declaration is a new beginning for one that had been given up.
            $0.failures = 0
            $0.tried = []
            $0.barredFrom = []
            $0.obstacle = ""
            $0.care.end()
            if before?.spec["desired"] != desired { $0.wanted = nil }
        }
    }

    /// A workload that is not declared any more is let go: its guest is left as it is. But for what may be left of it on a
    /// fenced host, beside the guest that was started elsewhere.
    mutating func retireWorkload(_ key: ResourceKey, _ declaration: Declaration) {
        guard let placement = placements[key] else { return }
        for (name, host) in hosts.pairs where !host.fence.isNone && placement.phase != .on(name) {
            _ = hosts.update(name) { $0.retired[key] = declaration }
        }
        retiredEpoch = max(retiredEpoch, placement.epoch)
        placements[key] = nil
    }

    func hostThatRemembersTooMany(besides keys: [ResourceKey]) -> String? {
        let workloads = keys.count { Self.isWorkload($0) }
        guard workloads > 0 else { return nil }
        return hosts.pairs.first { !$0.1.fence.isNone && $0.1.retired.count + workloads > HostRecord.mostRetired }?.0
    }

    mutating func place(
        _ workload: ResourceKey, epoch: UInt64, on host: String?, reason: String, because: String?,
        _ record: CommandRecord
    ) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        if let host, hosts[host] == nil { return refused(.notFound, "no host \(host)") }
        for owner in present.hosts where owner != host {
            // Whoever has it now must have let go, or be fenced.
            if let objection = objection(toTaking: workload, present, from: owner) {
                return refused(.unsafe, objection)
            }
        }
        if let host, hosts[host]?.fence.isNone != true {
            return refused(.unsafe, "\(host) is fenced and may start nothing")
        }
        // That the proof is one for its disks too is seen to by who decides: here nothing is known of those.
        for left in present.leftovers where host != nil && left != host && hosts.contains(left) {
            guard !proofs(that: left, lostItsHoldOn: present).isEmpty else {
                return refused(.unsafe, "\(left), to which it could not be moved, may be running \(workload)")
            }
        }
        // A move that failed may have taken its configuration along.
        let left = present.leftovers.filter { !present.hosts.contains($0) }
        let fenced = (present.hosts + left).filter { hosts[$0]?.fence.isProven == true }
        let event = note(
            host == nil ? "WorkloadUnplaced" : "WorkloadPlaced", workload.description,
            host.map { "belongs on \($0): \(reason)" } ?? reason, cause: cause(because, present.lastEvent), record)
        _ = placements.update(workload) {
            $0.phase = host.map { .on($0) } ?? .nowhere
            $0.epoch += 1
            // Who had not taken it over is lost as well: then it lies there, or still where it was to be taken from.
            let before = $0.sources.filter { !fenced.contains($0) }
            $0.sources = host == nil ? [] : (fenced + before).filter { $0 != host }
            if host != nil { $0.leftovers = [] }
            $0.isUnseen = false
            $0.failures = 0
            $0.barredFrom = []
            $0.obstacle = ""
            $0.careForNewPlace()
            if $0.wish == host { $0.wish = "" }
        }
        settled(workload, reason, event, record)
        return done()
    }

    /// Why a workload cannot be taken from a host that is not known to have let go; nil: it can.
    private func objection(toTaking workload: ResourceKey, _ placement: Placement, from host: String) -> String? {
        if hosts[host]?.fence.isProven == true {
            guard proofs(that: host, lostItsHoldOn: placement).isEmpty else { return nil }
            return "\(workload) may have come to \(host) after what proves that \(host) writes no more"
        }
        // What it said last may have been overtaken: a move under way goes on without us.
        guard member(named: host)?.reachable == true else {
            return "\(host) does not answer and is not fenced"
        }
        switch placement.sighting(on: host) {
        case .absent?, .stopped?: return nil
        default: return "\(host) may be running \(workload) and is not fenced"
        }
    }

    mutating func move(
        _ workload: ResourceKey, epoch: UInt64, to host: String, live: Bool, reason: String, because: String?,
        _ record: CommandRecord
    ) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        guard case .on(let from) = present.phase else { return refused(.conflict, "\(workload) is on no single host") }
        guard from != host else { return unchanged("\(workload) is on \(host) already") }
        guard hosts[host]?.fence.isNone == true else { return refused(.unsafe, "\(host) cannot take it") }
        let event = note(
            "WorkloadMoving", workload.description, "from \(from) to \(host)\(live ? ", live" : ""): \(reason)",
            cause: cause(because, present.lastEvent), record)
        _ = placements.update(workload) {
            $0.phase = .moving(from: from, to: host, live: live)
            $0.isUnseen = true
            // What it said before is of an earlier stay; it says again what is so.
            if let old = $0.sightings[host], old.state != .absent { $0.sightings[host] = nil }
            $0.epoch += 1
            $0.care.isRestarting = false
            $0.obstacle = ""
            if $0.failures > 0 { Self.append(from, to: &$0.tried) }
            if $0.wish == host { $0.wish = "" }
            // It has been taken over, and goes with the move. What has not been stays where it lies.
            if let here = $0.sighting(on: from), here != .absent { $0.sources = [] }
        }
        settled(workload, reason, event, record)
        return done()
    }

    mutating func moveEnded(
        _ workload: ResourceKey, epoch: UInt64, at host: String, reason: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        guard case .moving(let from, let to, let live) = present.phase, host == from || host == to else {
            return refused(.conflict, "\(workload) is not moving there")
        }
        let event = note(
            host == to ? "WorkloadMoved" : "WorkloadStayed", workload.description,
            host == to ? "is on \(host) now" : "is still on \(host): \(reason)", cause: present.lastEvent, record)
        _ = placements.update(workload) {
            $0.phase = .on(host)
            $0.epoch += 1
            $0.sources.removeAll { $0 == host }
            $0.leftovers.removeAll { $0 == to }
            $0.careForNewPlace()
            if host == from {
                // Its process is made before the old one ends, and a move can fail after both.
                if live { $0.leftovers.append(to) }
                $0.isUnseen = false
                $0.obstacle = "it could not be moved to \(to): \(reason)"
                if !$0.barredFrom.contains(to) { Self.append(to, to: &$0.barredFrom) }
            } else {
                $0.failures = 0
                $0.barredFrom = []
                // By the word of the one that gave it away; what the other has of it, that one has yet to say.
                $0.sightings[from] = Sighting(.absent)
                // What that one said while it was on its way counts when it says so again.
                if [.absent, .stopped].contains($0.sighting(on: to)) { $0.sightings[to] = nil }
            }
        }
        settled(workload, host == to ? present.reason : reason, event, record)
        return done()
    }

    /// Says that a host did not take over what lay on a fenced one, and that the fence has ended before it could. With
    /// several hosts that it may lie on: that one of them is back and has it, or that all are back.
    ///
    /// Or that a host to which it could not be moved has looked since, and has nothing of it that runs; or that it was seen to
    /// run since on the host that it has stayed on.
    mutating func handBack(_ workload: ResourceKey, epoch: UInt64, from host: String, _ record: CommandRecord)
        -> Outcome
    {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        if present.leftovers.contains(host), !present.hosts.contains(host) {
            _ = placements.update(workload) { $0.leftovers.removeAll { $0 == host } }
            return done()
        }
        if present.phase == .on(host), present.sources.isEmpty, !present.leftovers.isEmpty {
            _ = placements.update(workload) { $0.leftovers = [] }
            return done()
        }
        guard present.phase == .on(host), present.sources.contains(where: { hosts.contains($0) }) else {
            return refused(.conflict, "\(workload) was not to be taken over by \(host)")
        }
        guard let old = hostToHandBack(present) else {
            let names = present.sources.joined(separator: ", ")
            return refused(.conflict, "\(names) is fenced; \(host) may take \(workload) over")
        }
        let left = present.sources.filter { $0 != old && hosts[$0]?.fence.isProven == true }
        let event = note(
            "WorkloadHandedBack", workload.description,
            "belongs on \(old) again, which is back: \(host) had not taken it over",
            cause: cause(old, present.lastEvent), record)
        _ = placements.update(workload) {
            $0.phase = .on(old)
            $0.isUnseen = false
            $0.epoch += 1
            $0.sources = left
            $0.careForNewPlace()
            $0.sightings[host] = Sighting(.absent)
            if $0.failures > 0 { Self.append(host, to: &$0.tried) }
            $0.failures = 0
            $0.obstacle = ""
            if $0.wish == old { $0.wish = "" }
        }
        settled(workload, "\(old) was back before it was taken over", event, record)
        return done()
    }

    /// Says that a host to which it was given, and that has nothing of it yet, cannot look at its guests and has begun nothing
    /// for it. It begins nothing from here on before it is given anew.
    mutating func decline(_ workload: ResourceKey, epoch: UInt64, from host: String, _ record: CommandRecord) -> Outcome
    {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        guard present.phase == .on(host), present.sighting(on: host) == .absent else {
            return refused(.conflict, "\(host) may have begun to run \(workload)")
        }
        guard !present.isDeclined else { return unchanged() }
        let event = note(
            "WorkloadDeclined", workload.description, "\(host) cannot look at its guests, and has begun nothing for it",
            cause: present.lastEvent, record)
        _ = placements.update(workload) {
            $0.isDeclined = true
            $0.lastEvent = event
        }
        return done()
    }

    /// The host to which a workload goes back that its host has not taken over; nil: it can be taken over, as far as anybody
    /// has said.
    public func hostToHandBack(_ placement: Placement) -> String? {
        let known = placement.sources.filter { hosts.contains($0) }
        let back = known.filter { hosts[$0]?.fence.isProven == false }
        let having = back.first { [.running, .stopped].contains(placement.sighting(on: $0)) }
        return having ?? (back.count == known.count ? back.first : nil)
    }

    mutating func sight(
        _ workload: ResourceKey, on host: String, _ sighting: Sighting, _ record: CommandRecord
    ) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard hosts.contains(host) else { return refused(.notFound, "no host \(host)") }
        guard sighting.clients.count <= Placement.mostClients else { return refused(.invalid, "too many clients") }
        guard present.sightings[host] != sighting else { return unchanged() }
        let before = present.sighting(on: host)
        if sighting.state == .running, !sighting.clients.isEmpty, hosts[host]?.earlierAddresses.isEmpty == false {
            _ = hosts.update(host) { $0.earlierAddresses = [] }
        }
        let isFree = hosts[host]?.fence.isNone == true
        var event = present.lastEvent
        if before != sighting.state, before != nil || sighting.state != .absent {
            let words = sighting.detail.isEmpty ? "" : ": \(sighting.detail)"
            event = note(
                "Guest\(sighting.state.rawValue.prefix(1).uppercased())\(sighting.state.rawValue.dropFirst())",
                workload.description, "\(sighting.state.rawValue) on \(host)\(words)", cause: event, record)
        }
        _ = placements.update(workload) {
            $0.sightings[host] = sighting
            $0.lastEvent = event
            // What lies there while it is moved is not there for good, and a process alone may be of a move that fails.
            let isHere = sighting.state == .running || sighting.state == .stopped && $0.phase == .on(host)
            if isFree, isHere, $0.isUnseen(on: host) { $0.isUnseen = false }
            guard $0.phase == .on(host) else { return }
            guard sighting.state == .running else { return $0.care.runEnded() }
            $0.failures = 0
            $0.tried = []
            $0.sources = []
            // What is said of one that is not well stands until it is.
            if sighting.healthy != false || before != .running { $0.obstacle = "" }
            if sighting.healthy == true {
                $0.care.isRestarting = false
                $0.care.wasWell = true
            }
        }
        return done()
    }

    mutating func startFailed(
        _ workload: ResourceKey, epoch: UInt64, on host: String, reason: String, isFinal: Bool,
        _ record: CommandRecord
    ) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        guard present.phase == .on(host) else { return refused(.conflict, "\(workload) is not on \(host)") }
        let event = note(
            "WorkloadFailed", workload.description, "on \(host): \(reason)", cause: present.lastEvent, record)
        _ = placements.update(workload) {
            // No budget is larger.
            $0.failures += isFinal ? 100 : 1
            $0.obstacle = "it could not be started on \(host): \(reason)"
            $0.lastEvent = event
        }
        return done()
    }

    /// Says why a workload is not what it should be.
    mutating func block(
        _ workload: ResourceKey, epoch: UInt64, obstacle: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        guard present.epoch == epoch else { return stale(workload, present.epoch, epoch) }
        guard present.obstacle != obstacle else { return unchanged() }
        let event = note(
            obstacle.isEmpty ? "WorkloadUnblocked" : "WorkloadBlocked", workload.description,
            obstacle.isEmpty ? "nothing stands in its way any more" : obstacle, cause: present.lastEvent, record)
        _ = placements.update(workload) {
            $0.obstacle = obstacle
            $0.lastEvent = event
        }
        return done()
    }

    mutating func steer(_ workload: ResourceKey, _ steering: Steering, _ record: CommandRecord) -> Outcome {
        guard let present = placements[workload] else { return refused(.notFound, "no workload \(workload)") }
        let words: String
        var changed = present
        changed.failures = 0
        changed.tried = []
        changed.barredFrom = []
        changed.obstacle = ""
        changed.care.end()
        switch steering {
        case .run: (changed.wanted, words) = (true, "is to run")
        case .stop: (changed.wanted, words) = (false, "is to be stopped")
        case .asDeclared: (changed.wanted, words) = (nil, "is to be as declared")
        case .move(let host, let live):
            guard hosts.contains(host) else { return refused(.notFound, "no host \(host)") }
            if present.phase == .on(host) { return unchanged("\(workload) is on \(host) already") }
            (changed.wish, changed.wishIsLive, words) = (host, live, "is to go to \(host)")
        }
        guard changed != present else { return unchanged() }
        changed.lastEvent = note(
            "WorkloadSteered", workload.description, "\(words), by the word of \(record.actor)",
            cause: present.lastEvent, record)
        placements[workload] = changed
        return done()
    }

    /// A wish that cannot be fulfilled is dropped, with the reason.
    mutating func dropWish(_ workload: ResourceKey, reason: String, _ record: CommandRecord) -> Outcome {
        guard let present = placements[workload], !present.wish.isEmpty else { return unchanged() }
        let event = note(
            "WishRefused", workload.description, "does not go to \(present.wish): \(reason)", cause: present.lastEvent,
            record)
        _ = placements.update(workload) {
            $0.wish = ""
            $0.lastEvent = event
        }
        return done()
    }

    // MARK: Parts

    private mutating func settled(
        _ workload: ResourceKey, _ reason: String, _ event: UInt64, _ record: CommandRecord
    ) {
        let (revision, milliseconds) = (revision, record.milliseconds)
        _ = placements.update(workload) {
            $0.reason = reason
            $0.isDeclined = false
            $0.since = revision
            $0.sinceMilliseconds = milliseconds
            $0.lastEvent = event
        }
    }

    static func append(_ host: String, to tried: inout [String]) {
        tried.append(host)
        if tried.count > Placement.mostTried { tried.removeFirst() }
    }

    /// The last event about a host, or about its member, whichever is younger.
    private func cause(_ host: String?, _ otherwise: UInt64) -> UInt64 {
        guard let host else { return otherwise }
        return max(hosts[host]?.lastEvent ?? 0, member(named: host)?.lastEvent ?? 0)
    }

    func stale(_ workload: ResourceKey, _ present: UInt64, _ epoch: UInt64) -> Outcome {
        refused(.conflict, "\(workload) is at epoch \(present), not \(epoch)")
    }
}

extension WorkloadCommand {
    /// The command as a person would say it.
    var words: String {
        switch self {
        case .reportHost(let host, _): "report on host \(host)"
        case .orderRestart(let host, _): "restart \(host)"
        case .cancelRestart(let host): "not restart \(host) any more"
        case .beginRestart(let host, _): "note that \(host) restarts now"
        case .restartFailed(let host, _, _): "note that \(host) was not restarted"
        case .hostLeaves(let host, let leaving): leaving == nil ? "keep \(host) up" : "note that \(host) goes down"
        case .drain(let host, let isDraining): "\(isDraining ? "drain" : "undrain") \(host)"
        case .disarm(let milliseconds): milliseconds.map { "disarm for \($0 / 1000) s" } ?? "arm"
        case .place(let workload, _, let host, _, _): "place \(workload) " + (host.map { "on \($0)" } ?? "nowhere")
        case .move(let workload, _, let host, _, _, _): "move \(workload) to \(host)"
        case .moveEnded(let workload, _, let host, _): "note that \(workload) is on \(host)"
        case .sight(let workload, let host, let sighting):
            "note that \(workload) is \(sighting.state.rawValue) on \(host)"
        case .startFailed(let workload, _, let host, _, _): "note that \(workload) did not start on \(host)"
        case .block(let workload, _, _): "note what stands in the way of \(workload)"
        case .handBack(let workload, _, let host): "note that \(host) has not taken \(workload) over"
        case .decline(let workload, _, let host): "note that \(host) cannot take \(workload)"
        case .care(let workload, _, .restart, _): "restart \(workload), which is not well"
        case .care(let workload, _, .move(let host), _): "move \(workload), which is not well, to \(host)"
        case .care(let workload, _, .end, _): "note that \(workload) is well again"
        case .steer(let workload, .run): "start \(workload)"
        case .steer(let workload, .stop): "stop \(workload)"
        case .steer(let workload, .asDeclared): "let \(workload) be as declared"
        case .steer(let workload, .move(let host, _)): "move \(workload) to \(host)"
        case .dropWish(let workload, _): "note that \(workload) cannot go where it was wanted"
        case .beginFence(let host, _, let method, _, _): "fence \(host) by \(method.rawValue)"
        case .fenceProven(let host, _, _, _, _): "note that \(host) is fenced"
        case .fenceFailed(let host, _, _): "note that \(host) could not be fenced"
        case .fenceByWord(let host): "fence \(host), which is verified to be off"
        case .cancelFence(let host, _): "take the fence of \(host) back"
        case .hostIsClean(let host, _): "note that nothing is left on \(host)"
        case .liftFence(let host, _, _): "lift the fence of \(host)"
        case .fenceLifted(let host, _): "note that the fence of \(host) is lifted"
        case .handLift(let host, _, _): "let another member lift the fence of \(host)"
        }
    }
}
