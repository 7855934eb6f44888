// Two answers to one question: what stays down when one host is lost. The cheap one (WorkloadTolerance) is what status, plan
// and apply go by; the other is a rehearsal. Over drawn clusters they must agree.

import Cluster
import Consensus
import Decisions
import Kinds
import SimulationWhatIf
import SimulationWorld
import Testing

@Suite struct AgreementTests {
    /// Draws for plans: the same in every process.
    struct Dice {
        private var state: UInt64
        init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
        mutating func roll(_ sides: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state >> 33) % sides
        }
        mutating func chance(_ percent: Int) -> Bool { roll(100) < percent }
        mutating func pick<Element>(_ all: [Element]) -> Element { all[roll(all.count)] }
    }

    /// Two to four hosts of little memory, guests on any storage, rules that may leave nowhere to go.
    static func plan(_ seed: UInt64) -> Plan {
        var dice = Dice(seed)
        var plan = Plan(name: "drawn", seed: seed, length: 0)
        let hosts = (1...(2 + dice.roll(3))).map { "pve\($0)" }
        plan.members = hosts.map { name in
            var member = Plan.Member(name: name, kind: .host)
            member.memory = Int64(8 + dice.roll(9)) << 30
            return member
        }
        if hosts.count % 2 == 0 { plan.members.append(Plan.Member(name: "witness", kind: .witness)) }
        plan.storage = dice.pick([.ceph, .ceph, .shared, .local])
        var left = plan.members.map { $0.kind == .host ? $0.memory : 0 }
        for number in 0..<(2 + dice.roll(6)) {
            let host = dice.roll(hosts.count)
            var workload = Plan.Workload(name: "vm:\(101 + number)", host: hosts[host])
            workload.memory = Int64(1 + dice.roll(5)) << 30
            guard workload.memory <= left[host] else { continue }
            left[host] -= workload.memory
            if dice.chance(10) { workload.desired = "stopped" }
            plan.workloads.append(workload)
        }
        if plan.workloads.isEmpty { plan.workloads = [Plan.Workload(name: "vm:101", host: hosts[0])] }
        for _ in 0..<dice.roll(3) {
            // A rule that nothing breaks as it is.
            let chosen = dice.pick(plan.workloads)
            if dice.chance(50) {
                let other = dice.pick(hosts)
                let allowed = [chosen.host, other].map { Plan.Rule.Preference(host: $0, priority: 1) }
                plan.rules.append(
                    Plan.Rule(
                        .hosts(chosen.host == other ? [allowed[0]] : allowed, strict: true), workloads: [chosen.name]))
            } else if let other = plan.workloads.first(where: { $0.host != chosen.host }) {
                plan.rules.append(Plan.Rule(.apart, workloads: [chosen.name, other.name]))
            }
        }
        return plan
    }

    @Test func aRehearsalAgreesWithTheTolerance() throws {
        var (survived, lost) = (0, 0)
        for seed in UInt64(1)...8 {
            let cluster = try Labs.cluster(Self.plan(seed))
            for host in cluster.state.hosts.keys {
                let expected = try compare(cluster, host, seed)
                if expected.isEmpty { survived += 1 } else { lost += 1 }
            }
        }
        #expect(survived > 3 && lost > 3, "the draws reach both answers: \(survived) and \(lost)")
    }

    /// - Returns: what both say stays down.
    private func compare(_ cluster: PresentCluster, _ host: String, _ seed: UInt64) throws -> Set<String> {
        let cheap = WorkloadTolerance.obstacles(
            toLosing: host, state: cluster.state, specs: WorkloadSpecs(cluster.state)
        ) { cluster.answers($0) }
        let forecast = try cluster.forecast("host/\(host)", seed: seed)
        let foretold = Set(forecast.down.map(\.subject).filter { $0.hasPrefix("VirtualMachine/") })
        // Its sentences begin with the name of the workload.
        let expected = Set(
            cheap.compactMap { $0.split(separator: " ").first }.map { "VirtualMachine/\($0)" })
        #expect(forecast.violations.isEmpty, "seed \(seed), \(host)")
        #expect(
            foretold == expected,
            "seed \(seed), \(host): the rehearsal says \(forecast.down), the tolerance \(cheap)")
        return expected
    }
}
