// Agents as processes: what wakes them, what they ask of the world, and what becomes of it.

import Agent
import Cluster
import Consensus
import Kinds

extension World {
    // MARK: Turns

    func turn(_ machine: Machine, _ event: AgentEvent) {
        guard let process = machine.process else { return }
        if process.isPaused || machine.isFrozen {
            if process.backlog.count < Machine.mostBacklog { process.backlog.append(event) }
            return
        }
        let reading = machine.reading(at: now)
        // Taken out while it is in use: what an effect leads to may be another turn.
        var effects: [AgentEffect] = []
        swap(&effects, &self.effects)
        process.core.handle(
            event, now: reading, wallMilliseconds: machine.clock.wallMilliseconds(of: reading), random: &machine.draws,
            into: &effects)
        finishTurn(of: machine, [event], &effects)
    }

    /// Several events at once, as a process finds them that stood still. While somebody listens, one by one.
    private func turn(_ machine: Machine, all events: [AgentEvent]) {
        if observer != nil, events.count > 1 {
            for event in events { turn(machine, event) }
            return
        }
        guard let process = machine.process else { return }
        let reading = machine.reading(at: now)
        var effects = process.core.handle(
            events, now: reading, wallMilliseconds: machine.clock.wallMilliseconds(of: reading), random: &machine.draws)
        finishTurn(of: machine, events, &effects)
    }

    private func finishTurn(
        of machine: Machine, _ events: @autoclosure () -> [AgentEvent], _ effects: inout [AgentEffect]
    ) {
        if observer != nil { observe(.turned(events(), effects), of: machine) }
        for effect in effects {
            perform(effect, of: machine)
            if machine.process == nil { return }
        }
        if !effects.isEmpty { effects.removeAll(keepingCapacity: true) }
        swap(&effects, &self.effects)
        lookAt(machine)
        scheduleWake(machine)
    }

    func scheduleWake(_ machine: Machine) {
        guard let process = machine.process, !process.isPaused, !machine.isFrozen else { return }
        let due = max(machine.clock.trueTime(of: process.core.nextDeadline), now + 1)
        if due < wakes[machine.index] { wakes[machine.index] = due }
    }

    private func perform(_ effect: AgentEffect, of machine: Machine) {
        switch effect {
        case .send(let frame): send(frame, from: machine)
        case .persist(let write):
            sawWrite(write, of: machine)
            machine.disk.submit(write)
            serveDisk(machine)
        case .takeSnapshot(let mark, let state): takeSnapshot(mark, state, of: machine)
        case .storeSnapshot(let snapshot): storeSnapshot(snapshot, of: machine)
        case .dropLog(let index): dropLog(through: index, of: machine)
        case .respond(let request, let response): respond(request, response, from: machine)
        case .address(let order):
            queue.push(
                .kernelCall(machine: machine.index, life: machine.life, KernelCall(order: order)),
                at: now + machine.draws.number(30_000...300_000))
        case .healthChecks(let checks):
            guard let process = machine.process else { return }
            process.health = checks.mapKeys { process.health[$0] ?? .unchecked }
            if !checks.isEmpty { queue.push(.checkHealth(machine: machine.index), at: now + 1_000_000) }
        case .events(let events):
            for event in events { markEvent(event) }
            tellEvents(events)
        case .log(let words): tell("\(machine.name): \(words)")
        case .stopped: processStopped(machine)
        case .restartMachine: restartByOrder(machine)
        case .halt(let words), .failed(let words): fail(machine, words)
        case .guests(let order): give(order, by: machine)
        case .fence(let order): give(order, by: machine)
        case .watchdog(let order): take(order, of: machine)
        // Connections and certificates here follow what is true of the members (World+Certificates.swift).
        case .peers, .standReady, .authorities, .named: break
        }
    }

    private func markEvent(_ event: ClusterEvent) {
        switch event.type {
        case "MemberLost": marks.reach(.memberLost)
        case "RoleReleased": marks.reach(.roleReleased)
        case "RoleAssigned": marks.reach(.roleAssigned)
        case "RoleVacant": marks.reach(.roleVacated)
        case "CandidateUnfit": marks.reach(.candidateUnfit)
        default: break
        }
    }

    private func tellEvents(_ events: [ClusterEvent]) {
        guard tells || witness != nil else { return }
        for event in events where event.id > toldEvent {
            toldEvent = event.id
            saw(.event(event))
            tell("\(event.subject) \(event.type): \(event.message)")
        }
    }

    // MARK: Frames

    func send(_ frame: PeerFrame, from machine: Machine) {
        guard let to = index(of: frame.to), connects(machine, to: machines[to]),
            let delays = carry(from: machine.index, to: to)
        else { return }
        queue.push(.frame(frame, to: to), at: now + delays.first)
        if let second = delays.second { queue.push(.frame(frame, to: to), at: now + second) }
    }

    /// How long a frame takes, and a copy of it if there is one; nil: it is lost.
    func carry(from: Int, to: Int) -> (first: Int64, second: Int64?)? {
        guard !wires.isCut(from: from, to: to) else { return nil }
        let quality = wires.quality(from: from, to: to)
        if wireDraws.rarely(quality.loss) { return nil }
        var first = wireDraws.number(quality.delay)
        if wireDraws.rarely(quality.late) { first += wireDraws.number(0...quality.lateness) }
        return (first, wireDraws.rarely(quality.copy) ? first + wireDraws.number(0...quality.lateness) : nil)
    }

    /// Whether anything that leaves one machine now can get to another: power, cables and cuts.
    func isReachable(from: Int, to: Int) -> Bool { !wires.isCut(from: from, to: to) }

    func arrive(_ frame: PeerFrame, at machine: Machine) {
        // Delivered only while the receiver runs; a cut in the meantime takes what is on the wire with it.
        guard machine.process != nil, let from = index(of: frame.from), !wires.isCut(from: from, to: machine.index)
        else { return }
        note(2, machine.index, summary(frame))
        markFrame(frame)
        turn(machine, .frame(frame))
    }

    /// A few bits of a frame for the trace.
    private func summary(_ frame: PeerFrame) -> UInt64 {
        guard case .consensus(let term, let message) = frame.body else { return frame.from.rawValue << 40 | 0xFF }
        let kind: UInt64
        switch message {
        case .preVoteRequest: kind = 1
        case .preVoteReply: kind = 2
        case .voteRequest: kind = 3
        case .voteReply(let reply): kind = reply.granted ? 5 : 4
        case .appendRequest(let request): kind = 6 + request.previousIndex.rawValue << 8
        case .appendReply: kind = 7
        case .heartbeat(let heartbeat): kind = 8 + heartbeat.round << 8
        case .heartbeatReply: kind = 9
        case .commitNotice: kind = 10
        case .leaseGrant: kind = 11
        case .campaignNow: kind = 12
        case .snapshotChunk(let chunk): kind = 13 + UInt64(chunk.offset) << 8
        case .snapshotReply(let reply): kind = 14 + UInt64(reply.received) << 8
        case .memoryLost: kind = 15
        case .readmitted: kind = 16
        case .startIsOver: kind = 17
        }
        return frame.from.rawValue << 40 ^ term.rawValue << 24 ^ kind
    }

    // MARK: Disks

    /// Starts the write in front, if the disk takes any.
    func serveDisk(_ machine: Machine) {
        guard machine.diskBusyUntil == nil, !machine.disk.isIdle, machine.disk.condition != .stalled,
            machine.disk.condition != .full
        else { return }
        let done = now + machine.draws.number(machine.diskLatency)
        machine.diskBusyUntil = done
        queue.push(.durable(machine: machine.index, life: machine.life), at: done)
    }

    func writeIsDurable(_ machine: Machine, life: UInt64) {
        guard machine.life == life, machine.process != nil else { return }
        machine.diskBusyUntil = nil
        switch machine.disk.condition {
        case .stalled, .full: return
        case .failing: return fail(machine, "the log disk gave an I/O error; what was not acknowledged counts as lost")
        case .well: break
        }
        guard !machine.isFrozen else {
            // The hypervisor holds the guest still; the write is done when it goes on.
            machine.diskBusyUntil = now
            return
        }
        guard let write = machine.disk.complete() else { return }
        note(3, machine.index, write.sequence.rawValue)
        if observer != nil { observe(.persisted(write), of: machine) }
        // The writing thread belongs to the process: stopped with it, it sends nothing.
        if machine.process!.isPaused {
            machine.process!.heldBack.append(write)
        } else {
            for envelope in write.thenSend { send(PeerFrame(envelope), from: machine) }
            turn(machine, .persisted(write.sequence))
        }
        if machine.process != nil { serveDisk(machine) }
    }

    func freeDisk(_ machine: Machine) {
        guard machine.disk.condition == .stalled else { return }
        note(4, machine.index, 1)
        machine.disk.condition = .well
        if machine.process != nil { serveDisk(machine) }
    }

    /// The agent ends with words, and whatever keeps services running tries again later.
    private func fail(_ machine: Machine, _ words: String) {
        tell("\(machine.name): \(words); the agent ends")
        endProcess(machine)
        queue.push(.startAgent(machine: machine.index, life: machine.life), at: now + 5_000_000_000)
    }

    // MARK: Processes

    /// A service manager that is shutting its machine down starts nothing more; the next boot does.
    func startProcess(_ machine: Machine) {
        guard machine.isPowered, machine.wantsAgent, machine.process == nil, !machine.isGoingDown else { return }
        note(6, machine.index, 0)
        if machine.disk.condition == .failing {
            tell("\(machine.name): the log disk cannot be written; the agent does not start")
            queue.push(.startAgent(machine: machine.index, life: machine.life), at: now + 5_000_000_000)
            return
        }
        machine.life += 1
        // A new process takes down what an earlier one left.
        machine.kernel = Kernel()
        watchAll()
        let host = machine.hostIndex.map { machines[$0].name } ?? ""
        var record = MemberRecord(
            id: machine.id, name: machine.name, kind: machine.plan.kind, host: host,
            peerEndpoint: "\(machine.name):7400", apiEndpoint: "\(machine.name):7443", version: machine.version,
            level: machine.level)
        if lab != nil, plan.present == nil { record.runsGuests = runsGuests(machine) }
        switch machine.disk.takeStock(&machine.draws) {
        case .middle:
            marks.reach(.memoryLost)
            tell("\(machine.name): the log is damaged in the middle; it is set aside from there on")
        case .everything:
            marks.reach(.memoryLost)
            tell("\(machine.name): the log is gone")
        case nil: break
        }
        guard let (restored, entries) = recover(machine) else { return }
        machine.disk.begin(nonce: machine.draws.next())
        var setup = AgentSetup(
            cluster: Self.cluster, record: record,
            founds: machine.index == 0 && plan.present == nil ? "simulated" : nil,
            session: machine.draws.next(), timing: plan.timing, readCommand: { [commands] in commands.read($0) },
            writeCommand: { [commands] in commands.write($0) })
        setup.snapshots = SnapshotPolicy(entries: UInt64(plan.conditions.snapshotEvery))
        setup.limits.snapshotChunkBytes = plan.conditions.snapshotChunk
        // What is observed is read against a specification of single changes.
        setup.knowsJointConfigurations = observer == nil
        let core = AgentCore(
            setup: setup, hardState: machine.disk.hardState, restored: restored, entries: entries,
            now: machine.reading(at: now))
        machine.process = Machine.Process(core: core)
        machine.process?.applied = core.applied
        tell("\(machine.name): the agent starts")
        if observer != nil { observe(.started, of: machine) }
        takeUpCertificate(of: machine)
        if lab != nil { startDriver(of: machine) }
        turn(machine, .tick)
    }

    /// The process is gone, however; what it handed to the disk may or may not be there.
    func endProcess(_ machine: Machine) {
        guard machine.process != nil else { return }
        dropClaims(of: machine)
        machine.process = nil
        endConnections(of: machine)
        wakes[machine.index] = .max
        machine.life += 1
        machine.diskBusyUntil = nil
        if machine.disk.crash(&machine.draws) { marks.reach(.restartWithTornWrite) }
    }

    private func processStopped(_ machine: Machine) {
        tell("\(machine.name): the agent has stopped")
        // It waits for its driver: whatever was held is silent now.
        for role in machine.kernel.speaking.keys { machine.kernel.speaking[role] = nil }
        watchAll()
        endProcess(machine)
        // Whoever keeps services running starts it again, unless it was to stop.
        guard machine.wantsAgent, !machine.isGoingDown else { return }
        queue.push(.startAgent(machine: machine.index, life: machine.life), at: now + 1_000_000_000)
    }

    func resumeProcess(_ machine: Machine, life: UInt64) {
        guard machine.life == life, machine.process?.isPaused == true else { return }
        note(7, machine.index, 0)
        tell("\(machine.name): the agent goes on")
        machine.process!.isPaused = false
        takeUpBacklog(machine)
    }

    func takeUpBacklog(_ machine: Machine) {
        guard let process = machine.process, !process.isPaused, !machine.isFrozen else { return }
        planLook(of: machine)
        let (calls, writes, events) = (process.calls, process.heldBack, process.backlog)
        process.calls = []
        process.heldBack = []
        process.backlog = []
        let held = process.driver.held
        process.driver.held = []
        for call in calls { performCall(call, on: machine, life: machine.life) }
        for order in held {
            switch order {
            case .guest(let order): take(order, on: machine, life: machine.life)
            case .fence(let order): take(order, on: machine, life: machine.life)
            }
        }
        for write in writes {
            for envelope in write.thenSend { send(PeerFrame(envelope), from: machine) }
            turn(machine, .persisted(write.sequence))
        }
        turn(machine, all: events)
        scheduleWake(machine)
    }

    // MARK: Requests

    func accept(_ request: AgentRequest, at machine: Machine, from asker: Asker) {
        guard machine.process != nil else { return }
        lastRequest += 1
        requests[lastRequest] = asker
        note(8, machine.index, lastRequest)
        var request = request
        // The API gives the agent two seconds, on the machine's own clock.
        let deadline = machine.reading(at: now) + .seconds(2)
        switch request {
        case .propose(let command, let stamp, let actor, _, let origin):
            request = .propose(command, stamp: stamp, actor: actor, deadline: deadline, origin: origin)
        case .read:
            request = .read(
                deadline: asker.isDriver ? machine.reading(at: now) + ClaimQuestion.patience : deadline)
        case .transferLeadership(let to, _): request = .transferLeadership(to: to, deadline: deadline)
        case .readLocal, .recover: break
        }
        turn(machine, .request(RequestID(rawValue: lastRequest), request))
    }

    private func respond(_ request: RequestID, _ response: AgentResponse, from machine: Machine) {
        guard let asker = requests[request.rawValue] else { return }
        requests[request.rawValue] = nil
        switch asker {
        case .client(let index, let serial):
            guard let delay = carry(from: machine.index, to: outside) else { return }
            queue.push(.answer(index, serial: serial, response), at: now + delay.first)
        case .person(let number, let serial): errandAnswered(number, serial: serial, response)
        case .driver(let step, let serial): claimAnswered(step, serial: serial, response, by: machine)
        }
    }
}
