// What workloads come to: whether everything that should run does, what a scenario expects, and the result.

import Cluster
import Consensus
import Kinds

extension World {
    // MARK: Looking now and then

    func labTick() {
        guard let lab, now - planBegan < plan.length + (plan.healsWithin ?? 0) + 10_000_000_000 else { return }
        queue.push(.labTick, at: now + 500_000_000)
        checkBars(lab)
        for guest in lab.guests.indices {
            guard lab.guests[guest].lostAt != nil else { continue }
            // Waiting counts only while there is a host that could run it.
            if couldRun(guest, lab) {
                if lab.guests[guest].waitsSince == nil { lab.guests[guest].waitsSince = now }
            } else {
                lab.guests[guest].waitsSince = nil
            }
        }
    }

    /// An entry that no open fence knows of bars a machine for years, and nobody takes it away. What is on its way may be about
    /// to change that.
    private func checkBars(_ lab: GuestLab) {
        guard lab.fences.isEmpty, let core = machines.first(where: { leads($0) })?.process?.core,
            core.applied == core.raft.commitIndex
        else { return }
        for machine in machines where runsGuests(machine) {
            let address = lab.address(of: machine.index)
            guard lab.ceph.refuses(address), !core.state.leftFences.contains(address),
                core.state.hosts[machine.name]?.fence.isNone ?? true
            else { continue }
            return violate(
                "barred", "Ceph refuses \(address) (\(machine.name)), and no fence is open that could be lifted")
        }
    }

    /// Whether some host could run a guest, as far as power, quorum, wires, rules and memory go.
    func couldRun(_ guest: Int, _ lab: GuestLab) -> Bool {
        guard let leader = machines.first(where: { $0.process?.core.raft.isLeader == true && leads($0) }) else {
            return false
        }
        return machines.contains { mayRun(guest, on: $0, leader, lab) }
    }

    private func mayRun(_ guest: Int, on machine: Machine, _ leader: Machine, _ lab: GuestLab) -> Bool {
        guard runsGuests(machine), machine.isPowered, let process = machine.process, !process.isPaused,
            machine === leader
                || isReachable(from: machine.index, to: leader.index)
                    && isReachable(from: leader.index, to: machine.index),
            let head = leader.process?.core.state, let host = head.hosts[machine.name], host.fence.isNone,
            !host.isDraining, !isWorkedOn(guest, lab), head.disarmed == nil
        else { return false }
        let truth = lab.guests[guest]
        if lab.storage(of: guest) == .local, truth.config != machine.index { return false }
        if !truth.workload.faults.onlyOn.isEmpty, truth.workload.faults.onlyOn != machine.name { return false }
        for rule in plan.rules where rule.workloads.contains(truth.name) {
            switch rule.form {
            case .hosts(let hosts, strict: true) where !hosts.contains(where: { $0.host == machine.name }): return false
            case .apart:
                if lab.guests.contains(where: {
                    $0.name != truth.name && rule.workloads.contains($0.name) && $0.serving?.machine == machine.index
                }) {
                    return false
                }
            case .together:
                // Where the others are, if they are anywhere.
                let others = lab.guests.filter { $0.name != truth.name && rule.workloads.contains($0.name) }
                let places = others.compactMap { $0.serving?.machine }
                if !places.isEmpty, !places.contains(machine.index) { return false }
            default: break
            }
        }
        let used = lab.guests.filter { $0.name != truth.name && !$0.working(on: machine.index).isEmpty }
            .reduce(0) { $0 + $1.memory }
        return used + truth.memory <= machine.plan.memory
    }

    // MARK: Convergence

    /// What of the workloads is not as it should be when all faults are over; nil: everything is.
    func unfinishedWorkload(_ state: ClusterState) -> String? {
        guard let lab else { return nil }
        for machine in machines where runsGuests(machine) && machine.hasJoined {
            guard let host = state.hosts[machine.name] else { return "\(machine.name) has not said what it is" }
            if !host.fence.isNone { return "\(machine.name) is still fenced" }
        }
        for number in lab.guests.indices where lab.guests[number].isDeclared {
            if let words = unfinished(lab.guests[number], number, state, lab) { return words }
        }
        return nil
    }

    private func unfinished(_ guest: GuestTruth, _ number: Int, _ state: ClusterState, _ lab: GuestLab) -> String? {
        guard let placement = state.placements[guest.guest.workload] else {
            // A person's command may never have got through.
            return nil
        }
        let wanted = wantsRunning(guest, placement, state)
        // What is to be left alone is left as a move that was under way has left it; two that write are two all the same.
        let working = guest.instances.filter { wanted == nil ? $0.canWrite : $0.phase != .incoming }
        if working.count > 1 { return "there are \(working.count) processes of \(guest.name)" }
        if guest.lock == "backup", isWorkedOn(number, lab) { return nil }
        switch wanted {
        case true?:
            // Given up within its budget, with its reason: it is a person's turn.
            if hasFaults(guest) || placement.hasGivenUp { return nil }
            guard let instance = guest.serving else {
                return couldRun(number, lab) ? "\(guest.name) does not run (\(placement.obstacle))" : nil
            }
            guard placement.host == machines[instance.machine].name || guest.desired == "ignored" else {
                return
                    "\(guest.name) runs on \(machines[instance.machine].name), and belongs on \(placement.host ?? "no host")"
            }
            if case .moving = placement.phase { return "\(guest.name) is still being moved" }
        case false?: if !working.isEmpty { return "\(guest.name) still runs" }
        case nil: break
        }
        return nil
    }

    private func hasFaults(_ guest: GuestTruth) -> Bool {
        let faults = guest.workload.faults
        return faults.startFails > 0 || faults.migrateFails > 0 || !faults.onlyOn.isEmpty
    }

    /// As the cluster was told, which may be less than people have tried to tell it.
    private func wantsRunning(_ guest: GuestTruth, _ placement: Placement, _ state: ClusterState) -> Bool? {
        if let wanted = placement.wanted { return wanted }
        switch state.resources[guest.guest.workload]?.declaration.spec["desired"] {
        case .string("ignored")?: return nil
        case .string("stopped")?: return false
        default: return true
        }
    }

    // MARK: Expectations

    func checkLabExpectations() {
        guard let lab else { return }
        for (name, wanted) in plan.expect.workloads.pairs {
            guard let number = lab.index(named: name) else { continue }
            let found = found(number, lab)
            if let states = wanted.states, !states.contains(found.state) {
                violate(
                    "expectation",
                    "\(name) is \(found.state), expected \(states.joined(separator: " or ")); \(found.reason)")
            }
            if let hosts = wanted.hosts, !(found.host.map(hosts.contains) ?? false) {
                violate(
                    "expectation",
                    "\(name) is on \(found.host ?? "no host"), expected \(hosts.joined(separator: " or ")); \(found.reason)"
                )
            }
            if let reason = wanted.reason, !found.reason.contains(reason) {
                violate("expectation", "\(name) says \"\(found.reason)\", expected something with \"\(reason)\"")
            }
            if let starts = wanted.starts, starts != Int64(found.starts) {
                violate("expectation", "\(name) was started \(found.starts) times, expected \(starts)")
            }
        }
        let reset = lab.resets.map(\.host)
        if let hosts = plan.expect.resets,
            !hosts.allSatisfy(reset.contains) || !reset.allSatisfy(hosts.contains)
        {
            violate("expectation", "reset were \(reset), expected \(hosts)")
        }
        let restarted = machines.filter { $0.bootsAfterOrder > 0 }.map(\.name)
        if let hosts = plan.expect.restarts,
            !hosts.allSatisfy(restarted.contains) || !restarted.allSatisfy(hosts.contains)
        {
            violate("expectation", "restarted by order were \(restarted), expected \(hosts)")
        }
        for guest in lab.guests where guest.isDeclared {
            let bound = plan.expect.recoveries[guest.name] ?? plan.expect.recoveredWithin
            let open = guest.waitsSince.map { now - $0 } ?? 0
            guard let bound, max(guest.longestWait, open) > bound else { continue }
            violate(
                "expectation",
                "\(guest.name) was down for \(TimeText.seconds(max(guest.longestWait, open))) s, allowed \(TimeText.length(bound))"
            )
        }
    }

    func expectGuest(_ guest: Int, _ hosts: [String], _ lab: GuestLab) {
        let host = lab.guests[guest].serving.map { machines[$0.machine].name }
        let fits = hosts.isEmpty ? host == nil : host.map(hosts.contains) ?? false
        if !fits {
            violate(
                "expectation",
                "\(lab.guests[guest].name) runs on \(host ?? "no host"), expected \(hosts.isEmpty ? "none" : hosts.joined(separator: " or "))"
            )
        }
    }

    // MARK: The result

    /// What is true of a workload now, and why, by the word of whoever knows most.
    func found(_ number: Int, _ lab: GuestLab) -> RunResult.Workload {
        let guest = lab.guests[number]
        let knowing = machines.filter { $0.process != nil }.max {
            ($0.process?.core.applied ?? .zero) < ($1.process?.core.applied ?? .zero)
        }
        let state = knowing?.process?.core.state
        let placement = state?.placements[guest.guest.workload]
        let host = guest.serving?.machine ?? guest.config
        var word = "stopped"
        if guest.serving != nil {
            word = placement?.isLeftUnwell == true ? "degraded" : "running"
        } else if guest.instances.contains(where: { $0.phase == .running }) {
            word = "stuck"
        } else if guest.config == nil {
            word = "absent"
        } else if placement?.hasGivenUp == true {
            word = "degraded"
        }
        var reason = placement?.obstacle ?? ""
        if reason.isEmpty { reason = placement?.reason ?? "" }
        return RunResult.Workload(
            state: word, host: host.map { machines[$0].name }, starts: guest.starts, moves: guest.moves,
            reason: reason)
    }

    func finishLab() {
        guard let lab else { return }
        for number in lab.guests.indices { result.workloads[lab.guests[number].name] = found(number, lab) }
        result.recoveries = lab.recoveries
        for guest in lab.guests {
            guard let lostAt = guest.lostAt else { continue }
            result.lost.append(
                RunResult.Lost(
                    workload: guest.name, lostAt: lostAt - planBegan, from: guest.lostFrom.map { machines[$0].name }))
        }
        result.resets = lab.resets
    }
}

extension Placement {
    /// Whether it is left for a person, who has to see to its health.
    var isLeftUnwell: Bool { isHealthy == false && obstacle.hasPrefix("its health check fails") }
    /// Whether it is left for a person: it does not start anywhere.
    var hasGivenUp: Bool { failures > 0 && obstacle.hasPrefix("it would not start") }
}
