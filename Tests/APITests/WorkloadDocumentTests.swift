// What people read of a workload that is not well: while something is done about it, and when that was in vain.

import Cluster
import Consensus
import Kinds
import Testing

@testable import API

@Suite struct WorkloadDocumentTests {
    private let vm = ResourceKey(kind: "VirtualMachine", name: "gitlab")

    private func state(_ commands: [WorkloadCommand]) -> ClusterState {
        var state = ClusterState()
        let founder = MemberRecord(
            id: MemberID(rawValue: 1), name: "pve1", kind: .host, host: "pve1", peerEndpoint: "10.0.0.1:7420",
            apiEndpoint: "10.0.0.1:7421", version: "1.0.0")
        let spec: JSONValue = ["proxmox": ["vmid": 120], "health": ["agent": "ping"]]
        var all: [Command] = [
            .bootstrap(clusterName: "home", member: founder), .raiseLevel(to: FeatureLevel.newest, without: []),
            .workload(.reportHost("pve1", HostFacts(boot: "b", memoryBytes: 1 << 34, cores: 8, isQuorate: true))),
            .apply(declarations: [Declaration(kind: vm.kind, name: vm.name, spec: spec)], checkRevision: nil),
            .workload(.place(vm, epoch: 0, on: "pve1", reason: "test", because: nil)),
        ]
        all += commands.map { .workload($0) }
        for (number, command) in all.enumerated() {
            let outcome = state.apply(
                CommandRecord(
                    stamp: RequestStamp(session: 1, request: UInt64(number + 1), settled: 0), milliseconds: 0,
                    actor: "test", command: command))
            #expect(outcome.succeeded, "\(command): \(outcome.message)")
        }
        return state
    }

    private func status(_ state: ClusterState) throws -> ResourceDocument.Status {
        ResourceDocument.Status(ofWorkload: vm, try #require(state.placements[vm]), state)
    }

    @Test func oneThatIsNotWellIsProgressingThenDegradedWithTheReason() throws {
        let sick = WorkloadCommand.sight(vm, on: "pve1", Sighting(.running, healthy: false))
        let first = try status(state([sick]))
        #expect(first.health == .progressing && first.sync == .synced)
        #expect(first.conditions.map(\.message) == ["its health check fails"])

        let restarting = try status(state([sick, .care(vm, epoch: 1, .restart, reason: "why")]))
        #expect(restarting.conditions.map(\.message) == ["its health check fails, and it is being restarted"])

        let words = "its health check fails, restarted once, which is its budget"
        let given = state([sick, .block(vm, epoch: 1, obstacle: words)])
        let last = try status(given)
        #expect(last.health == .degraded && last.sync == .synced)
        #expect(last.conditions.map(\.message) == [words, "its health check fails"])
        let workloads = WorkloadDocument.all(given, .init(given))
        #expect(
            StatusDocument.degradedWorkloads(workloads, [], given) == ["VirtualMachine/gitlab: \(words)"],
            "said once")

        let well = try status(state([.sight(vm, on: "pve1", Sighting(.running, healthy: true))]))
        #expect(well.health == .healthy && well.conditions.isEmpty)
    }
}
