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
            hosts[name] = host
            return done()
        }
        guard present.facts != facts || present.leaving != nil else { return unchanged() }
        _ = hosts.update(name) { $0.facts = facts }
        // Another machine, or one whose hypervisor can write again: what could not be moved to it may be now.
        if present.facts.boot != facts.boot || present.facts.isQuorate != facts.isQuorate {
            for (workload, placement) in placements.pairs where placement.barredFrom.contains(name) {
                _ = placements.update(workload) { $0.barredFrom.removeAll { $0 == name } }
            }
        }
        // The machine that was to go down has been down.
        if present.facts.boot != facts.boot, present.leaving != nil {
            let event = note("HostReturned", "host/\(name)", "it has started anew", cause: present.lastEvent, record)
            _ = hosts.update(name) {
                $0.leaving = nil
                $0.leavingSince = 0
                $0.lastEvent = event
            }
        }
        return done()
    }

    mutating func hostLeaves(_ name: String, _ leaving: HostRecord.Leaving?, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.leaving != leaving else { return unchanged() }
        let words =
            switch leaving {
            case .reboot?: "it is about to restart"
            case .powerOff?: "it is about to be powered off"
            case nil: "it stays"
            }
        let event = note("HostLeaving", "host/\(name)", words, cause: present.lastEvent, record)
        let revision = revision
        _ = hosts.update(name) {
            $0.leaving = leaving
            $0.leavingSince = leaving == nil ? 0 : $0.leavingSince == 0 ? revision : $0.leavingSince
            $0.lastEvent = event
        }
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
        guard !present.fence.isProven else { return unchanged("\(name) is fenced already") }
        if present.fence == .wanted(method, by: member) { return unchanged() }
        // An order to take the entry away is under way, and would meet the new one.
        if case .withdrawn = present.fence {
            return refused(.conflict, "the fence of \(name) before this one is being taken back")
        }
        let isFirst = present.fence.isNone
        let event = note(
            "FenceWanted", "host/\(name)", "by \(method.rawValue), through \(self.name(of: member)): \(reason)",
            cause: max(present.lastEvent, self.member(named: name)?.lastEvent ?? 0), record)
        _ = hosts.update(name) {
            $0.fence = .wanted(method, by: member)
            if isFirst {
                $0.fenceEpoch += 1
                $0.attempts = []
                $0.failures = 0
            }
            if method == .cephBlocklist, $0.barred.isEmpty { $0.barred = $0.facts.storageAddress }
            $0.lastEvent = event
        }
        return done()
    }

    mutating func fenceProven(
        _ name: String, epoch: UInt64, _ method: FenceMethod, proof: String, _ record: CommandRecord
    ) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        guard case .wanted = present.fence else { return unchanged("\(name) is not being fenced") }
        proven(name, method, proof, record)
        return done()
    }

    private mutating func proven(_ name: String, _ method: FenceMethod, _ proof: String, _ record: CommandRecord) {
        let event = note(
            "HostFenced", "host/\(name)", "by \(method.rawValue): \(proof)", cause: hosts[name]?.lastEvent ?? 0, record)
        _ = hosts.update(name) {
            $0.fence = .proven(method, proof: proof)
            $0.lastEvent = event
        }
    }

    /// A person says that the machine is off. Refused while the cluster hears of it.
    mutating func fenceByWord(_ name: String, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name], let member = member(named: name) else {
            return refused(.notFound, "no host \(name)")
        }
        guard !member.reachable else {
            return refused(.unsafe, "\(name) is there and answers; a host that is off does not (holdfast host list)")
        }
        guard !present.fence.isProven else { return unchanged("\(name) is fenced already") }
        let isFirst = present.fence.isNone
        _ = hosts.update(name) { if isFirst { $0.fenceEpoch += 1 } }
        proven(name, .word, "\(record.actor) says that it is off", record)
        return done()
    }

    /// A host that a recovery goes on without.
    mutating func fenceTheDead(_ name: String, _ record: CommandRecord) {
        guard let present = hosts[name], !present.fence.isProven else { return }
        if present.fence.isNone { _ = hosts.update(name) { $0.fenceEpoch += 1 } }
        proven(name, .word, "\(record.actor) declared it dead", record)
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
        guard !present.barred.isEmpty else {
            unfenced(name, "FenceLifted", "it is back, and nothing of its old guests is left on it", record)
            return done()
        }
        let event = note(
            "HostClean", "host/\(name)", "nothing of its old guests is left on it", cause: present.lastEvent, record)
        _ = hosts.update(name) {
            $0.fence = .clean(method)
            $0.lastEvent = event
        }
        return done()
    }

    mutating func liftFence(_ name: String, epoch: UInt64, by member: MemberID, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard present.fenceEpoch == epoch else { return stale(name, present, epoch) }
        switch present.fence {
        case .clean(let method), .lifting(let method, _):
            guard present.fence != .lifting(method, by: member) else { return unchanged() }
            _ = hosts.update(name) { $0.fence = .lifting(method, by: member) }
            return done()
        case .withdrawn(let method, _):
            guard present.fence != .withdrawn(method, by: member) else { return unchanged() }
            _ = hosts.update(name) { $0.fence = .withdrawn(method, by: member) }
            return done()
        case .none, .wanted, .proven: return refused(.conflict, "\(name) is not clean")
        }
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
            $0.attempts = []
            $0.failures = 0
            $0.barred = ""
            $0.retired = [:]
            $0.lastEvent = event
        }
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
