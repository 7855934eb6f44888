// Hosts: what they say of themselves, leaving, draining, and fencing. Hosts.swift draws the phases of a fence.
// That a host is lost, and that enough time has passed, is the leader's to know; the state checks phase and epoch.

import Consensus

extension ClusterState {
    mutating func reportHost(_ name: String, _ facts: HostFacts, _ record: CommandRecord) -> Outcome {
        guard let member = member(named: name), member.kind == .host else {
            return refused(.notFound, "no host named \(name) is a member")
        }
        guard let present = hosts[name] else {
            var host = HostRecord(facts: facts)
            host.lastEvent = note("HostReported", "host/\(name)", "it can run guests", cause: member.lastEvent, record)
            host.fenceEpoch = retiredFenceEpoch
            hosts[name] = host
            takeUpFence(of: name, record)
            return done()
        }
        guard present.facts != facts || present.leaving != nil else { return unchanged() }
        let hasStartedAnew = facts.isOfAnotherBoot(than: present.facts)
        _ = hosts.update(name) { $0.facts = facts }
        if hasStartedAnew { forgetEarlierBoot(of: name, present.facts, record) }
        if present.facts.isBlind != facts.isBlind {
            let isBlind = facts.isBlind == true
            let event = note(
                isBlind ? "HostBlind" : "HostSees", "host/\(name)",
                isBlind ? "it cannot look at its guests, and is given none" : "it can look at its guests again",
                cause: hosts[name]?.lastEvent ?? 0, record)
            _ = hosts.update(name) { $0.lastEvent = event }
        }
        if present.facts.storageAddress != facts.storageAddress { takeUpFence(of: name, record) }
        // Another machine, or one whose hypervisor can write again: what could not be moved to it may be now.
        if present.facts.boot != facts.boot || present.facts.isQuorate != facts.isQuorate {
            for (workload, placement) in placements.pairs where placement.barredFrom.contains(name) {
                _ = placements.update(workload) { $0.barredFrom.removeAll { $0 == name } }
            }
        }
        // The machine that was to go down has been down.
        if hasStartedAnew, present.leaving != nil || present.restart != nil {
            let cause = hosts[name]?.lastEvent ?? 0
            let event = note("HostReturned", "host/\(name)", "it has started anew", cause: cause, record)
            _ = hosts.update(name) {
                $0.leaving = nil
                $0.restart = nil
                $0.lastEvent = event
            }
        }
        return done()
    }

    mutating func hostLeaves(_ name: String, _ leaving: HostRecord.Leaving?, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.leaving != leaving, leaving != nil || present.restart == nil else { return unchanged() }
        let words =
            switch leaving {
            case .reboot?: "it is about to restart"
            case .powerOff?: "it is about to be powered off"
            case nil: "it stays"
            }
        let event = note("HostLeaving", "host/\(name)", words, cause: present.lastEvent, record)
        _ = hosts.update(name) {
            $0.leaving = leaving
            $0.lastEvent = event
        }
        if leaving != nil { forgetHealthObstacles(on: name) }
        return done()
    }

    mutating func drain(_ name: String, _ isDraining: Bool, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.isDraining != isDraining else { return unchanged() }
        let event = note(
            isDraining ? "HostDraining" : "HostUndrained", "host/\(name)",
            isDraining ? "its guests are to leave it" : "it takes guests again", cause: present.lastEvent, record)
        _ = hosts.update(name) {
            $0.isDraining = isDraining
            $0.lastEvent = event
        }
        // A person's new word: what could not be moved then is tried once more.
        for (workload, placement) in placements.pairs where isDraining && placement.host == name {
            _ = placements.update(workload) { $0.barredFrom = [] }
        }
        return done()
    }

    mutating func beginFence(
        _ name: String, epoch: UInt64, _ method: FenceMethod, by member: MemberID, reason: String,
        _ record: CommandRecord
    ) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        let task = FenceTask(method, by: member)
        if present.task == task { return unchanged() }
        switch present.fence {
        case .none, .wanted, .proven: break
        case .clean, .lifting: return unchanged("\(name) is fenced already, and is back")
        // An order to take the entry away is under way, and would meet the new one.
        case .withdrawn: return refused(.conflict, "the fence of \(name) before this one is being taken back")
        }
        if method == .cephBlocklist, let objection = objectionToBlocklist(of: name) {
            return refused(.unsafe, objection)
        }
        let (isFirst, now) = (present.fence.isNone, revision)
        let addresses = method == .cephBlocklist ? storageAddresses(of: name) : []
        let event = note(
            "FenceWanted", "host/\(name)", "by \(method.rawValue), through \(self.name(of: member)): \(reason)",
            cause: max(present.lastEvent, self.member(named: name)?.lastEvent ?? 0), record)
        _ = hosts.update(name) {
            if case .proven = present.fence { $0.further = task } else { $0.fence = .wanted(method, by: member) }
            $0.orderedAt = now
            if method != .watchdog, !$0.ordered.contains(member) { $0.ordered.append(member) }
            if isFirst {
                $0.fenceEpoch += 1
                $0.attempts = []
                $0.failures = 0
            }
            $0.failuresAtOrder = $0.failures
            $0.barred = Array(SortedMap(($0.barred + addresses).map { ($0, true) }).keys.prefix(HostRecord.mostBarred))
            $0.lastEvent = event
        }
        return done()
    }

    /// - Parameter barred: the addresses that the storage is known to keep out.
    mutating func fenceProven(
        _ name: String, epoch: UInt64, _ method: FenceMethod, barred: [String], proof: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        guard present.task != nil else { return unchanged("\(name) is not being fenced") }
        // What it said last was on its way when the fence was begun. And what is proven is what was ordered then: addresses
        // that were added since are barred by the next order, and a report of the one before says nothing of them.
        let all = SortedMap((present.barred + storageAddresses(of: name)).map { ($0, true) }).keys
        let missed = method == .cephBlocklist ? all.filter { !barred.contains($0) } : []
        guard missed.isEmpty else { return missing(missed, of: all, name, present, record) }
        // It may have said since the fence was begun that its watchdog is disarmed: then nothing has reset it.
        guard method != .watchdog || present.facts.isGuarded else {
            return refused(.unsafe, "\(name) has said that its watchdog is not armed; it proves nothing")
        }
        proven(name, method, proof, record)
        return done()
    }

    /// The storage keeps out some of a host's addresses and not yet all: nothing is proven, and all are ordered anew.
    private mutating func missing(
        _ missed: [String], of all: [String], _ name: String, _ present: HostRecord, _ record: CommandRecord
    ) -> Outcome {
        let epoch = present.fenceEpoch
        if all != present.barred {
            if let objection = objectionToBlocklist(of: name) {
                return fenceFailed(name, epoch: epoch, reason: objection, record)
            }
            guard all.count <= HostRecord.mostBarred else {
                return fenceFailed(
                    name, epoch: epoch, reason: "it has more storage addresses than can be barred", record)
            }
            _ = hosts.update(name) { $0.barred = all }
        }
        return fenceFailed(
            name, epoch: epoch,
            reason: "its clients were seen at \(missed.joined(separator: ", ")) too, which was not barred yet", record)
    }

    /// Adds a proof. The first one makes the fence proven; further ones are about more guests, or about more disks.
    private mutating func proven(_ name: String, _ method: FenceMethod, _ proof: String, _ record: CommandRecord) {
        // An earlier order that is reported late was given at a moment that nobody remembers.
        let isPresent = hosts[name]?.task?.method == method
        let ordered = method == .word ? revision : isPresent ? hosts[name]?.orderedAt ?? 0 : 0
        let now = revision
        let event = note(
            "HostFenced", "host/\(name)", "by \(method.rawValue): \(proof)", cause: hosts[name]?.lastEvent ?? 0, record)
        _ = hosts.update(name) {
            if !$0.fence.isProven { $0.fence = .proven(method, proof: proof) }
            if $0.further?.method == method { $0.further = nil }
            $0.proofs.removeAll { $0.method == method }
            $0.proofs.append(FenceProof(method, words: proof, ordered: ordered, since: now))
            $0.lastEvent = event
        }
    }

    /// A person says that the machine is off. Refused while the cluster hears of it. Whatever was proven before: that may not
    /// suffice for every guest.
    mutating func fenceByWord(_ name: String, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name], let member = member(named: name) else {
            return refused(.notFound, "no host \(name)")
        }
        guard !member.reachable else {
            return refused(.unsafe, "\(name) is there and answers; a host that is off does not (holdfast host list)")
        }
        if present.proofs.contains(where: { $0.method == .word }), !isAnyUnseen(on: name) {
            return unchanged("that \(name) is off has been said already")
        }
        let isFirst = present.fence.isNone
        _ = hosts.update(name) { if isFirst { $0.fenceEpoch += 1 } }
        proven(name, .word, "\(record.actor) says that it is off", record)
        settleLeftovers(on: name)
        return done()
    }

    private func isAnyUnseen(on name: String) -> Bool {
        placements.values.contains { $0.isUnseen(on: name) || $0.leftovers.contains(name) }
    }

    /// A host that a recovery goes on without.
    mutating func fenceTheDead(_ name: String, _ record: CommandRecord) {
        guard let present = hosts[name] else { return }
        if present.fence.isNone { _ = hosts.update(name) { $0.fenceEpoch += 1 } }
        proven(name, .word, "\(record.actor) declared it dead", record)
        settleLeftovers(on: name)
    }

    mutating func fenceFailed(
        _ name: String, epoch: UInt64, reason: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        guard present.attempts.last != reason || present.failures == 0 else {
            _ = hosts.update(name) { $0.failures += 1 }
            return done()
        }
        let event = note("FenceFailed", "host/\(name)", reason, cause: present.lastEvent, record)
        _ = hosts.update(name) {
            $0.failures += 1
            $0.attempts.append(reason)
            if $0.attempts.count > HostRecord.mostAttempts { $0.attempts.removeFirst() }
            $0.lastEvent = event
        }
        return done()
    }

    /// The host was back before anything was proven: only time had been going by, or what was tried has failed.
    mutating func cancelFence(_ name: String, epoch: UInt64, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        guard case .wanted(let method, let member) = present.fence, method == .watchdog || present.failures > 0 else {
            return refused(.conflict, "the fence of \(name) is not one that can be taken back")
        }
        guard present.barred.isEmpty else {
            let event = note(
                "FenceWithdrawn", "host/\(name)",
                "it is there again, and holds its lease; what came of the attempts is taken away",
                cause: present.lastEvent,
                record)
            _ = hosts.update(name) {
                $0.fence = .withdrawn(method, by: member)
                $0.failuresAtOrder = $0.failures
                $0.lastEvent = event
            }
            return done()
        }
        unfenced(name, "FenceCancelled", "it is there again, and holds its lease", record)
        return done()
    }

    /// Nothing of its old guests is left on the host that has come back.
    mutating func hostIsClean(_ name: String, epoch: UInt64, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        guard case .proven(let method, _) = present.fence else { return unchanged() }
        forgetLeftovers(on: name)
        guard !present.barred.isEmpty else {
            unfenced(name, "FenceLifted", "it is back, and nothing of its old guests is left on it", record)
            return done()
        }
        let event = note(
            "HostClean", "host/\(name)", "nothing of its old guests is left on it", cause: present.lastEvent, record)
        _ = hosts.update(name) {
            $0.fence = .clean(method)
            $0.further = nil
            $0.lastEvent = event
        }
        return done()
    }

    mutating func liftFence(_ name: String, epoch: UInt64, by member: MemberID, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        switch present.fence {
        case .clean(let method), .lifting(let method, _):
            return hand(name, present, to: .lifting(method, by: member), member)
        case .withdrawn(let method, _):
            return hand(name, present, to: .withdrawn(method, by: member), member)
        case .none, .wanted, .proven: return refused(.conflict, "\(name) is not clean")
        }
    }

    /// From here on one member alone has an order about the host: nothing of the others' can come any more.
    private mutating func hand(
        _ name: String, _ present: HostRecord, to phase: FencePhase, _ member: MemberID
    ) -> Outcome {
        guard present.fence != phase || present.ordered != [member] else { return unchanged() }
        _ = hosts.update(name) {
            $0.fence = phase
            $0.ordered = [member]
            $0.failuresAtOrder = $0.failures
        }
        return done()
    }

    /// Another member is to lift the fence. It waits until a second command says that the one before can do nothing any more.
    mutating func handLift(
        _ name: String, epoch: UInt64, to member: MemberID, _ record: CommandRecord
    ) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        let phase: FencePhase
        switch present.fence {
        case .lifting(_, member), .withdrawn(_, member): return unchanged()
        case .lifting(let method, _): phase = .lifting(method, by: member)
        case .withdrawn(let method, _): phase = .withdrawn(method, by: member)
        case .none, .wanted, .proven, .clean: return refused(.conflict, "nobody is to lift the fence of \(name)")
        }
        let event = note(
            "LiftHandedOver", "host/\(name)",
            "\(self.name(of: member)) is to lift its fence: \(present.attempts.last ?? "")",
            cause: present.lastEvent, record)
        _ = hosts.update(name) {
            $0.fence = phase
            $0.failuresAtOrder = $0.failures
            $0.lastEvent = event
        }
        return done()
    }

    mutating func fenceLifted(_ name: String, epoch: UInt64, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        switch present.fence {
        case .lifting, .withdrawn: unfenced(name, "FenceLifted", "it may write and take guests again", record)
        case .none, .wanted, .proven, .clean: return unchanged()
        }
        return done()
    }

    private mutating func unfenced(_ name: String, _ type: String, _ message: String, _ record: CommandRecord) {
        let event = note(type, "host/\(name)", message, cause: hosts[name]?.lastEvent ?? 0, record)
        _ = hosts.update(name) {
            $0.fence = .none
            $0.proofs = []
            $0.further = nil
            $0.orderedAt = 0
            $0.ordered = []
            $0.attempts = []
            $0.failures = 0
            $0.failuresAtOrder = 0
            $0.barred = []
            $0.retired = [:]
            $0.lastEvent = event
        }
        // What it said while it was fenced may be said again, now that it counts.
        for (workload, placement) in placements.pairs where placement.isUnseen(on: name) {
            _ = placements.update(workload) { $0.sightings[name] = nil }
        }
        // It may have come back with the address of another one.
        takeUpFence(of: name, record)
    }

    /// - Parameter milliseconds: for how long; nil: not any more.
    mutating func disarm(_ milliseconds: Int64?, _ record: CommandRecord) -> Outcome {
        guard let milliseconds else {
            guard disarmed != nil else { return unchanged() }
            disarmed = nil
            _ = note("Armed", "cluster/\(clusterName)", "lost hosts are fenced and guests recovered again", record)
            return done()
        }
        guard (1_000...86_400_000).contains(milliseconds) else {
            return refused(.invalid, "it is disarmed for a second at least and a day at most")
        }
        disarmed = Disarmed(revision: revision, milliseconds: milliseconds, actor: record.actor)
        _ = note(
            "Disarmed", "cluster/\(clusterName)",
            "for \(milliseconds / 1000) s no host is fenced and no guest moved, by the word of \(record.actor)", record)
        return done()
    }

    private func stale(_ name: String, _ present: HostRecord, _ epoch: UInt64) -> Outcome {
        refused(.conflict, "the fence of \(name) is at epoch \(present.fenceEpoch), not \(epoch)")
    }
}
