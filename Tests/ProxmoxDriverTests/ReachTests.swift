// What the driver does where its service is shut in too far, where the cluster's files hang, and what it keeps over a restart.

import Cluster
import Consensus
import Glibc
import Kinds
import Logging
import Synchronization
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)

@Suite(.timeLimit(.minutes(2))) struct ReachTests {
    @Test func aServiceThatSeesEverythingIsWellPlaced() async throws {
        let proxmox = try await SmallProxmox()
        #expect(try proxmox.settings().outOfReach(user: 33) == [], "a stand-in's files are not root's")
        // This process itself: the first process of any machine can be seen from it.
        #expect(MachineProcesses().blindness() == nil)
    }

    @Test func whatIsOutOfReachIsNamed() async throws {
        let proxmox = try await SmallProxmox()
        var settings = try proxmox.settings()
        settings.machines.processes = "\(proxmox.folder.path)/hidden"
        settings.files = GuestFiles(folder: "\(proxmox.folder.path)/nowhere")
        let found = settings.outOfReach(user: 0)
        #expect(found.count == 2)
        #expect(found.first?.contains("hides others too") == true)
        #expect(found.last?.contains("nowhere is not there") == true)
        settings = try proxmox.settings()
        settings.files = GuestFiles()
        #expect(settings.outOfReach(user: 33).contains { $0.contains("does not run as root") })
        // A file system that nobody can write to by its mount.
        let isReadOnly = ProxmoxSettings.isMountedReadOnly("/sys/kernel")
        #expect(isReadOnly == (open("/sys/kernel/holdfast", O_CREAT | O_WRONLY, 0o600) < 0 && errno == EROFS))
    }

    /// A machine whose configuration was taken away is known by its process alone.
    @Test func whereProcessesAreHiddenNothingIsSaidOfAnyGuest() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        try await run({ $0.machines.processes = "\(run.proxmox.folder.path)/hidden" }) { node, reports in
            node.carryOut(.watch([web]))
            while let report = await reports.next() {
                if case .observed = report { Issue.record("\(report) is said blindly") }
                // It has never looked: what the process before it left armed is the cluster's to know.
                if case .refused(let boot, _, let reason) = report {
                    #expect(!boot.isEmpty)
                    #expect(reason.contains("hides others too"))
                    #expect(reason.contains("proxmox.conf"))
                    break
                }
            }
        }
    }

    @Test func whereProcessesAreHiddenNothingIsSaidToHaveEnded() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve2", "name: web")
        try await run({ $0.machines.processes = "\(run.proxmox.folder.path)/hidden" }) { node, reports in
            node.carryOut(.destroy(web, epoch: 2))
            guard case .failed(_, 2, .destroy, let failure) = await reports.end() else {
                Issue.record("it may be running")
                return
            }
            #expect(failure.reason.contains("hides others too"))
        }
    }

    @Test func whatProxmoxStartsByItselfIsTold() async throws {
        let run = try await Run()
        run.proxmox.put(120, on: "pve1", "name: web\nonboot: 1")
        run.proxmox.put(121, on: "pve1", "name: db")
        run.proxmox.put(122, on: "pve1", "name: other\nonboot: 1")
        let db = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "db"), form: .machine, vmid: 121)
        try await run { node, _ in
            node.carryOut(.watch([web, db]))
            #expect(await node.examine().startedAtBoot == ["vm:120"], "the third is none of the cluster's")
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct FileThreadTests {
    private func settings(_ patience: Interval) async throws -> ProxmoxSettings {
        var settings = try await SmallProxmox().settings()
        settings.quorumPatience = patience
        return settings
    }

    private final class End: Sendable { let isReached = Mutex(false) }

    /// Left behind, a rename could land when quorum returns, and take a guest from the host that runs it by then.
    @Test func aChangeThatHangsIsWaitedFor() async throws {
        let settings = try await settings(.milliseconds(20))
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (hangs, hanging) = AsyncStream<String>.makeStream()
        let (reading, writing) = (ends[0], ends[1])
        defer { [reading, writing].forEach { close($0) } }
        let end = End()
        try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                defer { end.isReached.withLock { $0 = true } }
                return try await FileThread.change(settings, "take", hangs: { hanging.yield($0) }) {
                    () throws(GuestFileError) in
                    var byte: UInt8 = 0
                    return read(reading, &byte, 1)
                }
            }
            var iterator = hangs.makeAsyncIterator()
            #expect(await iterator.next()?.contains("may happen yet, so it is waited for") == true)
            let isOver = end.isReached.withLock { $0 }
            #expect(!isOver, "nobody may say that it failed")
            var byte: UInt8 = 1
            #expect(write(writing, &byte, 1) == 1)
            let count = try await group.next()
            #expect(count == 1)
        }
    }

    @Test func aLookThatHangsIsLeftBehind() async throws {
        let settings = try await settings(.milliseconds(20))
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        await #expect(throws: StepFailure.self) {
            _ = try await FileThread.run(settings, "look") { () throws(GuestFileError) -> Int in
                var byte: UInt8 = 0
                return read(reading, &byte, 1)
            }
        }
        var byte: UInt8 = 1
        #expect(write(writing, &byte, 1) == 1)
        close(writing)
    }
}

@Suite(.timeLimit(.minutes(1))) struct WatchdogStoreTests {
    private final class Kept: Sendable {
        let words = Mutex<[String]>([])
        func store(inheriting descriptor: Int32? = nil, as name: String = "watchdog-70000") -> WatchdogStore {
            WatchdogStore(
                inherited: descriptor.map { WatchdogStore.Kept($0, as: name) },
                keep: { _, name in
                    self.words.withLock { $0.append("keep \(name)") }
                    return nil
                },
                forget: { name in
                    self.words.withLock { $0.append("forget \(name)") }
                    return nil
                })
        }
    }

    private func keeper(_ kind: WatchdogKind?, _ store: WatchdogStore) -> WatchdogKeeper {
        WatchdogKeeper(kind, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, store: store) {
            Instant(nanoseconds: 1_000)
        }
    }

    private let feed = WatchdogOrder.feed(until: Instant(nanoseconds: 2_000), timeout: .seconds(70))

    @Test func theOneThatTheProcessBeforeHadArmedIsFedAndNotArmedAnew() throws {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let kept = Kept()
        let keeper = keeper(.multiplexer(socket: "/nonexistent"), kept.store(inheriting: ends[0]))
        #expect(keeper.isHeld)
        #expect(keeper.carryOut(feed)?.failure == nil, "arming it anew would fail")
        #expect(kept.words.withLock { $0 } == [])
        #expect(keeper.carryOut(.close) == nil)
        #expect(kept.words.withLock { $0 } == ["forget watchdog-70000"])
        var bytes: [UInt8] = [9, 9, 9]
        #expect(recv(ends[1], &bytes, 3, Int32(MSG_WAITALL)) == 2, "and then its end")
        #expect(bytes.prefix(2) == [0, UInt8(ascii: "V")])
    }

    @Test func whatIsArmedIsKeptAndWhatIsGoneIsNot() throws {
        let folder = TestFolder()
        let path = "\(folder.path)/mux.sock"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(listener, 1) == 0)
        let kept = Kept()
        let keeper = keeper(.multiplexer(socket: path, delay: .seconds(20)), kept.store())
        #expect(keeper.carryOut(feed)?.failure == nil)
        #expect(kept.words.withLock { $0 } == ["keep watchdog-20000"])
        close(accept(listener, nil, nil))
        close(listener)
        #expect(keeper.carryOut(feed)?.failure != nil)
        #expect(kept.words.withLock { $0 } == ["keep watchdog-20000", "forget watchdog-20000"])
        #expect(!keeper.isHeld)
    }

    /// What is configured by now, if that can be read at all, says nothing of it.
    @Test(
        arguments: [
            ("watchdog-70000", 70_000), ("watchdog-300000", 300_000), ("watchdog-3600000", 3_600_000),
            // No time that anybody could have configured: the longest one.
            ("watchdog", 3_600_000), ("watchdog-", 3_600_000), ("watchdog-0", 3_600_000),
            ("watchdog-+70000", 3_600_000), ("watchdog-070000", 3_600_000), ("watchdog-3600001", 3_600_000),
        ] as [(String, Int64)])
    func whatIsHeldResetsTheHostAfterTheTimeThatItWasArmedWith(name: String, milliseconds: Int64) throws {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        #expect(WatchdogStore.isName(name))
        let keeper = keeper(nil, Kept().store(inheriting: ends[0], as: name))
        #expect(keeper.delay == .milliseconds(milliseconds))
        keeper.use(.multiplexer(socket: "/nonexistent", delay: .seconds(15)))
        #expect(keeper.delay == .milliseconds(milliseconds))
        let report = keeper.carryOut(feed)
        #expect((report?.failure != nil) == (milliseconds > 70_000), "no proof where less is reckoned with")
        var byte: UInt8 = 9
        #expect(recv(ends[1], &byte, 1, Int32(MSG_DONTWAIT)) == 1 && byte == 0, "and fed all the same")
        #expect(keeper.carryOut(.close) == nil)
        #expect(keeper.delay == .seconds(15))
    }

    @Test func whatIsConfiguredLongerMayBeArmedAtAnyFeeding() throws {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let keeper = keeper(nil, Kept().store(inheriting: ends[0]))
        keeper.use(.multiplexer(socket: "/nonexistent", delay: .seconds(300)))
        #expect(keeper.delay == .seconds(300))
        #expect(keeper.carryOut(feed)?.failure == nil)
        #expect(keeper.carryOut(.close) == nil)
    }
}
