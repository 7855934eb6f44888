// A host's functions against a scripted API: what they ask first, what they refuse, and what they make of the end of a
// task. The whole of Proxmox's behaviour is the emulator's to show.

import Cluster
import Consensus
import Synchronization
import Testing

@testable import ProxmoxDriver

private let machine = GuestNumber(.machine, 120)!
private let container = GuestNumber(.container, 200)!
private let task = "UPID:pve1:000003DF:0003A069:6B0432A8:qmstart:120:ops@pve!agent:"

/// A Proxmox that is well: quorate, one stopped machine, tasks that end with `verdict`.
private struct Fine: Sendable {
    var isQuorate = true
    var node = "pve1"
    var guest = #"{"status":"stopped","ha":{"managed":0}}"#
    var upid = task
    /// `exitstatus`; nil: the task never ends.
    var verdict: String? = "OK"
    var config = #"{"digest":"abc","cores":2,"memory":"2048","name":"web","scsi0":"rbd:vm-120-disk-0,size=10G"}"#
    var changeAnswer: ScriptedAnswer?
    var extra: @Sendable (SeenRequest) -> ScriptedAnswer? = { _ in nil }

    func callAsFunction(_ request: SeenRequest) -> ScriptedAnswer {
        if let answer = extra(request) { return answer }
        guard request.method == "GET" else { return changeAnswer ?? .data("\"\(upid)\"") }
        switch request.path {
        case "/cluster/status":
            return .data(
                """
                [{"type":"cluster","name":"lab","quorate":\(isQuorate ? 1 : 0),"nodes":2},
                 {"type":"node","name":"\(node)","local":1,"online":1,"ip":"10.77.0.11"},
                 {"type":"node","name":"pve2","local":0,"online":0,"ip":"10.77.0.12"}]
                """)
        case let path where path.hasSuffix("/status/current"): return .data(guest)
        case let path where path.hasSuffix("/config"): return .data(config)
        case let path where path.hasSuffix("/pending"): return .data("[]")
        case let path where path.hasSuffix("/log"):
            return .data(#"[{"n":1,"t":"kvm: out of memory"},{"n":2,"t":"TASK ERROR: start failed"}]"#)
        case let path where path.hasSuffix("/status"):
            return .data(verdict.map { #"{"status":"stopped","exitstatus":"\#($0)"}"# } ?? #"{"status":"running"}"#)
        case "/nodes/pve1/storage":
            return .data(#"[{"storage":"rbd","type":"rbd","shared":1},{"storage":"local","type":"dir","shared":0}]"#)
        case let path where path.hasSuffix("/migrate"): return .data(#"{"local_disks":[],"local_resources":[]}"#)
        case "/nodes/pve1/qemu", "/nodes/pve1/lxc": return .data("[]")
        default: return .answer(501, "Method not implemented", "")
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct HostTests {
    private func run(
        _ fine: Fine, _ body: (ProxmoxHost) async throws(ProxmoxError) -> Void
    ) async throws -> (error: ProxmoxError?, changes: [String], seen: [SeenRequest]) {
        let server = try await ScriptedServer { fine($0) }
        let host = try server.host()
        do throws(ProxmoxError) {
            try await body(host)
            return (nil, server.changes, server.seen)
        } catch { return (error, server.changes, server.seen) }
    }

    private func start(_ fine: Fine) async throws -> (error: ProxmoxError?, changes: [String]) {
        let result = try await run(fine) { (host) async throws(ProxmoxError) in try await host.start(machine) }
        return (result.error, result.changes)
    }

    @Test func aStartIsFollowedToItsEnd() async throws {
        let result = try await start(Fine())
        #expect(result.error == nil)
        #expect(result.changes == ["POST /nodes/pve1/qemu/120/status/start"])
    }

    @Test func acceptedIsNotDone() async throws {
        let result = try await start(Fine(verdict: "start failed: QEMU exited with code 1"))
        #expect(result.error?.cause == .taskFailed)
        #expect(result.error?.mayHaveHadEffect == true)
        #expect(result.error?.log.contains("kvm: out of memory") == true)
        #expect(result.error?.description.contains("start vm 120 on pve1: start failed: QEMU exited") == true)
    }

    @Test func warningsAreASuccessWithWords() async throws {
        let server = try await ScriptedServer { Fine(verdict: "WARNINGS: 2")($0) }
        let end = try await server.host().start(machine)
        #expect(end == .doneWithWarnings(count: 2, log: ["kvm: out of memory", "TASK ERROR: start failed"]))
    }

    @Test func aTaskWithoutAnEndHasAnUnknownOutcome() async throws {
        let result = try await run(Fine(verdict: nil)) { (host) async throws(ProxmoxError) in
            var limits = TaskLimits()
            limits.start = .milliseconds(300)
            try await host.start(machine, limits: limits)
        }
        #expect(result.error?.cause == .unknownOutcome)
        #expect(result.error?.log == [task])
    }

    @Test func aTaskThatLeftNoWordHasAnUnknownOutcome() async throws {
        #expect(try await start(Fine(verdict: "unexpected status")).error?.cause == .unknownOutcome)
    }

    @Test func theLockThatATaskMetIsToldApart() async throws {
        let verdict = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
        #expect(try await start(Fine(verdict: verdict)).error?.cause == .locked(by: "file"))
    }

    @Test func withoutQuorumNothingIsAskedFor() async throws {
        var fine = Fine(isQuorate: false)
        #expect(try await start(fine).error?.cause == .noQuorum)
        #expect(try await start(fine).changes == [])
        let destroyed = try await run(fine) { (host) async throws(ProxmoxError) in
            try await host.destroy(machine, word: "destroy vm 120 and its disks")
        }
        #expect(destroyed.error?.cause == .noQuorum)
        #expect(destroyed.changes == [])
        fine.guest = #"{"status":"stopped"}"#
        let wanted = WantedGuest(
            guest: machine, name: "web", disks: [WantedDisk(slot: "scsi0", storage: "rbd", bytes: 20 << 30)])
        let grown = try await run(fine) { (host) async throws(ProxmoxError) in _ = try await host.change(wanted) }
        #expect(grown.error?.cause == .noQuorum)
        #expect(grown.changes == [])
    }

    @Test func aStopNeedsNoQuorumAndNoLock() async throws {
        let fine = Fine(isQuorate: false, guest: #"{"status":"running","lock":"backup"}"#)
        let result = try await run(fine) { (host) async throws(ProxmoxError) in try await host.stop(machine) }
        #expect(result.error == nil)
        #expect(result.seen.last { $0.method == "POST" }?.body == "overrule-shutdown=1")
    }

    @Test func aGuestOfProxmoxsOwnHAIsLeftAlone() async throws {
        let fine = Fine(guest: #"{"status":"stopped","ha":{"managed":1,"state":"started"}}"#)
        let result = try await start(fine)
        #expect(result.error?.cause == .managedByProxmox)
        #expect(result.changes == [])
        let stop = try await run(fine) { (host) async throws(ProxmoxError) in try await host.stop(machine) }
        #expect(stop.error?.cause == .managedByProxmox)
    }

    @Test func whatProxmoxHandsToItsOwnHAIsNoSuccess() async throws {
        let result = try await start(Fine(upid: task.replacing("qmstart", with: "hastart")))
        #expect(result.error?.cause == .managedByProxmox)
        #expect(result.error?.mayHaveHadEffect == true)
    }

    @Test func aLockedGuestIsWaitedForAndThenReported() async throws {
        let result = try await start(Fine(guest: #"{"status":"stopped","lock":"backup"}"#))
        #expect(result.error?.cause == .locked(by: "backup"))
        #expect(result.error?.advice.contains("qm unlock") == true)
        #expect(result.changes == [])
    }

    @Test func whatIsSoAlreadyIsDone() async throws {
        let running = Fine(guest: #"{"status":"running"}"#)
        #expect(try await start(running).changes == [])
        let stopped = try await run(Fine()) { (host) async throws(ProxmoxError) in
            try await host.stop(container)
            try await host.shutdown(container, patience: .seconds(5), force: true)
        }
        #expect(stopped.error == nil)
        #expect(stopped.changes == [])
        // It ran when it was looked at, and had stopped when it was asked to.
        let raced = Fine(
            guest: #"{"status":"running"}"#, changeAnswer: .answer(500, "CT 200 not running", "{\"data\":null}"))
        #expect(
            try await run(raced) { (host) async throws(ProxmoxError) in try await host.stop(container) }.error == nil)
        let late = try await start(Fine(verdict: "VM 120 already running"))
        #expect(late.error == nil)
    }

    @Test func theAPIOfAnotherHostIsNotUsed() async throws {
        let result = try await start(Fine(node: "pve9"))
        #expect(result.error?.cause == .unsafe)
        #expect(result.changes == [])
    }

    @Test func disksOfThisHostAreNeverMoved() async throws {
        let target = NodeName("pve2")!
        let local = Fine(config: #"{"digest":"a","scsi0":"rbd:vm-120-disk-0","scsi1":"local:120/vm-120-disk-1.raw"}"#)
        let result = try await run(local) { (host) async throws(ProxmoxError) in
            try await host.migrate(machine, to: target)
        }
        #expect(result.error?.cause == .unsafe)
        #expect(result.error?.reason.contains("scsi1 (local:120/vm-120-disk-1.raw)") == true)
        #expect(result.changes == [])
        let fine = Fine(guest: #"{"status":"running"}"#)
        let moved = try await run(fine) { (host) async throws(ProxmoxError) in
            try await host.migrate(machine, to: target)
        }
        #expect(moved.error == nil)
        #expect(moved.seen.last { $0.method == "POST" }?.body == "target=pve2&online=1")
    }

    @Test func noDiskIsDestroyedWithoutTheWord() async throws {
        let result = try await run(Fine()) { (host) async throws(ProxmoxError) in
            try await host.destroy(machine, word: "destroy vm 121 and its disks")
        }
        #expect(result.error?.cause == .unsafe)
        #expect(result.seen.isEmpty)
        let running = try await run(Fine(guest: #"{"status":"running"}"#)) { (host) async throws(ProxmoxError) in
            try await host.destroy(machine, word: DestroyWord.text(for: machine))
        }
        #expect(running.error?.cause == .unsafe)
        #expect(running.changes == [])
    }

    @Test func aChangeCarriesTheDigestAndGrowsDisks() async throws {
        let wanted = WantedGuest(
            guest: machine, name: "web", settings: ["cores": "4", "memory": "2048"],
            disks: [WantedDisk(slot: "scsi0", storage: "rbd", bytes: 20 << 30)])
        let server = try await ScriptedServer { Fine()($0) }
        let result = try await server.host().change(wanted)
        #expect(result.changed.map(\.setting) == ["cores", "scsi0"])
        #expect(!result.needsRestart)
        #expect(server.seen.filter { $0.method != "GET" }.map(\.body) == ["cores=4&digest=abc", "disk=scsi0&size=20G"])
        #expect(server.changes == ["POST /nodes/pve1/qemu/120/config", "PUT /nodes/pve1/qemu/120/resize"])
    }

    @Test func aNumberThatIsInUseIsNotTaken() async throws {
        var fine = Fine()
        fine.extra = { request in
            request.path == "/nodes/pve1/lxc" ? .data(#"[{"vmid":"120","name":"other","status":"stopped"}]"#) : nil
        }
        let wanted = WantedGuest(guest: machine, name: "web")
        let result = try await run(fine) { (host) async throws(ProxmoxError) in
            try await host.create(wanted, from: .disks)
        }
        #expect(result.error?.cause == .taken)
        #expect(result.changes == [])
    }

    /// An outage of the API is no illness of every guest behind it.
    @Test func onlyWhatProxmoxSaysOfAGuestAgentCounts() async throws {
        let words = [
            "QEMU guest agent is not running", "No QEMU guest agent configured",
            "VM 120 qga command 'guest-ping' failed - got timeout",
        ]
        for trouble in words {
            let server = try await ScriptedServer { _ in .answer(500, trouble, "") }
            let host = try server.host()
            #expect(try await host.agentTrouble(of: machine, limit: .seconds(60)) == trouble)
        }
        let well = try await ScriptedServer { _ in .data("{\"result\":{}}") }
        let healthy = try well.host()
        #expect(try await healthy.agentTrouble(of: machine, limit: .seconds(60)) == nil)
        let outages: [ScriptedAnswer] = [
            .close, .answer(595, "Connection refused", ""), .answer(596, "Connection timed out", ""),
            .answer(503, "Service Unavailable", ""), .answer(401, "Authentication failed!", ""),
            .answer(500, "got no worker upid - start worker failed", ""), .bytes("no HTTP at all\r\n\r\n"),
        ]
        for answer in outages {
            let server = try await ScriptedServer { _ in answer }
            let host = try server.host()
            await #expect(throws: ProxmoxError.self) { try await host.agentTrouble(of: machine, limit: .seconds(60)) }
        }
    }

    @Test func anUnknownVersionIsRefused() async throws {
        for (text, isFine) in [("8.4.1", true), ("9.1.6", true), ("9.0.0~8", true), ("8.3.0", false), ("10.0", false)] {
            let server = try await ScriptedServer { _ in .data("{\"version\":\"\(text)\"}") }
            let host = try server.host()
            if isFine {
                _ = try await host.version()
            } else {
                await #expect(throws: ProxmoxError.self) { try await host.version() }
            }
        }
    }

    @Test func aHostWithoutAClusterIsItsOwnQuorum() throws {
        let alone = try JSONReader.value(Array(#"[{"type":"node","name":"pve","local":1,"online":1}]"#.utf8))
        #expect(ProxmoxQuorum(alone)?.isQuorate == true)
        // Without the cluster's own line, two hosts are not known to have it.
        let odd = try JSONReader.value(
            Array(#"[{"type":"node","name":"a","local":1},{"type":"node","name":"b"}]"#.utf8))
        #expect(ProxmoxQuorum(odd)?.isQuorate == false)
        #expect(ProxmoxQuorum(.array([])) == nil)
    }
}

@Suite struct TaskIdentifierTests {
    @Test func theNameOfATaskIsTakenApart() {
        let parsed = TaskIdentifier(task)
        #expect(parsed?.node == "pve1")
        #expect(parsed?.process == 0x3df)
        #expect(parsed?.type == "qmstart")
        #expect(parsed?.subject == "120")
        #expect(parsed?.user == "ops@pve!agent")
    }

    @Test(arguments: [
        "", "UPID:bad", "UPID:pve1:1:2:3:qmstart:100:root@pam:", "UPID:../x:000003DF:0003A069:6B0432A8:qmstart:120:u:",
        "UPID:pve1:000003DF:0003A069:6B0432A8:qm/start:120:u:", "UPID:pve1:000003DF:0003A069:6B0432A8:qmstart:120:u",
    ]) func otherTextIsNone(text: String) { #expect(TaskIdentifier(text) == nil) }
}
