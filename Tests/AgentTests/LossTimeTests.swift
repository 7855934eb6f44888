// For how long a host must have been lost before it is fenced: when it was the one that led, and when it was lost before.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct LossTimeTests {
    private static let vault = ResourceKey(kind: "VirtualMachine", name: "vault")

    /// pve1 leads and runs a guest with its disk in Ceph; pve2 and pve3 are hosts too. Nobody has a driver.
    private func lab(seed: UInt64) -> TestLab {
        let lab = TestLab(seed: seed)
        _ = lab.add("pve1", .host, founds: "home")
        lab.run(for: .milliseconds(100))
        for name in ["pve2", "pve3"] { _ = lab.join(name, .host) }
        lab.run(for: .seconds(1))
        for (number, name) in ["pve1", "pve2", "pve3"].enumerated() {
            lab.must(
                .workload(
                    .reportHost(
                        name,
                        HostFacts(
                            boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.\(number + 1)"))))
        }
        lab.declare([
            Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "cephRbd"]),
            Declaration(
                kind: "VirtualMachine", name: "vault",
                spec: [
                    "proxmox": ["vmid": 121, "memory": "4Gi"], "disks": [["name": "scsi0", "pool": "rbd"]],
                ]),
        ])
        lab.must(.workload(.sight(Self.vault, on: "pve1", Sighting(.running))))
        // The others can take it: they see their guests.
        for node in 1...2 {
            let facts = lab.nodes[node].core.state.hosts["pve\(node + 1)"]!.facts
            lab.turn(node, [.guests(.host(facts)), .guests(.observed([]))])
        }
        lab.run(for: .milliseconds(500))
        return lab
    }

    /// How long after now it is until pve1 is about to be fenced.
    private func untilFenced(_ lab: TestLab) -> Interval? {
        let begun = lab.now
        func isWanted() -> Bool {
            guard let leader = lab.leader() else { return false }
            return lab.nodes[leader].core.state.hosts["pve1"]?.fence.isNone == false
        }
        lab.run(for: .seconds(10), until: isWanted)
        return isWanted() ? lab.now - begun : nil
    }

    /// Two seconds after its lease has ended, which is as with any other host. The election takes up to six tenths of a second
    /// of them.
    @Test(arguments: UInt64(1)...8) func whoLedIsNotWaitedForLongerThanAnother(seed: UInt64) throws {
        let lab = lab(seed: seed)
        #expect(lab.leader() == 0)
        lab.kill(0)
        let took = try #require(untilFenced(lab))
        #expect(took >= .milliseconds(2_250) && took <= .milliseconds(2_600), "\(took)")

        let other = self.lab(seed: seed)
        _ = other.transferLeadership(to: 1)
        other.run(for: .seconds(1))
        #expect(other.leader() == 1)
        other.kill(0)
        let usual = try #require(untilFenced(other))
        #expect(usual >= .milliseconds(2_250) && usual <= .milliseconds(2_600), "\(usual)")
    }

    /// Who comes and goes is fenced after half a minute of it. One that was lost once and has been there since does not.
    @Test(arguments: [12, 40, 300]) func whoWasLostOnceIsGivenItsTimeTheNextTime(seconds: Int64) throws {
        let lab = lab(seed: 1)
        _ = lab.transferLeadership(to: 1)
        lab.run(for: .seconds(1))
        func pve1() -> MemberRecord? { lab.nodes[1].core.state.member(named: "pve1") }
        lab.isolate(0)
        lab.run(for: .seconds(1))
        #expect(pve1()?.reachable == false)
        lab.cuts = []
        lab.run(for: .seconds(seconds))
        #expect(lab.leader() == 1 && pve1()?.reachable == true)
        lab.isolate(0)
        let took = try #require(untilFenced(lab))
        #expect(took >= .milliseconds(2_250) && took <= .milliseconds(2_600), "\(took)")
    }

    @Test func whoComesAndGoesIsFencedInTheEnd() throws {
        let lab = lab(seed: 1)
        _ = lab.transferLeadership(to: 1)
        lab.run(for: .seconds(1))
        func isFenced() -> Bool { lab.nodes[1].core.state.hosts["pve1"]?.fence.isNone == false }
        let begun = lab.now
        while !isFenced(), lab.now - begun < .seconds(120) {
            lab.isolate(0)
            lab.run(for: .milliseconds(1_500), until: isFenced)
            lab.cuts = []
            lab.run(for: .seconds(4), until: isFenced)
        }
        #expect(isFenced())
        #expect(lab.now - begun >= .seconds(29) && lab.now - begun <= .seconds(40), "\(lab.now - begun)")
    }

    /// A silence of long ago is not counted again.
    @Test(arguments: UInt64(1)...8) func whoWasThereAgainSinceIsGivenItsTime(seed: UInt64) throws {
        let lab = lab(seed: seed)
        lab.kill(0)
        lab.run(for: .milliseconds(1_500))
        let leader = try #require(lab.leader())
        #expect(leader != 0)
        lab.restart(0)
        // Long enough for the silence before to be told from the one that comes, and for nobody to miss its driver.
        lab.run(for: .seconds(3))
        #expect(lab.leader() == leader)
        #expect(lab.nodes[leader].core.state.hosts["pve1"]?.fence.isNone == true)
        lab.kill(0)
        let took = try #require(untilFenced(lab))
        #expect(took >= .milliseconds(2_250) && took <= .milliseconds(2_700), "\(took)")
    }
}
