// Everything that can befall the lab, carried out.

import Agent
import Cluster
import Consensus

extension World {
    func perform(_ happening: Happening) {
        note(14, outside, 0)
        tell("— \(happening) —")
        switch happening {
        case .powerOn(let name): with(name) { powerOn($0) }
        case .powerOff(let name): with(name) { isCarried($0) ? endCarried($0) : powerOff($0) }
        case .shutdown(let name): with(name) { shutDown($0, thenBoot: false) }
        case .reboot(let name): with(name) { shutDown($0, thenBoot: true) }
        case .stopAgent(let name): with(name) { stopAgent($0) }
        case .startAgent(let name):
            with(name) { machine in
                machine.wantsAgent = true
                if machine.hasJoined { startProcess(machine) }
            }
        case .killAgent(let name):
            with(name) { machine in
                machine.wantsAgent = false
                endProcess(machine)
                watchAll()
            }
        case .pauseAgent(let name, let time): with(name) { pause($0, for: time) }
        case .pauseGuest(let name, let time): with(name) { freeze($0, for: time) }
        case .unhealthy(let name, let time):
            with(name) { machine in
                machine.unwellUntil = max(machine.unwellUntil, now + time)
                lookAtHealthLater(machine, at: now)
                lookAtHealthLater(machine, at: machine.unwellUntil)
            }
        case .starve(let name, let time):
            with(name) { machine in
                machine.callLatency = Kernel.starvedLatency
                queue.push(.usualLatency(machine: machine.index), at: now + time)
            }
        case .version(let name, let version):
            with(name) { machine in
                machine.version = version
                marks.reach(.versionChanged)
                guard machine.process != nil else { return }
                endProcess(machine)
                queue.push(.startAgent(machine: machine.index, life: machine.life), at: now + 300_000_000)
            }
        case .stallDisk(let name, let time):
            with(name) { machine in
                machine.disk.condition = .stalled
                if machine.process?.core.raft.isLeader == true { marks.reach(.leaderDiskStalled) }
                queue.push(.freeDisk(machine: machine.index), at: now + time)
            }
        case .slowDisk(let name, let time):
            with(name) { machine in
                machine.diskLatency = 20_000_000...120_000_000
                queue.push(.usualDisk(machine: machine.index), at: now + time)
            }
        case .fillDisk(let name): with(name) { spoil($0, .full) }
        case .failDisk(let name): with(name) { spoil($0, .failing) }
        case .mendDisk(let name): with(name) { mend($0) }
        case .corruptLog(let name): with(name) { $0.disk.damage = .middle }
        case .wipeDisk(let name): with(name) { $0.disk.damage = .everything }
        case .saveDisk(let name): with(name) { $0.diskImage = $0.disk.image }
        case .rollbackDisk(let name): with(name) { rollBackDisk(of: $0) }
        case .corruptSnapshot(let name):
            with(name) {
                if !$0.disk.loseNewestSnapshot() { tell("\($0.name) has no second snapshot: nothing happens") }
            }
        case .stepClock(let name, let time): with(name) { step($0, by: time) }
        case .driftClock(let name, let rate):
            with(name) { machine in
                machine.clock.drift(rate, at: now)
                scheduleWake(machine)
                watchAll()
            }
        case .isolate, .rejoin, .cut, .heal, .healAll, .loss, .copies, .late, .delay: rewire(happening)
        case .join, .remove, .move, .transferLeadership, .redeclare, .delete, .tryOut, .rollBack, .retime:
            ask(happening)
        case .expectHolder(let address, let wanted): expectHolder(of: address, wanted)
        case .expectLeader(let wanted): expectLeader(wanted)
        default: befall(happening)
        }
    }

    private func with(_ name: String, _ body: (Machine) -> Void) {
        // Plans are checked before they run; a name that is missing here is a mistake of the generator.
        guard let machine = machine(named: name) else { return violate("badPlan", "there is no machine \(name)") }
        body(machine)
    }

    private func step(_ machine: Machine, by time: Int64) {
        machine.clock.wallOffset += time
        marks.reach(.clockStepped)
        reconsiderCertificates()
    }

    // MARK: Power

    func powerOff(_ machine: Machine) {
        powerChanges += 1
        for each in domain(of: machine) {
            each.bootTicket = 0
            each.isGoingDown = false
            guard each.isPowered else { continue }
            each.isPowered = false
            endProcess(each)
            each.life += 1
            each.kernel = Kernel()
            if each.isFrozen { each.clock.goOn(at: now) }
        }
        tell("\(machine.name) loses power")
        watchAll()
        if lab != nil {
            guestsLosePower(on: machine)
            machineIsWired()
        }
        if machines.allSatisfy({ !$0.isPowered }) { marks.reach(.allMachinesDown) }
    }

    func powerOn(_ machine: Machine) {
        guard !machine.isPowered, machine.bootTicket == 0, !isCarried(machine) || isCarriedNow(machine) else { return }
        if let host = machine.hostIndex, !machines[host].isPowered { return }
        let after = machine.plan.kind == .guest ? plan.conditions.guestBoot : plan.conditions.hostBoot
        powerChanges += 1
        machine.bootTicket = powerChanges
        queue.push(.boot(machine: machine.index, power: powerChanges), at: now + machine.draws.number(after))
    }

    /// The machine is up: its clocks count from a new origin, its agent starts, its guests boot.
    func boot(_ machine: Machine, power: UInt64) {
        guard machine.bootTicket == power else { return }
        if let host = machine.hostIndex, !machines[host].isPowered { return }
        note(15, machine.index, 0)
        machine.bootTicket = 0
        machine.isPowered = true
        let origin: Int64 = machine.draws.number(1_000_000_000...30_000_000_000)
        // The wall clock has gone on.
        let wall = machine.clock.reading(at: now).nanoseconds + machine.clock.wallOffset
        machine.clock = MachineClock(
            origin: origin, partsPerMillion: machine.clock.partsPerMillion, wallOffset: wall - origin, now: now)
        tell("\(machine.name) is up")
        if machine.hasJoined { startProcess(machine) }
        guestsGetPower(on: machine)
        for guest in machines where guest.hostIndex == machine.index && !isCarried(guest) { powerOn(guest) }
    }

    /// Whether an agent's machine is one of the workloads, which start and end on their own.
    func isCarried(_ machine: Machine) -> Bool { lab != nil && !machine.plan.workload.isEmpty }

    private func shutDown(_ machine: Machine, thenBoot: Bool) {
        if lab != nil, runsGuests(machine) { return shutDownHost(machine, thenBoot: thenBoot) }
        for each in domain(of: machine) {
            each.isGoingDown = true
            askToStop(each)
        }
        // An operating system gives its services a bounded time.
        queue.push(.powerOff(machine: machine.index), at: now + 10_000_000_000)
        if thenBoot { queue.push(.laterPowerOn(machine: machine.index), at: now + 12_000_000_000) }
    }

    // MARK: Processes

    private func stopAgent(_ machine: Machine) {
        machine.wantsAgent = false
        askToStop(machine)
    }

    func askToStop(_ machine: Machine) {
        guard machine.process != nil, machine.process?.isStopping == false else { return }
        machine.process!.isStopping = true
        turn(machine, .stop)
    }

    private func pause(_ machine: Machine, for time: Int64) {
        guard machine.process != nil, machine.process?.isPaused == false else { return }
        machine.process!.isPaused = true
        wakes[machine.index] = .max
        marks.reach(.agentResumed)
        queue.push(.resumeAgent(machine: machine.index, life: machine.life), at: now + time)
    }

    private func freeze(_ machine: Machine, for time: Int64) {
        guard machine.isPowered, !machine.isFrozen else { return }
        machine.clock.stop(at: now)
        endConnections(of: machine)
        wakes[machine.index] = .max
        watchAll()
        queue.push(.resumeGuest(machine: machine.index), at: now + time)
    }

    func resumeGuest(_ machine: Machine) {
        guard machine.isPowered, machine.isFrozen else { return }
        note(16, machine.index, 0)
        tell("\(machine.name) goes on where it stood")
        marks.reach(.guestResumed)
        machine.clock.goOn(at: now)
        // What failover.md concedes: one lease after a resume; of the lengths that are in force, or still in the kernel.
        let reading = machine.reading(at: now)
        var lease = (machine.process?.core.raft.timing ?? plan.timing).memberLease
        for element in machine.kernel.speaking.values { lease = max(lease, element.until - reading) }
        machine.concededUntil = now + lease.nanoseconds * 11 / 10
        if machine.diskBusyUntil != nil {
            machine.diskBusyUntil = nil
            serveDisk(machine)
        }
        watchAll()
        takeUpBacklog(machine)
    }

    // MARK: Health

    /// A check notices after a few probes in a row.
    func lookAtHealthLater(_ machine: Machine, at time: Int64) {
        queue.push(.checkHealth(machine: machine.index), at: time + machine.draws.number(100_000_000...2_000_000_000))
    }

    /// Tells the agent what its checks find now, if that is news.
    func checkHealth(_ machine: Machine) {
        guard let process = machine.process, !process.health.isEmpty else { return }
        guard !process.isPaused, !machine.isFrozen else {
            // The checks stand still with it.
            queue.push(.checkHealth(machine: machine.index), at: now + 1_000_000_000)
            return
        }
        for role in process.health.keys {
            let isWell = machine.unwellUntil <= now && !machine.plan.unwell.contains(role)
            let found = isWell ? Machine.Health.well : .unwell
            guard process.health[role] != found else { continue }
            guard machine.process === process else { return }
            process.health[role] = found
            note(18, machine.index, found == .well ? 1 : 0)
            let detail = found == .well ? "connected" : "connection refused"
            turn(machine, .report(.health(role: role, healthy: found == .well, detail: detail)))
        }
    }

    // MARK: Disks

    private func spoil(_ machine: Machine, _ condition: LogDiskModel.Condition) {
        machine.disk.condition = condition
        marks.reach(.agentFailedOnDisk)
    }

    /// The machine is set back to the image of its disk, and starts from that.
    private func rollBackDisk(of machine: Machine) {
        endProcess(machine)
        watchAll()
        machine.disk = machine.diskImage
        queue.push(.startAgent(machine: machine.index, life: machine.life), at: now + 5_000_000_000)
    }

    func mend(_ machine: Machine) {
        machine.disk.condition = .well
        if machine.process != nil { serveDisk(machine) } else if machine.hasJoined { startProcess(machine) }
    }

    // MARK: Wires

    private func rewire(_ happening: Happening) {
        switch happening {
        case .isolate(let name): with(name) { unplug($0, true) }
        case .rejoin(let name): with(name) { unplug($0, false) }
        case .cut(let from, let to, let oneWay):
            between(from, to) { wires.cut(from: $0, to: $1) }
            if !oneWay { between(to, from) { wires.cut(from: $0, to: $1) } }
        case .heal(let from, let to):
            between(from, to) { wires.mend(from: $0, to: $1) }
            between(to, from) { wires.mend(from: $0, to: $1) }
        case .healAll: wires.mendEverything()
        case .loss(let from, let to, let chance): change(from, to) { $0.loss = chance }
        case .copies(let from, let to, let chance): change(from, to) { $0.copy = chance }
        case .late(let from, let to, let chance): change(from, to) { $0.late = chance }
        case .delay(let from, let to, let time): change(from, to) { $0.delay = time...(time + time / 4 + 50_000) }
        default: break
        }
        endCutConnections()
        if lab != nil { machineIsWired() }
    }

    /// The cable of a machine: what runs on it goes on talking to each other.
    private func unplug(_ machine: Machine, _ out: Bool) {
        let inside = domain(of: machine).map(\.index)
        for index in inside {
            for other in 0...outside where !inside.contains(other) {
                if out {
                    wires.cut(from: index, to: other)
                    wires.cut(from: other, to: index)
                } else {
                    wires.mend(from: index, to: other)
                    wires.mend(from: other, to: index)
                }
            }
        }
    }

    private func between(_ from: String, _ to: String, _ body: (Int, Int) -> Void) {
        with(from) { left in with(to) { right in body(left.index, right.index) } }
    }

    private func change(_ from: String, _ to: String, _ change: (inout Wires.Quality) -> Void) {
        between(from, to) { wires.change(from: $0, to: $1, change) }
        between(to, from) { wires.change(from: $0, to: $1, change) }
    }
}
