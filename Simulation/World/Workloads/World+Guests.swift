// Instances of guests that come and go, and what must hold of them at every moment, on ground truth.

import Agent
import Cluster
import Consensus
import Kinds

extension World {
    // MARK: Coming and going

    /// Everything that is to run runs already when the plan begins: that is how people's labs are when a cluster is
    /// founded over them. What is said to fail at its start is left for the agents to start.
    func bringGuestsUp() {
        guard let lab else { return }
        for number in lab.guests.indices where lab.guests[number].isKnown {
            let workload = lab.guests[number].workload
            guard let host = lab.guests[number].config, workload.desired == "running" else { continue }
            let isHard = workload.faults.startFails > 0 || !workload.faults.onlyOn.isEmpty
            guard !isHard, !isOffAtFirst(machines[host]) else { continue }
            lab.guests[number].instances = [
                Instance(id: lab.number(), machine: host, nonce: lab.draws.next() >> 32, phase: .running)
            ]
            lab.guests[number].lastHost = host
        }
    }

    private func isOffAtFirst(_ machine: Machine) -> Bool {
        plan.timeline.contains { $0.at == 0 && $0.action == .powerOff(machine.name) }
    }

    func hasStarted(_ id: UInt64, of guest: Int, _ lab: GuestLab) {
        guard let position = lab.guests[guest].instances.firstIndex(where: { $0.id == id }) else { return }
        let machine = lab.guests[guest].instances[position].machine
        lab.guests[guest].instances[position].phase = .running
        let before = lab.guests[guest].lastHost
        lab.guests[guest].lastHost = machine
        marks.reach(.guestStarted)
        tell("\(lab.guests[guest].name) runs on \(machines[machine].name)")
        saw(.runs(lab.guests[guest].guest.workload, machines[machine].name))
        carryMember(of: guest, to: machine, isLive: false, lab)
        guard lab.hasBegun else { return }
        lab.guests[guest].starts += 1
        if let before, before != machine { lab.guests[guest].moves += 1 }
        if let lost = lab.guests[guest].lostAt {
            lab.recoveries.append(
                RunResult.Recovery(
                    workload: lab.guests[guest].name, lostAt: lost - planBegan,
                    issuedAt: lab.guests[guest].issuedAt.map { $0 - planBegan }, startedAt: now - planBegan,
                    from: lab.guests[guest].lostFrom.map { machines[$0].name }, to: machines[machine].name,
                    fence: lab.guests[guest].fence))
        }
        isUp(guest, lab)
    }

    /// Whether a machine has a hypervisor: in a lab with workloads every host has, in a present cluster each that said so.
    func runsGuests(_ machine: Machine) -> Bool {
        machine.plan.kind == .host && (plan.present == nil || machine.plan.facts != nil)
    }

    func isUp(_ guest: Int, _ lab: GuestLab) {
        if let since = lab.guests[guest].waitsSince {
            lab.guests[guest].longestWait = max(lab.guests[guest].longestWait, now - since)
        }
        lab.guests[guest].lostAt = nil
        lab.guests[guest].issuedAt = nil
        lab.guests[guest].lostFrom = nil
        lab.guests[guest].waitsSince = nil
        lab.guests[guest].fence = nil
    }

    /// What served does so no more, and nobody asked for that.
    func isLost(_ guest: Int, with machine: Int, _ lab: GuestLab) {
        guard lab.hasBegun, lab.guests[guest].lostAt == nil, lab.guests[guest].desired == "running" else { return }
        let since = lab.hosts[machine].cutSince ?? now
        lab.guests[guest].lostAt = since
        lab.guests[guest].issuedAt = nil
        lab.guests[guest].lostFrom = machine
        lab.guests[guest].waitsSince = since
    }

    func remove(_ id: UInt64, of guest: Int, _ lab: GuestLab) {
        lab.guests[guest].instances.removeAll { $0.id == id }
    }

    /// Every process of a guest on a machine ends.
    func endAll(_ guest: Int, on machine: Int, isLoss: Bool, _ lab: GuestLab) {
        let here = lab.guests[guest].instances(on: machine)
        guard !here.isEmpty else { return }
        lab.guests[guest].instances.removeAll { $0.machine == machine }
        tell("\(lab.guests[guest].name) ends on \(machines[machine].name)")
        saw(.ends(lab.guests[guest].guest.workload, machines[machine].name))
        if isLoss, here.contains(where: { $0.phase == .running }), lab.guests[guest].serving == nil {
            isLost(guest, with: machine, lab)
        }
        dropMember(of: guest, on: machine, lab)
    }

    // MARK: Agents inside guests

    private func member(of guest: Int, _ lab: GuestLab) -> Machine? {
        machines.first { $0.plan.workload == lab.guests[guest].name }
    }

    /// The agent inside a guest goes where the guest goes.
    func carryMember(of guest: Int, to host: Int, isLive: Bool, _ lab: GuestLab) {
        guard let machine = member(of: guest, lab) else { return }
        machine.hostIndex = host
        for other in 0...outside where other != machine.index {
            for (from, to) in [(machine.index, other), (other, machine.index)] {
                let isApart = isUnplugged(host) && other != host
                if isApart { wires.cut(from: from, to: to) } else { wires.mend(from: from, to: to) }
            }
        }
        endCutConnections()
        if !isLive { powerOn(machine) }
    }

    private func isUnplugged(_ host: Int) -> Bool {
        (0...outside).allSatisfy { other in
            other == host || machines.indices.contains(other) && machines[other].hostIndex == host
                || wires.isCut(from: host, to: other)
        }
    }

    /// A machine with an agent in it goes off: that is the guest's process that ends.
    func endCarried(_ machine: Machine) {
        guard let lab, let guest = lab.index(named: machine.plan.workload) else { return }
        machine.isGoingDown = false
        for host in lab.guests[guest].instances.map(\.machine) { endAll(guest, on: host, isLoss: true, lab) }
        powerOff(machine)
    }

    /// Whether the guest it is in runs on the machine it is said to be on.
    func isCarriedNow(_ machine: Machine) -> Bool {
        guard let lab, let guest = lab.index(named: machine.plan.workload) else { return false }
        return lab.guests[guest].serving?.machine == machine.hostIndex
    }

    private func dropMember(of guest: Int, on machine: Int, _ lab: GuestLab) {
        guard let inside = member(of: guest, lab), inside.hostIndex == machine else { return }
        powerOff(inside)
    }

    // MARK: Power

    /// The machine has lost its power: everything on it is gone in the same instant.
    func guestsLosePower(on machine: Machine) {
        guard let lab, runsGuests(machine) else { return }
        lab.hosts[machine.index].boot += 1
        lab.hosts[machine.index].isLowered = false
        lab.hosts[machine.index].isQuorate = false
        lab.hosts[machine.index].willBeQuorate = false
        lab.hosts[machine.index].quorumTicket += 1
        lab.hosts[machine.index].silentUntil = .min
        lab.hosts[machine.index].nextIsUnknown = false
        lab.hosts[machine.index].watchdog.firesAt = nil
        for number in lab.guests.indices {
            endAll(number, on: machine.index, isLoss: true, lab)
        }
    }

    func guestsGetPower(on machine: Machine) {
        guard let lab, runsGuests(machine) else { return }
        lab.hosts[machine.index].isProvenOff = false
        // What its watchdog proves of the boot before stays true.
        machine.bootsAfterOrder = machine.restartsByOrder
        machineIsWired()
    }

    // MARK: What must hold

    /// At most one process can write the disks of a guest, ever.
    func checkWriters(of guest: Int, _ lab: GuestLab) {
        let writers = lab.guests[guest].instances.filter(\.canWrite)
        guard writers.count > 1 else { return }
        let places = writers.map { machines[$0.machine].name }.joined(separator: " and ")
        violate(
            lab.storage(of: guest) == .local ? "doubleRun" : "doubleWrite",
            "\(lab.guests[guest].name) can write its disk from \(places)")
    }

    /// What an agent must not do, even where nothing comes of it.
    func checkStart(of guest: Guest, _ takeFrom: [String], by machine: Machine, _ lab: GuestLab) {
        guard let number = lab.index(of: guest.workload) else { return }
        let isOnCeph = lab.storage(of: number) == .ceph
        if isOnCeph, lab.ceph.refuses(lab.address(of: machine.index)) {
            return violate(
                "startWhileFenced", "\(machine.name) starts \(lab.guests[number].name) while its storage refuses it")
        }
        for name in takeFrom {
            guard let source = self.machine(named: name), source !== machine else { continue }
            checkProof(of: number, source, by: machine, lab)
        }
    }

    /// An order to start says that another host writes no more: that must be true of it.
    private func checkProof(of number: Int, _ source: Machine, by machine: Machine, _ lab: GuestLab) {
        let isOnCeph = lab.storage(of: number) == .ceph
        lab.guests[number].fence = nil
        let host = lab.hosts[source.index]
        var proof: String?
        if isOnCeph, lab.ceph.shutOut.contains(lab.address(of: source.index)) { proof = "blocklist" }
        if proof == nil, host.isProvenOff { proof = "power" }
        // In a present cluster a watchdog that was armed for others proves it for all.
        if proof == nil, !isOnCeph || plan.present != nil, host.watchdog.firesAtTrue != .min,
            host.watchdog.firesAtTrue <= now
        {
            proof = "watchdog"
        }
        // Lifted a moment ago: nothing of it was left there, and it starts nothing that belongs elsewhere.
        if proof == nil, lab.guests[number].config != source.index { return }
        guard let proof else {
            return violate(
                "startBeforeFence",
                "\(machine.name) starts \(lab.guests[number].name), and nothing proves that \(source.name) cannot write"
            )
        }
        lab.guests[number].fence = proof
        marks.reach(.hostFenced)
    }

    /// Rules that are never given up, and the memory of the host.
    func checkPlace(of guest: Int, on machine: Int, _ lab: GuestLab) {
        let name = machines[machine].name
        for rule in plan.rules where rule.workloads.contains(lab.guests[guest].name) {
            switch rule.form {
            case .hosts(let hosts, strict: true) where !hosts.contains(where: { $0.host == name }):
                violate("strictRule", "\(lab.guests[guest].name) is started on \(name), which a strict rule forbids")
            case .apart where !lab.isEdited:
                let others = lab.guests.indices.filter {
                    $0 != guest && rule.workloads.contains(lab.guests[$0].name) && lab.guests[$0].isDeclared
                }
                for other in others
                where lab.guests[other].working(on: machine).contains(where: { !$0.isFenced && !$0.isAstray })
                    && lab.guests[other].desired != "ignored" && !isLeaving(other, machine, lab)
                {
                    violate(
                        "strictRule",
                        "\(lab.guests[guest].name) is started on \(name), beside \(lab.guests[other].name)")
                }
            case .hosts, .together, .apart: break
            }
        }
        guard !lab.isEdited, !plan.policy.overcommitsMemory else { return }
        // Of what came by a move that failed nobody knows before its host has looked twice.
        let used = lab.guests.filter { guest in guest.working(on: machine).contains { !$0.isAstray } }
            .reduce(0) { $0 + $1.memory }
        if used > machines[machine].plan.memory {
            violate("overcommitted", "\(lab.guests[guest].name) is started on \(name), which has no memory for it")
        }
    }

    /// Whether somebody is moving it away from there by an order.
    private func isLeaving(_ guest: Int, _ machine: Int, _ lab: GuestLab) -> Bool {
        lab.steps.values.contains { step in
            guard step.guest == guest, step.machine == machine else { return false }
            switch step.work {
            case .order(.migrate, _, _), .order(.stop, _, _), .order(.destroy, _, _), .handMove: return true
            default: return false
            }
        }
    }
}
