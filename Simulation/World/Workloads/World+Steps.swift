// How a hypervisor carries out what it is asked: tasks that take time, fail, or end without anybody being told.

import Agent
import Cluster
import Consensus
import Kinds

extension World {
    func goOn(_ number: UInt64) {
        guard let lab, let step = lab.steps[number] else { return }
        guard lab.hosts[step.machine].boot == step.boot, machines[step.machine].isPowered else {
            lab.steps[number] = nil
            // What a move has begun to start on its target comes up there by itself.
            if let id = step.instance { hasStarted(id, of: step.guest, lab) }
            return
        }
        note(23, step.machine, number)
        if step.stage == 0, case .order(let order, let machine, let life) = step.work {
            // The call had not left when the process ended.
            guard life == .max || machines[machine].life == life else {
                lab.steps[number] = nil
                return
            }
            guard lab.hosts[step.machine].silentUntil <= now else {
                // The call hangs; it is given up after a while, and nothing has been done.
                guard now >= step.deadline else { return again(number, after: 500_000_000) }
                return end(number, GuestFailure("the API of this host did not answer within 10 s; look at pveproxy"))
            }
            guard isAllowed(number, lab) else { return }
            if step.isUnknown { return beginUnknown(number, order, lab) }
        }
        switch step.work {
        case .order(.start(_, _, let takeFrom, let away), _, _):
            start(number, takeFrom: takeFrom, provenAway: away, lab)
        case .order(.stop(_, _, let grace), _, _): stop(number, grace: grace.nanoseconds, lab)
        case .order(.migrate(_, _, let to, let live), _, _): migrate(number, to: to, live: live, lab)
        case .order(.destroy, _, _): destroy(number, lab)
        case .order(.watch, _, _): lab.steps[number] = nil
        case .handMove(let to): handMove(number, to: to, lab)
        case .handStart: start(number, takeFrom: [], provenAway: [], lab)
        }
    }

    func again(_ number: UInt64, after time: Int64) {
        queue.push(.guestStep(number), at: now + time)
    }

    func stage(_ number: UInt64, _ stage: Int, after time: Int64) {
        guard let lab else { return }
        _ = lab.steps.update(number) { $0.stage = stage }
        again(number, after: time)
    }

    /// Nobody hears how the step goes. It is carried out or it is not; the driver finds out by looking.
    private func beginUnknown(_ number: UInt64, _ order: GuestOrder, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        if lab.draws.chance(500) {
            // The task runs all the same, on its own.
            let other = lab.number()
            var task = step
            task.isUnknown = false
            task.deadline = .max
            // It belongs to no process any more: nobody is told of its end.
            if case .order(let order, let machine, _) = step.work {
                lab.steps[other] = GuestStepState(
                    work: .order(order, machine: machine, life: .max), guest: step.guest, machine: step.machine,
                    boot: step.boot)
            }
            again(other, after: 1)
        }
        _ = lab.steps.update(number) {
            $0.isUnknown = false
            $0.stage = 90
        }
        again(number, after: lab.draws.number(12_000_000_000...20_000_000_000))
    }

    /// After a step of which nobody told the end: what is there decides.
    private func findOut(_ number: UInt64, isDone: Bool) {
        end(
            number,
            isDone
                ? nil
                : GuestFailure("the task's end was not told within 10 s, and what is there is not what was asked for"))
    }

    // MARK: Start

    private func start(_ number: UInt64, takeFrom: [String], provenAway: [String], _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        let machine = step.machine
        let guest = lab.guests[step.guest]
        switch step.stage {
        case 0:
            if guest.instances(on: machine).contains(where: { $0.phase == .running && !$0.isFenced }),
                guest.config == machine
            {
                return end(number, nil)
            }
            // Writing to the cluster's files takes until corosync has done without the host that fell silent.
            let pause = lab.hosts[machine].pausedUntil - now
            if guest.config != machine, pause > 0 { return stage(number, 0, after: pause) }
            if !isQuorate(machine, lab) {
                let others = machines.filter { runsGuests($0) && $0.hasJoined && $0.index != machine }
                guard others.allSatisfy({ provenAway.contains($0.name) }) else {
                    return end(number, GuestFailure("cluster not ready - no quorum? Nothing was changed"))
                }
                return stage(number, 1, after: lab.draws.number(500_000_000...1_100_000_000))
            }
            takeOver(number, takeFrom, lab)
        case 1:
            let others = machines.filter { runsGuests($0) && $0.hasJoined && $0.index != machine }.map(\.name)
            guard isAllowed(number, besides: [.lowerVotes(beside: others)], lab) else { return }
            lowerVotes(machine, lab)
            takeOver(number, takeFrom, lab)
        case 2: openDisks(number, lab)
        case 3: endStart(number, lab)
        case 4: end(number, GuestFailure("start failed: QEMU exited with code 1"))
        default: findOut(number, isDone: guest.serving?.machine == machine)
        }
    }

    private func takeOver(_ number: UInt64, _ takeFrom: [String], _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        let machine = step.machine
        let guest = lab.guests[step.guest]
        let sources = takeFrom.compactMap { name in machines.first { $0.name == name }?.index }
        if let config = guest.config, config != machine {
            guard sources.contains(config) else {
                return end(
                    number,
                    GuestFailure("its configuration lies on \(machines[config].name)", isPermanent: sources.isEmpty))
            }
            lab.guests[step.guest].config = machine
            // What held a lock there is gone with the machine.
            lab.guests[step.guest].lock = nil
        } else if guest.config == nil {
            lab.guests[step.guest].config = machine
        }
        // A lock of what ended with its machine is nobody's any more.
        if !isWorkedOn(step.guest, lab) { lab.guests[step.guest].lock = nil }
        if let lock = lab.guests[step.guest].lock {
            return end(number, GuestFailure("VM is locked (\(lock)); it is waited for"))
        }
        if lab.guests[step.guest].issuedAt == nil { lab.guests[step.guest].issuedAt = now }
        stage(number, 2, after: lab.draws.number(lab.conditions.start) / 3)
    }

    /// From here on there is a process that can write.
    private func openDisks(_ number: UInt64, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        let guest = lab.guests[step.guest]
        if lab.storage(of: step.guest) == .ceph, lab.ceph.refuses(lab.address(of: step.machine)) {
            return end(
                number, GuestFailure("rbd: error opening the image: Cannot send after transport endpoint shutdown"))
        }
        // A leftover of the same guest on the same machine keeps its process file locked.
        guard guest.instances(on: step.machine).isEmpty else {
            return end(number, GuestFailure("a process of it is there already"))
        }
        let faults = guest.workload.faults
        let isWrongHost = !faults.onlyOn.isEmpty && faults.onlyOn != machines[step.machine].name
        if isWrongHost || guest.startsTried < faults.startFails {
            if !isWrongHost { lab.guests[step.guest].startsTried += 1 }
            marks.reach(.guestStartFailed)
            return stage(number, 4, after: lab.draws.number(lab.conditions.start) / 3)
        }
        let instance = Instance(
            id: lab.number(), machine: step.machine, nonce: lab.draws.next() >> 32, phase: .starting)
        lab.guests[step.guest].instances.append(instance)
        checkWriters(of: step.guest, lab)
        if case .order = step.work { checkPlace(of: step.guest, on: step.machine, lab) }
        guard truth.violation == nil else { return }
        _ = lab.steps.update(number) { $0.instance = instance.id }
        stage(number, 3, after: lab.draws.number(lab.conditions.start) * 2 / 3)
    }

    private func endStart(_ number: UInt64, _ lab: GuestLab) {
        guard let step = lab.steps[number], let id = step.instance else { return }
        guard lab.guests[step.guest].instances.contains(where: { $0.id == id && !$0.isFenced }) else {
            remove(id, of: step.guest, lab)
            return end(number, GuestFailure("start failed: the process has ended"))
        }
        lab.guests[step.guest].startsTried = 0
        hasStarted(id, of: step.guest, lab)
        end(number, nil)
    }

    // MARK: Stop

    private func stop(_ number: UInt64, grace: Int64, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        let guest = lab.guests[step.guest]
        switch step.stage {
        case 0:
            guard !guest.instances(on: step.machine).isEmpty else { return end(number, nil) }
            let usual = lab.draws.number(lab.conditions.stop)
            stage(number, 1, after: guest.workload.faults.stopFails ? grace : min(usual, grace))
        case 1:
            endAll(step.guest, on: step.machine, isLoss: false, lab)
            end(number, nil)
        default: findOut(number, isDone: guest.instances(on: step.machine).isEmpty)
        }
    }

    /// Tasks that nobody follows any more. An agent's own start is over before it ends the same guest.
    private func cancelStarts(of guest: Int, on machine: Int, _ lab: GuestLab) {
        for (number, step) in lab.steps.pairs where step.guest == guest && step.machine == machine {
            switch step.work {
            case .order(.start, let index, let life) where machines[index].life != life: lab.steps[number] = nil
            case .handStart: lab.steps[number] = nil
            default: break
            }
        }
    }

    private func destroy(_ number: UInt64, _ lab: GuestLab) {
        guard let step = lab.steps[number] else { return }
        switch step.stage {
        case 0: stage(number, 1, after: lab.draws.number(100_000_000...500_000_000))
        case 1:
            endAll(step.guest, on: step.machine, isLoss: true, lab)
            cancelStarts(of: step.guest, on: step.machine, lab)
            end(number, nil)
        default: findOut(number, isDone: lab.guests[step.guest].instances(on: step.machine).isEmpty)
        }
    }
}
