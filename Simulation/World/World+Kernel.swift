// Address orders on their way through a driver into a kernel, and what the kernel then answers for.
// The order of steps is that of Sources/Drivers/Addresses/DESIGN.md.

import Cluster
import Consensus
import Kinds

extension World {
    func performCall(_ call: KernelCall, on machine: Machine, life: UInt64) {
        guard machine.life == life, machine.process != nil else { return }
        guard !machine.process!.isPaused, !machine.isFrozen else {
            machine.process!.calls.append(call)
            return
        }
        switch call.order {
        case .hold(let role, let addresses, let epoch, let until):
            // Nobody answers differently before the element is armed.
            guard hold(role, VirtualIPSpec.text(of: addresses), epoch: epoch, until: until, call, on: machine) else {
                return
            }
        case .release(let role, _, let epoch, let drain): release(role, epoch: epoch, drain: drain, on: machine)
        case .drop(let role, _):
            note(9, machine.index, 3)
            machine.kernel.speaking[role] = nil
            machine.kernel.draining[role] = nil
        }
        watchAll()
    }

    /// - Returns: whether the element was armed.
    private func hold(
        _ role: ResourceKey, _ address: String, epoch: UInt64, until: Instant, _ call: KernelCall, on machine: Machine
    ) -> Bool {
        if let gone = machine.kernel.released[role], epoch <= gone { return false }
        let reading = machine.reading(at: now)
        guard until > reading else { return false }
        guard let ticket = call.ticketAt else {
            // The driver has looked at the clock; what it computes reaches the kernel a moment later.
            var next = call
            next.ticketAt = reading
            queue.push(
                .kernelCall(machine: machine.index, life: machine.life, next),
                at: now + machine.draws.number(machine.callLatency))
            return false
        }
        guard reading < ticket + Kernel.ticket else {
            // The ticket has run out: nothing is armed, and the driver tries again with a new look at the clock.
            marks.reach(.ticketRanOut)
            queue.push(
                .kernelCall(machine: machine.index, life: machine.life, KernelCall(order: call.order)), at: now + 20_000
            )
            return false
        }
        let timeout = until - ticket - Kernel.ticket
        guard timeout > .zero else { return false }
        note(9, machine.index, epoch)
        let spoke = machine.kernel.speaking.look(role) { reading < $0.until && $0.epoch == epoch } ?? false
        machine.kernel.draining[role] = nil
        machine.kernel.speaking[role] = Kernel.Element(address: address, epoch: epoch, until: reading + timeout)
        guard !spoke else { return true }
        announce(role, from: machine)
        tell("\(machine.name) answers for \(role.name) under epoch \(epoch)")
        saw(.answers(role, machine.name))
        queue.push(
            .report(machine: machine.index, life: machine.life, .holding(role: role, epoch: epoch)), at: now + 50_000)
        return true
    }

    private func release(_ role: ResourceKey, epoch: UInt64, drain: Interval, on machine: Machine) {
        note(9, machine.index, 2)
        let reading = machine.reading(at: now)
        machine.kernel.released[role] = max(epoch, machine.kernel.released[role] ?? 0)
        if let element = machine.kernel.speaking[role] {
            machine.kernel.speaking[role] = nil
            machine.kernel.draining[role] = Kernel.Element(
                address: element.address, epoch: epoch, until: min(element.until, reading + drain))
            tell("\(machine.name) falls silent for \(role.name), by its own word")
        }
        queue.push(
            .report(machine: machine.index, life: machine.life, .released(role: role, epoch: epoch)), at: now + 50_000)
    }

    /// Gratuitous ARP: whoever hears it sends to this machine from now on.
    private func announce(_ role: ResourceKey, from machine: Machine) {
        guard let address = watch.index(of: role), let delays = carry(from: machine.index, to: outside) else { return }
        queue.push(.arp(address: address, owner: machine.index), at: now + delays.first)
    }

    // MARK: Ground truth

    /// Whether the machine would answer ARP for the address this instant.
    func speaks(_ machine: Machine, _ role: ResourceKey) -> Bool {
        machine.isPowered && !machine.isFrozen && machine.kernel.speaks(for: role, at: machine.reading(at: now))
    }

    /// Looks who answers for each address, and checks that it is at most one.
    func watchAll() {
        for number in watch.records.indices { watchOne(number) }
    }

    private func watchOne(_ number: Int) {
        let role = watch.records[number].role
        var covered: Int64 = .min
        var owners = 0
        var entitled = 0
        var names = ""
        for machine in machines where !machine.kernel.speaking.isEmpty && speaks(machine, role) {
            owners += 1
            if machine.concededUntil <= now { entitled += 1 }
            if let until = machine.kernel.speaking.look(role, { $0.until }) {
                covered = max(covered, machine.clock.trueTime(of: until))
            }
            names += names.isEmpty ? machine.name : " and \(machine.name)"
        }
        if watch.records[number].saw(owners: owners, coveredUntil: covered, now: now) { marks.reach(.elementRanOut) }
        if owners > 1 && (entitled > 1 || owners > 2) {
            violate("doubleAddress", "\(names) answer for \(role.name) at the same time")
        } else if owners > 1 {
            result.concededAfterPause += 1
        }
    }

    // MARK: The probing client

    func startProbes() {
        guard plan.conditions.probeEvery > 0 else { return }
        queue.push(.probe, at: now)
    }

    func probeAll() {
        guard now - planBegan <= plan.length else { return }
        note(10, outside, 0)
        for number in watch.records.indices { probe(number) }
        queue.push(.probe, at: now + plan.conditions.probeEvery)
    }

    private func probe(_ number: Int) {
        let record = watch.records[number]
        if let owner = record.cached, let there = carry(from: outside, to: owner) {
            let machine = machines[owner]
            let accepts =
                machine.isPowered && !machine.isFrozen
                && machine.kernel.accepts(record.role, at: machine.reading(at: now))
            if accepts, let back = carry(from: owner, to: outside) {
                queue.push(.probeEcho(address: number, sent: now), at: now + there.first + back.first)
            }
        }
        // A neighbour entry that brings no answer is asked for anew (Linux: NUD_PROBE, after a delay).
        guard record.cached == nil || now - record.lastEcho > 100_000_000 else { return }
        for machine in machines {
            guard let there = carry(from: outside, to: machine.index) else { continue }
            queue.push(.askArp(address: number, to: machine.index), at: now + there.first)
        }
    }

    func askedArp(_ number: Int, _ machine: Machine) {
        guard speaks(machine, watch.records[number].role), let back = carry(from: machine.index, to: outside) else {
            return
        }
        queue.push(.arp(address: number, owner: machine.index), at: now + back.first)
    }

    func probeAnswered(_ number: Int, sent: Int64) {
        watch.records[number].echoed(sent: sent, now: now, every: plan.conditions.probeEvery, began: planBegan)
    }
}
