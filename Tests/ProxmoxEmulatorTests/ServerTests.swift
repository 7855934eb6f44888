// Hosts that are really there: HTTPS, each other, the folder for /etc/pve, processes for guests, the control socket.

import Foundation
import Testing

@testable import ProxmoxEmulator

@Suite(.serialized, .timeLimit(.minutes(5))) struct ServerTests {
    /// Hosts that are quick, with a token and one guest on pve1.
    private static func run<Result: Sendable>(
        _ count: Int = 2, options: (inout HostProcessOptions) throws -> Void = { _ in },
        _ body: @escaping @Sendable ([HostProcess]) async throws -> Result
    ) async throws -> Result {
        try await EmulatedHosts.run(
            count: count,
            configure: { settings in
                settings.durations = WorkDurations().scaled(permille: 50)
                settings.authenticationDelay = 20
                settings.times.detection = 1_500
                settings.times.writable = 50
                settings.times.daemons = 50
                settings.times.busy = 20
            }, options: options
        ) { hosts in
            _ = await hosts[0].control([
                "command": "add-token", "user": "ops@pve", "id": "agent", "secret": "secret",
            ])
            let added = await hosts[0].control([
                "command": "add-guest", "vmid": 100,
                "settings": ["memory": "64", "scsi0": "local:100/vm-100-disk-0.raw,size=1G"],
            ])
            #expect(added == ["ok": 1])
            return try await body(hosts)
        }
    }

    private static func temporaryFolder() throws -> String {
        let path = NSTemporaryDirectory() + "proxmox-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Asks until the answer is right; the test's time limit is the deadline.
    private static func eventually(_ isSo: () async throws -> Bool) async throws {
        while !(try await isSo()) { try Task.checkCancellation() }
    }

    /// The client waits in `read`; on a thread of its own, or the server would have none.
    private static func order(_ path: String, _ order: JSON) async throws -> JSON {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try ControlSocket.ask(path: path, order) })
            }
        }
    }

    private static func end(of answer: RawAnswer, _ port: Int) async throws -> String {
        let upid = try #require(answer.data?.string)
        var status: JSON?
        try await eventually {
            status = try await RawClient.ask(port, "GET", "/nodes/pve1/tasks/\(upid)/status").data
            return status?["status"] == "stopped"
        }
        return status?["exitstatus"]?.string ?? ""
    }

    // MARK: HTTPS

    @Test func aRefusalIsInTheReasonPhrase() async throws {
        try await Self.run { hosts in
            let refused = try await RawClient.ask(hosts[0].port, "GET", "/version", token: "ops@pve!agent=x")
            #expect(refused.status == 401 && refused.reason == "invalid token value!" && refused.body.isEmpty)
            let missing = try await RawClient.ask(hosts[0].port, "GET", "/nodes/pve1/qemu/999/config")
            #expect(missing.status == 500)
            #expect(missing.reason == "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist")
            let version = try await RawClient.ask(hosts[0].port, "GET", "/version")
            #expect(version.status == 200 && version.data?["version"] == "8.4.1")
        }
    }

    @Test func anyNodeAnswersForAnyOther() async throws {
        try await Self.run { hosts in
            try await Self.eventually {
                try await RawClient.ask(hosts[1].port, "GET", "/nodes/pve1/qemu/100/config").status == 200
            }
            let refused = try await RawClient.ask(hosts[1].port, "GET", "/nodes/pve1/qemu/999/config")
            #expect(refused.reason == "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist")
        }
    }

    @Test func aMachineStartsAndStopsOverHTTPS() async throws {
        try await Self.run(1) { hosts in
            let port = hosts[0].port
            let started = try await RawClient.ask(port, "POST", "/nodes/pve1/qemu/100/status/start")
            #expect(try await Self.end(of: started, port) == "OK")
            let status = try await RawClient.ask(port, "GET", "/nodes/pve1/qemu/100/status/current")
            #expect(status.data?["status"] == "running")
            let stopped = try await RawClient.ask(port, "POST", "/nodes/pve1/qemu/100/status/stop", body: "timeout=5")
            #expect(try await Self.end(of: stopped, port) == "OK")
        }
    }

    @Test func aFormIsReadAsAQueryIs() async throws {
        try await Self.run(1) { hosts in
            let port = hosts[0].port
            let path = "/nodes/pve1/qemu/100/config"
            #expect(try await RawClient.ask(port, "PUT", path, body: "name=a-b&description=x%20y%2Bz+1").status == 200)
            let data = try await RawClient.ask(port, "GET", path + "?current=1").data
            #expect(data?["name"] == "a-b" && data?["description"] == "x y+z 1")
        }
    }

    // MARK: Faults

    @Test func anAnswerThatIsCutWasCarriedOutAllTheSame() async throws {
        try await Self.run(1) { hosts in
            let port = hosts[0].port
            _ = await hosts[0].control(["command": "cut", "method": "POST", "path": "/status/start"])
            let cut = try await RawClient.ask(port, "POST", "/nodes/pve1/qemu/100/status/start")
            #expect(cut.status == nil)
            try await Self.eventually {
                let status = try await RawClient.ask(port, "GET", "/nodes/pve1/qemu/100/status/current")
                return status.data?["status"] == "running"
            }
        }
    }

    @Test func anAnswerBreaksOffInTheMiddle() async throws {
        try await Self.run(1) { hosts in
            _ = await hosts[0].control(["command": "half", "path": "/version"])
            let half = try await RawClient.ask(hosts[0].port, "GET", "/version")
            #expect(half.status == 200)
            #expect(half.body.utf8.count < (half.announced ?? 0))
        }
    }

    @Test func anOrderedStatusIsAnsweredOnce() async throws {
        try await Self.run(1) { hosts in
            _ = await hosts[0].control([
                "command": "answer", "status": 595, "reason": "No route to host", "path": "/nodes",
            ])
            let first = try await RawClient.ask(hosts[0].port, "GET", "/nodes")
            #expect(first.status == 595 && first.reason == "No route to host" && first.body.isEmpty)
            #expect(try await RawClient.ask(hosts[0].port, "GET", "/nodes").status == 200)
        }
    }

    @Test func anExpiredCertificateIsShownToNewConnections() async throws {
        try await Self.run(1) { hosts in
            let before = try await RawClient.ask(hosts[0].port, "GET", "/version").certificate
            let reply = await hosts[0].control(["command": "expire-certificate"])
            let after = try await RawClient.ask(hosts[0].port, "GET", "/version").certificate
            #expect(!before.isEmpty && before != after)
            #expect(reply["fingerprint"]?.string == ServerCertificate.fingerprint(of: after))
        }
    }

    // MARK: Other hosts

    @Test func hostsThatDoNotHearEachOtherLoseTheirQuorum() async throws {
        try await Self.run { hosts in
            let version = try #require(await hosts[0].control(["command": "status"])["filesVersion"]?.integer)
            try await Self.eventually {
                await hosts[1].control(["command": "status"])["filesVersion"]?.integer == version
            }
            for host in hosts { await host.setPeers([:]) }
            try await Self.eventually { await hosts[0].control(["command": "status"])["writable"] == 0 }
            let start = try await RawClient.ask(hosts[0].port, "POST", "/nodes/pve1/qemu/100/status/start")
            #expect(start.reason == "cluster not ready - no quorum?")
            let order: JSON = ["command": "run", "words": ["pvecm", "expected", "1"]]
            #expect(await hosts[0].control(order)["code"] == 0)
            try await Self.eventually { await hosts[0].control(["command": "status"])["ready"] == 1 }
            let again = try await RawClient.ask(hosts[0].port, "POST", "/nodes/pve1/qemu/100/status/start")
            #expect(again.status == 200)
        }
    }

    @Test func aRunningGuestMovesBetweenProcesses() async throws {
        try await Self.run { hosts in
            _ = await hosts[0].control(["command": "add-storage", "storage": "nfs1", "shared": 1, "type": "nfs"])
            _ = await hosts[0].control([
                "command": "add-guest", "vmid": 101, "running": 1,
                "settings": ["memory": "64", "scsi0": "nfs1:101/vm-101-disk-0.raw,size=1G"],
            ])
            let port = hosts[0].port
            try await Self.eventually {
                await hosts[0].control(["command": "status"])["online"]?.array?.count == 2
            }
            let moved = try await RawClient.ask(
                port, "POST", "/nodes/pve1/qemu/101/migrate", body: "target=pve2&online=1")
            #expect(try await Self.end(of: moved, port) == "OK")
            #expect(await hosts[1].control(["command": "status"])["running"] == [101])
            #expect(await hosts[0].control(["command": "status"])["running"] == [])
        }
    }

    // MARK: /etc/pve

    @Test func aRenameInTheFolderTakesAGuest() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await Self.run(
            options: { options in
                guard options.settings.node.name == "pve1" else { return }
                options.pveDirectory = try PveDirectory(path: folder + "/pve")
            }
        ) { hosts in
            let own = folder + "/pve/nodes/pve1/qemu-server/100.conf"
            try await Self.eventually { FileManager.default.fileExists(atPath: own) }
            let target = folder + "/pve/nodes/pve2/qemu-server"
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            #expect(Foundation.rename(own, target + "/100.conf") == 0)
            #expect(try await RawClient.ask(hosts[0].port, "GET", "/nodes/pve1/qemu/100/config").status == 500)
            try await Self.eventually {
                try await RawClient.ask(hosts[1].port, "GET", "/nodes/pve2/qemu/100/config").status == 200
            }
        }
    }

    @Test func aRenameWithoutAQuorumIsRefusedOrUndone() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await Self.run(
            options: { options in
                guard options.settings.node.name == "pve1" else { return }
                options.pveDirectory = try PveDirectory(path: folder + "/pve")
            }
        ) { hosts in
            let own = folder + "/pve/nodes/pve1/qemu-server/100.conf"
            try await Self.eventually { FileManager.default.fileExists(atPath: own) }
            let target = folder + "/pve/nodes/pve2/qemu-server"
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            for host in hosts { await host.setPeers([:]) }
            try await Self.eventually { await hosts[0].control(["command": "status"])["writable"] == 0 }
            // Root is not held by permissions; then it is put back.
            _ = Foundation.rename(own, target + "/100.conf")
            #expect(try await RawClient.ask(hosts[0].port, "GET", "/nodes/pve1/qemu/100/config").status == 200)
            #expect(FileManager.default.fileExists(atPath: own))
            #expect(!FileManager.default.fileExists(atPath: target + "/100.conf"))
        }
    }

    // MARK: Processes and orders

    @Test func aGuestsProcessIsItsLife() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await Self.run(
            1,
            options: { options in
                options.guestProcesses = try GuestProcesses(
                    folder: folder, command: ["/bin/sleep", "3600"], program: "")
            }
        ) { hosts in
            let port = hosts[0].port
            let started = try await RawClient.ask(port, "POST", "/nodes/pve1/qemu/100/status/start")
            #expect(try await Self.end(of: started, port) == "OK")
            let text = try String(contentsOfFile: folder + "/100.pid", encoding: .utf8)
            let pid = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
            let status = try await RawClient.ask(port, "GET", "/nodes/pve1/qemu/100/status/current")
            #expect(status.data?["pid"] == .integer(Int(pid)))
            #expect(kill(pid, SIGKILL) == 0)
            try await Self.eventually {
                try await RawClient.ask(port, "GET", "/nodes/pve1/qemu/100/status/current").data?["status"] == "stopped"
            }
            #expect(!FileManager.default.fileExists(atPath: folder + "/100.pid"))
        }
    }

    @Test func ordersComeOverASocket() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/s"
        try await Self.run(1) { hosts in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await ControlSocket.run(path: path, host: hosts[0]) }
                try await Self.eventually { (try? await Self.order(path, ["command": "status"])) != nil }
                let status = try await Self.order(path, ["command": "status"])
                #expect(status["node"] == "pve1" && status["quorate"] == 1)
                let unknown = try await Self.order(path, ["command": "dance"])
                #expect(unknown["error"]?.string == "unknown command dance")
                let list = try await Self.order(path, ["command": "run", "words": ["qm", "list"]])
                #expect(list["out"]?.string?.contains("VM 100") == true)
                group.cancelAll()
            }
        }
    }

    @Test func whatWasWrittenSurvivesTheProcess() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await Self.run(1, options: { $0.stateFile = folder + "/state" }) { hosts in
            let answer = try await RawClient.ask(
                hosts[0].port, "PUT", "/nodes/pve1/qemu/100/config", body: "name=kept")
            #expect(answer.status == 200)
        }
        try await EmulatedHosts.run(count: 1, options: { $0.stateFile = folder + "/state" }) { hosts in
            let data = try await RawClient.ask(hosts[0].port, "GET", "/nodes/pve1/qemu/100/config").data
            #expect(data?["name"] == "kept")
        }
    }
}
