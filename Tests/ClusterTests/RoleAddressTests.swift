// Several addresses of one role: they are kept as one text, and none of them is another role's while it may be held.

import Cluster
import Consensus
import Testing

@Suite struct RoleAddressTests {
    private let other = ResourceKey(kind: "VirtualIP", name: "other")

    private func group(_ key: ResourceKey, _ addresses: [String]) -> Command {
        let spec: JSONValue = ["addresses": .array(addresses.map { ["address": .string($0)] })]
        return .apply(declarations: [Declaration(kind: key.kind, name: key.name, spec: spec)], checkRevision: nil)
    }

    @Test func theAddressesOfARoleAreOneTextInAscendingOrder() {
        var bench = ClusterBench.founded()
        bench.apply(group(ClusterBench.api, ["fd00::99/64", "192.168.1.99/24"]))
        bench.assign(to: ClusterBench.pve1)
        #expect(bench.role?.address == "192.168.1.99 fd00::99")
        #expect(RoleAddresses.list("192.168.1.99 fd00::99") == ["192.168.1.99", "fd00::99"])
        #expect(RoleAddresses.list("192.168.1.99") == ["192.168.1.99"])
        #expect(RoleAddresses.list("").isEmpty)
    }

    @Test func anAlarmOfAnEarlierTenureIsNotTaken() {
        var bench = ClusterBench.founded()
        bench.assign(to: ClusterBench.pve1)
        let late = Command.reportConflict(
            role: ClusterBench.api, epoch: bench.epoch, member: ClusterBench.pve1, conflict: "another has it")
        for holder in [ClusterBench.pve2, ClusterBench.pve1] {
            bench.release(to: holder)
            bench.released()
        }
        #expect(bench.role?.holder == ClusterBench.pve1)
        #expect(bench.apply(late).code == .conflict)
        #expect(bench.role?.conflict.isEmpty == true)
    }

    @Test func anAlarmIsAPartOfTheWrittenState() throws {
        var bench = ClusterBench.founded()
        bench.assign(to: ClusterBench.pve1)
        let alarm = Command.reportConflict(
            role: ClusterBench.api, epoch: bench.epoch, member: ClusterBench.pve1, conflict: "another has it")
        #expect(bench.apply(alarm).code == .done && bench.apply(alarm).code == .unchanged)
        #expect(try ClusterState(encoded: bench.state.encoded).roles[ClusterBench.api]?.conflict == "another has it")
        bench.release(to: ClusterBench.pve2)
        bench.released()
        #expect(bench.role?.conflict.isEmpty == true)
    }

    @Test(arguments: [
        ("a", "a", true), ("a", "b", false), ("a b", "b", true), ("b", "a b", true), ("a b", "b c", true),
        ("a b", "c d", false), ("", "", false), ("", "a", false), ("a", "aa", false), ("a b", "ab", false),
    ])
    func textsOverlap(left: String, right: String, overlap: Bool) {
        #expect(RoleAddresses.overlap(left, right) == overlap)
    }

    @Test func noAddressOfAGroupIsGivenAwayWhileItsHolderMayAnswerForIt() {
        var bench = ClusterBench.founded()
        bench.apply(group(ClusterBench.api, ["192.168.1.99/24", "fd00::99/64"]))
        bench.assign(to: ClusterBench.pve1)
        // The group lets one of its addresses go, and another role is to have it.
        bench.apply(group(ClusterBench.api, ["192.168.1.99/24"]))
        bench.apply(group(other, ["fd00::99/64", "192.168.1.7/24"]))
        let early = bench.apply(.assign(role: other, epoch: 0, to: ClusterBench.pve2, reason: "test", because: nil))
        #expect(early.code == .conflict)
        bench.release(to: ClusterBench.pve1)
        bench.release(to: nil)
        bench.released()
        bench.assign(to: ClusterBench.pve1)
        #expect(bench.role?.address == "192.168.1.99")
        let late = bench.apply(.assign(role: other, epoch: 0, to: ClusterBench.pve2, reason: "test", because: nil))
        #expect(late.code == .done)
    }
}
