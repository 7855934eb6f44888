// Guests that change their host while both are up: live, stopped, or by hand behind everybody's back.

import Cluster
import Consensus
import Kinds

extension World {
    func migrate(_ number: UInt64, to name: String, live: Bool, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        let guest = lab.guests[step.guest]
        guard let target = machine(named: name) else {
            return end(number, GuestFailure("no such cluster node '\(name)'", isPermanent: true))
        }
        switch step.stage {
        case 0: beginMove(number, to: target, live: live, lab)
        case 1:
            // The end of a live migration: the other process has everything, and this one has stopped.
            if let refusal = refusal(of: target, from: step.machine, for: step.guest, lab) {
                return endMove(number, refusal, lab)
            }
            guard mayMove(step.guest, lab) else { return endMove(number, "migration aborted", lab) }
            guard let source = guest.working(on: step.machine).first(where: { !$0.isFenced }) else {
                return endMove(number, "the process has ended", lab)
            }
            guard guest.instances.contains(where: { $0.id == step.incoming }) else {
                return endMove(number, "the process on \(target.name) has ended", lab)
            }
            if let incoming = step.incoming { remove(incoming, of: step.guest, lab) }
            if let failure = guest.lateFailure {
                return failLate(number, failure, source, to: target, lab)
            }
            handOver(source, of: step.guest, to: target.index, lab)
            checkPlace(of: step.guest, on: target.index, lab)
            endMove(number, nil, lab)
        case 2:
            // It has been shut down here.
            endAll(step.guest, on: step.machine, isLoss: false, lab)
            // A machine was ended by the driver, which then asks for the move; a container is ended by the move itself.
            guard guest.workload.isContainer || isAllowed(number, lab) else { return }
            // Another host may have taken it over meanwhile, after a fence of this one: then nothing lies here to be moved.
            guard guest.config == step.machine else {
                return endMove(number, "its configuration does not lie here any more", lab)
            }
            if let refusal = refusal(of: target, from: step.machine, for: step.guest, lab) {
                return endMove(number, refusal, lab)
            }
            lab.guests[step.guest].config = target.index
            stage(number, 3, after: lab.draws.number(lab.conditions.start) / 3)
        case 3:
            // It is started there by the task that moved it.
            if let refusal = refusal(of: target, from: step.machine, for: step.guest, lab) {
                return endMove(number, refusal, lab)
            }
            // As in any start: a process that is there keeps its file locked.
            guard guest.instances(on: target.index).isEmpty else {
                return endMove(number, "a process of it is there already", lab)
            }
            let instance = Instance(
                id: lab.number(), machine: target.index, nonce: lab.draws.next() >> 32, phase: .starting)
            lab.guests[step.guest].instances.append(instance)
            checkWriters(of: step.guest, lab)
            checkPlace(of: step.guest, on: target.index, lab)
            guard truth.violation == nil else { return }
            _ = lab.steps.update(number) { $0.instance = instance.id }
            stage(number, 4, after: lab.draws.number(lab.conditions.start) * 2 / 3)
        case 4:
            if let id = step.instance { hasStarted(id, of: step.guest, lab) }
            endMove(number, nil, lab)
        case 5:
            // A guest that does not run only changes its folder.
            if let refusal = refusal(of: target, from: step.machine, for: step.guest, lab) {
                return endMove(number, refusal, lab)
            }
            guard mayMove(step.guest, lab) else { return endMove(number, "migration aborted", lab) }
            lab.guests[step.guest].config = target.index
            endMove(number, nil, lab)
        case 6: endMove(number, "migration aborted", lab)
        default:
            lab.guests[step.guest].lock = guest.lock == "migrate" ? nil : guest.lock
            let isThere = guest.config == target.index
            end(number, isThere ? nil : GuestFailure("the task's end was not told, and the guest is still here"))
        }
    }

    private func beginMove(_ number: UInt64, to target: Machine, live: Bool, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        let guest = lab.guests[step.guest]
        if guest.config == target.index, guest.working(on: step.machine).isEmpty { return end(number, nil) }
        guard guest.config == step.machine else {
            return end(number, GuestFailure("its configuration does not lie here"))
        }
        if let lock = guest.lock, isWorkedOn(step.guest, lab) {
            return end(number, GuestFailure("VM is locked (\(lock))"))
        }
        if isStarting(step.guest, lab) {
            return end(
                number,
                GuestFailure(
                    "can't lock file '/var/lock/qemu-server/lock-\(guest.workload.vmid).conf' - got timeout"))
        }
        guard isQuorate(step.machine, lab) else { return end(number, GuestFailure("cluster not ready - no quorum?")) }
        if lab.storage(of: step.guest) == .local {
            return end(number, GuestFailure("can't migrate: its disks are local", isPermanent: true))
        }
        if let refusal = refusal(of: target, from: step.machine, for: step.guest, lab) {
            return end(number, GuestFailure(refusal))
        }
        lab.guests[step.guest].lock = "migrate"
        // It stands still for good, and QEMU does not let it go a second time.
        if guest.instances(on: step.machine).contains(where: { $0.phase == .spent }) {
            lab.guests[step.guest].lock = nil
            return end(number, GuestFailure("VM \(guest.workload.vmid) is in state postmigrate"))
        }
        let runs = guest.working(on: step.machine).contains { !$0.isFenced }
        if !runs { return stage(number, 5, after: lab.draws.number(300_000_000...1_000_000_000)) }
        if live {
            // One that is left over there keeps its process file locked.
            guard guest.instances(on: target.index).isEmpty else {
                lab.guests[step.guest].lock = nil
                return end(number, GuestFailure("migration failed: a process of it is on \(target.name) already"))
            }
            let incoming = Instance(id: lab.number(), machine: target.index, nonce: 0, phase: .incoming)
            lab.guests[step.guest].instances.append(incoming)
            _ = lab.steps.update(number) { $0.incoming = incoming.id }
            return stage(number, 1, after: lab.draws.number(lab.conditions.migration))
        }
        guard mayMove(step.guest, lab) else {
            return stage(number, 6, after: lab.draws.number(300_000_000...1_000_000_000))
        }
        stage(number, 2, after: lab.draws.number(lab.conditions.stop))
    }

    /// The guest goes on at its target, and then the move fails.
    ///
    ///     source   running ───────────────┐ (its process stays, or its configuration, or both)
    ///     target            incoming ─────┴─ running
    ///     driver   migrate ───────────────────── failed, unless it finds the guest at its target
    private func failLate(
        _ number: UInt64, _ failure: Plan.MoveFailure, _ source: Instance, to target: Machine, _ lab: GuestLab
    ) {
        guard let guest = lab.steps[number]?.guest else { return }
        lab.guests[guest].lateFailure = nil
        marks.reach(.moveFailedLate)
        handOver(source, of: guest, to: target.index, lab)
        if failure.leavesProcess {
            var left = source
            left.phase = .spent
            lab.guests[guest].instances.append(left)
        }
        if failure.leavesConfiguration {
            lab.guests[guest].config = source.machine
            for position in lab.guests[guest].instances.indices
            where lab.guests[guest].instances[position].machine == target.index {
                lab.guests[guest].instances[position].isAstray = true
            }
        }
        checkPlace(of: guest, on: target.index, lab)
        tell("the move of \(lab.guests[guest].name) fails although it runs on \(target.name) (\(failure.rawValue))")
        endMove(number, failure.isKnownToHaveArrived ? nil : "its end failed, with the guest at \(target.name)", lab)
        // Where it could not be renamed nobody comes to take its lock away.
        if failure.leavesConfiguration { lab.guests[guest].lock = "migrate" }
    }

    private func endMove(_ number: UInt64, _ refusal: String?, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        if lab.guests[step.guest].lock == "migrate" { lab.guests[step.guest].lock = nil }
        // Told that it failed, or at its end at the latest, what waits there ends.
        if let incoming = step.incoming { remove(incoming, of: step.guest, lab) }
        if refusal == nil { marks.reach(.guestMoved) }
        end(number, refusal.map { GuestFailure("migration failed: \($0)") })
    }

    /// Whether what has locked a guest is still at it.
    func isWorkedOn(_ number: Int, _ lab: GuestLab) -> Bool {
        let guest = lab.guests[number]
        switch guest.lock {
        case "backup"?: return guest.backup.map { lab.hosts[$0.machine].boot == $0.boot } ?? false
        case "migrate"?: return isMoving(number, lab)
        default: return false
        }
    }

    func isMoving(_ guest: Int, _ lab: GuestLab) -> Bool {
        lab.steps.values.contains { step in
            guard step.guest == guest, step.stage > 0, step.stage != 90 else { return false }
            switch step.work {
            case .order(.migrate, _, _), .handMove: return true
            default: return false
            }
        }
    }

    /// A task starts it: it has read the configuration, and keeps everybody from changing it until it has ended.
    func isStarting(_ guest: Int, _ lab: GuestLab) -> Bool {
        lab.steps.values.contains { step in
            guard step.guest == guest, step.stage == 2 || step.stage == 3 else { return false }
            switch step.work {
            case .order(.start, _, _), .handStart: return true
            default: return false
            }
        }
    }

    /// Counts the failures that were planned for this guest.
    private func mayMove(_ guest: Int, _ lab: GuestLab) -> Bool {
        guard lab.guests[guest].movesTried < lab.guests[guest].workload.faults.migrateFails else {
            lab.guests[guest].movesTried = 0
            return true
        }
        lab.guests[guest].movesTried += 1
        return false
    }

    /// Why a machine cannot take a guest now.
    private func refusal(of target: Machine, from source: Int, for guest: Int, _ lab: GuestLab) -> String? {
        guard target.isPowered, isReachable(from: source, to: target.index),
            isReachable(from: target.index, to: source)
        else { return "\(target.name) cannot be reached" }
        guard lab.hosts[target.index].silentUntil <= now else { return "\(target.name) does not answer" }
        guard isQuorate(target.index, lab) else { return "\(target.name) has no quorum" }
        if lab.storage(of: guest) == .ceph, lab.ceph.refuses(lab.address(of: target.index)) {
            return "\(target.name) cannot open the image"
        }
        return nil
    }

    /// One process ends in the instant in which the other goes on.
    func handOver(_ source: Instance, of guest: Int, to target: Int, _ lab: GuestLab) {
        remove(source.id, of: guest, lab)
        let instance = Instance(id: lab.number(), machine: target, nonce: lab.draws.next() >> 32, phase: .running)
        lab.guests[guest].instances.append(instance)
        lab.guests[guest].config = target
        lab.guests[guest].lastHost = target
        saw(.runs(lab.guests[guest].guest.workload, machines[target].name))
        if lab.hasBegun { lab.guests[guest].moves += 1 }
        tell("\(lab.guests[guest].name) goes on at \(machines[target].name), live")
        carryMember(of: guest, to: target, isLive: true, lab)
        checkWriters(of: guest, lab)
    }

    // MARK: Behind everybody's back

    func handMove(_ number: UInt64, to target: Int, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        lab.steps[number] = nil
        if lab.guests[step.guest].lock == "migrate" { lab.guests[step.guest].lock = nil }
        guard machines[target].isPowered, lab.guests[step.guest].config == step.machine,
            !lab.guests[step.guest].instances(on: step.machine).contains(where: { $0.phase == .spent })
        else { return }
        if let source = lab.guests[step.guest].working(on: step.machine).first(where: { !$0.isFenced }) {
            guard refusal(of: machines[target], from: step.machine, for: step.guest, lab) == nil else { return }
            handOver(source, of: step.guest, to: target, lab)
        } else {
            lab.guests[step.guest].config = target
            tell("\(lab.guests[step.guest].name) lies on \(machines[target].name) now, stopped")
        }
    }
}
