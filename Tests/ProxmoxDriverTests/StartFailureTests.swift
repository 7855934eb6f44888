// Whether a start that failed may have begun anything: what has not can be given to another host, also by one that cannot look at
// its guests any more.

import Cluster
import Kinds
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)

/// The log of a move to another cluster, and what is answered for one that is gone.
private let remote = [
    "remote: started tunnel worker 'UPID:far:00000001:00000001:6B0432A8:qmtunnel:120:root@pam!far:'",
    "migration finished successfully (duration 00:00:12)",
]
private let unreadable = ["unable to open file - No such file or directory"]

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
    /// of it. One to another cluster left it on purpose; one within this cluster took the guest away, and it has come back since.
    @Test(
        arguments: [
            ("migration aborted", [], true), ("unexpected status", [], true), (nil, [], true), ("OK", [], true),
            ("WARNINGS: 1", [], true), ("migration problems", [], true), ("OK", remote, false),
            ("WARNINGS: 1", remote, false), ("migration problems", remote, false), ("unexpected status", remote, false),
            ("migration aborted", remote, true), ("OK", unreadable, false),
        ] as [(String?, [String], Bool)])
    func theStaleLockOfAMoveIsRemovedWhereTheGuestHasStayed(end: String?, log: [String], isRemoved: Bool) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { state in
            (state.locks[120], state.lastMove) = ("migrate", end)
            if !log.isEmpty { state.lastMoveLog = log }
        }
        try await run { node, reports in
            // Another host may be fenced meanwhile: it lies here all the same.
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: []))
            let report = await reports.end()
            if !isRemoved { Self.expectToldToAPerson(report, "migrate") }
        }
        #expect(run.proxmox.wasUnlocked == isRemoved)
    }

    private static func expectToldToAPerson(_ report: GuestReport?, _ lock: String) {
        guard case .failed(web, epoch: 4, .start, let failure)? = report else {
            Issue.record("it may not be started: \(String(describing: report))")
            return
        }
        #expect(failure.awaitsPerson && !failure.isPermanent)
        #expect(failure.reason.contains("locked (\(lock)) on pve1") && failure.reason.contains("qm unlock 120"))
    }

    /// The machine was reset in the midst of it, and is up again before anybody has fenced it.
    @Test(
        arguments: [
            ("backup", true), ("snapshot", true), ("snapshot-delete", true), ("suspending", true), ("mounted", false),
            ("create", false), ("clone", false), ("rollback", false), ("disk", false),
        ])
    func theLockOfWhatDiedHereIsRemovedOrTold(lock: String, isRemoved: Bool) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { $0.locks[120] = lock }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: [], provenAway: []))
            let report = await reports.end()
            if !isRemoved { Self.expectToldToAPerson(report, lock) }
        }
        #expect(run.proxmox.wasUnlocked == isRemoved)
    }

    @Test(arguments: [
        GuestOrder.stop(web, epoch: 4, grace: .seconds(1)), .migrate(web, epoch: 4, to: "pve2", live: false),
    ])
    func itIsRemovedBeforeAStopAndAMoveToo(order: GuestOrder) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { $0.locks[120] = "backup" }
        try await run { node, reports in
            node.carryOut(order)
            _ = await reports.end()
        }
        #expect(run.proxmox.wasUnlocked)
    }

    @Test func whatIsHibernatedIsResumedByItsStart() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { $0.locks[120] = "suspended" }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: [], provenAway: []))
            #expect(await reports.end() == .done(web, epoch: 4, .start))
        }
        #expect(!run.proxmox.wasUnlocked)
    }

    /// A backup of one guest names it, one of several names none.
    @Test(
        arguments: [
            ("vzdump", "120", "backup", true), ("vzdump", "", "backup", true), ("vzdump", "121", "backup", false),
            ("vzdump", "", "migrate", false), ("qmigrate", "120", "migrate", true), ("qmclone", "121", "clone", true),
            ("vncproxy", "120", "backup", false),
        ])
    func aLockIsWorkedOnByWhatMayHoldIt(type: String, subject: String, lock: String, isWorkedOn: Bool) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { state in
            state.locks[120] = lock
            state.ends["UPID:pve1:00000001:00000001:6B0432A8:\(type):\(subject):root@pam:"] = .some(nil)
        }
        try await run { node, reports in
            node.carryOut(.watch([web]))
            let seen = await reports.first(web)
            #expect(seen?.lock == lock && seen?.isWorkedOn == isWorkedOn)
            guard isWorkedOn else { return }
            node.carryOut(.start(web, epoch: 4, takeFrom: [], provenAway: []))
            _ = await reports.end()
        }
        #expect(!run.proxmox.wasUnlocked)
    }
}

extension AsyncStream<GuestReport>.Iterator {
    /// What is seen of a guest first.
    fileprivate mutating func first(_ guest: Guest) async -> GuestObservation? {
        while let report = await next() {
            if case .observed(let all) = report, let seen = all.first(where: { $0.guest == guest }) { return seen }
        }
        return nil
    }
}
