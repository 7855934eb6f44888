// What a change takes from what can be lost: said when it is new, and only then.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct ChangeAdmissionTests {
    /// Two hosts of 16 GiB that can be fenced through Ceph, and a guest of 4 GiB on each.
    private struct Lab {
        var bench = DecisionBench()

        init() {
            // Nobody could hold it, whatever is lost.
            bench.apply(.delete(keys: [DecisionBench.api], checkRevision: nil))
            for host in ["pve1", "pve2"] {
                bench.apply(
                    .workload(
                        .reportHost(
                            host,
                            HostFacts(
                                boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.\(host.last!)"))))
            }
            declare([Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "cephRbd"])])
            declare([Self.guest("gitlab", 120), Self.guest("vault", 121)])
            place("gitlab", on: "pve1")
            place("vault", on: "pve2")
        }

        static func guest(_ name: String, _ vmid: Int64, memory: String = "4Gi", pool: String = "rbd") -> Declaration {
            Declaration(
                kind: "VirtualMachine", name: name,
                spec: [
                    "proxmox": ["vmid": .int(vmid), "memory": .string(memory)],
                    "disks": [["name": "scsi0", "pool": .string(pool)]],
                ])
        }

        mutating func declare(_ declarations: [Declaration]) {
            bench.apply(.apply(declarations: declarations, checkRevision: nil))
        }

        mutating func place(_ name: String, on host: String) {
            let key = ResourceKey(kind: "VirtualMachine", name: name)
            for each in ["pve1", "pve2"] {
                bench.apply(.workload(.sight(key, on: each, Sighting(each == host ? .running : .absent))))
            }
            let epoch = bench.state.placements[key]?.epoch ?? 0
            bench.apply(.workload(.place(key, epoch: epoch, on: host, reason: "test", because: nil)))
        }

        func admission(of declarations: [Declaration], deleting keys: [ResourceKey] = []) -> ChangeAdmission {
            var after = self
            if !declarations.isEmpty { after.declare(declarations) }
            if !keys.isEmpty { after.bench.apply(.delete(keys: keys, checkRevision: nil)) }
            return ChangeAdmission(
                from: bench.state, to: after.bench.state, configuration: bench.view.configuration)
        }
    }

    private static func scenario(staysDown: [String] = [], enforce: String = "refuse") -> Declaration {
        Declaration(
            kind: "Scenario", name: "pve1-dies",
            spec: [
                "lost": ["host/pve1"], "enforce": .string(enforce),
                "expect": ["staysDown": .array(staysDown.map { .string($0) })],
            ])
    }

    @Test func whatFitsIsFine() {
        let lab = Lab()
        #expect(lab.admission(of: [Lab.guest("small", 122, memory: "2Gi")]).isFine)
        #expect(lab.admission(of: []).isFine)
    }

    @Test func aGuestThatTheOtherHostCouldNotTakeIsSaid() {
        // 4 + 4 + 10: each fits where it is, and nobody could take all three.
        let admission = Lab().admission(of: [Lab.guest("large", 122, memory: "10Gi")])
        #expect(admission.unplaced.isEmpty)
        #expect(admission.worse.map(\.domain) == ["pve1", "pve2"])
        #expect(admission.objections.allSatisfy { $0.contains("would stay down") && $0.contains("memory") })
        #expect(admission.objections.contains { $0.hasPrefix("if pve1 is lost: ") })
    }

    @Test func aGuestThatNoHostCouldTakeIsSaid() {
        let admission = Lab().admission(of: [Lab.guest("huge", 122, memory: "20Gi")])
        #expect(admission.unplaced.count == 1)
        #expect(admission.unplaced[0].hasPrefix("huge could run nowhere: "))
    }

    @Test func disksThatBecomeLocalAreSaid() {
        let admission = Lab().admission(
            of: [Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "local"])])
        #expect(
            admission.objections == [
                "if pve1 is lost: gitlab has its disks on pve1", "if pve2 is lost: vault has its disks on pve2",
            ])
        let deleted = Lab().admission(of: [], deleting: [ResourceKey(kind: "StoragePool", name: "rbd")])
        #expect(deleted.objections == admission.objections)
    }

    @Test func whatIsSoAlreadyIsNoObjection() {
        var lab = Lab()
        lab.declare([Lab.guest("large", 122, memory: "10Gi")])
        lab.place("large", on: "pve1")
        #expect(lab.admission(of: [Declaration(kind: "Cluster", name: "home", spec: [:])]).isFine)
    }

    @Test func anEnforcedScenarioIsHeldToWhatIsNew() {
        var lab = Lab()
        lab.declare([Self.scenario()])
        let large = [Lab.guest("large", 122, memory: "10Gi")]
        let broken = lab.admission(of: large).broken
        #expect(!broken.isEmpty)
        #expect(broken.allSatisfy { $0.hasPrefix("Scenario/pve1-dies would not hold: ") })
        #expect(lab.admission(of: [Lab.guest("small", 122, memory: "1Gi")]).broken.isEmpty)
        // One that only warns is said by plan, and stands in nobody's way.
        lab.declare([Self.scenario(enforce: "warn")])
        #expect(lab.admission(of: large).broken.isEmpty)
    }

    @Test func aNewScenarioIsHeldToEverything() {
        var lab = Lab()
        lab.declare([Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "local"])])
        #expect(
            lab.admission(of: [Self.scenario()]).broken
                == ["Scenario/pve1-dies would not hold: gitlab has its disks on pve1"])
        #expect(lab.admission(of: [Self.scenario(staysDown: ["VirtualMachine/gitlab"])]).broken.isEmpty)
    }
}
