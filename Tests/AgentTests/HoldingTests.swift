// What a member does with an address: only under its lease, only above the floor, only for the epoch it was given.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct HoldingTests {
    private static let api = AgentBench.api
    private static let address = VirtualAddress(address: "192.168.1.99", prefixLength: 24)

    /// A cluster in which the member on the bench was given the address, up to and including that.
    private static let commands: [Command] = [
        .bootstrap(clusterName: "home", member: AgentBench.record(AgentBench.peer, "pve2", .host)),
        .createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)),
        .join(tokenID: "t", secretHash: "h", member: AgentBench.record(AgentBench.own, "pve1", .host)),
        AgentBench.address(), .assign(role: api, epoch: 0, to: AgentBench.own, reason: "test", because: nil),
    ]

    /// A member that holds the address by its own lead.
    private func holder() -> AgentBench {
        var bench = AgentBench.founder()
        bench.request(AgentBench.address())
        bench.run(for: .milliseconds(200))
        return bench
    }

    private func holds(_ order: AddressOrder?, epoch: UInt64) -> Bool {
        if case .hold(_, _, epoch, _)? = order { true } else { false }
    }

    @Test func aLoneMemberHoldsItsAddress() {
        let bench = holder()
        #expect(bench.phase == .held(by: AgentBench.own))
        #expect(holds(bench.orders.last, epoch: 1))
    }

    // MARK: The lease

    @Test func nothingIsHeldWithoutALease() {
        let bench = AgentBench.follower(of: Self.commands, commit: 5)
        #expect(bench.phase == .held(by: AgentBench.own))
        #expect(bench.orders.isEmpty)
    }

    @Test func theDriverIsGivenTheEndOfTheLeaseAndNoMore() {
        var bench = AgentBench.follower(of: Self.commands, commit: 5)
        bench.grant(floor: 5)
        let until = bench.now + .milliseconds(300)
        #expect(bench.orders == [.hold(role: Self.api, addresses: [Self.address], epoch: 1, until: until)])
    }

    /// Something that took the role away may stand between what is applied and the floor.
    @Test func nothingIsHeldBelowTheFloor() {
        var bench = AgentBench.follower(of: Self.commands, commit: 5)
        bench.append([.put(key: "k", value: "v", expected: nil)], after: 5, commit: 5)
        bench.grant(floor: 6)
        #expect(bench.orders.isEmpty)
        bench.append([], after: 6, commit: 6)
        #expect(holds(bench.orders.last, epoch: 1))
    }

    @Test func anAddressIsTakenDownWhenTheLeaseEnds() {
        var bench = AgentBench.follower(of: Self.commands, commit: 5)
        bench.grant(floor: 5)
        bench.run(for: .milliseconds(299))
        #expect(bench.orders.count == 1)
        bench.run(for: .milliseconds(2))
        #expect(bench.orders.last == .drop(role: Self.api, addresses: [Self.address]))
    }

    // MARK: The state

    @Test func aRoleGivenToAnotherIsDropped() {
        var bench = AgentBench.follower(of: Self.commands, commit: 5)
        bench.grant(floor: 5)
        bench.append(
            [.assign(role: Self.api, epoch: 1, to: AgentBench.peer, reason: "test", because: nil)], after: 5, commit: 6)
        #expect(bench.orders.last == .drop(role: Self.api, addresses: [Self.address]))
    }

    @Test func aRoleThatComesAnewIsTakenUpAnew() {
        var bench = AgentBench.follower(of: Self.commands, commit: 5)
        bench.grant(floor: 5)
        bench.append(
            [.assign(role: Self.api, epoch: 1, to: AgentBench.own, reason: "test", because: nil)], after: 5, commit: 6)
        #expect(holds(bench.orders.last, epoch: 2))
    }

    /// Another address is another epoch's: the old one is let go of first.
    @Test func aChangedAddressTakesTheOldOneDown() {
        var bench = holder()
        bench.forget()
        bench.request(AgentBench.address("192.168.1.77/24"))
        bench.run(for: .milliseconds(100))
        #expect(bench.orders.last == release(epoch: 1))
        bench.report(.released(role: Self.api, epoch: 1))
        bench.run(for: .milliseconds(100))
        #expect(lastHeld(bench) == VirtualAddress(address: "192.168.1.77", prefixLength: 24))
    }

    @Test func aChangedPlaceTakesTheAddressDownWhereItWas() {
        var bench = holder()
        bench.forget()
        bench.request(AgentBench.address("192.168.1.99/16"))
        bench.run(for: .milliseconds(100))
        #expect(bench.orders.first == .drop(role: Self.api, addresses: [Self.address]))
        #expect(lastHeld(bench) == VirtualAddress(address: "192.168.1.99", prefixLength: 16))
    }

    /// Several addresses are one order, and a member that still holds the old set goes on with all of it.
    @Test func aGroupOfAddressesIsHeldAndLetGoAsOne() {
        let second = VirtualAddress(address: "fd00::99", prefixLength: 64)
        func declare(_ addresses: [String]) -> Command {
            let spec: JSONValue = [
                "addresses": .array(addresses.map { ["address": .string($0)] }), "candidates": [["member": "pve1"]],
            ]
            let key = Self.api
            return .apply(
                declarations: [Declaration(kind: key.kind, name: key.name, spec: spec)], checkRevision: nil)
        }
        var bench = AgentBench.founder()
        bench.request(declare(["192.168.1.99/24", "fd00::99/64"]))
        bench.run(for: .milliseconds(200))
        guard case .hold(_, let held, 1, _)? = bench.orders.last else { return #expect(Bool(false)) }
        #expect(held == [Self.address, second])
        bench.forget()
        // Only the order of writing: nothing is let go.
        bench.request(declare(["fd00::99/64", "192.168.1.99/24"]))
        bench.run(for: .milliseconds(100))
        #expect(bench.orders.allSatisfy { holds($0, epoch: 1) })
        bench.request(declare(["192.168.1.99/24"]))
        bench.run(for: .milliseconds(100))
        guard case .release(_, let released, 1, _)? = bench.orders.last else { return #expect(Bool(false)) }
        #expect(released.count == 2)
    }

    private func release(epoch: UInt64) -> AddressOrder {
        .release(role: Self.api, addresses: [Self.address], epoch: epoch, drain: LocalRoles.drain)
    }

    private func lastHeld(_ bench: AgentBench) -> VirtualAddress? {
        if case .hold(_, let addresses, _, _)? = bench.orders.last { addresses[0] } else { nil }
    }

    // MARK: Letting go

    @Test func aReleaseIsToldOnlyWhenTheDriverHasLetGo() {
        var bench = holder()
        bench.request(.release(role: Self.api, epoch: 1, to: nil, reason: "test"))
        bench.run(for: .milliseconds(100))
        #expect(bench.orders.last == release(epoch: 1))
        #expect(bench.phase == .releasing(by: AgentBench.own, to: nil))
        bench.report(.released(role: Self.api, epoch: 1))
        #expect(bench.epoch > 1)
    }

    /// The driver's word about the first holding comes when the second is to be let go.
    @Test func aLateWordOfTheDriverEndsNoLaterHolding() {
        var bench = holder()
        bench.request(.assign(role: Self.api, epoch: 1, to: AgentBench.own, reason: "test", because: nil))
        bench.run(for: .milliseconds(100))
        bench.request(.release(role: Self.api, epoch: 2, to: nil, reason: "test"))
        bench.report(.released(role: Self.api, epoch: 1))
        bench.run(for: .milliseconds(100))
        #expect(bench.phase == .releasing(by: AgentBench.own, to: nil))
        bench.report(.released(role: Self.api, epoch: 2))
        #expect(bench.epoch > 2)
    }

    // MARK: Fitness

    @Test func aDriverThatFailedIsLeftAloneForAWhileAndTriedAgain() {
        var bench = holder()
        bench.forget()
        bench.report(.failed(role: Self.api, epoch: 1, reason: "no such interface"))
        bench.run(for: .seconds(9))
        #expect(bench.orders == [.drop(role: Self.api, addresses: [Self.address])])
        #expect(bench.core.state.roles[Self.api]?.unfit.values == ["no such interface"])
        bench.run(for: .seconds(2))
        #expect(holds(bench.orders.last, epoch: 1))
        #expect(bench.core.state.roles[Self.api]?.unfit.isEmpty == true)
    }

    @Test func aCandidateWithAHealthCheckIsUnfitUntilItHasPassed() {
        var bench = AgentBench.founder()
        bench.request(AgentBench.address(follow: ["tcp": "127.0.0.1:6443"]))
        bench.run(for: .seconds(1))
        #expect(bench.core.state.roles[Self.api]?.unfit.values == ["its health has not been checked yet"])
        bench.report(.health(role: Self.api, healthy: true, detail: ""))
        bench.run(for: .milliseconds(200))
        #expect(bench.core.state.roles[Self.api]?.unfit.isEmpty == true)
        bench.report(.health(role: Self.api, healthy: false, detail: "connection refused"))
        bench.run(for: .milliseconds(200))
        #expect(bench.core.state.roles[Self.api]?.unfit.values == ["connection refused"])
    }

    /// Nobody holds an address whose check has not passed yet, not even for the moment until the first word of it.
    @Test func anAddressWithAHealthCheckIsGivenToNobodyBeforeACheckHasPassed() {
        var bench = AgentBench.founder()
        bench.request(AgentBench.address(follow: ["tcp": "127.0.0.1:6443"]))
        bench.run(for: .seconds(1))
        #expect(bench.phase == .vacant)
        #expect(bench.orders.isEmpty)
        bench.report(.health(role: Self.api, healthy: true, detail: ""))
        bench.run(for: .milliseconds(200))
        #expect(holds(bench.orders.last, epoch: 1))
    }

    /// Deleted and declared again in one step: the check goes on and has passed, but the new role knows nothing of it.
    @Test func aNewRoleIsToldEvenThatAllIsWell() {
        let declaration = AgentBench.address(follow: ["tcp": "127.0.0.1:6443"])
        var bench = AgentBench.follower(of: Array(Self.commands.prefix(3)) + [declaration], commit: 4)
        bench.report(.health(role: Self.api, healthy: true, detail: ""))
        bench.append([.reportFitness(role: Self.api, member: AgentBench.own, unfit: nil)], after: 4, commit: 5)
        bench.run(for: Proposals.ownLifetime + .seconds(1))
        bench.forget()
        bench.append([.delete(keys: [Self.api], checkRevision: nil), declaration], after: 5, commit: 7)
        let told = bench.sent.compactMap { frame -> Command? in
            guard case .proposal(_, let record) = frame.body else { return nil }
            return try? CanonicalJSON.decode(CommandRecord.self, from: record).command
        }
        #expect(told.contains(.reportFitness(role: Self.api, member: AgentBench.own, unfit: nil)))
    }

    // MARK: Stopping

    /// The leader never answers, and the lease goes on: the stop ends all the same, without the address.
    @Test func aStopIsBoundedAndLeavesNoAddressBehind() {
        var bench = AgentBench.follower(of: Self.commands, commit: 5)
        bench.grant(floor: 5)
        bench.turn([.stop])
        for _ in 0..<10 {
            bench.run(for: .milliseconds(290))
            bench.grant(floor: 5)
        }
        #expect(!bench.stopped)
        bench.run(for: .milliseconds(200))
        #expect(bench.stopped)
        #expect(bench.orders.last == .drop(role: Self.api, addresses: [Self.address]))
        // A grant that was on its way prolongs the lease; the state still names this member.
        bench.grant(floor: 5)
        bench.run(for: .milliseconds(50))
        #expect(bench.orders.last == .drop(role: Self.api, addresses: [Self.address]))
    }
}
