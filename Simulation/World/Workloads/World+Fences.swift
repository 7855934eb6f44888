// Fences as they are carried out: Ceph's blocklist through the monitors that agree, power switches, watchdogs.

import Agent
import Cluster
import Consensus
import Kinds

extension World {
    // MARK: Orders

    func give(_ order: FenceOrder, by machine: Machine) {
        guard let lab else { return }
        queue.push(
            .fenceOrder(machine: machine.index, life: machine.life, order),
            at: now + lab.draws.number(1_000_000...5_000_000))
    }

    func take(_ order: FenceOrder, on machine: Machine, life: UInt64) {
        guard let lab, machine.life == life, let process = machine.process else { return }
        guard !process.isPaused, !machine.isFrozen else {
            process.driver.held.append(.fence(order))
            return
        }
        let number = lab.number()
        lab.fences[number] = FenceStepState(order: order, machine: machine.index, life: life)
        queue.push(.fenceStep(number), at: now + 5_000_000)
    }

    /// What the driver guarantees of its orders (FenceOrders.swift): one after another, begun in time or never, and gone
    /// with its process.
    private func isBegun(_ number: UInt64, _ step: FenceStepState, _ lab: GuestLab) -> Bool {
        if step.deadline != .max { return true }
        let machine = machines[step.machine]
        guard machine.life == step.life, let process = machine.process else {
            lab.fences[number] = nil
            return false
        }
        let isFirst = !lab.fences.pairs.contains { other, state in
            other < number && state.machine == step.machine && state.life == step.life
                && state.order.host == step.order.host
        }
        guard isFirst, !process.isPaused, !machine.isFrozen else {
            queue.push(.fenceStep(number), at: now + 50_000_000)
            return false
        }
        guard machine.reading(at: now) < step.order.until else {
            let words = "it could not be begun within \(FenceOrder.mostWait.milliseconds / 1_000) s"
            report(.failed(step.order, reason: words), of: number)
            return false
        }
        _ = lab.fences.update(number) { $0.deadline = now + 20_000_000_000 }
        return true
    }

    /// Asked once, just before it is begun.
    private func isWanted(_ number: UInt64, _ lab: GuestLab) -> Bool {
        guard let step = lab.fences[number], !step.isConfirmed else { return true }
        let machine = machines[step.machine]
        guard machine.life == step.life else {
            lab.fences[number] = nil
            return false
        }
        let order = step.order
        let claim: OrderClaim =
            if case .unblocklist(let host, let epoch, _, _) = order {
                .lift(host: host, epoch: epoch)
            } else {
                .fence(host: order.host, epoch: order.epoch, by: order.method)
            }
        switch confirm([claim], for: number, on: machine, lab) {
        case .waits: return false
        case .failed(let reason):
            report(.failed(order, reason: reason), of: number)
            return false
        case .holds:
            guard machine.reading(at: now) < order.until else {
                report(.failed(order, reason: "it could not be begun in time"), of: number)
                return false
            }
            _ = lab.fences.update(number) {
                $0.isConfirmed = true
                $0.deadline = now + 20_000_000_000
            }
            return true
        }
    }

    func goOnWithFence(_ number: UInt64) {
        guard let lab, let waiting = lab.fences[number] else { return }
        note(24, waiting.machine, number)
        guard isBegun(number, waiting, lab), isWanted(number, lab), let step = lab.fences[number] else { return }
        switch step.order {
        case .blocklist(let host, let epoch, let addresses, _):
            guard askMonitors(number, step, lab) else { return }
            lab.ceph.map += 1
            for address in addresses {
                if !lab.ceph.refuses(address) { lab.ceph.blocked.append(address) }
                if !lab.ceph.shutOut.contains(address) { lab.ceph.shutOut.append(address) }
                lab.ceph.epochs[address] = max(epoch, lab.ceph.epochs[address] ?? 0)
                keepOut(address, lab)
            }
            tell("Ceph refuses \(addresses.joined(separator: ", ")) (\(host)) from map \(lab.ceph.map) on")
            report(.fenced(step.order, proof: "blocklisted in OSD map \(lab.ceph.map)"), of: number)
        case .unblocklist(let host, let epoch, let addresses, _):
            guard askMonitors(number, step, lab) else { return }
            if let newer = addresses.compactMap({ lab.ceph.epochs[$0] }).max(), newer > epoch {
                return violate(
                    "fenceOpened", "an order of fence \(epoch) takes the entry of fence \(newer) of \(host) away")
            }
            lab.ceph.map += 1
            lab.ceph.blocked.removeAll { addresses.contains($0) }
            lab.ceph.shutOut.removeAll { addresses.contains($0) }
            marks.reach(.fenceLifted)
            tell("Ceph serves \(addresses.joined(separator: ", ")) (\(host)) again from map \(lab.ceph.map) on")
            report(.lifted(step.order), of: number)
        case .powerOff(let host, _, _, _): switchOff(number, step, host, lab)
        }
    }

    /// - Returns: whether the command is in force now; until then it is on its way.
    private func askMonitors(_ number: UInt64, _ step: FenceStepState, _ lab: GuestLab) -> Bool {
        let isLeft = machines[step.machine].isPowered
        guard isLeft, now < step.deadline else {
            let words = "no monitor of Ceph answers within 20 s; look at `ceph -s`"
            report(.failed(step.order, reason: words), of: number)
            return false
        }
        let answers = monitorsAnswer(step.machine, lab)
        if answers, step.isSent { return true }
        // Whoever asked died before the command left.
        if !step.isSent, machines[step.machine].life != step.life {
            lab.fences[number] = nil
            return false
        }
        _ = lab.fences.update(number) { $0.isSent = answers }
        queue.push(
            .fenceStep(number), at: now + (answers ? lab.draws.number(lab.conditions.proposal) : 100_000_000))
        return false
    }

    private func report(_ report: FenceReport, of number: UInt64) {
        guard let lab, let step = lab.fences[number] else { return }
        lab.fences[number] = nil
        guard machines[step.machine].life == step.life else { return }
        turn(machines[step.machine], .fence(report))
    }

    /// A switch that hangs on the same power as the machine dies with it.
    private func switchOff(_ number: UInt64, _ step: FenceStepState, _ host: String, _ lab: GuestLab) {
        guard step.isSent else {
            _ = lab.fences.update(number) { $0.isSent = true }
            queue.push(.fenceStep(number), at: now + lab.draws.number(1_000_000_000...3_000_000_000))
            return
        }
        guard let machine = machine(named: host), machine.isPowered else {
            return report(.failed(step.order, reason: "the power switch of \(host) does not answer"), of: number)
        }
        powerOff(machine)
        lab.hosts[machine.index].isProvenOff = true
        report(.fenced(step.order, proof: "its power is off, by its own switch"), of: number)
    }

    // MARK: Ceph

    /// Every client that the machine has open is shut out for as long as it lives.
    private func keepOut(_ address: String, _ lab: GuestLab) {
        for guest in lab.guests.indices {
            for position in lab.guests[guest].instances.indices {
                let instance = lab.guests[guest].instances[position]
                guard lab.storage(of: guest) == .ceph, lab.address(of: instance.machine) == address,
                    !instance.isFenced
                else { continue }
                lab.guests[guest].instances[position].isFenced = true
                if instance.phase == .running { isLost(guest, with: instance.machine, lab) }
            }
        }
    }

    func expireBlocklist() {
        guard let lab else { return }
        lab.ceph.blocked = []
        lab.ceph.map += 1
    }

    private func monitorsAnswer(_ machine: Int, _ lab: GuestLab) -> Bool {
        guard now >= lab.ceph.answersFrom else { return false }
        return lab.ceph.quorum.contains { isConnected(machine, $0) }
    }

    private func isConnected(_ one: Int, _ other: Int) -> Bool {
        machines[one].isPowered && machines[other].isPowered
            && (one == other || isReachable(from: one, to: other) && isReachable(from: other, to: one))
    }

    /// The largest set that can talk to one of them, with its members in order.
    private func island(of members: [Int]) -> [Int] {
        var best: [Int] = []
        for member in members where machines[member].isPowered {
            let all = members.filter { isConnected(member, $0) }
            // All of them with each other: who hears only some does not agree with them.
            let island = all.filter { each in all.allSatisfy { isConnected(each, $0) } }
            if island.count > best.count { best = island }
        }
        return best
    }

    // MARK: Who hears whom

    /// Power or wires have changed: monitors and Proxmox's own cluster look who is there.
    func machineIsWired() {
        guard let lab else { return }
        let island = island(of: lab.ceph.monitors)
        let quorum = island.count * 2 > lab.ceph.monitors.count ? island : []
        if quorum != lab.ceph.quorum {
            lab.ceph.quorum = quorum
            lab.ceph.answersFrom = now + lab.draws.number(lab.conditions.election)
        }
        for machine in machines where runsGuests(machine) {
            let hears = machines.contains {
                $0 !== machine && $0.plan.kind != .guest && isConnected(machine.index, $0.index)
            }
            if machine.isPowered, !hears {
                if lab.hosts[machine.index].cutSince == nil { lab.hosts[machine.index].cutSince = now }
            } else {
                lab.hosts[machine.index].cutSince = nil
            }
            reconsiderQuorum(of: machine, lab)
        }
    }

    private func reconsiderQuorum(of machine: Machine, _ lab: GuestLab) {
        guard machine.isPowered else { return }
        let hosts = machines.filter { runsGuests($0) && $0.hasJoined }.map(\.index)
        let part = hosts.filter { isConnected(machine.index, $0) }
        if lab.hosts[machine.index].heard.contains(where: { !part.contains($0) }) {
            lab.hosts[machine.index].pausedUntil = now + lab.conditions.corosync
        }
        lab.hosts[machine.index].heard = part
        let witness = lab.conditions.hasQDevice ? machines.first { $0.plan.kind == .witness } : nil
        var votes = part.count
        if let witness {
            // It votes for the largest part that it hears, and for the one with the first host among equals.
            let parts = hosts.filter { isConnected($0, witness.index) }.map { one in
                hosts.filter { isConnected(one, $0) }
            }
            let best = parts.max { ($0.count, -($0.first ?? 0)) < ($1.count, -($1.first ?? 0)) }
            if best?.contains(machine.index) == true { votes += 1 }
        }
        let all = hosts.count + (witness == nil ? 0 : 1)
        let isQuorate = votes * 2 > all
        if lab.hosts[machine.index].isLowered, part.count > lab.hosts[machine.index].loweredWith {
            lab.hosts[machine.index].isLowered = false
        }
        guard isQuorate != lab.hosts[machine.index].willBeQuorate else { return }
        lab.hosts[machine.index].willBeQuorate = isQuorate
        lab.hosts[machine.index].quorumTicket += 1
        queue.push(
            .quorumTurns(machine: machine.index, ticket: lab.hosts[machine.index].quorumTicket),
            at: now + (isQuorate ? lab.draws.number(1_000_000_000...2_000_000_000) : lab.conditions.corosync))
    }

    func quorumTurns(_ index: Int, ticket: UInt64) {
        guard let lab, lab.hosts[index].quorumTicket == ticket, machines[index].isPowered else { return }
        lab.hosts[index].isQuorate = lab.hosts[index].willBeQuorate
        tell("\(machines[index].name): Proxmox's own cluster has \(lab.hosts[index].isQuorate ? "" : "no ")quorum here")
    }

    func lowerVotes(_ index: Int, _ lab: GuestLab) {
        guard !lab.hosts[index].isQuorate else { return }
        for other in machines where runsGuests(other) && other.hasJoined && other.isPowered {
            let host = lab.hosts[other.index]
            // A machine on the other side that lives could do the same, and the cluster's file system would part in two.
            let isFenced =
                host.isProvenOff || host.watchdog.firesAtTrue != .min && host.watchdog.firesAtTrue <= now
                || lab.ceph.refuses(lab.address(of: other.index))
            if other.index != index, !isConnected(index, other.index), !isFenced {
                violate(
                    "votesLowered",
                    "\(machines[index].name) lowers its votes while \(other.name) lives and is not fenced")
            }
        }
        lab.hosts[index].isLowered = true
        lab.hosts[index].loweredWith =
            machines.filter {
                runsGuests($0) && $0.hasJoined && isConnected(index, $0.index)
            }.count
        marks.reach(.votesLowered)
        tell("\(machines[index].name): Proxmox expects one vote only")
    }

    // MARK: Watchdogs

    func take(_ order: WatchdogOrder, of machine: Machine) {
        guard let lab, lab.conditions.watchdog > 0 else { return }
        switch order {
        case .close:
            lab.hosts[machine.index].watchdog.firesAt = nil
            // Disarmed because its guests have ended without a lease: whoever waits for its time may still count on it.
            if machine.process?.core.view(now: machine.reading(at: now)).holdsLease == true {
                lab.hosts[machine.index].watchdog.firesAtTrue = .min
            }
        case .feed(let until, let timeout):
            guard until > machine.reading(at: now) else { return }
            var report = WatchdogReport(until: until)
            defer {
                queue.push(.watchdogAnswers(machine: machine.index, life: machine.life, report), at: now + 100_000)
            }
            guard lab.hosts[machine.index].watchdog.brokenUntil <= now else {
                report.failure = "feed the watchdog: Broken pipe; see systemctl status watchdog-mux"
                return
            }
            lab.hosts[machine.index].watchdog.firesAt = until + timeout
            lab.hosts[machine.index].watchdog.fedFor = timeout
            let due = machine.clock.trueTime(of: until + timeout)
            lab.hosts[machine.index].watchdog.firesAtTrue = due
            guard !lab.hosts[machine.index].watchdog.isScheduled else { return }
            lab.hosts[machine.index].watchdog.isScheduled = true
            queue.push(.watchdog(machine: machine.index), at: due)
        }
    }

    /// Whatever resets the machine has ended, and cannot be had again for a while. What was armed before may be counted on
    /// all the same, until the machine has found out: then its guests must have ended by the time it would have been reset.
    func breakWatchdog(of machine: Machine, for time: Int64, _ lab: GuestLab) {
        lab.hosts[machine.index].watchdog.brokenUntil = now + time
        lab.hosts[machine.index].watchdog.firesAt = nil
    }

    func watchdogLooks(_ machine: Machine) {
        guard let lab else { return }
        lab.hosts[machine.index].watchdog.isScheduled = false
        guard machine.isPowered, let firesAt = lab.hosts[machine.index].watchdog.firesAt else { return }
        let due = machine.clock.trueTime(of: firesAt) + lab.hosts[machine.index].watchdog.lateness
        guard due <= now else {
            lab.hosts[machine.index].watchdog.isScheduled = true
            return queue.push(.watchdog(machine: machine.index), at: due)
        }
        note(25, machine.index, 0)
        let timeout = lab.hosts[machine.index].watchdog.fedFor
        if let core = machine.process?.core, core.view(now: machine.reading(at: now)).holdsLease {
            violate("hostReset", "\(machine.name) is reset by its watchdog while it holds its lease")
        }
        reset(machine, "its watchdog was not fed for \(TimeText.length(timeout.nanoseconds)) after its lease")
    }

    func reset(_ machine: Machine, _ why: String) {
        guard let lab, machine.isPowered else { return }
        marks.reach(.watchdogFired)
        tell("\(machine.name) is reset: \(why)")
        saw(.reset(machine.name, why))
        lab.resets.append(RunResult.Reset(host: machine.name, at: now - planBegan, why: why))
        powerOff(machine)
        queue.push(.laterPowerOn(machine: machine.index), at: now + 1_000_000_000)
    }
}
