// The shared storage: Ceph's blocklist on it, and what a power cut in the middle of a change leaves of it.

import Foundation
import Testing

@testable import ProxmoxEmulator

@Suite struct CephTests {
    private static let disk = "shared1:vm-100-disk-0,size=1G"
    private static let volume = "shared1:vm-100-disk-0"

    private func ceph(_ volumes: SharedVolumes, _ words: String) -> CommandOutcome {
        volumes.ceph(words.split(separator: " ").map(String.init)) { "in \($0) s" }
    }

    private func barred(_ volumes: SharedVolumes) throws -> JSON? {
        try JSON(text: ceph(volumes, "ceph osd dump --format json").output)["blocklist"]
    }

    @Test func whoIsBarredStartsNothingAndHoldsNothing() throws {
        var bench = Bench(sharedType: "rbd")
        try bench.add(100, isRunning: true, settings: ["memory": "64", "scsi0": Self.disk])
        try bench.add(101, on: "pve2", settings: ["memory": "64", "scsi0": Self.disk])
        let volumes = bench.cluster.shared
        #expect(ceph(volumes, "ceph osd blocklist add 10.77.0.11:0/0 3600").code == 0)
        #expect(try barred(volumes) == ["10.77.0.11:0/0": "in 3600 s"])
        // pve1 still runs it, and cannot write: no second writer.
        #expect(bench.run("POST", "/nodes/pve2/qemu/101/status/start") == "OK")
        #expect(try volumes.read().volumes[Self.volume]?.stolen == 0)
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/stop") == "OK")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "start failed: QEMU exited with code 1")
        #expect(ceph(volumes, "ceph osd blocklist rm 10.77.0.11:0/0").code == 0)
        #expect(try barred(volumes) == [:])
        #expect(bench.run("POST", "/nodes/pve2/qemu/101/status/stop") == "OK")
        #expect(bench.run("POST", "/nodes/pve1/qemu/100/status/start") == "OK")
    }

    @Test func everyChangeOfTheBlocklistIsANewMap() throws {
        let volumes = SharedVolumes()
        func epoch() throws -> Int {
            try #require(try JSON(text: ceph(volumes, "ceph osd dump --format json").output)["epoch"]?.integer)
        }
        let before = try epoch()
        _ = ceph(volumes, "ceph osd blocklist add 10.77.0.11:0/0 60")
        #expect(try epoch() == before + 1)
        // Of one that is not there nothing is said but that, as the real one does.
        let absent = ceph(volumes, "ceph osd blocklist rm 10.77.0.99:0/0")
        #expect(absent == CommandOutcome(errors: "10.77.0.99:0/0 isn't blocklisted\n"))
        #expect(try epoch() == before + 1)
        #expect(ceph(volumes, "ceph osd blocklist add 10.77.0.11:0/7 60").code == 22)
        #expect(ceph(volumes, "ceph osd pool create x").code == 22)
    }

    @Test func theClientOfAnImageIsNamedWhileItLives() throws {
        var bench = Bench(sharedType: "rbd")
        try bench.add(100, isRunning: true, settings: ["memory": "64", "scsi0": Self.disk])
        let volumes = bench.cluster.shared
        let watchers = try JSON(text: ceph(volumes, "rbd status rbd/vm-100-disk-0 --format json").output)["watchers"]
        let address = watchers?.array?.first?["address"]?.string
        #expect(address?.hasPrefix("10.77.0.11:0/") == true)
        bench.cluster.powerOff("pve1")
        #expect(try JSON(text: ceph(volumes, "rbd status rbd/vm-100-disk-0").output)["watchers"] == [])
        #expect(ceph(volumes, "rbd status rbd/vm-999-disk-0").code == 2)
    }

    @Test func guestsReadWhoIsBarredFromAFile() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "ceph-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "images.json").path
        _ = ceph(SharedVolumes(file: file), "ceph osd blocklist add 10.77.0.11:0/0 60")
        #expect(try String(contentsOfFile: file + ".barred", encoding: .utf8) == "10.77.0.11\n")
        #expect(try barred(SharedVolumes(file: file)) == ["10.77.0.11:0/0": "in 60 s"])
        _ = ceph(SharedVolumes(file: file), "ceph osd blocklist rm 10.77.0.11:0/0")
        #expect(try String(contentsOfFile: file + ".barred", encoding: .utf8) == "")
    }

    @Test func theFolderIsReadOnlyWhileSomebodyIsSilent() throws {
        var bench = Bench()
        #expect(bench.host("pve1")?.isFolderWritable == true)
        bench.cluster.powerOff("pve2")
        bench.cluster.advance(milliseconds: 2_500)
        // Nobody has noticed yet, and nothing written now would be answered.
        #expect(bench.host("pve1")?.isFilesWritable == true)
        #expect(bench.host("pve1")?.isFolderWritable == false)
    }

    @Test func aCertificateThatIsKeptIsShownAgain() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "cert-\(UUID().uuidString)").path
        defer { unlink(path) }
        let node = Node(name: "pve1", id: 1, address: "10.77.0.11")
        let first = try ServerCertificate(node: node, keptIn: path)
        #expect(try ServerCertificate(node: node, keptIn: path).fingerprint == first.fingerprint)
        #expect(try ServerCertificate(node: node).fingerprint != first.fingerprint)
    }
}
