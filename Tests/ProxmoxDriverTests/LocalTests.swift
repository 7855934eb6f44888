// What is done beside the API: votes, files, processes, the watchdog and Ceph's commands, with stand-ins for the programs.

import Consensus
import Glibc
import Kinds
import Logging
import Testing

@testable import ProxmoxDriver

@Suite struct VoteStatusTests {
    private let withDevice = """
        Quorum information
        ------------------
        Quorum provider:  corosync_votequorum
        Nodes:            2
        Ring ID:          1.16
        Quorate:          Yes

        Votequorum information
        ----------------------
        Expected votes:   3
        Highest expected: 3
        Total votes:      3
        Quorum:           2  
        Flags:            Quorate Qdevice 

        Membership information
        ----------------------
            Nodeid      Votes    Qdevice Name
        0x00000001          1    A,V,NMW 10.0.99.2
        0x00000002          1    A,V,NMW 10.0.99.3 (local)
        0x00000000          1            Qdevice
        """

    private let alone = """
        Quorate:          No

        Expected votes:   3
        Highest expected: 3
        Total votes:      1
        Quorum:           2 Activity blocked
        Flags:            

        Membership information
        ----------------------
            Nodeid      Votes Name
        0x00000001          1 10.77.0.11 (local)
        """

    @Test func aThirdVoteIsSeen() throws {
        let status = try #require(VoteStatus(withDevice))
        #expect(status.isQuorate)
        #expect((status.expectedVotes, status.totalVotes, status.quorum) == (3, 3, 2))
        #expect(status.hasQDevice)
        #expect(status.members == ["10.0.99.2", "10.0.99.3"])
    }

    @Test func aThirdVoteThatIsNotGivenIsToldApart() throws {
        let dead = withDevice.replacing(
            "0x00000000          1            Qdevice", with: "0x00000000          0            Qdevice")
        let status = try #require(VoteStatus(dead.replacing("A,V,NMW", with: "NA,NV,NMW")))
        #expect(status.isQDeviceConfigured)
        #expect(!status.hasQDevice)
        #expect(status.members == ["10.0.99.2", "10.0.99.3"])
    }

    @Test func noQuorumIsSeen() throws {
        let status = try #require(VoteStatus(alone))
        #expect(!status.isQuorate)
        #expect((status.expectedVotes, status.totalVotes, status.quorum) == (3, 1, 2))
        #expect(!status.isQDeviceConfigured)
        #expect(status.members == ["10.77.0.11"])
    }

    @Test(arguments: ["", "Cannot initialize CMAP service", "Quorate: Yes"]) func otherTextIsNone(text: String) {
        #expect(VoteStatus(text) == nil)
    }
}

@Suite(.timeLimit(.minutes(1))) struct LocalProgramTests {
    private let folder = TestFolder()

    private func program(_ script: String, limit: Interval = .seconds(20)) -> LocalProgram {
        LocalProgram(folder.write("program-\(script.utf8.count)", "#!/bin/sh\n" + script, mode: 0o700), limit: limit)
    }

    @Test func votesAreLoweredAndLookedAt() async throws {
        let tool = QuorumTool(program("echo \"$@\" >> \(folder.path)/calls; exit 0"))
        try await tool.expect(votes: 1)
        await #expect(throws: LocalProgramError.self) { try await tool.status() }
        #expect(text("calls") == "expected 1\nstatus\n")
        let without = QuorumTool(
            program("printf 'Quorate: No\\nExpected votes: 2\\nTotal votes: 1\\nQuorum: 2 Activity blocked\\n'; exit 2")
        )
        #expect(try await without.status().isQuorate == false)
    }

    @Test func whatAProgramSaysIsInTheError() async {
        let failing = QuorumTool(program("echo 'Cannot initialize CMAP service' >&2; exit 1"))
        let error = await #expect(throws: LocalProgramError.self) { try await failing.expect(votes: 1) }
        #expect(error?.cause == .failed(status: 1))
        #expect(error?.description.contains("Cannot initialize CMAP service") == true)
        let missing = QuorumTool(LocalProgram("/nonexistent/pvecm"))
        let absent = await #expect(throws: LocalProgramError.self) { try await missing.expect(votes: 1) }
        #expect(absent?.cause == .notStarted)
        #expect(absent?.mayHaveHadEffect == false)
    }

    @Test func aProgramThatHangsIsEndedWithAllItStarted() async {
        // Long enough to begin on a busy machine.
        let hanging = FenceCommand(
            [program("sleep 1000 & echo $! > \(folder.path)/child; wait").path], limit: .seconds(5))
        let error = await #expect(throws: LocalProgramError.self) { try await hanging.run(host: "pve2") }
        #expect(error?.cause == .tooLong)
        #expect(error?.mayHaveHadEffect == true)
        let child = Int32((text("child")).filter(\.isNumber)) ?? 0
        #expect(child > 0)
        // A process that was killed is there until it comes to end. Killed, or killed and not collected yet.
        while !Task.isCancelled, kill(child, 0) == 0, !isZombie(child) { await Task.yield() }
        #expect(kill(child, 0) != 0 || isZombie(child))
    }

    @Test func theFenceCommandIsGivenTheHost() async throws {
        let command = FenceCommand([program("echo \"$1|$2\" > \(folder.path)/fenced").path, "--off", "{host}.lan"])
        try await command.run(host: "pve2; reboot")
        #expect(text("fenced") == "--off|pve2; reboot.lan\n")
    }

    @Test func cephBarsAHostAndProvesIt() async throws {
        let dump =
            #"{"epoch":41,"blocklist":{"10.77.0.2:0/0":"2036-01-01"},"osds":[{"osd":0,"up":1,"public_addr":"10.77.0.1:6801/7"},{"osd":1,"up":1,"public_addr":"10.77.0.2:6801/9"},{"osd":2,"up":0,"public_addr":"10.77.0.2:6805/9"}]}"#
        let ceph = program("echo \"$@\" >> \(folder.path)/ceph-calls; case \"$*\" in *dump*) echo '\(dump)';; esac")
        let fence = CephFence(ceph: ceph, options: ["--id", "holdfast"])
        let proof = try await fence.fence(addresses: ["10.77.0.2"], seconds: 1_000)
        #expect(proof.mapEpoch == 41)
        #expect(proof.daemonsUp == [1])
        try await fence.markDown(proof.daemonsUp, within: .seconds(20))
        try await fence.markDown([], within: .seconds(20))
        #expect(
            text("ceph-calls").split(separator: "\n") == [
                "--id holdfast osd blocklist add 10.77.0.2:0/0 1000", "--id holdfast osd dump --format json",
                "--id holdfast osd down 1",
            ])
        // The command succeeded, and the map does not say so: no proof.
        await #expect(throws: LocalProgramError.self) { try await fence.fence(addresses: ["10.77.0.3"], seconds: 1) }
    }

    /// What an order may still do when its time is over is nothing.
    @Test func daemonsAreMarkedDownWithinTheOrdersTime() async throws {
        let fence = CephFence(ceph: program("echo begun >> \(folder.path)/ceph-calls; exec sleep 30"))
        let cut = await #expect(throws: LocalProgramError.self) {
            try await fence.markDown([1], within: .milliseconds(300))
        }
        #expect(cut?.cause == .tooLong)
        let late = await #expect(throws: LocalProgramError.self) {
            try await fence.markDown([1], within: .milliseconds(-1))
        }
        #expect(late?.cause == .notStarted)
        #expect(text("ceph-calls").split(separator: "\n").count <= 1)
    }

    /// Ceph writes every address in one way, whatever it was told.
    @Test func anAddressInAnotherSpellingIsFencedAndLifted() async throws {
        let dump =
            #"{"epoch":7,"blocklist":{"[fd00::ab]:0/0":"2036-01-01"},"osds":[{"osd":3,"up":1,"public_addr":"[fd00::ab]:6801/7"}]}"#
        let ceph = program("echo \"$@\" >> \(folder.path)/ceph-calls; case \"$*\" in *dump*) echo '\(dump)';; esac")
        let fence = CephFence(ceph: ceph)
        #expect(try await fence.fence(addresses: ["FD00:0::00AB"], seconds: 9).daemonsUp == [3])
        #expect(try await fence.isBarred(addresses: ["fd00:0:0:0::ab"]))
        try await fence.lift(addresses: ["fd00:0::ab"])
        #expect(
            text("ceph-calls").split(separator: "\n").filter { $0.contains("blocklist") } == [
                "osd blocklist add [fd00::ab]:0/0 9", "osd blocklist rm [fd00::ab]:0/0",
            ])
    }

    @Test func whatIsNoAddressIsNotHandedToCeph() async throws {
        let fence = CephFence(ceph: program("echo \"$@\" >> \(folder.path)/ceph-calls"))
        for word in ["pve2.lan", "10.77.0", "10.77.0.2:0", "10.77.0.02/24", "", "clear"] {
            let error = await #expect(throws: LocalProgramError.self) {
                try await fence.fence(addresses: [word], seconds: 1)
            }
            #expect(error?.description.contains("\(word) is no IP address") == true)
            await #expect(throws: LocalProgramError.self) { try await fence.lift(addresses: [word]) }
            await #expect(throws: LocalProgramError.self) { try await fence.isBarred(addresses: [word]) }
        }
        #expect(text("ceph-calls") == "")
    }

    @Test func theClientsOfAnImageAreNamed() async throws {
        let rbd = program(
            #"echo '{"watchers":[{"address":"10.77.0.1:0/3025817221","client":4123,"cookie":1},{"address":"[fd00::1]:0/7","client":2,"cookie":1}]}'"#
        )
        let watchers = try await CephFence(rbd: rbd).watchers(of: "vms/vm-120-disk-0")
        #expect(watchers.map(\.address) == ["10.77.0.1", "fd00::1"])
        #expect(watchers.map(\.nonce) == [3_025_817_221, 7])
        #expect(CephFence.entry("fd00::1") == "[fd00::1]:0/0")
        for text in ["", "10.77.0.1", "10.77.0.1:0", "/3", ":0/3", "10.77.0.1:0/x"] {
            #expect(ImageWatcher(text) == nil)
        }
    }

    private func text(_ name: String) -> String { FileText.read("\(folder.path)/\(name)", most: 4_096) ?? "" }

    private func isZombie(_ process: Int32) -> Bool {
        FileText.read("/proc/\(process)/stat", most: 4_096)?.contains(") Z ") ?? true
    }
}

@Suite(.timeLimit(.minutes(1))) struct GuestFileTests {
    private let folder = TestFolder()
    private let machine = GuestNumber(.machine, 111)!
    private let pve1 = NodeName("pve1")!
    private let pve2 = NodeName("pve2")!

    @Test func theGuestOfADeadHostIsTaken() throws {
        let files = GuestFiles(folder: folder.path)
        _ = folder.write("nodes/pve2/qemu-server/111.conf", "name: b\n")
        _ = folder.write("nodes/pve2/qemu-server/nonsense", "")
        _ = folder.write("nodes/pve2/lxc/200.conf", "hostname: c\n")
        _ = folder.write("nodes/pve1/lxc/x", "")
        _ = folder.write("nodes/pve1/qemu-server/100.conf", "name: a\n")
        #expect(try files.guests(on: pve2).map(\.description) == ["vm 111", "ct 200"])
        #expect(try files.holders(of: machine) == [pve2])
        try files.take(machine, from: pve2, to: pve1)
        #expect(try files.holders(of: machine) == [pve1])
        #expect(try files.text(of: machine, on: pve1) == "name: b\n")
        // Repeated, it is done.
        try files.take(machine, from: pve2, to: pve1)
        let absent = #expect(throws: GuestFileError.self) {
            try files.take(GuestNumber(.machine, 999)!, from: pve2, to: pve1)
        }
        #expect(absent?.cause == .absent)
    }

    @Test func twoConfigurationsAreNotMadeOne() throws {
        let files = GuestFiles(folder: folder.path)
        _ = folder.write("nodes/pve1/qemu-server/111.conf", "here")
        _ = folder.write("nodes/pve2/qemu-server/111.conf", "there")
        let error = #expect(throws: GuestFileError.self) {
            try files.take(machine, from: pve2, to: pve1)
        }
        #expect(error?.cause == .taken)
        #expect(try files.text(of: machine, on: pve1) == "here")
        #expect(try files.holders(of: machine) == [pve1, pve2])
    }
}

@Suite(.timeLimit(.minutes(1))) struct MachineProcessTests {
    private let folder = TestFolder()

    @Test func anOrphanIsFoundAndEnded() async throws {
        // Named like QEMU and saying it is machine 150: a copy of `sleep` would not take `-id`, so a shell waits.
        let kvm = folder.write("bin/kvm", "")
        unlink(kvm)
        #expect(symlink("/bin/sh", kvm) == 0)
        let process = try spawn(kvm, ["-c", "read x", "-id", "150"])
        defer { kill(process, SIGKILL) }
        let processes = MachineProcesses(folder: "\(folder.path)/run")
        _ = folder.write("run/150.pid", "\(process)\n")
        // Left over, of a process that is no machine, or another one.
        _ = folder.write("run/151.pid", "\(getpid())\n")
        _ = folder.write("run/152.pid", "\(process)\n")
        _ = folder.write("run/153.pid", "nonsense")
        // It exists before it has become the program it was started as.
        while processes.running().isEmpty { await Task.yield() }
        let found = processes.running()
        try #require(found.map(\.guest.number) == [150])
        #expect(processes.runningAnywhere().contains(found[0]))
        #expect(await processes.kill(found[0], limit: .seconds(20)))
        #expect(!processes.isRunning(found[0]))
        #expect(processes.running().isEmpty)
        // Asked again, it is done.
        #expect(await processes.kill(found[0], limit: .zero))
    }

    private func spawn(_ path: String, _ arguments: [String]) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // A pipe that nobody writes to: `read` waits.
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        var process: pid_t = 0
        try #require(posix_spawn(&process, path, &actions, nil, &words, environ) == 0)
        return process
    }
}

@Suite(.timeLimit(.minutes(1))) struct WatchdogTests {
    private let folder = TestFolder()

    private func listen(_ path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && Glibc.listen(descriptor, 1) == 0)
        return descriptor
    }

    private func received(_ descriptor: Int32, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: count)
        let got = recv(descriptor, &bytes, count, Int32(MSG_WAITALL))
        return Array(bytes.prefix(max(0, got)))
    }

    @Test func theMultiplexerIsFedAndTakenLeaveOf() throws {
        let path = "\(folder.path)/mux.sock"
        let listener = try listen(path)
        defer { close(listener) }
        let watchdog = try Watchdog(.multiplexer(socket: path))
        let client = accept(listener, nil, nil)
        defer { close(client) }
        try watchdog.feed()
        try watchdog.feed()
        try watchdog.release()
        #expect(received(client, 3) == [0, 0, UInt8(ascii: "V")])
        #expect(received(client, 1) == [])
    }

    @Test func aMultiplexerThatIsGoneIsReported() throws {
        let path = "\(folder.path)/mux.sock"
        #expect(throws: WatchdogError.self) { _ = try Watchdog(.multiplexer(socket: path)) }
        let listener = try listen(path)
        let watchdog = try Watchdog(.multiplexer(socket: path))
        close(accept(listener, nil, nil))
        close(listener)
        // A macro's closure would hold on to what cannot be copied.
        var refusals = 0
        do throws(WatchdogError) { try watchdog.feed() } catch { refusals += 1 }
        do throws(WatchdogError) { try watchdog.release() } catch { refusals += 1 }
        #expect(refusals == 2)
    }

    private func keeper(_ path: String) -> WatchdogKeeper {
        WatchdogKeeper(.multiplexer(socket: path), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
            Instant(nanoseconds: 1_000)
        }
    }

    private func feed(_ keeper: WatchdogKeeper, until: Int64 = 2_000) -> WatchdogReport? {
        keeper.carryOut(.feed(until: Instant(nanoseconds: until), timeout: .seconds(70)))
    }

    @Test func whatCannotBeArmedIsReported() throws {
        let path = "\(folder.path)/mux.sock"
        let keeper = keeper(path)
        #expect(feed(keeper)?.failure?.contains("arm the watchdog at \(path)") == true)
        #expect(!keeper.isHeld)
        let late = keeper.carryOut(.feed(until: Instant(nanoseconds: 500), timeout: .seconds(70)))
        #expect(late == nil, "what came too late is not carried out")
        let short = keeper.carryOut(.feed(until: Instant(nanoseconds: 2_000), timeout: .seconds(69)))
        #expect(short?.failure?.contains("70000 ms") == true, "it would reset this host later than is reckoned with")
    }

    /// `systemctl restart watchdog-mux`, or it crashed.
    @Test func aMultiplexerThatWasStartedAnewIsArmedAnew() throws {
        let path = "\(folder.path)/mux.sock"
        let keeper = keeper(path)
        let first = try listen(path)
        #expect(feed(keeper) == WatchdogReport(until: Instant(nanoseconds: 2_000)))
        close(accept(first, nil, nil))
        close(first)
        unlink(path)
        #expect(feed(keeper)?.failure?.contains("arm the watchdog at \(path)") == true)
        #expect(!keeper.isHeld, "what is gone is not fed for ever")
        let second = try listen(path)
        defer { close(second) }
        #expect(feed(keeper) == WatchdogReport(until: Instant(nanoseconds: 2_000)))
        let client = accept(second, nil, nil)
        defer { close(client) }
        #expect(keeper.carryOut(.close) == nil)
        #expect(received(client, 2) == [0, UInt8(ascii: "V")])
    }

    /// The kernel alone knows what was set, and what it made of it.
    @Test func aDeviceThatWasLeftArmedIsAskedForItsTime() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        let told = WatchdogKind(of: ends[1], armedWith: .seconds(15), timeout: { _ in 300 })
        #expect(told == .device(path: "", timeout: .seconds(300)))
        // A pipe does not know the question.
        let kept = WatchdogKind(of: ends[1], armedWith: .seconds(15))
        #expect(kept == .device(path: "", timeout: .seconds(15)))
        let unknown = WatchdogKind(of: ends[1], armedWith: nil)
        #expect(unknown == .device(path: "", timeout: .seconds(3_600)), "the most that can be configured")
    }

    @Test func aFileIsNoWatchdog() {
        let path = folder.write("watchdog", "")
        #expect(throws: WatchdogError.self) { _ = try Watchdog(.device(path: path, timeout: .seconds(10))) }
        #expect(throws: WatchdogError.self) { _ = try Watchdog(.device(path: path, timeout: .zero)) }
    }
}
