// What a holder makes of what it sees on the network: an alarm when somebody else uses its address, which takes nothing
// away; and a word that it cannot serve when an interface is gone.

import Agent
import Cluster
import Consensus
import Kinds
import Testing

@Suite struct AddressAlarmTests {
    private static let api = AgentBench.api

    private func holder() -> AgentBench {
        var bench = AgentBench.founder()
        bench.request(AgentBench.address())
        bench.run(for: .milliseconds(200))
        bench.forget()
        return bench
    }

    private func claim(by machine: String = "02:00:00:00:00:07") -> RoleReport {
        .conflict(role: Self.api, address: "192.168.1.99", hardwareAddress: machine)
    }

    private func events(_ bench: AgentBench, _ type: String) -> [ClusterEvent] {
        bench.core.state.events.filter { $0.type == type }
    }

    private func conflict(_ bench: AgentBench) -> String? { bench.core.state.roles[Self.api]?.conflict }

    /// Whoever could make a holder let go with one packet could take every address of the cluster down.
    @Test func aClaimRaisesAnAlarmAndTakesNothingAway() throws {
        var bench = holder()
        let epoch = bench.epoch
        bench.report(claim())
        bench.run(for: .seconds(1))
        #expect(conflict(bench)?.contains("192.168.1.99 is also used by the machine with the address 02:00") == true)
        let event = try #require(events(bench, "AddressConflict").first)
        #expect(event.cause != 0 && event.subject == Self.api.description)
        #expect(bench.epoch == epoch && bench.phase == .held(by: AgentBench.own))
        #expect(bench.orders.allSatisfy { if case .hold = $0 { true } else { false } })
    }

    @Test func theAlarmEndsWhenNothingIsSeenForAMinute() {
        var bench = holder()
        bench.report(claim())
        bench.run(for: .seconds(50))
        bench.report(claim())
        bench.run(for: .seconds(50))
        #expect(conflict(bench)?.isEmpty == false, "it was seen again in between")
        bench.run(for: .seconds(15))
        #expect(conflict(bench)?.isEmpty == true)
        #expect(events(bench, "AddressConflictOver").count == 1)
    }

    /// The state keeps a bounded number of events, and these would drown the others.
    @Test func aThousandPretendedMachinesAreOneEvent() {
        var bench = holder()
        for number in 0..<1_000 {
            bench.report(claim(by: "02:00:00:00:00:\(number)"))
            bench.run(for: .milliseconds(20))
        }
        #expect(events(bench, "AddressConflict").count == 1)
    }

    @Test func whatAMemberSeesOfAnAddressItDoesNotHoldIsNotTold() {
        var bench = AgentBench.founder()
        bench.request(AgentBench.address(candidates: ["pve2"]))
        bench.run(for: .milliseconds(200))
        bench.report(claim())
        bench.run(for: .seconds(1))
        #expect(conflict(bench)?.isEmpty == true)
    }

    /// A new holder sees for itself.
    @Test func theAlarmBelongsToAnEpoch() {
        var bench = holder()
        bench.report(claim())
        bench.run(for: .seconds(1))
        bench.request(.vacate(role: Self.api, epoch: bench.epoch, reason: "test", because: nil))
        #expect(events(bench, "AddressConflict").count == 1)
        bench.request(.assign(role: Self.api, epoch: bench.epoch, to: AgentBench.own, reason: "test", because: nil))
        #expect(bench.phase == .held(by: AgentBench.own))
        let late = Command.reportConflict(role: Self.api, epoch: 1, member: AgentBench.own, conflict: "late")
        bench.request(late)
        #expect(conflict(bench) != "late")
    }

    // MARK: Interfaces

    @Test func aMemberSaysThatItsInterfaceIsGoneAndThatItIsBack() {
        var bench = holder()
        bench.report(.place(role: Self.api, problem: "interface vmbr0 has no carrier"))
        bench.run(for: .seconds(1))
        let unfit = bench.core.state.roles[Self.api]?.unfit[AgentBench.own.description]
        #expect(unfit == "interface vmbr0 has no carrier")
        // There is nobody else: better a holder whose interface may serve the host itself than none.
        #expect(bench.phase == .held(by: AgentBench.own))
        bench.report(.place(role: Self.api, problem: nil))
        bench.run(for: .seconds(1))
        #expect(bench.core.state.roles[Self.api]?.unfit.isEmpty == true)
    }

    /// A failure is waited out for ten seconds and more; an interface that is back is known to be.
    @Test func anInterfaceThatIsBackEndsTheWaitAfterAFailure() {
        var bench = holder()
        bench.report(.place(role: Self.api, problem: "no such interface"))
        bench.report(.failed(role: Self.api, epoch: bench.epoch, reason: "no such interface"))
        bench.run(for: .seconds(1))
        bench.forget()
        bench.report(.place(role: Self.api, problem: nil))
        bench.run(for: .milliseconds(500))
        guard case .hold? = bench.orders.first else { return #expect(Bool(false), "\(bench.orders)") }
    }
}

/// The address goes to a candidate whose interface is there.
@Test func anAddressLeavesAMemberWhoseInterfaceIsGone() {
    let api = ResourceKey(kind: "VirtualIP", name: "api")
    let lab = TestLab.five()
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1", "cp2"])
    lab.run(for: .seconds(2))
    #expect(lab.owners(api) == [lab.index(of: "cp1")])
    lab.report(lab.index(of: "cp1"), .place(role: api, problem: "interface eth0 is down"))
    lab.run(for: .seconds(2))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}
