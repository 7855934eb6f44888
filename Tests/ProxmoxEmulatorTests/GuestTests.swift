// Guests, tasks, locks, images and faults, as an agent on one host meets them.

import Testing

@testable import ProxmoxEmulator

@Suite struct GuestTests {
    // MARK: Tasks

    @Test func aTaskThatFailsIsAnsweredWithSuccessFirst() throws {
        var bench = Bench()
        let response = bench.ask("POST", "/nodes/pve1/qemu/999/status/start")
        #expect(response.status == 200)
        let upid = try #require(response.body?["data"]?.string.flatMap(UPID.init))
        #expect(bench.end(of: upid) == "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist")
    }

    @Test func aTasksNameIsReadBackAsItWasWritten() throws {
        let text = "UPID:pve1:000003DF:0003A069:6B0432A8:qmstart:100:ops@pve!agent:"
        let upid = try #require(UPID(text))
        #expect(upid.description == text)
        #expect(upid.userName == "ops@pve" && upid.tokenID == "agent")
        #expect(UPID("UPID:bad") == nil)
    }

    @Test func startingARunningGuestIsATaskError() throws {
        var bench = Bench()
        try bench.add(100)
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "OK")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "VM 100 already running")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/stop") == "OK")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/stop") == "OK")
    }

    @Test func stoppingAStoppedContainerFailsAtOnce() throws {
        var bench = Bench()
        try bench.add(200, .lxc)
        let response = bench.ask("POST", "/nodes/pve1/lxc/200/status/stop")
        #expect(response.status == 500 && response.reason == "CT 200 not running")
    }

    @Test func anImposedFailureComesAfterTheAnswer() throws {
        var bench = Bench()
        try bench.add(100)
        _ = try bench.cluster.change("pve1") { host throws(APIError) in
            host.faults.taskFailures.append((type: "qmstart", text: "start failed: org.freedesktop.systemd1"))
        }
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "start failed: org.freedesktop.systemd1")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "OK")
    }

    // MARK: Locks

    @Test func aShutdownHoldsTheLockAndAStopWaitsTenSecondsForIt() throws {
        var bench = Bench()
        try bench.add(100, isRunning: true)
        try bench.cluster.change("pve1") { host throws(APIError) in
            host.behaviours[100, default: GuestBehaviour()].obeysShutdown = false
        }
        bench.ask("POST", "/nodes/pve1/qemu/100/status/shutdown", ["timeout": 120])
        bench.cluster.advance(milliseconds: 500)
        let begin = bench.cluster.now
        let end = bench.run("POST", "/nodes/pve1/qemu/100/status/stop")
        #expect(end == "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout")
        #expect((10_000...10_500).contains(bench.cluster.now - begin))
        let change = bench.ask("PUT", "/nodes/pve1/qemu/100/config", ["name": "new"])
        #expect(change.reason == "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/stop", ["overrule-shutdown": 1]) == "OK")
        #expect(!bench.isRunning(on: "pve1"))
    }

    @Test func aLockInTheConfigurationRefusesWhatItIsFor() throws {
        var bench = Bench()
        try bench.add(100)
        try bench.cluster.change("pve1") { host throws(APIError) in
            do { _ = try host.control(["command": "lock", "vmid": 100, "lock": "backup"]) } catch {
                throw .died("\(error)")
            }
        }
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "VM is locked (backup)")
        #expect(bench.run("PUT", "/nodes/pve1/qemu/100/config", ["name": "new"]) == "VM is locked (backup)")
    }

    @Test func aTokenOfRootIsNotRoot() throws {
        var bench = Bench()
        try bench.add(100)
        var access = Access()
        access.addToken("root@pam!t1", secret: "secret")
        bench.cluster.install(Host.accessFile, Host.encoded(access))
        let root = Credentials.token(name: "root@pam!t1", secret: "secret")
        let start = bench.ask("POST", "/nodes/pve1/qemu/100/status/start", ["skiplock": 1], as: root)
        #expect(start.body?["errors"]?["skiplock"] == "Only root may use this option.")
        let lock = bench.ask("PUT", "/nodes/pve1/qemu/100/config", ["lock": "backup"], as: root)
        #expect(lock.reason == "only root can set 'lock' config")
    }

    // MARK: Configuration

    @Test func aStaleDigestChangesNothing() throws {
        var bench = Bench()
        try bench.add(100)
        let digest = bench.ask("GET", "/nodes/pve1/qemu/100/config").body?["data"]?["digest"]
        let path = "/nodes/pve1/qemu/100/config"
        #expect(bench.ask("PUT", path, ["memory": 80, "digest": try #require(digest)]).status == 200)
        let second = bench.ask("PUT", path, ["memory": 96, "digest": try #require(digest)])
        #expect(second.reason == "checksum mismatch (file change by other user?)")
        #expect(bench.ask("GET", path).body?["data"]?["memory"] == "80")
    }

    @Test func aConfigurationIsReadBackAsItWasWritten() {
        var configuration = GuestConfiguration(settings: [
            "memory": "64", "name": "a", "scsi0": "local:1/x.raw,size=1G",
        ])
        configuration.description = "two: lines\n100% of it"
        configuration.snapshots = ["s1": ["memory": "32", "snaptime": "1"]]
        configuration.snapshotDescriptions = ["s1": "before"]
        configuration.pending = ["memory": "128"]
        configuration.pendingDeletions = ["name"]
        #expect(GuestConfiguration(text: configuration.text) == configuration)
    }

    @Test func whatARunningGuestCannotTakeWaitsForItsNextStart() throws {
        var bench = Bench()
        try bench.add(100, isRunning: true)
        #expect(bench.ask("PUT", "/nodes/pve1/qemu/100/config", ["memory": 128]).status == 200)
        let pending = bench.ask("GET", "/nodes/pve1/qemu/100/pending").body?["data"]?.array ?? []
        #expect(pending.first { $0["key"] == "memory" }?["pending"] == "128")
        bench.run("POST", "/nodes/pve1/qemu/100/status/stop")
        bench.run("POST", "/nodes/pve1/qemu/100/status/start")
        #expect(bench.ask("GET", "/nodes/pve1/qemu/100/status/current").body?["data"]?["maxmem"] == 134_217_728)
    }

    @Test func aDiskOnlyGrows() throws {
        var bench = Bench()
        try bench.add(100)
        let path = "/nodes/pve1/qemu/100/resize"
        #expect(bench.run("PUT", path, ["disk": "scsi0", "size": "+1G"]) == "OK")
        #expect(bench.run("PUT", path, ["disk": "scsi0", "size": "1G"]) == "shrinking disks is not supported")
    }

    @Test func aDiskTakenOutIsKept() throws {
        var bench = Bench()
        try bench.add(100)
        #expect(bench.ask("PUT", "/nodes/pve1/qemu/100/config", ["delete": "scsi0"]).status == 200)
        let configuration = bench.ask("GET", "/nodes/pve1/qemu/100/config").body?["data"]
        #expect(configuration?["unused0"] == "shared1:100/vm-100-disk-0.qcow2")
        #expect(try bench.cluster.shared.read().volumes["shared1:100/vm-100-disk-0.qcow2"] != nil)
    }

    // MARK: Images

    @Test func anImageHasOneWriter() throws {
        var bench = Bench()
        try bench.add(100, isRunning: true)
        try bench.add(101, on: "pve2", settings: ["memory": "64", "scsi0": "shared1:100/vm-100-disk-0.qcow2,size=1G"])
        #expect(bench.run("POST", "/nodes/pve2/qemu/101/status/start") == "start failed: QEMU exited with code 1")
        bench.cluster.powerOff("pve1")
        bench.cluster.advance(milliseconds: 1_000)
        #expect(bench.run("POST", "/nodes/pve2/qemu/101/status/start", at: "pve2") == "OK")
    }

    @Test func aSecondWriterOfAnRBDImageIsCounted() throws {
        var bench = Bench(sharedType: "rbd")
        let disk = "shared1:vm-100-disk-0,size=1G"
        try bench.add(100, isRunning: true, settings: ["memory": "64", "scsi0": disk])
        try bench.add(101, on: "pve2", settings: ["memory": "64", "scsi0": disk])
        #expect(bench.run("POST", "/nodes/pve2/qemu/101/status/start") == "OK")
        #expect(try bench.cluster.shared.read().volumes["shared1:vm-100-disk-0"]?.stolen == 1)
    }

    @Test func aFullStorageMakesNoDisk() throws {
        var bench = Bench()
        _ = try bench.cluster.change("pve1") { host throws(APIError) in host.faults.fullStorages.insert("shared1") }
        let end = bench.run("POST", "/nodes/pve1/qemu", ["vmid": 100, "scsi0": "shared1:1"])
        #expect(end == "unable to create image: No space left on device")
        #expect(bench.ask("GET", "/nodes/pve1/qemu/100/config").status == 500)
    }

    // MARK: Moves

    @Test func aRunningGuestMovesAndIsNeverInTwoPlaces() throws {
        var bench = Bench()
        try bench.add(100, isRunning: true)
        let refusal = bench.run("POST", "/nodes/pve1/qemu/100/migrate", ["target": "pve2"])
        #expect(refusal == "can't migrate running VM without --online")
        let response = bench.ask("POST", "/nodes/pve1/qemu/100/migrate", ["target": "pve2", "online": 1])
        let upid = try #require(response.body?["data"]?.string.flatMap(UPID.init))
        while bench.host("pve1")?.tasks[upid]?.exitStatus == nil {
            #expect(bench.isRunning(on: "pve1") != bench.isRunning(on: "pve2"))
            bench.cluster.advance(milliseconds: 50)
        }
        #expect(bench.host("pve1")?.tasks[upid]?.exitStatus == "OK")
        #expect(bench.isRunning(on: "pve2"))
        #expect(bench.ask("GET", "/nodes/pve2/qemu/100/config").status == 200)
        #expect(try bench.cluster.shared.read().volumes["shared1:100/vm-100-disk-0.qcow2"]?.writer?.node == "pve2")
    }

    @Test func aMoveWhoseTargetDiesLeavesTheGuestWhereItIs() throws {
        var bench = Bench(nodes: 3)
        try bench.add(100, isRunning: true)
        let response = bench.ask("POST", "/nodes/pve1/qemu/100/migrate", ["target": "pve2", "online": 1])
        let upid = try #require(response.body?["data"]?.string.flatMap(UPID.init))
        bench.cluster.advance(milliseconds: 1_000)
        bench.cluster.powerOff("pve2")
        let end = bench.end(of: upid)
        #expect(end?.hasPrefix("migration aborted") == true)
        #expect(bench.isRunning(on: "pve1"))
    }

    @Test func localDisksStandInTheWayOfALiveMove() throws {
        var bench = Bench()
        try bench.add(
            100, isRunning: true, settings: ["memory": "64", "scsi0": "local:100/vm-100-disk-0.qcow2,size=1G"])
        let plain = bench.run("POST", "/nodes/pve1/qemu/100/migrate", ["target": "pve2", "online": 1])
        #expect(plain.contains("can't migrate VM"))
        let given: [String: JSON] = ["target": "pve2", "online": 1, "with-local-disks": 1]
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/migrate", given) == "OK")
        #expect(bench.host("pve2")?.volumes.volumes["local:100/vm-100-disk-0.qcow2"] != nil)
        #expect(bench.host("pve1")?.volumes.volumes["local:100/vm-100-disk-0.qcow2"] == nil)
    }

    // MARK: Rights and faults

    @Test func aMissingPrivilegeIsNamed() throws {
        var bench = Bench()
        try bench.add(100)
        try bench.cluster.change("pve1") { host throws(APIError) in
            do {
                _ = try host.control(["command": "revoke", "subject": "ops@pve", "privileges": ["VM.PowerMgmt"]])
            } catch { throw .died("\(error)") }
        }
        let response = bench.ask("POST", "/nodes/pve1/qemu/100/status/start")
        #expect(response.status == 403)
        #expect(response.reason == "Permission check failed (/vms/100, VM.PowerMgmt)")
    }

    @Test func aRefusedLoginTakesThreeSecondsAndIsEmpty() throws {
        var bench = Bench()
        let begin = bench.cluster.now
        let wrong = Credentials.token(name: "ops@pve!agent", secret: "x")
        let response = bench.ask("GET", "/version", as: wrong)
        #expect(response.status == 401 && response.reason == "invalid token value!" && response.body == nil)
        #expect(bench.cluster.now - begin == 3_000)
        var nine = Bench(release: .nine)
        #expect(nine.ask("GET", "/version", as: wrong).reason == "Authentication failed!")
    }

    @Test func aDeadNodesAnswersAre595AndEmpty() throws {
        var bench = Bench()
        bench.cluster.powerOff("pve2")
        let response = bench.ask("GET", "/nodes/pve2/status")
        #expect(response.status == 595 && response.body == nil)
    }

    @Test func aGuestUnderProxmoxsHAEndsTheTaskBeforeAnythingHappens() throws {
        var bench = Bench(nodes: 3)
        try bench.add(100)
        bench.ask("POST", "/cluster/ha/resources", ["sid": "vm:100", "state": "stopped"])
        bench.cluster.advance(milliseconds: 20_000)
        let response = bench.ask("POST", "/nodes/pve1/qemu/100/status/start")
        let upid = try #require(response.body?["data"]?.string.flatMap(UPID.init))
        #expect(upid.type == "hastart")
        #expect(bench.end(of: upid) == "OK")
        #expect(!bench.isRunning(on: "pve1"))
        bench.cluster.advance(milliseconds: 30_000)
        #expect(bench.isRunning(on: "pve1"))
    }

    @Test func whatAHostHadIsThereAfterAPowerCutButForItsGuests() throws {
        var bench = Bench()
        try bench.add(100, isRunning: true)
        bench.cluster.powerOff("pve1")
        bench.cluster.advance(milliseconds: 1_000)
        bench.cluster.powerOn("pve1")
        bench.cluster.advance(milliseconds: 5_000)
        #expect(bench.ask("GET", "/nodes/pve1/qemu/100/status/current").body?["data"]?["status"] == "stopped")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "OK")
    }
}
