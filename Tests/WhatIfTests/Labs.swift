// Clusters to rehearse with, as they really come to be: a simulated lab is founded, and its state taken.

import Cluster
import Consensus
import Kinds
import SimulationWhatIf
import SimulationWorld
import Testing

enum Labs {
    /// Two hosts and a witness, an address, and a guest on each host.
    static func usual(_ storage: Plan.Storage = .ceph) -> Plan {
        var plan = Plan(name: "lab", seed: 1, length: 0)
        plan.members = [
            Plan.Member(name: "pve1", kind: .host), Plan.Member(name: "pve2", kind: .host),
            Plan.Member(name: "witness", kind: .witness),
        ]
        plan.storage = storage
        plan.addresses = [Plan.Address(name: "dns", address: "192.168.1.2", candidates: ["pve1", "pve2"])]
        plan.workloads = [Plan.Workload(name: "vm:101", host: "pve1"), Plan.Workload(name: "vm:102", host: "pve2")]
        return plan
    }

    static func cluster(_ plan: Plan) throws -> PresentCluster {
        let present = try #require(World(plan).found())
        return PresentCluster(
            state: present.state, configuration: present.configuration, leader: present.leader)
    }

    static func name(_ number: Int) -> String { "VirtualMachine/vm-\(number)" }
}

extension PresentCluster {
    mutating func apply(_ command: Command) {
        _ = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 0, request: state.revision + 1, settled: 0), milliseconds: 1,
                actor: "test",
                command: command))
    }

    func forecast(_ losses: String..., seed: UInt64 = 1) throws -> Forecast {
        try WhatIf.forecast(self, [try supposition(losses)], seed: seed)
    }
}
