// Random plans of labs with workloads: two hosts mostly, of every storage, with rules and with too little memory now and
// then, and everything that can go wrong in and around a failover.

import Cluster
import Consensus
import SimulationWorld

extension Swarm {
    /// Faults of workloads, and of what runs them.
    enum LabFault: CaseIterable {
        case crash, handMove, handStop, handStart, failAPI, unknownOutcome, lock, fireWatchdog, lateWatchdog
        case set, move, drain, disarm, load, shutdown, addOrDelete, pauseWorkload
    }

    /// - Parameter isPlain: two hosts and a witness, whatever is drawn otherwise.
    mutating func drawWorkloadLab(isPlain: Bool = false) {
        var members = [Plan.Member(name: "pve1", kind: .host), Plan.Member(name: "pve2", kind: .host)]
        if !isPlain, draws.chance(250) { members.append(Plan.Member(name: "pve3", kind: .host)) }
        if isPlain || (members.count == 3 ? draws.chance(500) : draws.chance(900)) {
            members.append(Plan.Member(name: "witness", kind: .witness))
        }
        let hosts = members.filter { $0.kind == .host }.map(\.name)
        plan.storage = draws.one(of: [.ceph, .ceph, .ceph, .shared, .shared, .local])
        let gibibyte: Int64 = 1 << 30
        for index in members.indices {
            // Drawn for the witness too, which has no guests: the draws after it stay what they were.
            let memory: Int64 = draws.one(of: [8, 16, 64]) * gibibyte
            if members[index].kind == .host { members[index].memory = memory }
        }
        // Everybody fits where he is at first; whether all fit on one host is left to chance.
        var left = members.map(\.memory)
        for number in 1...draws.number(1...6) {
            let place = draws.number(0...(hosts.count - 1))
            var workload = Plan.Workload(
                name: "\(draws.chance(250) ? "ct" : "vm"):\(100 + number)", host: hosts[place])
            workload.memory = draws.one(of: [1, 2, 4]) * gibibyte
            guard left[place] >= workload.memory else { continue }
            left[place] -= workload.memory
            if draws.chance(100) { workload.desired = draws.one(of: ["stopped", "ignored"]) }
            if draws.chance(300) { workload.failback = draws.chance(500) }
            if draws.chance(300) { workload.isLive = draws.chance(500) }
            if draws.chance(100) { workload.faults.stopFails = true }
            plan.workloads.append(workload)
        }
        if let carrier = plan.workloads.first(where: { $0.desired == "running" }), draws.chance(400) {
            var member = Plan.Member(name: "k8s-cp1", kind: .guest, host: carrier.host)
            member.workload = carrier.name
            members.append(member)
        }
        plan.members = members
        plan.addresses = [Plan.Address(name: "dns", address: "192.168.1.2", candidates: hosts)]
        drawRules(hosts)
    }

    /// The last moment of a plan at which something may happen: what comes with its end is not part of it any more.
    private static func last(of plan: Plan) -> Int64 { max(0, plan.length - 1_000_000) }

    /// Health checks, and guests that hang. Drawn for themselves and last, so that everything else of a seed stays what it
    /// was before there were any.
    mutating func drawHealth() {
        var draws = Draws(seed: plan.seed, purpose: 0xFB)
        guard draws.chance(400), !plan.workloads.isEmpty else { return }
        let hosts = plan.members.filter { $0.kind == .host }.map(\.name)
        for index in plan.workloads.indices where draws.chance(700) {
            plan.workloads[index].health = draws.one(of: [2, 10, 30]) * 1_000_000_000
            if draws.chance(150) { plan.workloads[index].faults.wellOn = draws.one(of: hosts) }
        }
        for _ in 0..<draws.number(1...6) {
            let name = draws.one(of: plan.workloads).name
            let at = draws.number(0...Self.last(of: plan))
            plan.timeline.append(Plan.Moment(at: at, action: .hang(name)))
        }
        plan.timeline.sort { $0.at < $1.at }
    }

    /// Hosts that are to be restarted by order, and orders that are taken back. Drawn for themselves, as health is.
    mutating func drawRestarts() {
        var draws = Draws(seed: plan.seed, purpose: 0xFC)
        let hosts = plan.members.filter { $0.kind == .host }.map(\.name)
        guard draws.chance(300), hosts.count > 1 else { return }
        for _ in 0..<draws.number(1...3) {
            let host = draws.one(of: hosts)
            let at = draws.number(0...Self.last(of: plan))
            plan.timeline.append(Plan.Moment(at: at, action: .rebootHost(host, isForced: draws.chance(150))))
            guard draws.chance(300) else { continue }
            let length = draws.number(Int64(100_000_000)...60_000_000_000)
            plan.timeline.append(Plan.Moment(at: min(at + length, Self.last(of: plan)), action: .cancelReboot(host)))
        }
        plan.timeline.sort { $0.at < $1.at }
    }

    /// Live moves that fail after the guest has begun to run at its target, and now and then one of the two hosts is lost
    /// before anybody has cleared that up. Drawn for themselves, as health is.
    mutating func drawFailedMoves() {
        var draws = Draws(seed: plan.seed, purpose: 0xFD)
        let hosts = plan.members.filter { $0.kind == .host }.map(\.name)
        let names = plan.workloads.filter { !$0.isContainer }.map(\.name)
        guard plan.storage != .local, hosts.count > 1, !names.isEmpty, draws.chance(400) else { return }
        for _ in 0..<draws.number(1...4) {
            let (name, host) = (draws.one(of: names), draws.one(of: hosts))
            let at = draws.number(0...Self.last(of: plan))
            add(.failMove(name, draws.one(of: Plan.MoveFailure.allCases)), at: at)
            add(.moveWorkload(name, host, live: true), at: at)
            guard draws.chance(400) else { continue }
            // A move takes two to seven seconds, and two looks after it somebody is at it.
            let lost = at + draws.number(Int64(1_000_000_000)...15_000_000_000)
            let victim = draws.one(of: hosts)
            add(.powerOff(victim), at: lost)
            add(.powerOn(victim), at: lost + draws.number(Int64(1_000_000_000)...90_000_000_000))
        }
        plan.timeline.sort { $0.at < $1.at }
    }

    private mutating func drawRules(_ hosts: [String]) {
        let names = plan.workloads.map(\.name)
        if draws.chance(250), let name = names.first {
            let listed = draws.chance(500) ? [hosts[0]] : [hosts[1], hosts[0]]
            plan.rules.append(
                Plan.Rule(
                    .hosts(
                        listed.enumerated().map { Plan.Rule.Preference(host: $1, priority: Int64(2 - $0)) },
                        strict: draws.chance(500)), workloads: [name]))
        }
        if draws.chance(150), names.count >= 2 {
            plan.rules.append(Plan.Rule(draws.chance(600) ? .apart : .together, workloads: Array(names.suffix(2))))
        }
        if draws.chance(400) {
            plan.policy.onHostShutdown = draws.one(of: ["migrate", "restart", "freeze", "conditional"])
        }
        if draws.chance(200) { plan.hypervisors.hasQDevice = false }
        if draws.chance(300) { plan.hypervisors.corosync = draws.one(of: [6_600_000_000, 12_000_000_000]) }
        if draws.chance(150) { plan.hypervisors.election = 10_000_000_000...15_000_000_000 }
    }

    mutating func drawLabFaults() {
        labFaults = LabFault.allCases.filter { _ in draws.chance(350) }
    }

    mutating func strikeLab(_ fault: LabFault, at: Int64) {
        let hosts = plan.members.filter { $0.kind == .host }.map(\.name)
        let host = draws.one(of: hosts)
        let name = draws.one(of: plan.workloads).name
        let length = draws.number(Int64(100_000_000)...30_000_000_000)
        switch fault {
        case .crash: add(.crash(name), at: at)
        case .handMove: add(.handMove(name, host), at: at)
        case .handStop: add(.handStop(name), at: at)
        case .handStart: add(.handStart(name), at: at)
        case .failAPI: add(.failAPI(host, length), at: at)
        case .unknownOutcome: add(.unknownOutcome(host), at: at)
        case .lock:
            add(.lock(name), at: at)
            add(.unlock(name), at: at + length)
        case .fireWatchdog: add(.fireWatchdog(host), at: at)
        case .lateWatchdog:
            // Less than the margin: what it proves is that the machine is reset by then, and with the agent killed as well
            // there is nobody there who could end its guests before. The families have later ones, with the agent alive.
            add(.lateWatchdog(host, draws.number(Int64(0)...4_900_000_000)), at: at)
        case .set: add(.setWorkload(name, draws.one(of: ["running", "running", "stopped", "ignored"])), at: at)
        case .move: add(.moveWorkload(name, host, live: draws.chance(600)), at: at)
        case .drain:
            add(.drain(host, true), at: at)
            add(.drain(host, false), at: at + length)
        case .disarm:
            add(.disarm(length), at: at)
            if draws.chance(500) { add(.disarm(nil), at: at + length / 2) }
        case .load:
            add(.load(name, cores: draws.number(1...4), memory: draws.number(Int64(1)...4) << 30), at: at)
        case .shutdown:
            add(draws.chance(500) ? .reboot(host) : .shutdown(host), at: at)
            add(.powerOn(host), at: at + 30_000_000_000 + length)
        case .addOrDelete:
            if let old = plan.workloads.first(where: { $0.name == name }) {
                add(.deleteWorkload(name), at: at)
                add(.addWorkload(old), at: at + length)
            }
        case .pauseWorkload: add(.pauseWorkload(name, length), at: at)
        }
    }
}
