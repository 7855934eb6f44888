// The simulated lab: machines with the product's own agents on them, wires, disks, clocks and people, moved forward event
// by event. One plan gives one trace, byte for byte, in every process.
//
// Relies on: nothing outside; all randomness comes from the plan's seed, all time from the queue.
// Does not: decide anything for the agents, or look into them but to check what they promised.

import Agent
import Cluster
import Consensus
import Kinds
import SimulationChecks

/// Something that is going to happen.
enum WorldEvent {
    case frame(PeerFrame, to: Int)
    case durable(machine: Int, life: UInt64)
    case snapshotDurable(machine: Int, life: UInt64, LogIndex)
    case kernelCall(machine: Int, life: UInt64, KernelCall)
    case report(machine: Int, life: UInt64, RoleReport)
    case boot(machine: Int, power: UInt64)
    case startAgent(machine: Int, life: UInt64)
    case resumeAgent(machine: Int, life: UInt64)
    case resumeGuest(machine: Int)
    case freeDisk(machine: Int)
    case usualDisk(machine: Int)
    case usualLatency(machine: Int)
    case checkHealth(machine: Int)
    case powerOff(machine: Int)
    case laterPowerOn(machine: Int)
    case plan(Int)
    case client(Int, serial: UInt64)
    case answer(Int, serial: UInt64, AgentResponse)
    case request(machine: Int, AgentRequest, from: Asker)
    case probe
    case probeEcho(address: Int, sent: Int64)
    case arp(address: Int, owner: Int)
    case askArp(address: Int, to: Int)
    case operatorRetry(Int)
    // Kept beside, because they would make every event as large as they are.
    indirect case guestOrder(machine: Int, life: UInt64, GuestOrder)
    case guestStep(UInt64)
    case lookAtGuests(machine: Int, life: UInt64, again: Bool)
    indirect case fenceOrder(machine: Int, life: UInt64, FenceOrder)
    case fenceStep(UInt64)
    indirect case claimAnswered(step: UInt64, serial: Int, ClaimAnswer)
    case watchdog(machine: Int)
    case watchdogAnswers(machine: Int, life: UInt64, WatchdogReport)
    case quorumTurns(machine: Int, ticket: UInt64)
    case shutdownStep(machine: Int, boot: UInt64, since: Int64, isStopping: Bool, thenBoot: Bool)
    case labTick
}

/// Who waits for the answer of a request.
enum Asker {
    case client(Int, serial: UInt64)
    case person(Int, serial: Int)
    /// The driver of the machine itself, about one of its steps.
    case driver(step: UInt64, serial: Int)

    var isDriver: Bool { if case .driver = self { true } else { false } }
}

public final class World {
    public let plan: Plan
    static let cluster = ClusterID(rawValue: 0x484F_4C44)
    /// The place of the clients on the wires: beside the machines.
    var outside: Int { machines.count }

    /// True nanoseconds since the world began.
    var now: Int64 = 0
    /// When the plan began: everybody has joined, everything is declared.
    var planBegan: Int64 = 0
    var queue = EventQueue<WorldEvent>()
    var machines: [Machine] = []
    /// For each machine the true time of the next turn that its agent's own deadlines ask for.
    var wakes: [Int64]
    /// Reused from turn to turn.
    var effects: [AgentEffect] = []
    var wires: Wires
    var wireDraws: Draws
    var peopleDraws: Draws
    var clients: [RegisterClient] = []
    var people: [Errand] = []
    var requests: SortedMap<UInt64, Asker> = [:]
    var lastRequest: UInt64 = 0
    var powerChanges: UInt64 = 0
    let commands = CommandMemory()
    /// Guests and what runs them; nil: the plan has none.
    let lab: GuestLab?
    var certificates: Certificates
    var watch: AddressWatch
    var truth = Truth()
    /// States some member had at an index, to compare with those of others.
    var states: SortedMap<LogIndex, ClusterState> = [:]
    var history = History(subject: "kv")
    var lastOperation: UInt64 = 0
    var digest = TraceDigest()
    var result: RunResult
    var marks = Marks()
    /// Keeps the story; off, a run is faster.
    let tells: Bool
    var toldEvent: UInt64 = 0
    /// Called with a line for every event, when somebody wants the whole trace.
    var listener: ((String) -> Void)?
    /// Called with all that a member's consensus does, for those who record it. While somebody listens, what waited for
    /// a paused agent comes to it one by one: two inputs at once would look like one step.
    public var observer: ((ConsensusMoment) -> Void)?
    /// Called with what is worth telling of a rehearsal, and when it was: true nanoseconds.
    public var witness: ((Int64, Sight) -> Void)?
    /// Set from outside, checked now and then: end early.
    public var isCancelled: () -> Bool = { false }

    public init(_ plan: Plan, tells: Bool = false, listener: ((String) -> Void)? = nil) {
        self.plan = plan
        self.tells = tells
        self.listener = listener
        result = RunResult(name: plan.name, seed: plan.seed)
        lab = plan.runsWorkloads ? GuestLab(plan) : nil
        wakes = Array(repeating: .max, count: plan.members.count)
        wires = Wires(count: plan.members.count + 1)
        wires.usual = Wires.Quality(
            delay: plan.conditions.delay, loss: plan.conditions.loss, copy: plan.conditions.copies,
            late: plan.conditions.late)
        certificates = Certificates(
            count: plan.members.count, life: plan.conditions.certificateLife / 1_000_000)
        wireDraws = Draws(seed: plan.seed, purpose: 1)
        peopleDraws = Draws(seed: plan.seed, purpose: 2)
        watch = AddressWatch(addresses: plan.addresses, machines: plan.members.count)
        for (index, member) in plan.members.enumerated() {
            var draws = Draws(seed: plan.seed, purpose: 100 + UInt64(index))
            // Machines were started at different times, and their wall clocks are seconds apart, not more.
            let origin: Int64 = draws.number(1_000_000_000...1_000_000_000_000)
            let clock = MachineClock(
                origin: origin, partsPerMillion: member.driftPartsPerMillion,
                wallOffset: draws.number(-2_000_000_000...2_000_000_000) + 1_800_000_000_000_000_000 - origin, now: 0)
            machines.append(
                Machine(
                    index: index, plan: member,
                    hostIndex: member.host.isEmpty
                        ? nil : plan.members.firstIndex { $0.name == member.host },
                    clock: clock, latency: plan.conditions.diskLatency, draws: draws))
            if lab != nil { machines[index].leastLevel = FeatureLevel.newest }
        }
    }

    /// Runs the whole plan and tells what came of it.
    public func run() -> RunResult {
        if beginPlan() {
            for (number, moment) in plan.timeline.enumerated() {
                queue.push(.plan(number), at: planBegan + moment.at)
            }
            startClients()
            startProbes()
            if lab != nil { labTick() }
            advance(to: planBegan + plan.length)
            if let bound = plan.healsWithin { heal(within: bound) }
            checkExpectations()
        }
        finish()
        return result
    }

    // MARK: Time

    /// Lets everything happen up to a moment, or until a promise is broken.
    func advance(to end: Int64, until condition: () -> Bool = { false }) {
        while truth.violation == nil {
            if condition() { return }
            var time = queue.nextTime
            var sleeper: Int?
            for index in wakes.indices where wakes[index] < time {
                time = wakes[index]
                sleeper = index
            }
            if certificates.nextLook <= min(time, end) { lookAtCertificates(through: min(time, end)) }
            guard time <= end else { break }
            now = max(now, time)
            if let sleeper {
                wake(machines[sleeper])
            } else if let event = queue.pop() {
                perform(event)
            }
            if digest.events % 8_192 == 0, isCancelled() { return }
        }
        if truth.violation == nil { now = max(now, end) }
    }

    private func wake(_ machine: Machine) {
        wakes[machine.index] = .max
        guard let process = machine.process, !process.isPaused, !machine.isFrozen else { return }
        if process.core.nextDeadline > machine.reading(at: now) { return scheduleWake(machine) }
        note(1, machine.index, 0)
        turn(machine, .tick)
    }

    func perform(_ event: WorldEvent) {
        switch event {
        case .frame(let frame, let to): arrive(frame, at: machines[to])
        case .durable(let index, let life): writeIsDurable(machines[index], life: life)
        case .snapshotDurable(let index, let life, let last):
            snapshotIsDurable(last, on: machines[index], life: life)
        case .kernelCall(let index, let life, let call): performCall(call, on: machines[index], life: life)
        case .report(let index, let life, let report):
            guard machines[index].life == life else { return }
            note(5, index, 0)
            turn(machines[index], .report(report))
        case .boot(let index, let power): boot(machines[index], power: power)
        case .startAgent(let index, let life): if machines[index].life == life { startProcess(machines[index]) }
        case .resumeAgent(let index, let life): resumeProcess(machines[index], life: life)
        case .resumeGuest(let index): resumeGuest(machines[index])
        case .freeDisk(let index): freeDisk(machines[index])
        case .usualDisk(let index): machines[index].diskLatency = plan.conditions.diskLatency
        case .usualLatency(let index): machines[index].callLatency = Kernel.usualLatency
        case .checkHealth(let index): checkHealth(machines[index])
        case .powerOff(let index):
            guard machines[index].isGoingDown else { return }
            if isCarried(machines[index]) { endCarried(machines[index]) } else { powerOff(machines[index]) }
        case .laterPowerOn(let index): powerOn(machines[index])
        case .plan(let number): perform(plan.timeline[number].action)
        case .client(let index, let serial): clientStep(index, serial: serial)
        case .answer(let index, let serial, let response): clientAnswer(index, serial: serial, response)
        case .request(let index, let request, let asker): accept(request, at: machines[index], from: asker)
        case .probe: probeAll()
        case .probeEcho(let address, let sent): probeAnswered(address, sent: sent)
        case .arp(let address, let owner): watch.cache(address, owner)
        case .askArp(let address, let to): askedArp(address, machines[to])
        case .operatorRetry(let number): tryErrand(number)
        default: performOfLab(event)
        }
    }

    private func performOfLab(_ event: WorldEvent) {
        switch event {
        case .guestOrder(let index, let life, let order): take(order, on: machines[index], life: life)
        case .guestStep(let number): goOn(number)
        case .lookAtGuests(let index, let life, let again): lookAtGuests(machine: index, life: life, again: again)
        case .fenceOrder(let index, let life, let order): take(order, on: machines[index], life: life)
        case .fenceStep(let number): goOnWithFence(number)
        case .claimAnswered(let number, let serial, let answer): take(answer, for: number, serial: serial)
        case .watchdog(let index): watchdogLooks(machines[index])
        case .watchdogAnswers(let index, let life, let report):
            if machines[index].life == life { turn(machines[index], .watchdog(report)) }
        case .quorumTurns(let index, let ticket): quorumTurns(index, ticket: ticket)
        case .shutdownStep(let index, let boot, let since, let isStopping, let thenBoot):
            goOnShuttingDown(
                machines[index], boot: boot, since: since, isStopping: isStopping, thenBoot: thenBoot)
        case .labTick: labTick()
        default: preconditionFailure("every event is performed somewhere")
        }
    }

    // MARK: What is told

    /// Puts an event into the trace.
    func note(_ kind: UInt64, _ place: Int, _ detail: UInt64) {
        digest.count()
        digest.add(UInt64(bitPattern: now))
        digest.add(kind << 56 | UInt64(place) << 48 ^ detail)
        listener?("\(now) \(kind) \(place < machines.count ? machines[place].name : "outside") \(detail)")
    }

    func tell(_ words: @autoclosure () -> String) {
        if tells { result.story.append(StoryLine(at: now - planBegan, words: words())) }
    }

    func violate(_ invariant: String, _ words: String) {
        guard truth.violation == nil else { return }
        truth.violation = Violation(invariant: invariant, at: now - planBegan, words: words)
        tell("VIOLATED \(invariant): \(words)")
    }

    func machine(named name: String) -> Machine? { machines.first { $0.name == name } }

    /// The machine of a member; nil: there is none. Founded by a plan, members are numbered.
    func index(of member: MemberID) -> Int? {
        guard plan.present != nil else {
            return member.rawValue >= 1 && member.rawValue <= UInt64(machines.count) ? Int(member.rawValue) - 1 : nil
        }
        return machines.firstIndex { $0.id == member }
    }

    /// The machines that go with a host: itself and the guests on it.
    func domain(of machine: Machine) -> [Machine] {
        machines.filter { $0 === machine || $0.hostIndex == machine.index }
    }
}
