// Orders of agents to their hypervisor's driver, and what the driver reports. The driver is a part of the agent's process:
// its memory ends with it, while the hypervisor's tasks go on.

import Agent
import Cluster
import Consensus
import Kinds

extension World {
    // MARK: Orders

    /// An order leaves the agent. What must hold whenever one is given is checked here.
    func give(_ order: GuestOrder, by machine: Machine) {
        guard let lab else { return }
        if case .start(let guest, _, let takeFrom, _) = order {
            saw(.startOrdered(guest.workload, machine.name))
            checkStart(of: guest, takeFrom, by: machine, lab)
        }
        let drawn = now + lab.draws.number(1_000_000...5_000_000)
        let at = max(drawn, (machine.process?.driver.lastComes ?? .min) &+ 1)
        machine.process?.driver.lastComes = at
        queue.push(.guestOrder(machine: machine.index, life: machine.life, order), at: at)
    }

    func take(_ order: GuestOrder, on machine: Machine, life: UInt64) {
        guard let lab, machine.life == life, let process = machine.process else { return }
        guard !process.isPaused, !machine.isFrozen else {
            process.driver.held.append(.guest(order))
            return
        }
        note(20, machine.index, 0)
        let guest: Guest
        switch order {
        case .watch(let guests):
            process.driver.watched = guests.compactMap { lab.index(of: $0.workload) }
            process.driver.watches = true
            process.driver.told = nil
            queue.push(.lookAtGuests(machine: machine.index, life: life, again: false), at: now + 40_000_000)
            return
        case .start(let each, _, _, _), .stop(let each, _, _), .migrate(let each, _, _, _), .destroy(let each, _):
            guest = each
        }
        guard let number = lab.index(of: guest.workload) else { return }
        process.driver.queues[number] = (process.driver.queues[number] ?? []) + [order]
        beginNext(number, on: machine)
    }

    /// The next order for a guest, when none is being carried out.
    func beginNext(_ guest: Int, on machine: Machine) {
        guard let lab, let process = machine.process, !process.driver.busy.contains(guest),
            let order = process.driver.queues[guest]?.first
        else { return }
        _ = process.driver.queues.update(guest) { $0.removeFirst() }
        process.driver.busy.append(guest)
        let number = lab.number()
        var step = GuestStepState(
            work: .order(order, machine: machine.index, life: machine.life), guest: guest, machine: machine.index,
            boot: lab.hosts[machine.index].boot)
        // A call that gets no answer is given up.
        step.deadline = now + 10_000_000_000
        if lab.hosts[machine.index].nextIsUnknown {
            lab.hosts[machine.index].nextIsUnknown = false
            step.isUnknown = true
            marks.reach(.outcomeUnknown)
        }
        lab.steps[number] = step
        queue.push(.guestStep(number), at: now + lab.draws.number(20_000_000...120_000_000))
    }

    /// A step is over: the driver says so, looks at everything, and goes on with the next order.
    func end(_ number: UInt64, _ failure: GuestFailure?) {
        guard let lab, let step = lab.steps[number] else { return }
        lab.steps[number] = nil
        guard case .order(let order, let index, let life) = step.work else { return }
        let machine = machines[index]
        guard machine.life == life, let process = machine.process else { return }
        note(21, index, failure == nil ? 0 : 1)
        process.driver.busy.removeAll { $0 == step.guest }
        let report: GuestReport
        let (guest, epoch, kind) = Self.parts(of: order)
        if let failure {
            tell("\(machine.name): \(kind.rawValue) of \(lab.guests[step.guest].name): \(failure.reason)")
            report = .failed(guest, epoch: epoch, kind, failure)
        } else {
            report = .done(guest, epoch: epoch, kind)
        }
        turn(machine, .guests(report))
        guard machine.life == life, machine.process === process else { return }
        process.driver.told = nil
        lookAtGuests(of: machine)
        beginNext(step.guest, on: machine)
    }

    private static func parts(of order: GuestOrder) -> (Guest, UInt64, GuestStep) {
        switch order {
        case .start(let guest, let epoch, _, _): (guest, epoch, .start)
        case .stop(let guest, let epoch, _): (guest, epoch, .stop)
        case .migrate(let guest, let epoch, _, _): (guest, epoch, .migrate)
        case .destroy(let guest, let epoch): (guest, epoch, .destroy)
        case .watch: preconditionFailure("to watch is no step")
        }
    }

    // MARK: What the driver sees

    /// Every agent on a host says what the host is, and looks at its guests now and then.
    func startDriver(of machine: Machine) {
        guard lab != nil, runsGuests(machine) else { return }
        guard let lab else { return }
        queue.push(
            .lookAtGuests(machine: machine.index, life: machine.life, again: true),
            at: now + lab.draws.number(50_000_000...400_000_000))
    }

    func lookAtGuests(machine index: Int, life: UInt64, again: Bool) {
        guard let lab, machines[index].life == life, machines[index].process != nil else { return }
        note(22, index, 0)
        if again { queue.push(.lookAtGuests(machine: index, life: life, again: true), at: now + lab.conditions.look) }
        lookAtGuests(of: machines[index])
    }

    func lookAtGuests(of machine: Machine) {
        guard let lab, let process = machine.process, !process.isPaused, !machine.isFrozen else { return }
        let facts = facts(of: machine, lab)
        if process.driver.toldFacts != facts {
            process.driver.toldFacts = facts
            turn(machine, .guests(.host(facts)))
        }
        guard machine.process === process, process.driver.watches else { return }
        guard lab.hosts[machine.index].silentUntil <= now else {
            guard !process.driver.isBlind else { return }
            process.driver.isBlind = true
            process.driver.told = nil
            return turn(
                machine,
                .guests(
                    .blind(
                        reason: "GET /api2/json/nodes/\(machine.name)/qemu: no answer within 10 s; look at pveproxy")))
        }
        process.driver.isBlind = false
        let seen = process.driver.watched.map { observation(of: $0, on: machine, lab) }
        guard process.driver.told != seen else { return }
        process.driver.told = seen
        turn(machine, .guests(.observed(seen)))
    }

    private func facts(of machine: Machine, _ lab: GuestLab) -> HostFacts {
        if var facts = machine.plan.facts {
            // Of the boot that it was said in; a later one has another name.
            let boot = lab.hosts[machine.index].boot
            if boot > 1 { facts.boot += "-\(boot)" }
            facts.isQuorate = isQuorate(machine.index, lab)
            facts.isGuarded = false
            return facts
        }
        return HostFacts(
            boot: "\(machine.name)-\(lab.hosts[machine.index].boot)", memoryBytes: machine.plan.memory,
            cores: machine.plan.cores,
            storageAddress: lab.hasCeph ? lab.address(of: machine.index) : "",
            watchdogMilliseconds: lab.conditions.watchdog / 1_000_000, isQuorate: isQuorate(machine.index, lab))
    }

    func isQuorate(_ machine: Int, _ lab: GuestLab) -> Bool {
        lab.hosts[machine].isQuorate || lab.hosts[machine].isLowered
    }

    func observation(of number: Int, on machine: Machine, _ lab: GuestLab) -> GuestObservation {
        let guest = lab.guests[number]
        let here = guest.instances(on: machine.index)
        let clients =
            lab.storage(of: number) == .ceph ? here.map { "\(lab.address(of: machine.index)):0/\($0.nonce)" } : []
        let isHere = guest.config == machine.index
        let isStarting = isBroughtUp(number, on: machine, lab)
        let isWorkedOn = isHere && self.isWorkedOn(number, lab)
        guard let instance = here.first else {
            return GuestObservation(
                guest.guest, isHere ? .stopped : .absent, lock: isHere ? guest.lock : nil,
                isWorkedOn: isWorkedOn, isStarting: isStarting)
        }
        if instance.isFenced {
            return GuestObservation(
                guest.guest, .stuck, lock: isHere ? guest.lock : nil,
                isWorkedOn: isWorkedOn, isStarting: isStarting, clients: clients,
                detail: "paused after an I/O error of its disk")
        }
        guard isHere, instance.phase != .incoming, instance.phase != .spent else {
            let detail =
                switch instance.phase {
                case .incoming: "a process that waits for the guest to come here"
                case .spent where isHere: "it stands still: postmigrate"
                default: "a process without a configuration on this host"
                }
            return GuestObservation(
                guest.guest, .stuck, lock: isHere ? guest.lock : nil,
                isWorkedOn: isWorkedOn, isStarting: isStarting, clients: clients,
                detail: detail)
        }
        return GuestObservation(
            guest.guest, .running, lock: guest.lock, isWorkedOn: isWorkedOn, isStarting: isStarting,
            healthy: health(of: guest, instance, on: machine), clients: clients)
    }

    /// Whether the hypervisor there has a task that starts it, lets it in, or gives it away.
    private func isBroughtUp(_ guest: Int, on machine: Machine, _ lab: GuestLab) -> Bool {
        lab.steps.values.contains { step in
            guard step.guest == guest, step.stage < 90, step.boot == lab.hosts[step.machine].boot else { return false }
            switch step.work {
            case .order(.start, _, let life): return step.machine == machine.index && (step.stage > 0 || life == .max)
            case .handStart: return step.machine == machine.index
            case .order(.migrate(_, _, let to, _), _, _):
                return step.machine == machine.index && step.stage > 0
                    || to == machine.name && [1, 3, 4].contains(step.stage)
            case .handMove: return step.machine == machine.index && step.stage > 0
            case .order: return false
            }
        }
    }

    /// What the guest's check says, as its host makes it; nil: there is none, or it has not been made yet.
    private func health(of guest: GuestTruth, _ instance: Instance, on machine: Machine) -> Bool? {
        guard guest.workload.health != nil, instance.phase == .running else { return nil }
        let wellOn = guest.workload.faults.wellOn
        return !instance.isHung && (wellOn.isEmpty || wellOn == machine.name)
    }
}
