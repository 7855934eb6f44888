// What a host said of its guests in an earlier boot of its machine counts no more, and what it may have all the same stays known.

import Consensus
import Testing

@testable import Cluster

@Suite struct EarlierBootTests {
    private let vm = ResourceKey(kind: "VirtualMachine", name: "gitlab")
    private let other = ResourceKey(kind: "VirtualMachine", name: "vault")

    private func facts(_ boot: String, address: String = "10.0.0.2") -> HostFacts {
        HostFacts(boot: boot, memoryBytes: 16 << 30, cores: 8, storageAddress: address)
    }

    /// gitlab runs on pve2 in its first boot, and vault is not there.
    private func running() -> ClusterBench {
        var bench = ClusterBench.founded()
        for member in bench.state.members.values {
            var member = member
            member.level = 2
            bench.apply(.announce(member: member))
        }
        bench.apply(.raiseLevel(to: 2, without: []))
        bench.apply(.workload(.reportHost("pve1", facts("a1", address: "10.0.0.1"))))
        bench.apply(.workload(.reportHost("pve2", facts("b1"))))
        bench.apply(
            .apply(
                declarations: [vm, other].map {
                    Declaration(kind: $0.kind, name: $0.name, spec: ["desired": "running"])
                }, checkRevision: nil))
        bench.apply(.workload(.place(vm, epoch: 0, on: "pve2", reason: "t", because: nil)))
        bench.apply(
            .workload(.sight(vm, on: "pve2", Sighting(.running, clients: ["10.0.0.2:0/1", "10.1.0.2:0/2"]))))
        bench.apply(.workload(.sight(other, on: "pve2", Sighting(.absent))))
        return bench
    }

    private func said(_ bench: ClusterBench, _ workload: ResourceKey) -> GuestState? {
        bench.state.placements[workload]?.sighting(on: "pve2")
    }

    @Test(arguments: [GuestState.running, .stuck, .stopped])
    func whatAHostHadBeforeItStartedAnewIsNotKnownToBeThere(state: GuestState) {
        var bench = running()
        bench.apply(.workload(.sight(vm, on: "pve2", Sighting(state))))
        bench.apply(.workload(.reportHost("pve2", facts("b2"))))
        #expect(said(bench, vm) == nil)
        #expect(bench.state.events.last?.type == "HostStartedAnew")
        #expect(bench.state.placements[vm]?.phase == .on("pve2"), "where it belongs is another thing")
        bench.apply(.workload(.sight(vm, on: "pve2", Sighting(.running))))
        #expect(said(bench, vm) == .running, "the present boot's word counts")
    }

    @Test func whatAHostDidNotHaveNoStartBringsThere() {
        var bench = running()
        bench.apply(.workload(.reportHost("pve2", facts("b2"))))
        #expect(said(bench, other) == .absent)
    }

    @Test(arguments: ["b1", ""]) func withoutAnotherBootNothingIsForgotten(boot: String) {
        var bench = running()
        var facts = facts(boot)
        facts.isBlind = true
        bench.apply(.workload(.reportHost("pve2", facts)))
        #expect(said(bench, vm) == .running)
    }

    @Test func aRestartOfTheOtherHostForgetsNothing() {
        var bench = running()
        bench.apply(.workload(.reportHost("pve1", facts("a2", address: "10.0.0.1"))))
        #expect(said(bench, vm) == .running)
    }

    /// Its hypervisor may have started the guest by itself, with its disks open at the address of then.
    @Test func aFenceKeepsOutTheAddressesOfTheBootBefore() throws {
        var bench = running()
        bench.apply(.workload(.reportHost("pve2", facts("b2"))))
        #expect(bench.state.storageAddresses(of: "pve2") == ["10.0.0.2", "10.1.0.2"])
        bench.apply(.workload(.reportHost("pve2", facts("b3", address: "10.0.0.9"))))
        #expect(bench.state.storageAddresses(of: "pve2") == ["10.0.0.9", "10.1.0.2"], "nothing was seen of b2 at all")
        #expect(try ClusterState(encoded: bench.state.encoded) == bench.state)
        bench.apply(.workload(.sight(vm, on: "pve2", Sighting(.stopped))))
        #expect(bench.state.storageAddresses(of: "pve2") == ["10.0.0.9", "10.1.0.2"])
        bench.apply(.workload(.sight(vm, on: "pve2", Sighting(.running, clients: ["10.0.0.9:0/3"]))))
        #expect(bench.state.storageAddresses(of: "pve2") == ["10.0.0.9"])
    }

    /// Nobody wrote it down: the driver finds it again once a guest has a disk open, and until then the host could not be fenced.
    @Test func anAddressThatWasOnlySeenIsKeptFromBootToBoot() {
        var bench = running()
        for boot in ["b2", "b3"] {
            bench.apply(.workload(.reportHost("pve2", facts(boot, address: ""))))
            #expect(bench.state.storageAddresses(of: "pve2") == ["10.0.0.2", "10.1.0.2"])
            #expect(bench.state.objectionToBlocklist(of: "pve2") == nil)
        }
        bench.apply(.workload(.sight(vm, on: "pve2", Sighting(.running, clients: ["10.0.0.9:0/3"]))))
        #expect(bench.state.storageAddresses(of: "pve2") == ["10.0.0.9"])
    }

    @Test func oneThatWasBeingRestartedIsStartedLikeAnyOther() {
        var bench = running()
        let epoch = bench.state.placements[vm]?.epoch ?? 0
        bench.apply(.workload(.sight(vm, on: "pve2", Sighting(.running, healthy: false))))
        bench.apply(.workload(.care(vm, epoch: epoch, .restart, reason: "t")))
        #expect(bench.state.placements[vm]?.care.isRestarting == true)
        bench.apply(.workload(.reportHost("pve2", facts("b2"))))
        #expect(bench.state.placements[vm]?.care.isRestarting == false)
    }

    /// A move goes on while its target is reset, so what it has left there may be younger than the boot.
    @Test func whatAFailedMoveMayHaveLeftStaysKnown() {
        var bench = running()
        let epoch = bench.state.placements[vm]?.epoch ?? 0
        bench.apply(.workload(.move(vm, epoch: epoch, to: "pve1", live: true, reason: "t", because: nil)))
        bench.apply(.workload(.moveEnded(vm, epoch: epoch + 1, at: "pve2", reason: "no")))
        bench.apply(.workload(.sight(vm, on: "pve1", Sighting(.stuck))))
        bench.apply(.workload(.reportHost("pve1", facts("a2", address: "10.0.0.1"))))
        let placement = bench.state.placements[vm] ?? Placement()
        #expect(placement.leftovers == ["pve1"] && placement.sighting(on: "pve1") == nil)
        #expect(bench.state.holders(of: placement, besides: "pve2") { _ in true } == ["pve1"])
    }
}
