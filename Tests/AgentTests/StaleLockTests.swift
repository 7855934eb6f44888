// Locks of guests: one that something holds is waited for; one whose holder has died keeps no guest down, and what only a person
// may remove is told.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

private let vm = ResourceKey(kind: "VirtualMachine", name: "gitlab")
private let guest = Guest(workload: vm, form: .machine, vmid: 120)

extension AgentBench {
    /// A founder on a machine that runs guests, with one declared.
    fileprivate static func host() -> AgentBench {
        var bench = AgentBench.founder()
        let facts = HostFacts(
            boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.1", watchdogMilliseconds: 10_000)
        bench.turn([.guests(.host(facts))])
        bench.run(for: .milliseconds(200))
        bench.request(
            .apply(
                declarations: [
                    Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "cephRbd"]),
                    Declaration(
                        kind: vm.kind, name: vm.name,
                        spec: [
                            "proxmox": ["vmid": 120, "memory": "4Gi"], "disks": [["name": "scsi0", "pool": "rbd"]],
                        ]),
                ], checkRevision: nil))
        bench.run(for: .milliseconds(200))
        return bench
    }

    fileprivate mutating func observe(_ state: GuestState = .stopped, lock: String?, isWorkedOn: Bool = false) {
        turn([.guests(.observed([GuestObservation(guest, state, lock: lock, isWorkedOn: isWorkedOn)]))])
        run(for: .seconds(1))
    }

    fileprivate var placement: Placement { core.state.placements[vm] ?? Placement() }
    fileprivate var starts: Int { guestOrders.count { if case .start = $0 { true } else { false } } }

    fileprivate mutating func awaitPerson(_ reason: String) {
        let failure = GuestFailure(reason, awaitsPerson: true)
        turn([.guests(.failed(guest, epoch: placement.epoch, .start, failure))])
    }
}

@Suite struct StaleLockTests {
    @Test(arguments: ["backup", "migrate", "rollback", "suspended"])
    func aLockThatNothingHoldsKeepsNoGuestDown(lock: String) {
        var bench = AgentBench.host()
        for _ in 0..<5 { bench.observe(lock: lock, isWorkedOn: true) }
        #expect(bench.placement.phase == .on("pve1") && bench.starts == 0)
        // Its host was reset in the midst of it, or whoever worked on it was killed.
        bench.observe(lock: lock)
        #expect(bench.starts == 1)
    }

    @Test func whatOnlyAPersonCanJudgeIsToldAndUsesUpNoTry() {
        var bench = AgentBench.host()
        bench.observe(lock: "rollback")
        for starts in 1...4 {
            #expect(bench.starts == starts)
            bench.awaitPerson("it is locked (rollback); as root: qm unlock 120")
            bench.observe(lock: "rollback")
            #expect(bench.placement.obstacle.contains("qm unlock 120"))
            #expect(bench.placement.failures == 0)
            #expect(bench.starts == starts, "it is not asked for all the time")
            bench.run(for: HostWorkloads.retryAfter)
        }
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .start))])
        bench.observe(.running, lock: nil)
        #expect(bench.placement.obstacle.isEmpty)
    }
}
