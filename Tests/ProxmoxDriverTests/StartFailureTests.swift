// Whether a start that failed may have begun anything: what has not can be given to another host, also by one that cannot look at
// its guests any more.

import Cluster
import Kinds
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)

@Suite(.timeLimit(.minutes(1))) struct StartFailureTests {
    /// Whether the start of a guest that was told to be taken from pve2 has begun nothing; nil: it did not fail.
    private func hasBegunNothing(
        _ node: ProxmoxNode, _ reports: inout AsyncStream<GuestReport>.Iterator
    ) async -> Bool? {
        node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: []))
        guard case .failed(web, epoch: 4, .start, let failure) = await reports.end() else { return nil }
        return failure.hasBegunNothing
    }

    @Test func anAPIThatIsAwayBeginsNothing() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        run.proxmox.change { $0.isDead = true }
        try await run { node, reports in
            let told = await hasBegunNothing(node, &reports)
            #expect(told == true)
        }
        #expect(run.proxmox.server.changes == [])
    }

    @Test func whereThereIsNoQuorumNothingIsTaken() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        run.proxmox.change { $0.isQuorate = false }
        try await run({ $0.quorumPatience = .milliseconds(300) }) { node, reports in
            let told = await hasBegunNothing(node, &reports)
            #expect(told == true)
        }
        #expect(run.proxmox.server.changes == [])
    }

    @Test func aTaskThatFailedMayHaveBegunEverything() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        run.proxmox.change { $0.verdicts = ["start failed: QEMU exited with code 1"] }
        try await run { node, reports in
            let told = await hasBegunNothing(node, &reports)
            #expect(told == false)
        }
    }

    /// Nobody took the guest from anywhere: a move that failed at its end has left the lock, or its machine was reset in the midst
    /// of it. One that ended well left it on purpose, as `qm remote-migrate` does.
    @Test(
        arguments: [
            ("migrate", "migration aborted", true), ("migrate", "unexpected status", true), ("migrate", nil, true),
            ("migrate", "OK", false), ("backup", nil, false),
        ] as [(String, String?, Bool)])
    func theStaleLockOfAMoveIsRemovedWhereTheGuestHasStayed(lock: String, end: String?, isRemoved: Bool) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { ($0.locks[120], $0.lastMove) = (lock, end) }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: [], provenAway: []))
            _ = await reports.end()
        }
        #expect(run.proxmox.wasUnlocked == isRemoved)
    }
}
