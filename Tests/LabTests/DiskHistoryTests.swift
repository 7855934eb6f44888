// What a disk tells of the machines that wrote to it, and the lab's virtual machines beside their manifests.

import Foundation
import Testing

@testable import holdfast_lab

@Suite struct DiskHistoryTests {
    private func text(_ records: [(String, Int64, Int)]) -> String {
        records.map { DiskRecord(host: $0.0, began: $0.1, number: $0.2, at: $0.1 + Int64($0.2)).line }.joined()
    }

    @Test func oneMachineAfterTheOtherIsWell() {
        let history = DiskHistory(
            text([("pve1", 10, 0), ("pve1", 10, 1), ("pve2", 50, 0), ("pve2", 50, 1), ("pve1", 90, 0)]))
        #expect(history.hadOneWriterAtATime)
        #expect(history.writers.map(\.host) == ["pve1", "pve2", "pve1"])
        #expect(history.writers[1] == .init(host: "pve2", began: 50, firstWrite: 50, lastWrite: 51, writes: 2))
    }

    @Test func aWriteOfTheMachineBeforeIsAnIntrusion() {
        let history = DiskHistory(text([("pve1", 10, 0), ("pve2", 50, 0), ("pve1", 10, 1), ("pve2", 50, 1)]))
        #expect(!history.hadOneWriterAtATime)
        #expect(history.intrusions == 1)
        // The same host, and another machine on it.
        #expect(DiskHistory(text([("pve1", 10, 0), ("pve1", 50, 0), ("pve1", 10, 1)])).intrusions == 1)
    }

    @Test(arguments: ["pve1 10 0\n", "pve1 10 0 x\n", "pve1 10 0 20 30\n"]) func halfALineIsDamage(line: String) {
        #expect(DiskHistory(line).damagedLines == 1)
        #expect(!DiskHistory(line).hadOneWriterAtATime)
    }
}

@Suite struct LabGuestTests {
    @Test func theManifestsDeclareTheGuestsOfTheLab() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "deploy/lab/guests.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        for guest in LabGuest.all {
            #expect(text.contains("metadata: {name: \(guest.name)}\nspec:\n  proxmox: {vmid: \(guest.vmid),"))
        }
        #expect(text.contains("metadata: {name: \(LabStorage.ceph.rawValue)}\nspec: {type: cephRbd}"))
        let all = LabGuest.all + LabGuest.onFiles
        #expect(Set(all.map(\.vmid)).count == all.count)
        #expect(
            Set(all.map(\.address) + Topology.homelab.nodes.map(\.address)).count
                == all.count + Topology.homelab.nodes.count)
    }

    @Test func aGuestsHardwareAddressIsItsOwnWhereverItRuns() {
        #expect(LabGuest.all[0].hardwareAddress == "02:03:c0:a8:01:78")
    }

    @Test func aWayOfFencingIsJudgedByWhenStartsWereIssued() {
        var result = GuestCaseResult(fencing: .storage, means: .powerOff, hitsLeader: true)
        #expect(!result.isKept)
        let back = GuestReturn(guest: "gitlab", host: "pve2", startIssued: 2_900, answered: 4_500)
        result.repetitions = [GuestRepetition(host: "pve1", wasLeader: true, guests: [back])]
        #expect(result.isKept)
        result.disksWithTwoWriters = ["gitlab"]
        #expect(!result.isKept)
        result.disksWithTwoWriters = []
        var late = back
        late.startIssued = 3_100
        result.repetitions[0].guests.append(late)
        #expect(!result.isKept)
    }
}
