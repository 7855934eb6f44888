// Random plans: each seed switches a random subset of faults on, at random rates (Groce et al., "Swarm Testing", 2012),
// so that rare faults also meet in runs that nothing else disturbs.

import Cluster
import Consensus
import SimulationWorld

/// What a corpus of seeds concentrates on.
public enum Profile: String, Hashable, Sendable, CaseIterable {
    /// A random subset of everything.
    case swarm
    /// No faults but the ordinary life of a lab: clients, a planned move, a restart.
    case calm
    case storage
    case network
    case people
    /// A lab with virtual machines and containers, and all that befalls those.
    case workloads
}

/// Draws the plan of a seed.
public struct Swarm {
    enum Fault: CaseIterable {
        case power, kill, stop, pauseAgent, pauseGuest, isolate, cut, oneWayCut, loss, slowWire
        case stallDisk, slowDisk, fillDisk, failDisk, corruptLog, wipeDisk, corruptSnapshot
        case unhealthy, starve
        case stepClock, driftClock, version, membership, move, transfer, redeclare, retime, trial
    }

    var draws: Draws
    private let profile: Profile
    var plan: Plan
    private var faults: [Fault] = []
    var labFaults: [LabFault] = []

    /// The plan of a seed: `length` nanoseconds of faults, then healing.
    public static func plan(seed: UInt64, length: Int64, profile: Profile) -> Plan {
        var swarm = Swarm(seed: seed, length: length, profile: profile)
        if profile == .workloads { swarm.drawWorkloadLab() } else { swarm.drawLab() }
        swarm.drawConditions()
        swarm.drawSnapshots()
        swarm.drawFaults()
        if profile == .workloads { swarm.drawLabFaults() }
        swarm.drawTimeline()
        if profile == .workloads {
            swarm.drawHealth()
            swarm.drawRestarts()
            swarm.drawFailedMoves()
        }
        return swarm.plan
    }

    /// A lab of two hosts and a witness with workloads, under the conditions that are drawn for any other, and nothing that
    /// befalls it.
    static func plainLab(seed: UInt64, length: Int64) -> Plan {
        var swarm = Swarm(seed: seed, length: length, profile: .workloads)
        swarm.drawWorkloadLab(isPlain: true)
        swarm.drawConditions()
        swarm.drawSnapshots()
        return swarm.plan
    }

    private init(seed: UInt64, length: Int64, profile: Profile) {
        draws = Draws(seed: seed, purpose: 0xFA)
        self.profile = profile
        plan = Plan(name: "seed-\(seed)", seed: seed, length: length)
        plan.healsWithin = 150_000_000_000
    }

    // MARK: The lab

    private mutating func drawLab() {
        var members = [
            Plan.Member(name: "pve1", kind: .host), Plan.Member(name: "pve2", kind: .host),
            Plan.Member(name: "witness", kind: .witness),
        ]
        if draws.chance(150) { members.append(Plan.Member(name: "pve3", kind: .host)) }
        for number in 1...draws.number(1...3) {
            let host = number == 2 ? "pve2" : "pve1"
            members.append(Plan.Member(name: "k8s-cp\(number)", kind: .guest, host: host))
        }
        if draws.chance(200) {
            var late = Plan.Member(name: "late", kind: draws.chance(500) ? .guest : .host, host: "")
            late.host = late.kind == .guest ? "pve2" : ""
            late.joinsLater = true
            members.append(late)
        }
        let drifts = draws.chance(500)
        for index in members.indices where drifts && draws.chance(600) {
            members[index].driftPartsPerMillion = draws.number(-450...450)
        }
        plan.members = members
        let guests = members.filter { $0.kind == .guest && !$0.joinsLater }.map(\.name)
        plan.addresses = [
            Plan.Address(name: "kube-api", address: "192.168.1.99", candidates: guests + ["pve2"]),
            Plan.Address(name: "dns", address: "192.168.1.2", candidates: ["pve1", "pve2"]),
        ]
        for index in plan.addresses.indices where draws.chance(300) { plan.addresses[index].preempt = "always" }
    }

    private mutating func drawConditions() {
        plan.clients.count = draws.number(1...3)
        plan.clients.think = draws.one(of: [200_000_000, 500_000_000, 2_000_000_000])
        plan.clients.keys = draws.number(1...4)
        plan.conditions.hostBoot = 10_000_000_000...25_000_000_000
        plan.conditions.guestBoot = 3_000_000_000...10_000_000_000
        guard profile != .calm else { return }
        let rough = profile == .network ? 700 : 300
        if draws.chance(rough) { plan.conditions.loss = draws.number(100...50_000) }
        if draws.chance(rough) { plan.conditions.copies = draws.number(100...50_000) }
        if draws.chance(rough) { plan.conditions.late = draws.number(100...20_000) }
        if draws.chance(rough / 2) { plan.conditions.delay = 100_000...draws.number(1_000_000...15_000_000) }
        if draws.chance(profile == .storage ? 600 : 200) {
            plan.conditions.diskLatency = 200_000...draws.number(5_000_000...60_000_000)
        }
    }

    /// Mostly so small that a run takes many and members that were away need them.
    private mutating func drawSnapshots() {
        if draws.chance(700) { plan.conditions.snapshotEvery = draws.number(8...200) }
        if draws.chance(700) { plan.conditions.snapshotChunk = draws.number(128...8_192) }
    }

    private mutating func drawFaults() {
        let possible: [Fault]
        switch profile {
        case .calm: possible = [.move, .stop, .transfer]
        case .storage:
            possible = [
                .power, .kill, .stallDisk, .slowDisk, .fillDisk, .failDisk, .corruptLog, .wipeDisk,
                .corruptSnapshot,
            ]
        case .network: possible = [.isolate, .cut, .oneWayCut, .loss, .slowWire, .power]
        case .people:
            possible = [
                .membership, .move, .transfer, .redeclare, .retime, .trial, .version, .stop, .stepClock, .power,
            ]
        case .workloads:
            possible = [
                .power, .kill, .stop, .pauseAgent, .isolate, .cut, .oneWayCut, .loss, .slowWire, .stallDisk, .slowDisk,
                .starve, .transfer, .driftClock, .power, .isolate,
            ]
        case .swarm: possible = Fault.allCases
        }
        for fault in possible where draws.chance([.swarm, .workloads].contains(profile) ? 350 : 700) {
            faults.append(fault)
        }
        let follow = faults.contains(.unhealthy) ? 800 : 100
        for index in plan.addresses.indices { plan.addresses[index].follows = draws.chance(follow) }
    }

    // MARK: The timeline

    private mutating func drawTimeline() {
        guard !faults.isEmpty || !labFaults.isEmpty else { return }
        // From one fault in a second to one in two minutes.
        let pauses: [Int64] =
            profile == .workloads
            ? [2_000_000_000, 10_000_000_000, 40_000_000_000, 90_000_000_000]
            : [500_000_000, 2_000_000_000, 10_000_000_000, 40_000_000_000]
        let pause = draws.one(of: pauses)
        let mean = profile == .calm ? 60_000_000_000 : pause
        var at = draws.number(0...mean)
        while at < plan.length, plan.timeline.count < 2_000 {
            if !labFaults.isEmpty, faults.isEmpty || draws.chance(500) {
                strikeLab(draws.one(of: labFaults), at: at)
            } else {
                strike(draws.one(of: faults), at: at)
            }
            at += draws.number(mean / 10...mean * 2)
        }
        plan.timeline.sort { $0.at < $1.at }
    }

    mutating func add(_ action: Happening, at: Int64) {
        guard at < plan.length else { return }
        plan.timeline.append(Plan.Moment(at: at, action: action))
    }

    private var names: [String] { plan.members.filter { !$0.joinsLater }.map(\.name) }
    private var guests: [String] { plan.members.filter { $0.kind == .guest && !$0.joinsLater }.map(\.name) }

    /// How long a fault lasts: mostly short, at times very long.
    private mutating func length() -> Int64 {
        draws.one(of: [
            draws.number(10_000_000...400_000_000), draws.number(200_000_000...2_000_000_000),
            draws.number(1_000_000_000...30_000_000_000),
        ])
    }

    private mutating func strike(_ fault: Fault, at: Int64) {
        let name = draws.one(of: names)
        let length = length()
        switch fault {
        case .power:
            // Guests lose power with their host; alone, now and then.
            add(.powerOff(name), at: at)
            add(.powerOn(name), at: at + length)
            if draws.chance(100) {
                for other in names { add(.powerOff(other), at: at + draws.number(0...50_000_000)) }
                for other in names { add(.powerOn(other), at: at + length + draws.number(0...5_000_000_000)) }
            }
        case .kill:
            add(.killAgent(name), at: at)
            add(.startAgent(name), at: at + length)
        case .stop:
            add(draws.chance(800) ? .stopAgent(name) : .reboot(name), at: at)
            add(.startAgent(name), at: at + length + 4_000_000_000)
        case .pauseAgent: add(.pauseAgent(name, length), at: at)
        case .pauseGuest: add(.pauseGuest(draws.one(of: guests), length), at: at)
        case .unhealthy: add(.unhealthy(name, length), at: at)
        case .starve: add(.starve(name, length), at: at)
        case .isolate:
            add(.isolate(name), at: at)
            add(.rejoin(name), at: at + length)
        case .cut, .oneWayCut:
            let other = draws.one(of: names)
            guard other != name else { return }
            add(.cut(name, other, oneWay: fault == .oneWayCut), at: at)
            add(.heal(name, other), at: at + length)
        default: strikeFurther(fault, name, length, at: at)
        }
    }

    private mutating func strikeFurther(_ fault: Fault, _ name: String, _ length: Int64, at: Int64) {
        let other = draws.one(of: names)
        switch fault {
        case .loss:
            guard other != name else { return }
            add(.loss(name, other, draws.number(10_000...400_000)), at: at)
            add(.loss(name, other, 0), at: at + length)
        case .slowWire:
            guard other != name else { return }
            add(.delay(name, other, draws.number(5_000_000...150_000_000)), at: at)
            add(.delay(name, other, 100_000), at: at + length)
        case .stallDisk: add(.stallDisk(name, length), at: at)
        case .slowDisk: add(.slowDisk(name, length), at: at)
        case .fillDisk:
            add(.fillDisk(name), at: at)
            add(.mendDisk(name), at: at + length)
        case .failDisk:
            add(.failDisk(name), at: at)
            add(.mendDisk(name), at: at + length)
        case .corruptLog, .wipeDisk:
            // Damage shows at the next start. More than one damaged log of three may stop everything by right.
            let isDamaged = plan.timeline.contains {
                switch $0.action {
                case .corruptLog, .wipeDisk: true
                default: false
                }
            }
            guard !isDamaged else { return }
            add(fault == .wipeDisk ? .wipeDisk(name) : .corruptLog(name), at: at)
        case .corruptSnapshot:
            // It shows at the next start.
            add(.corruptSnapshot(name), at: at)
            add(.killAgent(name), at: at + 1)
            add(.startAgent(name), at: at + length)
        case .stepClock: add(.stepClock(name, draws.number(-90_000_000_000...90_000_000_000)), at: at)
        case .driftClock: add(.driftClock(name, draws.number(-500...500)), at: at)
        case .version: add(.version(name, "1.\(draws.number(0...3)).\(draws.number(0...9))"), at: at)
        default: letPeople(fault, name, at: at)
        }
    }

    private mutating func letPeople(_ fault: Fault, _ name: String, at: Int64) {
        let address = draws.one(of: plan.addresses)
        switch fault {
        case .membership:
            if let late = plan.members.first(where: \.joinsLater), draws.chance(600) {
                add(.join(late.name), at: at)
            } else if draws.chance(200), let guest = guests.last, guests.count > 1 {
                add(.remove(guest), at: at)
            }
        case .move: add(.move(address.name, draws.one(of: address.candidates)), at: at)
        case .transfer: add(.transferLeadership(draws.chance(500) ? name : nil), at: at)
        case .redeclare:
            var candidates = address.candidates.filter { _ in draws.chance(700) }
            if candidates.isEmpty { candidates = ["pve1", "pve2"] }
            if draws.chance(300) { candidates.reverse() }
            add(
                .redeclare(address.name, candidates: candidates, preempt: draws.chance(300) ? "always" : "never"),
                at: at)
        case .trial:
            let candidates = address.candidates.filter { _ in draws.chance(500) }
            add(
                .tryOut(
                    address.name, candidates: candidates.isEmpty ? address.candidates : candidates,
                    draws.number(1...40) * 1_000_000_000), at: at)
            if draws.chance(300) { add(.rollBack, at: at + draws.number(0...50_000_000_000)) }
        case .retime: add(.retime(draws.number(200...600)), at: at)
        default: break
        }
    }
}
