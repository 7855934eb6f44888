// Roles change hands by epoch: what was decided about an earlier holder says nothing about a later one.

import Cluster
import Consensus
import Testing

@Suite struct RoleTests {
    private let pve1 = ClusterBench.pve1
    private let pve2 = ClusterBench.pve2
    private let api = ClusterBench.api

    @Test func everyNewHolderHasANewEpoch() {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        #expect(bench.epoch == 1)
        bench.release(to: pve2)
        #expect(bench.epoch == 1, "the old holder acts until it has let go")
        #expect(bench.role?.holder == pve1)
        bench.released()
        #expect(bench.epoch == 2)
        #expect(bench.role?.phase == .held(by: pve2))
        bench.apply(.vacate(role: api, epoch: 2, reason: "test", because: pve2))
        #expect(bench.epoch == 3)
        #expect(bench.role?.phase == .vacant)
    }

    /// Whoever held it has given up its epochs for good, and would refuse a lower one.
    @Test func aRoleThatIsDeclaredAnewGoesOnCounting() throws {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        bench.release(to: pve2)
        bench.released()
        let last = bench.epoch
        let declaration = try #require(bench.state.resources[api]?.declaration)
        bench.apply(.delete(keys: [api], checkRevision: nil))
        bench.release(to: nil)
        bench.released()
        #expect(bench.role == nil)
        bench.apply(.apply(declarations: [declaration], checkRevision: nil))
        bench.assign(to: pve2)
        #expect(bench.epoch > last)
    }

    @Test func aDecisionOfAnEarlierEpochDoesNothing() {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        let epoch = bench.epoch
        bench.assign(to: pve2)
        let before = bench.role
        #expect(bench.assign(to: pve1, epoch: epoch).code == .conflict)
        #expect(bench.release(to: pve1, epoch: epoch).code == .conflict)
        #expect(bench.apply(.vacate(role: api, epoch: epoch, reason: "late", because: nil)).code == .conflict)
        #expect(bench.role == before)
    }

    /// The word of a holder that was succeeded meanwhile arrives when the new one is asked to let go.
    @Test func theWordOfAnEarlierHolderEndsNothing() {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        let epoch = bench.epoch
        bench.release(to: pve2)
        bench.assign(to: pve2, because: pve1)
        bench.release(to: pve1)
        let before = bench.role
        #expect(bench.released(epoch: epoch).code == .conflict)
        #expect(bench.role == before)
    }

    @Test func aHolderThatWasNotAskedToLetGoGoesOn() {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        #expect(bench.released().code == .conflict)
        #expect(bench.role?.phase == .held(by: pve1))
    }

    /// Declared again before its holder has let go, the role goes on where it was: a fresh one would be given to somebody
    /// beside the old holder.
    @Test func aDeletedRoleRemembersItsHolderUntilItHasLetGo() {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        bench.apply(.delete(keys: [api], checkRevision: nil))
        #expect(bench.role?.holder == pve1)
        bench.declare(api)
        #expect(bench.role?.phase == .held(by: pve1))
        #expect(bench.epoch == 1)
    }

    @Test func aDeletedRoleIsHandedToNobody() {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        bench.release(to: pve2)
        bench.apply(.delete(keys: [api], checkRevision: nil))
        bench.released()
        #expect(bench.state.roles[api] == nil)
    }

    /// The chain that `why` walks: nearest first, down to what began it.
    @Test func aSuccessionIsCausedByTheLoss() {
        var bench = ClusterBench.founded()
        bench.apply(.observeMember(pve1, reachable: true, reason: "answers"))
        bench.assign(to: pve1)
        bench.apply(.observeMember(pve1, reachable: false, reason: "silent"))
        bench.assign(to: pve2, because: pve1)
        let chain = bench.state.causes(of: bench.role?.lastEvent ?? 0).map(\.type)
        #expect(chain == ["RoleAssigned", "MemberLost", "MemberJoined", "Bootstrapped"])
    }

    @Test func aHandOverIsCausedByWhatWasAskedFor() {
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        bench.release(to: pve2)
        bench.released()
        let chain = bench.state.causes(of: bench.role?.lastEvent ?? 0).map(\.type)
        #expect(chain == ["RoleAssigned", "RoleReleased", "RoleReleasing", "RoleAssigned", "Applied"])
    }

    /// The declaration that had the address is gone or changed; its holder may still answer for it.
    @Test func anAddressIsGivenToAnotherRoleOnlyWhenItsHolderHasLetGo() {
        let other = ResourceKey(kind: "VirtualIP", name: "other")
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        bench.apply(.delete(keys: [api], checkRevision: nil))
        bench.declare(other)
        let take = Command.assign(role: other, epoch: 0, to: pve2, reason: "test", because: nil)
        #expect(bench.apply(take).code == .conflict)
        bench.release(to: nil)
        #expect(bench.apply(take).code == .conflict)
        bench.released()
        #expect(bench.apply(take).code == .done)
    }

    @Test func anAddressThatAnotherRoleIsHeldWithIsNotHandedOn() {
        let other = ResourceKey(kind: "VirtualIP", name: "other")
        var bench = ClusterBench.founded()
        bench.assign(to: pve1)
        bench.release(to: pve2)
        bench.declare(other, address: "192.168.1.77/24")
        bench.apply(.assign(role: other, epoch: 0, to: pve2, reason: "test", because: nil))
        bench.declare(api, address: "192.168.1.77/24")
        bench.released()
        #expect(bench.role?.phase == .vacant)
    }
}
