// The driver as the agent sees it: orders in, reports out.

import Cluster
import Consensus
import Kinds
import Logging
import Synchronization
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)

/// Runs a driver and keeps what it reports.
final class Run: Sendable {
    let proxmox: SmallProxmox
    private let reports: AsyncStream<GuestReport>
    private let reporting: AsyncStream<GuestReport>.Continuation
    private let fences: AsyncStream<FenceReport>
    private let fencing: AsyncStream<FenceReport>.Continuation
    let declared = Mutex<Declaration?>(nil)
    /// What the cluster says to a claim.
    let cluster = Mutex<@Sendable (OrderClaim) -> ClaimAnswer>({ _ in .holds })

    init() async throws {
        proxmox = try await SmallProxmox()
        (reports, reporting) = AsyncStream.makeStream()
        (fences, fencing) = AsyncStream.makeStream()
    }

    func callAsFunction(
        _ change: (inout ProxmoxSettings) -> Void = { _ in },
        _ body: (ProxmoxNode, inout AsyncStream<GuestReport>.Iterator) async throws -> Void
    ) async throws {
        var settings = try proxmox.settings()
        change(&settings)
        let node = try ProxmoxNode(
            settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            declaration: { _ in self.declared.withLock { $0 } },
            claim: { claim in self.cluster.withLock { $0 }(claim) },
            report: { [reporting] in reporting.yield($0) }, reportFence: { [fencing] in fencing.yield($0) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await node.serve() }
            var iterator = reports.makeAsyncIterator()
            try await body(node, &iterator)
            group.cancelAll()
        }
    }

    func nextFence() async -> FenceReport? {
        var iterator = fences.makeAsyncIterator()
        return await iterator.next()
    }
}

extension AsyncStream<GuestReport>.Iterator {
    /// The next end of a step.
    mutating func end() async -> GuestReport? {
        while let report = await next() {
            switch report {
            case .done, .failed: return report
            default: continue
            }
        }
        return nil
    }

    /// Waits for an observation of the first guest that is as told. What was seen before a step ended is no news.
    fileprivate mutating func observation(_ isIt: (GuestObservation) -> Bool) async -> GuestObservation? {
        while let report = await next() {
            if case .observed(let all) = report, let first = all.first, !first.isStale, isIt(first) { return first }
        }
        return nil
    }

    fileprivate mutating func blindness() async -> String? {
        while let report = await next() {
            if case .blind(let reason) = report { return reason }
        }
        return nil
    }
}

@Suite(.timeLimit(.minutes(2))) struct NodeTests {
    @Test func aGuestIsWatchedStartedAndStopped() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web\nscsi0: rbd:vm-120-disk-0,size=10G")
        try await run { node, reports in
            node.carryOut(.watch([web]))
            #expect(await reports.observation { _ in true }?.state == .stopped)
            node.carryOut(.start(web, epoch: 3, takeFrom: [], provenAway: []))
            #expect(await reports.end() == .done(web, epoch: 3, .start))
            #expect(await reports.observation { _ in true }?.state == .running)
            // Ordered again, it is done already.
            node.carryOut(.start(web, epoch: 3, takeFrom: [], provenAway: []))
            #expect(await reports.end() == .done(web, epoch: 3, .start))
            node.carryOut(.stop(web, epoch: 3, grace: .seconds(5)))
            #expect(await reports.end() == .done(web, epoch: 3, .stop))
            #expect(await reports.observation { _ in true }?.state == .stopped)
        }
        #expect(run.proxmox.server.changes.filter { $0.hasSuffix("/start") }.count == 1)
    }

    @Test func whatTheHostIsIsTold() async throws {
        let run = try await Run()
        try await run({ $0.reservedMemoryBytes = 1 << 30 }) { _, reports in
            while let report = await reports.next() {
                guard case .host(let facts) = report else { continue }
                #expect(facts.memoryBytes == 7 << 30)
                #expect(facts.cores == 4)
                #expect(facts.isQuorate)
                #expect(!facts.boot.isEmpty)
                #expect(facts.watchdogMilliseconds == 0)
                return
            }
        }
    }

    @Test func aGuestOfAFencedHostIsTakenOver() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web\nscsi0: rbd:vm-120-disk-0,size=10G\n[snap]\nscsi1: local:1")
        // The host died in the middle of a backup, and Proxmox has lost its quorum.
        run.proxmox.change { state in
            state.isQuorate = false
            state.locks[120] = nil
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: ["pve2"]))
            #expect(await reports.end() == .done(web, epoch: 4, .start))
        }
        #expect(run.proxmox.votesWereLowered)
        #expect(run.proxmox.read { $0.running } == [120])
        #expect(
            try GuestFiles(folder: "\(run.proxmox.folder.path)/pve").holders(of: GuestNumber(.machine, 120)!).map(
                \.text) == ["pve1"])
    }

    @Test func aTakeOverThatIsUndoneIsMadeAgain() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        let files = GuestFiles(folder: "\(run.proxmox.folder.path)/pve")
        let machine = GuestNumber(.machine, 120)!
        // The cluster's file system comes together just then, and takes the other side's state: once.
        run.proxmox.change { state in
            state.beforeList = {
                guard files.exists(machine, on: NodeName("pve1")!) else { return false }
                try? files.take(machine, from: NodeName("pve1")!, to: NodeName("pve2")!)
                return true
            }
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: []))
            #expect(await reports.end() == .done(web, epoch: 4, .start))
        }
        #expect(run.proxmox.read { $0.beforeList == nil })
        #expect(run.proxmox.read { $0.running } == [120])
        #expect(try files.holders(of: machine).map(\.text) == ["pve1"])
    }

    @Test func votesAreNotLoweredUnasked() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        run.proxmox.change { $0.isQuorate = false }
        try await run({ $0.quorumPatience = .milliseconds(300) }) { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: []))
            guard case .failed(_, 4, .start, let failure) = await reports.end() else {
                Issue.record("it cannot start without quorum")
                return
            }
            #expect(failure.reason.contains("no quorum"))
            #expect(!failure.isPermanent)
        }
        #expect(!run.proxmox.votesWereLowered)
        #expect(run.proxmox.server.changes == [])
    }

    @Test func theStaleLockOfADeadHostIsRemovedAndAnotherIsNot() async throws {
        for (lock, isRemoved) in [("backup", true), ("clone", false)] {
            let run = try await Run()
            run.proxmox.put(120, on: "pve2", "name: web")
            run.proxmox.change { $0.locks[120] = lock }
            try await run { node, reports in
                node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: []))
                _ = await reports.end()
            }
            #expect(run.proxmox.wasUnlocked == isRemoved)
        }
    }

    @Test(arguments: ["scsi0: local:120/vm-120-disk-0.raw", "hostpci0: 0000:01:00"])
    func whatOnlyTheDeadHostHasIsNotTakenOver(line: String) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web\n\(line)")
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 4, takeFrom: ["pve2"], provenAway: ["pve2"]))
            guard case .failed(_, _, _, let failure) = await reports.end() else {
                Issue.record("its disk is not here")
                return
            }
            #expect(failure.isPermanent)
        }
        #expect(run.proxmox.read { $0.running } == [])
        #expect(
            GuestFiles(folder: "\(run.proxmox.folder.path)/pve").exists(
                GuestNumber(.machine, 120)!, on: NodeName("pve2")!))
    }

    @Test func aGuestOfAnotherHostIsNotStartedHere() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        try await run { node, reports in
            for takeFrom in [[], ["pve3"]] {
                node.carryOut(.start(web, epoch: 4, takeFrom: takeFrom, provenAway: ["pve2"]))
                guard case .failed(_, _, .start, let failure) = await reports.end() else {
                    Issue.record("it lies on pve2")
                    return
                }
                #expect(failure.isPermanent)
                #expect(failure.reason.contains("pve2"))
            }
        }
        #expect(run.proxmox.server.changes == [])
    }

    @Test func anUnknownOutcomeIsLookedAtBeforeAnythingElse() async throws {
        // The request was taken, and the answer lost.
        let happened = try await Run()
        happened.proxmox.put(120, on: "pve1", "name: web")
        happened.proxmox.change { $0.faults = [("POST /nodes/pve1/qemu/120/status/start", .close)] }
        try await happened { node, reports in
            // It is not running, so it is started after all, and once.
            node.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            #expect(await reports.end() == .done(web, epoch: 1, .start))
        }
        let seen = happened.proxmox.server.seen.map(\.line)
        let starts = seen.indices.filter { seen[$0].hasSuffix("/status/start") }
        #expect(starts.count == 2)
        // Between the two it was asked what is under way, and how the guest is.
        let between = seen[starts[0]...starts[1]]
        #expect(between.contains("GET /nodes/pve1/tasks"))
        #expect(between.contains("GET /nodes/pve1/qemu/120/status/current"))
    }

    @Test func aStartThatFailsIsReportedWithItsReason() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { $0.verdicts = ["start failed: QEMU exited with code 1"] }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            guard case .failed(_, 1, .start, let failure) = await reports.end() else {
                Issue.record("it did not start")
                return
            }
            #expect(failure.reason.contains("QEMU exited with code 1"))
            #expect(!failure.isPermanent)
        }
        #expect(run.proxmox.server.changes.count == 1)
    }

    @Test func aLostPrivilegeIsNamed() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change {
            $0.faults = [
                (
                    "POST /nodes/pve1/qemu/120/status/start",
                    .answer(403, "Permission check failed (/vms/120, VM.PowerMgmt)", "")
                )
            ]
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            guard case .failed(_, _, _, let failure) = await reports.end() else {
                Issue.record("it may not be started")
                return
            }
            #expect(failure.isPermanent)
            #expect(failure.reason.contains("VM.PowerMgmt"))
        }
    }

    @Test func toEndAGuestCutsOffItsStart() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { $0.hangsAtStart = true }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            while !run.proxmox.server.changes.contains(where: { $0.hasSuffix("/start") }) { await Task.yield() }
            node.carryOut(.destroy(web, epoch: 2))
            guard case .failed(_, 1, .start, _) = await reports.end() else {
                Issue.record("the start was cut off")
                return
            }
            #expect(await reports.end() == .done(web, epoch: 2, .destroy))
        }
        // The task in Proxmox too: it would have brought the guest up afterwards.
        #expect(run.proxmox.server.changes.contains { $0.hasPrefix("DELETE /nodes/pve1/tasks/") })
    }

    @Test(arguments: [
        ("qmstart", "120", true), ("qmigrate", "120", true), ("qmstop", "120", false), ("qmstart", "121", false),
    ])
    func whatSomebodyElsesTaskBringsUpIsTold(type: String, subject: String, isStarting: Bool) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        let task = "UPID:pve1:00000001:00000001:6B0432A8:\(type):\(subject):root@pam:"
        run.proxmox.change { $0.ends[task] = .some(nil) }
        try await run { node, reports in
            node.carryOut(.watch([web]))
            #expect(await reports.observation { _ in true }?.isStarting == isStarting)
            run.proxmox.change { $0.ends[task] = "OK" }
            if isStarting { #expect(await reports.observation { !$0.isStarting } != nil) }
        }
    }

    @Test func whoCannotLookSaysSoAndSeesAgain() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        try await run { node, reports in
            node.carryOut(.watch([web]))
            _ = await reports.observation { _ in true }
            run.proxmox.change { $0.isDead = true }
            #expect(await reports.blindness() != nil)
            run.proxmox.change { $0.isDead = false }
            #expect(await reports.observation { _ in true }?.state == .stopped)
        }
    }

    @Test(arguments: ["io-error", "postmigrate"]) func whatDoesNoWorkIsNotTakenForRunning(word: String) async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { state in
            state.running = [120]
            state.standstill = [120: word]
            state.managed = [120]
        }
        try await run { node, reports in
            node.carryOut(.watch([web]))
            let seen = await reports.observation { $0.state == .stuck }
            #expect(seen?.detail.contains(word) == true)
            #expect(seen?.isManagedElsewhere == true)
        }
    }

    /// QEMU's own state is looked at seldom, but always when somebody asks what is true now.
    @Test func whatAFailedMoveHasHandedOverIsSeenAtTheNextWord() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.proxmox.change { $0.running = [120] }
        try await run { node, reports in
            node.carryOut(.watch([web]))
            #expect(await reports.observation { _ in true }?.state == .running)
            run.proxmox.change { $0.standstill = [120: "postmigrate"] }
            node.carryOut(.watch([web]))
            #expect(await reports.observation { _ in true }?.state == .stuck)
        }
    }

    @Test func aGuestIsMovedAndWhatCannotMoveGoesOn() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web\nscsi0: rbd:vm-120-disk-0")
        run.proxmox.put(121, on: "pve1", "name: db\nscsi0: local:121/vm-121-disk-0.raw")
        run.proxmox.change { $0.running = [120, 121] }
        let database = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "db"), form: .machine, vmid: 121)
        try await run { node, reports in
            node.carryOut(.migrate(web, epoch: 1, to: "pve2", live: true))
            #expect(await reports.end() == .done(web, epoch: 1, .migrate))
            node.carryOut(.migrate(web, epoch: 1, to: "pve2", live: true))
            #expect(await reports.end() == .done(web, epoch: 1, .migrate))
            node.carryOut(.migrate(database, epoch: 1, to: "pve2", live: false))
            guard case .failed(_, _, .migrate, let failure) = await reports.end() else {
                Issue.record("its disk is of this host")
                return
            }
            #expect(failure.isPermanent)
        }
        #expect(run.proxmox.read { $0.running.contains(121) })
    }

    @Test func aGuestIsBroughtInLineBeforeItStarts() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web\ncores: 1\nmemory: 512")
        run.declared.withLock { declared in
            declared = Declaration(
                kind: "VirtualMachine", name: "web", spec: ["proxmox": ["vmid": 120, "cores": 4, "memory": "2Gi"]])
        }
        try await run { node, reports in
            node.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            #expect(await reports.end() == .done(web, epoch: 1, .start))
        }
        let changes = run.proxmox.server.seen.filter { $0.method == "POST" }
        #expect(changes.map(\.path) == ["/nodes/pve1/qemu/120/config", "/nodes/pve1/qemu/120/status/start"])
        #expect(changes.first?.body == "cores=4&memory=2048&digest=d")
    }

    @Test func theHealthOfARunningGuestIsWatched() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        let flag = "\(run.proxmox.folder.path)/healthy"
        run.declared.withLock { declared in
            declared = Declaration(
                kind: "VirtualMachine", name: "web",
                spec: [
                    "proxmox": ["vmid": 120],
                    "health": ["exec": ["/usr/bin/test", "-e", .string(flag)], "every": "100ms", "failures": 1],
                ])
        }
        try await run { node, reports in
            node.carryOut(.watch([web]))
            // What does not run is not checked.
            #expect(await reports.observation { _ in true }?.healthy == nil)
            run.proxmox.change { $0.running = [120] }
            #expect(await reports.observation { $0.healthy == false } != nil)
            _ = run.proxmox.folder.write("healthy", "")
            #expect(await reports.observation { $0.healthy == true } != nil)
            run.proxmox.change { $0.running = [] }
            #expect(await reports.observation { $0.state == .stopped }?.healthy == nil)
        }
    }

    @Test func theMachineIsRestartedByProxmox() async throws {
        let run = try await Run()
        try await run { node, _ in
            func restart() async -> String? {
                await withCheckedContinuation { done in node.restartMachine { done.resume(returning: $0) } }
            }
            run.proxmox.change {
                $0.faults.append(
                    (
                        "POST /nodes/pve1/status",
                        .answer(403, "Permission check failed (/nodes/pve1, Sys.PowerMgmt)", "")
                    ))
            }
            #expect(await restart()?.contains("Sys.PowerMgmt") == true)
            #expect(await restart() == nil)
            run.proxmox.change {
                $0.faults.append(("GET /access/permissions", .data(#"{"/nodes/pve1":{"Sys.Audit":1}}"#)))
            }
            #expect(await node.restartTrouble()?.contains("Sys.PowerMgmt on /nodes/pve1") == true)
            run.proxmox.change {
                $0.faults.append(("GET /access/permissions", .data(#"{"/nodes/pve1":{"Sys.PowerMgmt":1}}"#)))
            }
            #expect(await node.restartTrouble() == nil)
        }
        let orders = run.proxmox.server.seen.filter { $0.line == "POST /nodes/pve1/status" }
        #expect(orders.map(\.body) == ["command=reboot", "command=reboot"])
    }

    @Test func theAgentInsideAMachineIsPinged() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web")
        run.declared.withLock { declared in
            declared = Declaration(
                kind: "VirtualMachine", name: "web",
                spec: ["proxmox": ["vmid": 120], "health": ["agent": "ping", "every": "100ms", "failures": 1]])
        }
        try await run { node, reports in
            run.proxmox.change { $0.running = [120] }
            node.carryOut(.watch([web]))
            #expect(await reports.observation { $0.healthy == false } != nil)
            run.proxmox.change { $0.agentsAnswer = true }
            #expect(await reports.observation { $0.healthy == true } != nil)
        }
    }

    @Test func aFenceThatIsNotProvenIsReportedSo() async throws {
        let run = try await Run()
        try await run { node, _ in
            node.carryOut(.blocklist(host: "pve2", epoch: 7, addresses: ["10.77.0.2"]))
            guard case .failed(let first, let reason) = await run.nextFence(), first.epoch == 7 else {
                Issue.record("there is no Ceph")
                return
            }
            #expect(reason.contains("Ceph is not configured"))
            node.carryOut(.powerOff(host: "pve2", epoch: 8, command: ["/bin/sh", "-c", "exit 3"]))
            guard case .failed(let second, _) = await run.nextFence(), second.epoch == 8 else {
                Issue.record("the command failed")
                return
            }
            node.carryOut(
                .powerOff(host: "pve2", epoch: 9, command: ["/bin/sh", "-c", "test \"$0\" = pve2", "{host}"]))
            guard case .fenced(let third, _) = await run.nextFence(), third.epoch == 9 else {
                Issue.record("the command succeeded")
                return
            }
        }
    }
}
