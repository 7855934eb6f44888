// What people and accidents do to workloads: by command, and behind the cluster's back.

import Agent
import Cluster
import Consensus
import Decisions
import Kinds

extension World {
    func befall(_ happening: Happening) {
        guard let lab else { return }
        switch happening {
        case .handMove(let name, let host): handMove(name, host, lab)
        case .handStart(let name): handStart(name, lab)
        case .handStop(let name): with(name, lab) { endGuest($0, isLoss: false, lab) }
        case .hang(let name):
            with(name, lab) { guest in
                for position in lab.guests[guest].instances.indices {
                    lab.guests[guest].instances[position].isHung = true
                }
            }
        case .crash(let name): with(name, lab) { endGuest($0, isLoss: true, lab) }
        case .failAPI(let name, let time):
            if let machine = machine(named: name) { lab.hosts[machine.index].silentUntil = now + time }
        case .unknownOutcome(let name):
            if let machine = machine(named: name) { lab.hosts[machine.index].nextIsUnknown = true }
        case .lock(let name):
            with(name, lab) { guest in
                lab.guests[guest].lock = "backup"
                lab.guests[guest].backup = lab.guests[guest].config.map {
                    (machine: $0, boot: lab.hosts[$0].boot)
                }
            }
        case .unlock(let name): with(name, lab) { endBackup(of: $0, lab) }
        case .failMove(let name, let failure): with(name, lab) { lab.guests[$0].lateFailure = failure }
        case .expireBlocklist: expireBlocklist()
        case .pauseWorkload(let name, let time): with(name, lab) { pause($0, for: time, lab) }
        case .lateWatchdog(let name, let time):
            if let machine = machine(named: name) { lab.hosts[machine.index].watchdog.lateness = time }
        case .breakWatchdog(let name, let time):
            if let machine = machine(named: name) { breakWatchdog(of: machine, for: time, lab) }
        case .fireWatchdog(let name):
            if let machine = machine(named: name) { reset(machine, "its watchdog fired without cause") }
        case .expectGuest(let name, let hosts): with(name, lab) { expectGuest($0, hosts, lab) }
        default: command(happening, lab)
        }
    }

    private func with(_ name: String, _ lab: GuestLab, _ body: (Int) -> Void) {
        guard let number = lab.index(named: name) else { return violate("badPlan", "there is no workload \(name)") }
        body(number)
    }

    /// One that ended with its machine leaves the lock behind for good.
    private func endBackup(of guest: Int, _ lab: GuestLab) {
        if lab.guests[guest].lock == "backup", isWorkedOn(guest, lab) { lab.guests[guest].lock = nil }
    }

    private func endGuest(_ guest: Int, isLoss: Bool, _ lab: GuestLab) {
        for machine in lab.guests[guest].instances.map(\.machine) {
            endAll(guest, on: machine, isLoss: isLoss, lab)
        }
    }

    /// A guest that is held still keeps its disks open. The agent inside it stands still with it.
    private func pause(_ guest: Int, for time: Int64, _ lab: GuestLab) {
        for position in lab.guests[guest].instances.indices {
            lab.guests[guest].instances[position].pausedUntil = now + time
        }
        if let inside = machines.first(where: { $0.plan.workload == lab.guests[guest].name }) {
            perform(.pauseGuest(inside.name, time))
        }
    }

    private func handMove(_ name: String, _ host: String, _ lab: GuestLab) {
        with(name, lab) { guest in
            guard let target = machine(named: host)?.index, let source = lab.guests[guest].config, source != target,
                machines[source].isPowered, lab.guests[guest].lock == nil, !isStarting(guest, lab)
            else { return tell("nothing to move by hand") }
            lab.guests[guest].lock = "migrate"
            let number = lab.number()
            lab.steps[number] = GuestStepState(
                work: .handMove(to: target), guest: guest, machine: source, boot: lab.hosts[source].boot, stage: 1)
            let runs = lab.guests[guest].serving != nil
            again(number, after: runs ? lab.draws.number(lab.conditions.migration) : 500_000_000)
        }
    }

    private func handStart(_ name: String, _ lab: GuestLab) {
        with(name, lab) { guest in
            guard let host = lab.guests[guest].config, machines[host].isPowered else { return }
            let number = lab.number()
            lab.steps[number] = GuestStepState(
                work: .handStart, guest: guest, machine: host, boot: lab.hosts[host].boot)
            again(number, after: 100_000_000)
        }
    }

    // MARK: By command

    private func command(_ happening: Happening, _ lab: GuestLab) {
        switch happening {
        case .drain(let host, let isDraining): ask(.drain(host, isDraining), happening)
        case .rebootHost(let host, let isForced):
            if let machine = machine(named: host) { askToRestart(machine, isForced: isForced, happening) }
        case .cancelReboot(let host): ask(.cancelRestart(host), happening)
        case .disarm(let time): ask(.disarm(milliseconds: time.map { $0 / 1_000_000 }), happening)
        case .moveWorkload(let name, let host, let live):
            with(name, lab) { ask(.steer(lab.guests[$0].guest.workload, .move(to: host, live: live)), happening) }
        case .confirmOff(let host):
            if let machine = machine(named: host), !machine.isPowered { lab.hosts[machine.index].isProvenOff = true }
            ask(.fenceByWord(host), happening)
        case .setWorkload(let name, let desired):
            with(name, lab) { guest in
                lab.guests[guest].desired = desired
                if desired != "running" { isUp(guest, lab) }
                declare(guest, happening, lab)
            }
        case .load(let name, let cores, let memory):
            with(name, lab) { guest in
                lab.guests[guest].cores = cores ?? lab.guests[guest].cores
                lab.guests[guest].memory = memory ?? lab.guests[guest].memory
                declare(guest, happening, lab)
            }
        case .addWorkload(let workload):
            with(workload.name, lab) { guest in
                let old = lab.guests[guest]
                lab.guests[guest].workload = workload
                lab.guests[guest].desired = workload.desired
                lab.guests[guest].memory = workload.memory
                lab.guests[guest].cores = workload.cores
                lab.guests[guest].isKnown = true
                // Somebody who makes it anew on another host finds it gone there, and not in the middle of a task.
                if old.config == nil
                    || old.instances.isEmpty && !lab.steps.values.contains(where: { $0.guest == guest })
                {
                    lab.guests[guest].config = machine(named: workload.host)?.index
                }
                declare(guest, happening, lab)
            }
        case .deleteWorkload(let name):
            with(name, lab) { guest in
                lab.guests[guest].isDeclared = false
                lab.guests[guest].isKnown = false
                isUp(guest, lab)
                send(
                    .delete(keys: [lab.guests[guest].guest.workload], checkRevision: nil), for: happening,
                    at: anyMember)
            }
        default: break
        }
    }

    private func ask(_ command: WorkloadCommand, _ happening: Happening) {
        send(.workload(command), for: happening, at: anyMember)
    }

    private func declare(_ guest: Int, _ happening: Happening, _ lab: GuestLab) {
        lab.guests[guest].isDeclared = true
        send(
            .apply(declarations: [declaration(of: lab.guests[guest])], checkRevision: nil), for: happening,
            at: anyMember)
    }

    // MARK: Declarations

    /// Everything about workloads that is declared before the plan begins.
    func labDeclarations() -> [Declaration] {
        guard let lab else { return [] }
        var storages = [plan.storage]
        for workload in lab.guests.filter(\.isKnown).compactMap(\.workload.storage) where !storages.contains(workload) {
            storages.append(workload)
        }
        var all = storages.map { storage in
            let type =
                switch storage {
                case .ceph: "cephRbd"
                case .shared: "shared"
                case .local: "local"
                }
            return Declaration(kind: "StoragePool", name: pool(of: storage), spec: ["type": .string(type)])
        }
        var policy: SortedMap<String, JSONValue> = [:]
        if let methods = plan.policy.methods {
            policy["methods"] = .array(methods.map { .string($0) })
            if methods.contains("power") { policy["powerCommand"] = ["/usr/bin/ipmi-off", "{host}"] }
        }
        if let after = plan.policy.after { policy["after"] = .string("\(after / 1_000_000)ms") }
        all.append(Declaration(kind: "FencePolicy", name: "default", spec: .object(policy)))
        for number in lab.guests.indices where lab.guests[number].isKnown {
            lab.guests[number].isDeclared = true
            all.append(declaration(of: lab.guests[number]))
        }
        for (number, rule) in plan.rules.enumerated() { all.append(declaration(of: rule, number)) }
        return all
    }

    /// `disks` for the storage of all; that of a workload with one of its own is called after it.
    private func pool(of storage: Plan.Storage?) -> String {
        guard let storage, storage != plan.storage else { return "disks" }
        return "disks-\(storage.rawValue)"
    }

    private func declaration(of guest: GuestTruth) -> Declaration {
        let workload = guest.workload
        var spec: SortedMap<String, JSONValue> = [
            "proxmox": [
                "vmid": .int(workload.vmid), "cores": .int(guest.cores),
                "memory": .string(ByteSize.text(guest.memory)),
            ],
            "disks": [
                [
                    "name": .string(workload.isContainer ? "rootfs" : "scsi0"),
                    "pool": .string(pool(of: workload.storage)),
                ]
            ],
            "desired": .string(guest.desired),
        ]
        if let live = workload.isLive, !workload.isContainer { spec["live"] = .bool(live) }
        if let grace = workload.health {
            spec["health"] = [
                "tcp": .string("127.0.0.1:\(workload.vmid)"), "grace": .string("\(grace / 1_000_000)ms"),
            ]
        }
        var placement: SortedMap<String, JSONValue> = [:]
        if let failback = workload.failback { placement["failback"] = .string(failback ? "always" : "never") }
        if !placement.isEmpty { spec["placement"] = .object(placement) }
        var budget: SortedMap<String, JSONValue> = [:]
        if let restarts = workload.restarts { budget["restarts"] = .int(restarts) }
        if let moves = workload.moves { budget["moves"] = .int(moves) }
        if !budget.isEmpty { spec["recovery"] = ["budget": .object(budget)] }
        if let word = plan.policy.onHostShutdown { spec["onHostShutdown"] = .string(word) }
        return Declaration(kind: workload.key.kind, name: workload.key.name, spec: .object(spec))
    }

    private func declaration(of rule: Plan.Rule, _ number: Int) -> Declaration {
        let workloads = rule.workloads.map { name -> JSONValue in
            let key = Plan.Workload(name: name, host: "").key
            return .string("\(key.kind)/\(key.name)")
        }
        var spec: SortedMap<String, JSONValue> = ["workloads": .array(workloads)]
        switch rule.form {
        case .hosts(let hosts, let strict):
            spec["hosts"] = .array(hosts.map { ["host": .string($0.host), "priority": .int($0.priority)] })
            spec["strict"] = .bool(strict)
        case .together: spec["affinity"] = "together"
        case .apart: spec["affinity"] = "apart"
        }
        return Declaration(kind: "PlacementRule", name: "rule-\(number + 1)", spec: .object(spec))
    }
}

extension World {
    // MARK: Shutting down

    /// A host goes down in order: its agent first, which may take its time to give guests away, then what is left of the
    /// guests, then the power.
    func shutDownHost(_ machine: Machine, thenBoot: Bool) {
        guard let lab, machine.isPowered, !machine.isGoingDown else { return }
        machine.isGoingDown = true
        for guest in machines where guest.hostIndex == machine.index && !isCarried(guest) {
            guest.isGoingDown = true
            askToStop(guest)
        }
        queue.push(
            .shutdownStep(
                machine: machine.index, boot: lab.hosts[machine.index].boot, since: now, isStopping: false,
                thenBoot: thenBoot), at: now + 200_000_000)
        if machine.process != nil { turn(machine, .hostStops(thenBoot ? .reboot : .powerOff)) }
    }

    /// As the API of that host does it: refused when it may not be.
    private func askToRestart(_ machine: Machine, isForced: Bool, _ happening: Happening) {
        guard let core = machine.process?.core else { return tell("\(machine.name) cannot be asked to restart") }
        let obstacles = RestartDecisions.obstacles(
            toRestarting: machine.name, state: core.state, configuration: core.raft.configuration)
        guard obstacles.isEmpty || isForced else {
            return tell("\(machine.name) is not restarted: \(obstacles.joined(separator: "; "))")
        }
        ask(.orderRestart(machine.name, isForced: isForced), happening)
    }

    /// The agent has let go of everything and has its machine restarted. The system ends it with everything else.
    func restartByOrder(_ machine: Machine) {
        guard runsGuests(machine) else { return violate("badOrder", "\(machine.name) is no host and restarts") }
        machine.restartsByOrder += 1
        let isForced = machine.process?.core.state.hosts[machine.name]?.restart?.isForced == true
        let others =
            isForced
            ? [] : machines.filter { $0 !== machine && runsGuests($0) && $0.restartsByOrder > $0.bootsAfterOrder }
        if let other = others.first {
            violate("restartedTogether", "\(machine.name) and \(other.name) restart by plan at the same time")
        }
        endProcess(machine)
        shutDownHost(machine, thenBoot: true)
    }

    func goOnShuttingDown(_ machine: Machine, boot: UInt64, since: Int64, isStopping: Bool, thenBoot: Bool) {
        guard let lab, machine.isPowered, machine.isGoingDown, lab.hosts[machine.index].boot == boot else { return }
        // The service manager's patience is long, but it ends.
        if machine.process != nil, now - since < 300_000_000_000 {
            return queue.push(
                .shutdownStep(
                    machine: machine.index, boot: boot, since: since, isStopping: false, thenBoot: thenBoot),
                at: now + 200_000_000)
        }
        let left = lab.guests.indices.filter { !lab.guests[$0].instances(on: machine.index).isEmpty }
        if !left.isEmpty, !isStopping {
            let hangs = left.contains { lab.guests[$0].workload.faults.stopFails }
            return queue.push(
                .shutdownStep(
                    machine: machine.index, boot: boot, since: since, isStopping: true, thenBoot: thenBoot),
                at: now + (hangs ? 60_000_000_000 : lab.draws.number(lab.conditions.stop)))
        }
        for guest in left { endAll(guest, on: machine.index, isLoss: true, lab) }
        endProcess(machine)
        powerOff(machine)
        if thenBoot || lab.isHealing {
            queue.push(.laterPowerOn(machine: machine.index), at: now + 2_000_000_000)
        }
    }

    /// What was done behind the cluster's back is undone.
    func healLab() {
        guard let lab else { return }
        lab.isHealing = true
        for guest in lab.guests.indices {
            endBackup(of: guest, lab)
            lab.guests[guest].lateFailure = nil
        }
        for index in lab.hosts.indices {
            lab.hosts[index].silentUntil = .min
            lab.hosts[index].nextIsUnknown = false
            lab.hosts[index].watchdog.lateness = 0
        }
        if machines.contains(where: { $0.process?.core.state.disarmed != nil }) { perform(.disarm(nil)) }
        // What somebody ordered in the midst of all that need not become possible.
        for machine in machines where runsGuests(machine) {
            let isOrdered = machines.contains { $0.process?.core.state.hosts[machine.name]?.restart?.hasBegun == false }
            if isOrdered { perform(.cancelReboot(machine.name)) }
        }
        machineIsWired()
    }
}
