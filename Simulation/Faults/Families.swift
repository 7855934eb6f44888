// Families of plans for two hosts that share disks: each is one story with its moments drawn by the seed, so that one
// name stands for as many runs as there are seeds. What must hold in each is what must hold always, and that everything
// declared is true again within the bound after the last fault.

import Cluster
import Consensus
import SimulationWorld

/// A story with a name, and a plan of it for every seed.
public struct Family: Sendable {
    public let name: String
    /// One sentence that says what is shown.
    public let about: String
    let change: @Sendable (inout FamilyPlan) -> Void

    init(_ name: String, _ about: String, _ change: @escaping @Sendable (inout FamilyPlan) -> Void) {
        self.name = name
        self.about = about
        self.change = change
    }

    public func plan(seed: UInt64) -> Plan {
        var family = FamilyPlan(name: name, seed: seed)
        change(&family)
        return family.finished(about: about)
    }

    public static let all: [Family] =
        losses + wires + storages + hosts + hypervisors + people + doubles + machinesInside
}

/// A plan while its family is filling it in: two hosts, a witness, five guests.
struct FamilyPlan {
    static let second: Int64 = 1_000_000_000

    var plan: Plan
    var draws: Draws
    /// When the next thing happens.
    var at: Int64

    init(name: String, seed: UInt64) {
        draws = Draws(seed: seed, purpose: 0xFA31)
        plan = Plan(name: "\(name)-\(seed)", seed: seed, length: 60 * Self.second)
        plan.healsWithin = 150 * Self.second
        plan.members = [
            Plan.Member(name: "pve1", kind: .host), Plan.Member(name: "pve2", kind: .host),
            Plan.Member(name: "witness", kind: .witness),
        ]
        plan.storage = .ceph
        plan.conditions.hostBoot = 12 * Self.second...25 * Self.second
        plan.conditions.guestBoot = 3 * Self.second...8 * Self.second
        plan.addresses = [Plan.Address(name: "dns", address: "192.168.1.2", candidates: ["pve1", "pve2"])]
        for (name, host) in [("vm:101", "pve1"), ("vm:102", "pve1"), ("ct:103", "pve1"), ("vm:104", "pve2")] {
            plan.workloads.append(Plan.Workload(name: name, host: host))
        }
        at = draws.number(Int64(5)...10) * Self.second + draws.number(Int64(0)...Self.second)
    }

    func finished(about: String) -> Plan {
        var plan = plan
        plan.about = about
        plan.timeline.sort { $0.at < $1.at }
        plan.length = max(plan.length, (plan.timeline.last?.at ?? 0) + 20 * Self.second)
        return plan
    }

    /// Something happens now.
    mutating func now(_ actions: Happening...) {
        for action in actions { plan.timeline.append(Plan.Moment(at: at, action: action)) }
    }

    mutating func wait(_ range: ClosedRange<Double>) {
        at += draws.number(Int64(range.lowerBound * 1e9)...Int64(range.upperBound * 1e9))
    }

    /// Within what a failover takes, from its first moment to well after its end.
    mutating func waitInFailover() {
        let steps: [ClosedRange<Double>] = [0...0.4, 0.4...1.4, 1.4...3, 3...6, 6...9]
        wait(draws.one(of: steps))
    }

    mutating func length(_ range: ClosedRange<Double>) -> Int64 {
        draws.number(Int64(range.lowerBound * 1e9)...Int64(range.upperBound * 1e9))
    }

    var host: String { mutating get { draws.one(of: ["pve1", "pve2"]) } }
    var workload: String { mutating get { draws.one(of: plan.workloads).name } }

    mutating func use(_ storage: Plan.Storage) { plan.storage = storage }

    mutating func forEachWorkload(_ change: (inout Plan.Workload) -> Void) {
        for index in plan.workloads.indices { change(&plan.workloads[index]) }
    }
}
