// Two hosts, one of them gone: what works, what fails, what does harm, and the ways to go on.

import Testing

@testable import ProxmoxEmulator

@Suite struct QuorumTests {
    private func survivor(_ prepare: (inout Bench) throws -> Void = { _ in }) throws -> Bench {
        var bench = Bench()
        try bench.add(100, isRunning: true)
        try bench.add(111, on: "pve2", isRunning: true)
        try prepare(&bench)
        // A round of every node's words.
        bench.cluster.advance(milliseconds: 1_000)
        bench.cluster.powerOff("pve2")
        bench.cluster.advance(milliseconds: 10_000)
        return bench
    }

    @Test func aDeadNodeIsNoticedAfterSixToEightSeconds() throws {
        var bench = Bench()
        bench.cluster.powerOff("pve2")
        bench.cluster.advance(milliseconds: 6_000)
        #expect(bench.host("pve1")?.membership.isOnline("pve2") == true)
        #expect(bench.host("pve1")?.isFilesWritable == true)
        bench.cluster.advance(milliseconds: 2_000)
        #expect(bench.host("pve1")?.membership.isOnline("pve2") == false)
        #expect(bench.host("pve1")?.isFilesWritable == false)
        let status = bench.ask("GET", "/cluster/status").body?["data"]?.array ?? []
        #expect(status.first { $0["type"] == "cluster" }?["quorate"] == 0)
        #expect(status.first { $0["name"] == "pve2" }?["online"] == 0)
    }

    @Test func resourcesKeepADeadNodesGuestsRunningForMinutes() throws {
        var bench = try survivor()
        func status(_ bench: inout Bench) -> JSON? {
            let list = bench.ask("GET", "/cluster/resources", ["type": "vm"]).body?["data"]?.array ?? []
            return list.first { $0["vmid"] == 111 }?["status"]
        }
        bench.cluster.advance(milliseconds: 90_000)
        #expect(status(&bench) == "running")
        bench.cluster.advance(milliseconds: 300_000)
        #expect(status(&bench) == "unknown")
    }

    @Test func withoutAQuorumRunningGuestsGoOnAndStopButDoNotStart() throws {
        var bench = try survivor()
        #expect(bench.isRunning(on: "pve1"))
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/stop") == "OK")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "cluster not ready - no quorum?")
        #expect(bench.run("POST", "/nodes/pve1/qemu", ["vmid": 200]) == "cluster not ready - no quorum?")
        #expect(
            bench.run("PUT", "/nodes/pve1/qemu/100/config", ["memory": 96]).hasSuffix("Permission denied"))
        #expect(bench.ask("GET", "/nodes/pve1/qemu/100/config").status == 200)
    }

    @Test func withoutAQuorumADeleteTakesTheLocalDiskAndThenFails() throws {
        var bench = try survivor {
            try $0.add(150, settings: ["memory": "64", "scsi0": "local:150/vm-150-disk-0.raw,size=1G"])
        }
        #expect(bench.run("DELETE", "/nodes/pve1/qemu/150").hasSuffix("Permission denied"))
        #expect(bench.host("pve1")?.volumes.volumes["local:150/vm-150-disk-0.raw"] == nil)
        #expect(bench.ask("GET", "/nodes/pve1/qemu/150/config").status == 200)
    }

    @Test func withoutAQuorumADeleteLeavesTheSharedDisk() throws {
        var bench = try survivor()
        bench.run("POST", "/nodes/pve1/qemu/100/status/stop")
        #expect(bench.run("DELETE", "/nodes/pve1/qemu/100").hasSuffix("Permission denied"))
        #expect(try bench.cluster.shared.read().volumes["shared1:100/vm-100-disk-0.qcow2"] != nil)
    }

    @Test func withoutAQuorumAResizeChangesTheImageAndNotTheConfiguration() throws {
        var bench = try survivor()
        let path = "/nodes/pve1/qemu/100/resize"
        #expect(bench.run("PUT", path, ["disk": "scsi0", "size": "+1G"]).hasSuffix("Permission denied"))
        #expect(try bench.cluster.shared.read().volumes["shared1:100/vm-100-disk-0.qcow2"]?.size == 2 << 30)
        let disk = bench.ask("GET", "/nodes/pve1/qemu/100/config").body?["data"]?["scsi0"]?.string
        #expect(disk?.hasSuffix("size=1G") == true)
    }

    @Test func expectedOneMakesItWritableAfterHalfASecondToASecond() throws {
        var bench = try survivor()
        #expect(
            try bench.cluster.change("pve1") { host throws(APIError) in host.command(["pvecm", "expected", "1"]) }
                == .done(CommandOutcome()))
        bench.cluster.advance(milliseconds: 300)
        #expect(bench.host("pve1")?.isFilesWritable == false)
        bench.cluster.advance(milliseconds: 600)
        #expect(bench.host("pve1")?.isFilesWritable == true)
        // The daemons follow a little later still.
        #expect(bench.run("POST", "/nodes/pve1/qemu/111/status/start") == "cluster not ready - no quorum?")
    }

    @Test func aRenamedConfigurationIsTheLivingNodesGuest() throws {
        var bench = try survivor()
        let from = "nodes/pve2/qemu-server/111.conf"
        let target = "nodes/pve1/qemu-server/111.conf"
        #expect(throws: APIError.self) {
            try bench.cluster.change("pve1") { host throws(APIError) in try host.rename(from, to: target) }
        }
        try bench.cluster.change("pve1") { host throws(APIError) in try host.expectVotes(1) }
        bench.cluster.advance(milliseconds: 2_000)
        try bench.cluster.change("pve1") { host throws(APIError) in try host.rename(from, to: target) }
        #expect(bench.run("POST", "/nodes/pve1/qemu/111/status/start") == "OK")
        #expect(bench.isRunning(GuestID(.qemu, 111), on: "pve1"))

        bench.cluster.powerOn("pve2")
        bench.cluster.advance(milliseconds: 5_000)
        #expect(bench.host("pve2")?.files.exists(target) == true)
        #expect(bench.host("pve2")?.files.exists(from) == false)
        #expect(bench.host("pve1")?.membership.expectedVotes == 2)
    }

    @Test func aQuorumDeviceKeepsTheSurvivorWritable() throws {
        var bench = Bench(hasQDevice: true)
        bench.cluster.advance(milliseconds: 5_000)
        bench.cluster.powerOff("pve2")
        for _ in 0..<40 {
            bench.cluster.advance(milliseconds: 500)
            #expect(bench.host("pve1")?.isFilesWritable == true)
        }
    }

    @Test func aQuorumDeviceGivesItsVoteToOneSideOnly() throws {
        var bench = Bench(hasQDevice: true)
        bench.cluster.advance(milliseconds: 5_000)
        bench.cluster.cut("pve1", "pve2")
        bench.cluster.advance(milliseconds: 20_000)
        let writable = ["pve1", "pve2"].filter { bench.host($0)?.isFilesWritable == true }
        #expect(writable == ["pve1"])
    }

    @Test func afterASplitWithBothSidesWritableOneSidesWritesVanish() throws {
        var bench = Bench()
        try bench.add(100)
        bench.cluster.cut("pve1", "pve2")
        bench.cluster.advance(milliseconds: 10_000)
        for name in ["pve1", "pve2"] {
            try bench.cluster.change(name) { host throws(APIError) in try host.expectVotes(1) }
        }
        bench.cluster.advance(milliseconds: 3_000)
        try bench.cluster.change("pve1") { host throws(APIError) in
            try host.rename("nodes/pve1/qemu-server/100.conf", to: "nodes/pve1/qemu-server/200.conf")
        }
        try bench.cluster.change("pve2") { host throws(APIError) in
            try host.writeByHand("nodes/pve2/qemu-server/300.conf", "memory: 64\n")
        }
        bench.cluster.mend("pve1", "pve2")
        bench.cluster.advance(milliseconds: 3_000)
        // pve1 wrote twice, so its tree is the newer one.
        for name in ["pve1", "pve2"] {
            #expect(bench.host(name)?.files.exists("nodes/pve1/qemu-server/200.conf") == true)
            #expect(bench.host(name)?.files.exists("nodes/pve2/qemu-server/300.conf") == false)
        }
    }

    @Test func aGuestWhoseConfigurationWentAwayIsAnOrphan() throws {
        var bench = Bench()
        try bench.add(100, isRunning: true)
        bench.cluster.cut("pve1", "pve2")
        bench.cluster.advance(milliseconds: 10_000)
        try bench.cluster.change("pve2") { host throws(APIError) in try host.expectVotes(1) }
        bench.cluster.advance(milliseconds: 3_000)
        try bench.cluster.change("pve2") { host throws(APIError) in
            try host.rename("nodes/pve1/qemu-server/100.conf", to: "nodes/pve2/qemu-server/100.conf")
        }
        bench.cluster.mend("pve1", "pve2")
        bench.cluster.advance(milliseconds: 3_000)
        #expect(bench.host("pve1")?.orphans == [Bench.machine])
        #expect(bench.ask("GET", "/nodes/pve1/qemu").body?["data"] == [])
    }

    @Test func writesSayBusyAtAMembershipChange() throws {
        var bench = Bench(nodes: 3)
        bench.cluster.powerOff("pve3")
        bench.cluster.advance(milliseconds: 20_000)
        bench.cluster.powerOn("pve3")
        for _ in 0..<100 where bench.host("pve1")?.membership.isOnline("pve3") == false {
            bench.cluster.advance(milliseconds: 20)
        }
        #expect(bench.host("pve1")?.isFilesWritable == true)
        let error = #expect(throws: APIError.self) {
            try bench.cluster.change("pve1") { host throws(APIError) in try host.writeByHand("nodes/pve1/x", "") }
        }
        #expect(error?.reason.hasSuffix("Device or resource busy") == true)
        bench.cluster.advance(milliseconds: 3_000)
        try bench.cluster.change("pve3") { host throws(APIError) in try host.writeByHand("nodes/pve3/x", "") }
        #expect(bench.host("pve1")?.files.exists("nodes/pve3/x") == true)
    }

    @Test func theRecoveryOfProxmoxsOwnHATakesOverTwoMinutes() throws {
        var bench = Bench(nodes: 3)
        try bench.add(100, on: "pve1")
        bench.ask("POST", "/cluster/ha/resources", ["sid": "vm:100"], at: "pve2")
        bench.cluster.advance(milliseconds: 20_000)
        #expect(bench.isRunning(on: "pve1"))
        bench.cluster.powerOff("pve1")
        bench.cluster.advance(milliseconds: 120_000)
        #expect(!bench.isRunning(on: "pve2") && !bench.isRunning(on: "pve3"))
        bench.cluster.advance(milliseconds: 60_000)
        #expect(bench.isRunning(on: "pve2") || bench.isRunning(on: "pve3"))
    }
}
