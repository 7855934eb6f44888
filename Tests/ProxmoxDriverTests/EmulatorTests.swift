// The driver against the emulator of Proxmox, over real HTTPS, with its faults: what it hangs at, what it answers and does
// not do, what it does and does not answer.

import Cluster
import Consensus
import Glibc
import Kinds
import Logging
import ProxmoxEmulator
import Synchronization
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 100)
private let machine = GuestNumber(.machine, 100)!

/// Two emulated hosts and a driver of the first.
private struct Emulated {
    let hosts: [HostProcess]
    let folder: TestFolder

    func settings(_ index: Int = 0) async throws -> ProxmoxSettings {
        let fingerprint = await hosts[index].fingerprint
        var settings = ProxmoxSettings(
            node: NodeName("pve\(index + 1)")!,
            access: ProxmoxAccess(
                port: hosts[index].port, trust: .fingerprint(CertificateFingerprint(fingerprint)!),
                token: try ProxmoxToken(id: "ops@pve!agent", secret: "secret")))
        (settings.access.readLimit, settings.access.writeLimit) = (.seconds(60), .seconds(60))
        settings.files = GuestFiles(folder: "\(folder.path)/pve\(index + 1)")
        _ = folder.write("proc/1/cmdline", "/sbin/init")
        settings.machines = MachineProcesses(folder: "\(folder.path)/run", processes: "\(folder.path)/proc")
        settings.containers = ContainerProcesses(folder: "\(folder.path)/none")
        settings.lookInterval = .milliseconds(100)
        settings.lockPatience = .seconds(2)
        return settings
    }

    func host(_ change: (inout ProxmoxAccess) -> Void = { _ in }) async throws -> ProxmoxHost {
        var settings = try await settings()
        change(&settings.access)
        var host = ProxmoxHost(client: try ProxmoxClient(settings.access), node: settings.node)
        host.lockPatience = settings.lockPatience
        return host
    }

    func order(_ order: JSON, to index: Int = 0) async {
        let answer = await hosts[index].control(order)
        #expect(answer["ok"] != nil, "\(answer)")
    }

    /// Starts a driver, gives it an order, and answers how it ended.
    func carryOut(
        _ order: GuestOrder, _ declaration: Declaration? = nil, _ change: (inout ProxmoxSettings) -> Void = { _ in }
    ) async throws -> GuestReport? {
        var settings = try await settings()
        change(&settings)
        let (reports, reporting) = AsyncStream<GuestReport>.makeStream()
        let node = try ProxmoxNode(
            settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, declaration: { _ in declaration },
            claim: { _ in .holds },
            report: { reporting.yield($0) }, reportFence: { _ in })
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { await node.serve() }
            defer { group.cancelAll() }
            node.carryOut(order)
            for await report in reports {
                switch report {
                case .done, .failed: return report
                default: continue
                }
            }
            return nil
        }
    }

    static func run(
        release: Release = .eight, _ count: Int = 2, _ body: @escaping @Sendable (Emulated) async throws -> Void
    ) async throws {
        let folder = TestFolder()
        try await EmulatedHosts.run(
            count: count, release: release,
            configure: { settings in
                settings.durations = WorkDurations().scaled(permille: 50)
                settings.authenticationDelay = 20
                settings.lockWait = 500
                settings.agentWait = 200
                settings.times.detection = 1_500
                settings.times.writable = 50
                settings.times.daemons = 50
                settings.times.busy = 20
            },
            options: { options in
                options.pveDirectory = try PveDirectory(path: "\(folder.path)/\(options.settings.node.name)")
            }
        ) { hosts in
            let emulated = Emulated(hosts: hosts, folder: folder)
            await emulated.order(["command": "add-token", "user": "ops@pve", "id": "agent", "secret": "secret"])
            await emulated.order([
                "command": "add-storage", "storage": "shared1", "shared": 1, "path": "/mnt/shared/store",
            ])
            await emulated.order([
                "command": "add-guest", "vmid": 100,
                "settings": ["name": "web", "memory": "64", "scsi0": "shared1:100/vm-100-disk-0.qcow2,size=1G"],
            ])
            // Hosts whose processes get no time lose sight of each other, as real ones do.
            let host = try await emulated.host()
            while try await !host.quorum().isQuorate { try Task.checkCancellation() }
            try await body(emulated)
        }
    }
}

// One after the other: each runs two hosts, whose clocks alone keep a small machine busy.
@Suite(.serialized, .timeLimit(.minutes(5))) struct EmulatorTests {
    private func failure(_ report: GuestReport?) -> GuestFailure? {
        if case .failed(_, _, _, let failure) = report { failure } else { nil }
    }

    @Test(arguments: [Release.eight, .nine]) func aGuestsLife(release: Release) async throws {
        try await Emulated.run(release: release) { emulated in
            let host = try await emulated.host()
            #expect(try await host.version().major == (release == .eight ? 8 : 9))
            #expect(try await host.quorum().isQuorate)
            #expect(try await host.guests().map(\.guest) == [machine])
            #expect(try await host.start(machine) == .done)
            #expect(try await host.start(machine) == .done)
            #expect(try await host.state(of: machine).isRunning)
            #expect(try await host.agentTrouble(of: machine, limit: .seconds(5)) != nil)
            #expect(try await host.shutdown(machine, patience: .seconds(20), force: true) == .done)
            #expect(try await !host.state(of: machine).isRunning)
            #expect(try await host.start(machine) == .done)
            #expect(try await host.stop(machine) == .done)
            #expect(try await host.stop(machine) == .done)
            #expect(try await host.capacity().processors > 0)
            #expect(try await host.managedByProxmox() == [])
        }
    }

    @Test func aMachineIsMadeGrownAndDestroyed() async throws {
        try await Emulated.run { emulated in
            let host = try await emulated.host()
            let guest = GuestNumber(.machine, 120)!
            var wanted = WantedGuest(
                guest: guest, name: "db", settings: ["cores": "2", "memory": "64"],
                disks: [WantedDisk(slot: "scsi0", storage: "shared1", bytes: 1 << 30)],
                networks: [WantedNetwork(slot: "net0", bridge: "vmbr0")])
            #expect(try await host.create(wanted, from: .disks) == .done)
            #expect(try await host.create(wanted, from: .disks) == .done)
            let made = try await host.configuration(of: guest)
            #expect(made.disks.first { $0.slot == "scsi0" }?.bytes == 1 << 30)
            let address = made.networks.first?.hardwareAddress
            #expect(address != nil)
            #expect(wanted.drift(from: made) == [])
            wanted.settings["cores"] = "4"
            wanted.disks[0].bytes = 2 << 30
            wanted.networks[0].vlan = 7
            let result = try await host.change(wanted)
            #expect(result.changed.map(\.setting) == ["cores", "net0", "scsi0"])
            let changed = try await host.configuration(of: guest)
            #expect(wanted.drift(from: changed) == [])
            #expect(changed.networks.first?.hardwareAddress == address)
            wanted.disks[0].bytes = 1 << 30
            #expect(try await host.change(wanted).remaining.count == 1)
            var other = wanted
            other.name = "another"
            await #expect(throws: ProxmoxError.self) { try await host.create(other, from: .disks) }
            await #expect(throws: ProxmoxError.self) { try await host.destroy(guest, word: "yes") }
            #expect(try await host.destroy(guest, word: DestroyWord.text(for: guest)) == .done)
            #expect(try await host.destroy(guest, word: DestroyWord.text(for: guest)) == .done)
            #expect(try await host.guests().map(\.guest) == [machine])
        }
    }

    @Test func aHangingAPIIsGivenUp() async throws {
        try await Emulated.run { emulated in
            await emulated.order(["command": "hang", "seconds": 600])
            let host = try await emulated.host { $0.readLimit = .seconds(2) }
            let error = await #expect(throws: ProxmoxError.self) { try await host.version() }
            #expect(error?.cause == .timedOut)
            await emulated.order(["command": "clear"])
            #expect(try await emulated.host().version().major == 8)
        }
    }

    @Test(arguments: ["cut", "half"]) func aLostAnswerIsFollowedByALook(fault: String) async throws {
        try await Emulated.run { emulated in
            await emulated.order([
                "command": .string(fault), "method": "POST", "path": "/status/start",
            ])
            let report = try await emulated.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            #expect(report == .done(web, epoch: 1, .start))
            #expect(try await emulated.host().state(of: machine).isRunning)
        }
    }

    @Test func whatFailsLateIsReported() async throws {
        try await Emulated.run { emulated in
            await emulated.order([
                "command": "fail-task", "type": "qmstart", "text": "start failed: QEMU exited with code 1",
            ])
            let report = try await emulated.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            #expect(failure(report)?.reason.contains("QEMU exited with code 1") == true)
            #expect(failure(report)?.isPermanent == false)
        }
    }

    @Test func aLostPrivilegeIsNamed() async throws {
        try await Emulated.run { emulated in
            await emulated.order(["command": "revoke", "subject": "ops@pve", "privileges": ["VM.PowerMgmt"]])
            let report = try await emulated.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            #expect(failure(report)?.reason.contains("VM.PowerMgmt") == true)
            #expect(failure(report)?.isPermanent == true)
        }
    }

    @Test func aWrongTokenIsSaidSo() async throws {
        try await Emulated.run { emulated in
            let token = try ProxmoxToken(id: "ops@pve!agent", secret: "x")
            let host = try await emulated.host { $0.token = token }
            let error = await #expect(throws: ProxmoxError.self) { try await host.version() }
            #expect(error?.cause == .unauthorized)
        }
    }

    @Test func locksAreWaitedForWithinABound() async throws {
        try await Emulated.run { emulated in
            await emulated.order(["command": "lock", "vmid": 100, "lock": "backup"])
            let host = try await emulated.host()
            let error = await #expect(throws: ProxmoxError.self) { try await host.start(machine) }
            #expect(error?.cause == .locked(by: "backup"))
            // Nothing works on it any more, and it may have been left half done.
            await emulated.order(["command": "lock", "vmid": 100, "lock": "rollback"])
            let locked = try await emulated.carryOut(.start(web, epoch: 1, takeFrom: [], provenAway: []))
            #expect(failure(locked)?.reason.contains("locked (rollback)") == true)
            #expect(failure(locked)?.awaitsPerson == true)
            await emulated.order(["command": "unlock", "vmid": 100])
            await emulated.order(["command": "hold-lock", "vmid": 100, "seconds": 600])
            let held = try await emulated.carryOut(.start(web, epoch: 2, takeFrom: [], provenAway: []))
            #expect(failure(held)?.reason.contains("can't lock file") == true)
            #expect(failure(held)?.isPermanent == false)
        }
    }

    @Test func withoutQuorumNoDiskIsLost() async throws {
        try await Emulated.run { emulated in
            let host = try await emulated.host()
            // The other host has gone, and with it the majority.
            await emulated.hosts[0].setPeers([:])
            await emulated.hosts[1].setPeers([:])
            while try await host.quorum().isQuorate { try Task.checkCancellation() }
            for step in ["destroy", "grow", "start"] {
                let error = await #expect(throws: ProxmoxError.self) {
                    switch step {
                    case "destroy": try await host.destroy(machine, word: DestroyWord.text(for: machine))
                    case "grow":
                        _ = try await host.change(
                            WantedGuest(
                                guest: machine, name: "web",
                                disks: [WantedDisk(slot: "scsi0", storage: "shared1", bytes: 2 << 30)]))
                    default: try await host.start(machine)
                    }
                }
                #expect(error?.cause == .noQuorum)
            }
            #expect(try await host.configuration(of: machine).disks.first?.bytes == 1 << 30)
        }
    }

    @Test func aGuestOfProxmoxsOwnHAIsRefused() async throws {
        try await Emulated.run { emulated in
            let host = try await emulated.host()
            _ = try await host.client.change(
                .post, "/cluster/ha/resources", [("sid", "vm:100"), ("state", "stopped")], attempted: "give it to HA")
            #expect(try await host.managedByProxmox() == ["vm:100"])
            let error = await #expect(throws: ProxmoxError.self) { try await host.start(machine) }
            #expect(error?.cause == .managedByProxmox)
        }
    }

    @Test func aGuestOfAFencedHostIsTakenOver() async throws {
        try await Emulated.run { emulated in
            await emulated.order(
                [
                    "command": "add-guest", "vmid": 130,
                    "settings": ["name": "db", "scsi0": "shared1:130/vm-130-disk-0.qcow2,size=1G"],
                ],
                to: 1)
            let db = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "db"), form: .machine, vmid: 130)
            let early = try await emulated.carryOut(.start(db, epoch: 1, takeFrom: [], provenAway: []))
            #expect(failure(early)?.isPermanent == true)
            let report = try await emulated.carryOut(.start(db, epoch: 2, takeFrom: ["pve2"], provenAway: []))
            #expect(report == .done(db, epoch: 2, .start))
            #expect(try await emulated.host().guests().contains { $0.guest.number == 130 && $0.isRunning })
        }
    }

    @Test func aGuestMovesWhileItRunsAndNotWithALocalDisk() async throws {
        try await Emulated.run { emulated in
            _ = try await emulated.host().start(machine)
            let report = try await emulated.carryOut(.migrate(web, epoch: 1, to: "pve2", live: true))
            #expect(report == .done(web, epoch: 1, .migrate))
            #expect(try await emulated.host().guests().isEmpty)
            await emulated.order([
                "command": "add-guest", "vmid": 131,
                "settings": ["name": "db", "scsi0": "local:131/vm-131-disk-0.raw,size=1G"],
            ])
            let db = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "db"), form: .machine, vmid: 131)
            let refused = try await emulated.carryOut(.migrate(db, epoch: 1, to: "pve2", live: true))
            #expect(failure(refused)?.isPermanent == true)
        }
    }

    @Test func whatIsWrongIsFoundForTheDoctor() async throws {
        try await Emulated.run { emulated in
            let node = try ProxmoxNode(
                try await emulated.settings(), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                declaration: { _ in nil }, claim: { _ in .holds }, report: { _ in }, reportFence: { _ in })
            let well = await node.examine()
            #expect(well.problem == nil)
            #expect(well.missingPrivileges == [])
            #expect((well.hosts, well.isQuorate) == (2, true))
            #expect(well.managed == [])
            #expect((well.certificateEnds ?? 0) > 0)
            // No corosync of the test's own machine answers for the emulator.
            #expect(well.hasQDevice == nil)
            let host = try await emulated.host()
            _ = try await host.client.change(
                .post, "/cluster/ha/resources", [("sid", "vm:100"), ("state", "stopped")], attempted: "give it to HA")
            await emulated.order(["command": "revoke", "subject": "ops@pve", "privileges": ["VM.PowerMgmt"]])
            let ill = await node.examine()
            #expect(ill.missingPrivileges == ["VM.PowerMgmt on /vms"])
            #expect(ill.managed == ["vm:100"])
        }
    }

    @Test func toEndAGuestStopsItsStart() async throws {
        try await Emulated.run { emulated in
            _ = try await emulated.host().start(machine)
            let report = try await emulated.carryOut(.destroy(web, epoch: 1))
            #expect(report == .done(web, epoch: 1, .destroy))
            #expect(try await !emulated.host().state(of: machine).isRunning)
        }
    }
}
