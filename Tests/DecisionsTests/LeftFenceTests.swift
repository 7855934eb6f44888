// What is left of a fence when its host is no host of the cluster any more: who takes it up, with what, and how much of it
// is kept.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct LeftFenceTests {
    private let pve1 = DecisionBench.pve1
    private let pve2 = DecisionBench.pve2
    private let vm = GuestBench.vm

    private func facts(_ address: String) -> HostFacts {
        HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: address)
    }

    /// pve2 is fenced by Ceph, at these addresses besides its own; gitlab goes to pve1, and is deleted if that is asked for.
    private func fenced(at clients: [String] = [], deleted: Bool = false) -> GuestBench {
        var bench = GuestBench()
        bench.guest(on: "pve2")
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, clients: clients.map { "\($0):0/1" })))
        bench.lose(pve2, for: .seconds(5))
        bench.settle()
        bench.apply(.fenceProven("pve2", epoch: bench.fenceEpoch, .cephBlocklist, proof: "p"))
        bench.settle()
        if deleted { bench.bench.apply(.delete(keys: [vm], checkRevision: nil)) }
        return bench
    }

    private func remove(_ bench: inout GuestBench) {
        let outcome = bench.bench.outcome(.removeMember(pve2))
        #expect(outcome.succeeded, "\(outcome.message)")
    }

    private func join(_ name: String, _ number: UInt64, at address: String, _ bench: inout GuestBench) {
        bench.bench.admit(MemberID(rawValue: number), name, .host)
        bench.apply(.reportHost(name, facts(address)))
    }

    private func host(_ name: String, _ bench: GuestBench) -> HostRecord {
        bench.bench.state.hosts[name] ?? HostRecord(facts: facts(""))
    }

    @Test func whatIsLeftSaysWhoMayBeAtAnOrderAndWhatWasDeleted() {
        var bench = fenced(deleted: true)
        remove(&bench)
        let left = bench.bench.state.leftFences["10.0.0.2"]
        #expect(left?.host == "pve2" && left?.epoch == 1)
        #expect(left?.ordered == [pve1])
        #expect(left?.retired.keys == [vm])
        // Whoever comes next ends what is left there first.
        join("pve4", 9, at: "10.0.0.2", &bench)
        #expect(host("pve4", bench).retired.keys == [vm])
        #expect(host("pve4", bench).ordered == [pve1])
    }

    @Test func afterARestoreNobodyIsAtAnOrder() {
        let bench = fenced(deleted: true)
        let restored = bench.bench.state.forNewCluster("test", milliseconds: 0)
        #expect(restored.leftFences["10.0.0.2"]?.ordered == [])
        #expect(restored.leftFences["10.0.0.2"]?.retired.keys == [vm])
    }

    @Test func aHostThatHasSeveralBarredAddressesTakesAllOfThemUp() {
        var bench = fenced(at: ["10.1.0.2"])
        remove(&bench)
        #expect(bench.bench.state.leftFences.keys == ["10.0.0.2", "10.1.0.2"])
        // The one has an address of the host that was removed, and is fenced with it itself.
        join("pve4", 9, at: "10.0.0.2", &bench)
        #expect(host("pve4", bench).barred == ["10.0.0.2"])
        #expect(bench.bench.state.leftFences.keys == ["10.1.0.2"], "nobody has that one")
        let epoch = host("pve4", bench).fenceEpoch
        #expect(bench.bench.outcome(.removeMember(MemberID(rawValue: 9))).succeeded)
        #expect(bench.bench.state.leftFences.keys == ["10.0.0.2", "10.1.0.2"])
        #expect(bench.bench.state.leftFences["10.0.0.2"]?.epoch == epoch)
        // The next one is known under both.
        bench.guest(GuestBench.other, on: nil)
        bench.bench.admit(MemberID(rawValue: 10), "pve5", .host)
        bench.apply(.reportHost("pve5", facts("")))
        #expect(host("pve5", bench).fence.isNone)
        bench.apply(
            .sight(GuestBench.other, on: "pve5", Sighting(.running, clients: ["10.0.0.2:0/1", "10.1.0.2:0/1"])))
        bench.apply(.reportHost("pve5", facts("10.0.0.2")))
        #expect(host("pve5", bench).barred == ["10.0.0.2", "10.1.0.2"])
        #expect(host("pve5", bench).fenceEpoch == epoch + 1, "above every fence that it takes up")
        #expect(bench.bench.state.leftFences.isEmpty)
    }

    /// A recovery went on without pve2, whose record stays; a machine comes with its address under another name.
    @Test func theAddressOfADeadHostIsTakenUpByWhoHasItNow() {
        var bench = fenced()
        bench.bench.apply(.recover(epoch: 1 << 32 | 1, dead: [pve2]))
        #expect(host("pve2", bench).barred == ["10.0.0.2"])
        join("pve4", 9, at: "10.0.0.2", &bench)
        #expect(host("pve2", bench).barred == [], "otherwise it would be barred twice")
        #expect(host("pve4", bench).barred == ["10.0.0.2"])
        #expect(host("pve4", bench).ordered == [pve1])
        #expect(host("pve4", bench).fence.isProven)
        #expect(host("pve4", bench).fenceEpoch > 1)
    }

    @Test func theAddressOfAHostThatIsAMemberIsNotTakenUp() {
        var bench = fenced()
        join("pve4", 9, at: "10.0.0.2", &bench)
        #expect(host("pve2", bench).barred == ["10.0.0.2"])
        #expect(host("pve4", bench).fence.isNone)
    }

    // MARK: How much is kept

    /// So many addresses are barred of hosts that went.
    private func left(_ count: Int) -> GuestBench {
        var bench = GuestBench()
        var number = 0
        var id: UInt64 = 100
        while number < count {
            let these = number..<min(number + HostRecord.mostBarred - 1, count)
            let clients = these.map { "10.9.\($0 / 250).\($0 % 250):0/1" }
            number += clients.count
            id += 1
            bench.bench.admit(MemberID(rawValue: id), "h\(id)", .host)
            bench.apply(.reportHost("h\(id)", facts("")))
            bench.guest(on: nil)
            bench.apply(.sight(vm, on: "h\(id)", Sighting(.running, clients: clients)))
            let epoch = host("h\(id)", bench).fenceEpoch
            bench.apply(.beginFence("h\(id)", epoch: epoch, .cephBlocklist, by: pve1, reason: "t"))
            bench.bench.apply(.delete(keys: [vm], checkRevision: nil))
            #expect(bench.bench.outcome(.removeMember(MemberID(rawValue: id))).succeeded)
        }
        return bench
    }

    @Test func noMemberIsRemovedWhoseFenceWouldLeaveTooMuchBehind() {
        var bench = left(256)
        #expect(bench.bench.state.leftFences.count == 256)
        bench.apply(.beginFence("pve2", epoch: host("pve2", bench).fenceEpoch, .cephBlocklist, by: pve1, reason: "t"))
        let outcome = bench.bench.outcome(.removeMember(pve2))
        #expect(outcome.code == .unsafe && outcome.message.contains("256 addresses"))
        #expect(bench.bench.state.hosts.contains("pve2"))
    }

    /// What a restore or a recovery leaves behind is refused to nobody, and can be read all the same.
    @Test func moreThanThatIsKeptWhenItCannotBeRefused() throws {
        var bench = left(256)
        bench.apply(.beginFence("pve2", epoch: host("pve2", bench).fenceEpoch, .cephBlocklist, by: pve1, reason: "t"))
        let restored = bench.bench.state.forNewCluster("test", milliseconds: 0)
        #expect(restored.leftFences.count == 257)
        #expect(try ClusterState(encoded: restored.encoded) == restored)
        bench.bench.apply(.recover(epoch: 1 << 32 | 1, dead: [pve2]))
        #expect(bench.bench.outcome(.removeMember(pve2)).succeeded)
        #expect(bench.bench.state.leftFences.count == 257)
        #expect(try ClusterState(encoded: bench.bench.state.encoded) == bench.bench.state)
    }
}
