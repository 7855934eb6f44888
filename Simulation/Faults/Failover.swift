// One failover, drawn by a seed: a lab of two hosts, one of which is lost with its guests at a random moment, and what
// became of each of them. Runs nothing itself; the statistics are beside it.

import Consensus
import SimulationWorld

/// What is to prove that a lost host writes no more.
public enum FailoverFence: String, Hashable, Sendable, CaseIterable {
    /// Disks in Ceph: its blocklist.
    case storage
    /// Shared disks: the host's power switch, and its watchdog when the switch is dead with it.
    case power
    /// Shared disks: the host's watchdog alone.
    case watchdog
}

/// How a host is lost.
public enum HostLoss: String, Hashable, Sendable, CaseIterable {
    /// It loses power, and does not get it back.
    case powerOff = "power-off"
    /// Its cable is pulled; it goes on.
    case cut
    /// It stops at once and starts again.
    case crash
}

/// One failover.
public struct Failover: Hashable, Sendable {
    static let second: Int64 = 1_000_000_000
    /// How long guests have to come back, nanoseconds. Monitors may take 15 s to agree, a watchdog's proof 15 s.
    public static let patience = 60 * second

    public let seed: UInt64
    public let fence: FailoverFence
    public let loss: HostLoss
    /// The host that is lost, and the one that is left.
    public let victim: String
    public let survivor: String
    /// True nanoseconds since the plan began.
    public let at: Int64
    public private(set) var plan: Plan

    /// The failover of a seed.
    public init(seed: UInt64, fence: FailoverFence) {
        var plan = Swarm.plainLab(seed: seed, length: 0)
        var draws = Draws(seed: seed, purpose: 0xF0)
        plan.name = "failover-\(fence.rawValue)-\(seed)"
        plan.about = "A host is lost with its guests."
        plan.storage = fence == .storage ? .ceph : .shared
        if fence == .power { plan.policy.methods = ["power", "watchdog"] }
        // Nobody asks for values here: what they are told is checked by other plans.
        plan.clients.count = 0
        for index in plan.workloads.indices where draws.chance(80) { plan.workloads[index].storage = .local }
        if !plan.workloads.contains(where: { $0.desired == "running" }) { plan.workloads[0].desired = "running" }
        // The lab is as its rules want it when the host is lost: what comes of a rule that is declared against what is there is
        // no failover. Whether people declare their guests before every host has said what it has must not matter.
        var beginnings = Draws(seed: seed, purpose: 0xF1)
        plan.declaresLate = beginnings.chance(500)
        let places = plan.workloads
        plan.rules.removeAll { !Self.isKept($0, places) }
        let hosts = plan.members.filter { $0.kind == .host }.map(\.name)
        let carrying = hosts.filter { host in
            plan.workloads.contains { $0.host == host && $0.desired == "running" }
        }
        victim = draws.one(of: carrying)
        survivor = hosts.first { [victim] in $0 != victim } ?? ""
        loss = draws.one(of: HostLoss.allCases)
        at = draws.number(Self.second...20 * Self.second)
        switch loss {
        case .powerOff: plan.timeline = [Plan.Moment(at: at, action: .powerOff(victim))]
        case .cut: plan.timeline = [Plan.Moment(at: at, action: .isolate(victim))]
        case .crash:
            plan.timeline = [
                Plan.Moment(at: at, action: .powerOff(victim)),
                Plan.Moment(at: at + draws.number(0...2 * Self.second), action: .powerOn(victim)),
            ]
        }
        plan.length = at + Self.patience
        plan.healsWithin = nil
        self.seed = seed
        self.fence = fence
        self.plan = plan
    }
}

extension Failover {
    /// The same loss in a lab that somebody has changed.
    public func with(_ plan: Plan) -> Failover {
        var changed = self
        changed.plan = plan
        return changed
    }

    /// Whether a rule holds where the workloads are at first.
    private static func isKept(_ rule: Plan.Rule, _ workloads: [Plan.Workload]) -> Bool {
        let places = workloads.filter { rule.workloads.contains($0.name) }.map(\.host)
        return switch rule.form {
        case .hosts(let hosts, let strict):
            !strict || places.allSatisfy { place in hosts.contains { $0.host == place } }
        case .together: Set(places).count <= 1
        case .apart: Set(places).count == places.count
        }
    }
}

/// What became of the guests of the lost host.
public struct FailoverOutcome: Hashable, Sendable {
    /// A guest that runs on the other host. Nanoseconds since its host was lost.
    public struct Return: Hashable, Sendable {
        /// blocklist, power or watchdog: what proved that its old host writes no more.
        public var proof: String
        public var issued: Int64
        public var running: Int64

        public init(proof: String, issued: Int64, running: Int64) {
            (self.proof, self.issued, self.running) = (proof, issued, running)
        }
    }

    /// Why a guest stays down, or where it is cut off, by right.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        case noCapacity = "the other host has no memory for it"
        case rule = "a rule that is never given up keeps it from the other host"
        case localDisks = "its disks are local to the lost host"
    }

    public var returns: [Return] = []
    /// Guests that ran again on their own host, which came back, before anybody took them over.
    public var backAtHome = 0
    public var left: [Reason] = []
    /// Promises that were broken, and guests that stay down without a reason, in words.
    public var violations: [String]

    public init(_ failover: Failover, _ result: RunResult) {
        violations = result.violations.map { "\($0.invariant): \($0.words)" }
        for workload in failover.plan.workloads {
            let own = result.recoveries.filter { $0.workload == workload.name && $0.from == failover.victim }
            if let first = own.first {
                if first.to == failover.victim {
                    backAtHome += 1
                } else {
                    returns.append(
                        Return(
                            proof: first.fence ?? "nothing", issued: (first.issuedAt ?? first.startedAt) - failover.at,
                            running: first.startedAt - failover.at))
                }
                continue
            }
            let end = result.workloads[workload.name]
            let isCutOff = failover.loss == .cut && end?.state == "running" && end?.host == failover.victim
            let lost = result.lost.first { $0.workload == workload.name && $0.from == failover.victim }
            guard lost != nil || isCutOff, workload.desired == "running" else { continue }
            if let reason = Self.reason([workload.name], failover, result) {
                left.append(reason)
            } else {
                violations.append(
                    "notRecovered: \(workload.name) of \(failover.victim), \(Failover.patience / Failover.second) s after "
                        + "the loss (\(end?.reason ?? "nobody says why"))")
            }
        }
    }

    /// Why workloads that go together cannot run on the host that is left, as it is at the end; nil: they can.
    private static func reason(_ names: [String], _ failover: Failover, _ result: RunResult) -> Reason? {
        let plan = failover.plan
        func isThere(_ name: String) -> Bool {
            result.workloads[name].map { $0.state == "running" && $0.host == failover.survivor } ?? false
        }
        let coming = plan.workloads.filter { names.contains($0.name) && !isThere($0.name) }
        if coming.contains(where: { $0.storage == .local }) {
            return names.count == 1 ? .localDisks : .rule
        }
        for rule in plan.rules {
            let listed = rule.workloads
            let others = listed.filter { !names.contains($0) }
            guard listed.contains(where: names.contains) else { continue }
            switch rule.form {
            case .hosts(let hosts, strict: true) where !hosts.contains(where: { $0.host == failover.survivor }):
                return .rule
            case .apart where others.contains(where: isThere): return .rule
            // One comes only with the others, and those may be kept from coming.
            case .together where others.contains(where: { !isThere($0) && isWanted($0, plan) }):
                return reason(names + others.filter { isWanted($0, plan) }, failover, result)
            default: break
            }
        }
        let used = plan.workloads.filter { isThere($0.name) }.reduce(0) { $0 + $1.memory }
        let most = plan.members.first { $0.name == failover.survivor }?.memory ?? 0
        return used + coming.reduce(0) { $0 + $1.memory } > most ? .noCapacity : nil
    }

    private static func isWanted(_ name: String, _ plan: Plan) -> Bool {
        plan.workloads.contains { $0.name == name && $0.desired == "running" }
    }
}
