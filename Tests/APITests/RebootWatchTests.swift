// What `holdfast host reboot --wait` says of a host on its way, and when it counts as back.

import Cluster
import Testing

@testable import API
@testable import holdfast

@Suite struct RebootWatchTests {
    private func host(
        boot: String = "b1", reachable: Bool = true, leaving: String? = nil, restart: String? = nil,
        fence: String = "none"
    ) -> HostDocument {
        HostDocument(
            name: "pve1", boot: boot, reachable: reachable, draining: false, leaving: leaving, restart: restart,
            fence: fence, fenceEpoch: 0, attempts: [], memoryBytes: 0, memoryUsedBytes: 0, cores: 0, guests: 0,
            storageAddress: "", watchdogMilliseconds: 0, guarded: false, quorate: true)
    }

    private func guest(
        _ name: String, on host: String?, _ state: GuestState? = .running, target: String? = nil,
        obstacle: String? = nil, healthy: Bool? = nil, desired: String = "running"
    ) -> WorkloadDocument {
        WorkloadDocument(
            kind: "VirtualMachine", name: name, vmid: 100, desired: desired, state: state, host: host, target: target,
            epoch: 1, since: "", sinceMilliseconds: 0, reason: "", obstacle: obstacle, storage: "cephRbd",
            memoryBytes: 0, cores: 1, healthy: healthy)
    }

    private func address(_ holder: String?) -> AddressDocument {
        AddressDocument(
            name: "dns", address: "192.168.1.99/24", phase: holder == nil ? .vacant : .held, holder: holder, epoch: 1,
            since: "", sinceMilliseconds: 0, reason: "", unfit: [])
    }

    private func snapshot(
        _ host: HostDocument, _ guests: [WorkloadDocument] = [], _ holder: String? = "pve1"
    ) -> RebootWatch.Snapshot {
        RebootWatch.Snapshot(host: host, guests: guests, addresses: [address(holder)])
    }

    private var before: RebootWatch.Snapshot {
        snapshot(host(), [guest("web", on: "pve1", healthy: true), guest("db", on: "pve1"), guest("far", on: "pve2")])
    }

    private func progress(_ now: RebootWatch.Snapshot) -> String? { RebootWatch.progress(before, now) }

    @Test func untilItGoesItSaysWhatIsLeftThere() {
        let leaving = host(leaving: "reboot", restart: "ordered")
        let left = [
            guest("web", on: "pve1", target: "pve2"), guest("db", on: "pve1", obstacle: "its disks are on pve1"),
            guest("far", on: "pve2"),
        ]
        #expect(progress(snapshot(leaving, left)) == "still on pve1: web, db (its disks are on pve1)")
        #expect(progress(snapshot(leaving, [guest("web", on: "pve2")])) == "pve1 is empty and about to restart")
        #expect(progress(snapshot(host(reachable: false, restart: "begun"))) == "pve1 is down")
    }

    @Test func itIsBackWithAnotherBootAndAllThatItHad() {
        let all = [guest("web", on: "pve2", healthy: true), guest("db", on: "pve1")]
        #expect(progress(snapshot(host(boot: "b2", leaving: "reboot"), all)) == "pve1 has started anew")
        #expect(progress(snapshot(host(boot: "b2", reachable: false), all)) == "pve1 is away again")
        #expect(progress(snapshot(host(boot: "b2", fence: "clean"), all))?.contains("fence") == true)
        #expect(progress(snapshot(host(boot: "b2"), all)) == nil)
        #expect(progress(snapshot(host(boot: "b2"), all, "pve2")) == nil, "somebody holds the address")
        #expect(progress(snapshot(host(boot: "b2"), all, nil)) == "pve1 is back; nobody holds dns")
        #expect(
            RebootWatch.elsewhere(before, snapshot(host(boot: "b2"), all, "pve2")) == [
                "web runs on pve2", "dns is on pve2",
            ])
    }

    @Test func guestsAreWaitedForUntilTheyServeAsBefore() {
        func words(_ guests: [WorkloadDocument]) -> String? { progress(snapshot(host(boot: "b2"), guests)) }
        let web = guest("web", on: "pve2", healthy: true)
        #expect(words([web, guest("db", on: "pve1", .stopped)]) == "pve1 is back; waiting for db")
        #expect(words([web, guest("db", on: "pve1", target: "pve2")]) == "pve1 is back; waiting for db")
        let sick = guest("web", on: "pve2", healthy: false)
        #expect(words([sick, guest("db", on: "pve1")]) == "pve1 is back; waiting for web")
        #expect(words([web]) == nil, "deleted since")
        #expect(words([web, guest("db", on: "pve1", .stopped, desired: "stopped")]) == nil)
    }
}
