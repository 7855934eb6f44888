// What is foretold of losses: what comes back and when, what stays down, and why.

import Cluster
import Consensus
import Kinds
import SimulationWhatIf
import SimulationWorld
import Testing

@Suite struct ForecastTests {
    @Test func guestsOfALostHostAreForetoldOnTheOther() throws {
        let forecast = try Labs.cluster(Labs.usual()).forecast("host/pve1")
        #expect(forecast.isSurvived, "\(forecast.verdict)")
        let guest = try #require(forecast.workloads.first { $0.name == Labs.name(101) })
        #expect(guest.before == "pve1" && guest.after == "pve2" && guest.fence == "blocklist")
        #expect((1_000...15_000).contains(try #require(guest.gap)))
        let other = try #require(forecast.workloads.first { $0.name == Labs.name(102) })
        #expect(other.gap == nil && other.after == "pve2")
        let address = try #require(forecast.addresses.first)
        #expect(address.after == "pve2")
        #expect((1...2_000).contains(try #require(address.gaps.max())))
        // In the order in which it must happen.
        let order = ["lost", "elected", "fenced", "placed", "ordered", "running"]
        let firsts = order.map { what in
            forecast.steps.firstIndex {
                $0.what == what && (["placed", "ordered", "running"].contains(what) ? $0.subject == guest.name : true)
            }
        }
        #expect(!firsts.contains(nil), "\(forecast.steps)")
        #expect(firsts.compactMap { $0 } == firsts.compactMap { $0 }.sorted())
        #expect(forecast.steps.map(\.at) == forecast.steps.map(\.at).sorted())
        #expect(forecast.verdict.contains("comes back"))
    }

    @Test func theWitnessIsMissedByNobody() throws {
        let forecast = try Labs.cluster(Labs.usual()).forecast("member/witness")
        #expect(forecast.isSurvived)
        #expect(forecast.verdict == "Nothing is interrupted.")
    }

    @Test func localDisksStayDownAndItIsSaidWhy() throws {
        let forecast = try Labs.cluster(Labs.usual(.local)).forecast("host/pve1")
        #expect(!forecast.isSurvived)
        #expect(forecast.down.map(\.subject) == [Labs.name(101)])
        #expect(forecast.down[0].why.contains("its disks are there"), "\(forecast.down)")
        #expect(forecast.verdict.contains("vm-101") && forecast.verdict.contains("stays down"))
    }

    @Test func sharedDisksWaitForTheWatchdog() throws {
        let forecast = try Labs.cluster(Labs.usual(.shared)).forecast("host/pve1")
        #expect(forecast.isSurvived, "\(forecast.verdict)")
        let guest = try #require(forecast.workloads.first { $0.name == Labs.name(101) })
        #expect(guest.fence == "watchdog")
        #expect(try #require(guest.gap) > 10_000)
    }

    @Test func withoutAMajorityEverythingIsDownAndItIsSaidWhy() throws {
        let forecast = try Labs.cluster(Labs.usual()).forecast("host/pve1", "witness/witness")
        #expect(!forecast.isSurvived)
        #expect(forecast.down.map(\.subject) == ["cluster", "VirtualIP/dns", Labs.name(101)])
        #expect(forecast.down[0].why.contains("majority"))
        #expect(forecast.leaderAfter == nil)
        // The guest of the host that is left goes on.
        #expect(forecast.workloads.first { $0.name == Labs.name(102) }?.after == "pve2")
    }

    @Test func oneLossAfterTheOther() throws {
        let cluster = try Labs.cluster(Labs.usual())
        let one = try cluster.supposition(["witness/witness"])
        let other = try cluster.supposition(["vm/vm-101"])
        let forecast = try WhatIf.forecast(cluster, [one, other])
        #expect(forecast.supposed == "member/witness --then vm/vm-101")
        let lost = forecast.steps.filter { $0.what == "lost" && ["member/witness", "vm/vm-101"].contains($0.subject) }
        #expect(lost.count == 2)
        #expect(lost[1].at - lost[0].at > 10_000, "the first has come to rest before the second")
        #expect(forecast.workloads.first { $0.name == Labs.name(101) }?.after == "pve1")
    }

    @Test func aHostThatIsDownAlreadyIsNoNews() throws {
        var cluster = try Labs.cluster(Labs.usual(.local))
        let pve2 = try #require(cluster.state.member(named: "pve2")).id
        cluster.apply(.observeMember(pve2, reachable: false, reason: "test"))
        let forecast = try cluster.forecast("vm/vm-101")
        #expect(forecast.isSurvived, "\(forecast.verdict) \(forecast.down)")
        #expect(forecast.alreadyDown.map(\.subject) == [Labs.name(102)])
        #expect(forecast.assumptions.contains("pve2, which does not answer, is off"))
    }

    @Test func anIsolatedHostsGuestGoesOnElsewhere() throws {
        let forecast = try Labs.cluster(Labs.usual()).forecast("network/pve1")
        #expect(forecast.isSurvived, "\(forecast.verdict)")
        #expect(forecast.workloads.first { $0.name == Labs.name(101) }?.after == "pve2")
    }

    @Test func aLinkBetweenHostsTakesNothingDown() throws {
        let forecast = try Labs.cluster(Labs.usual()).forecast("link/pve1:pve2")
        #expect(forecast.isSurvived, "\(forecast.verdict)")
    }

    @Test func aHundredGuestsAreForetold() throws {
        var plan = Labs.usual()
        plan.members[0].memory = 256 << 30
        plan.members[1].memory = 256 << 30
        plan.workloads = (0..<100).map { Plan.Workload(name: "vm:\(101 + $0)", host: $0 % 2 == 0 ? "pve1" : "pve2") }
        let forecast = try Labs.cluster(plan).forecast("host/pve1")
        #expect(forecast.isSurvived, "\(forecast.verdict)")
        #expect(forecast.workloads.count == 100)
        #expect(forecast.workloads.allSatisfy { $0.after == "pve2" })
        #expect(forecast.workloads.count { $0.gap != nil } == 50)
    }

    @Test func aRehearsalCanBeCutShort() throws {
        let cluster = try Labs.cluster(Labs.usual())
        let supposition = try cluster.supposition(["host/pve1"])
        #expect(throws: RehearsalRefusal.self) { try WhatIf.forecast(cluster, [supposition], isCancelled: { true }) }
    }

    @Test func runsAreDistributed() throws {
        let cluster = try Labs.cluster(Labs.usual())
        var distribution = Distribution()
        for seed in UInt64(1)...6 { distribution.add(try cluster.forecast("host/pve1", seed: seed)) }
        #expect(distribution.runs == 6 && distribution.survived == 6)
        let gaps = try #require(distribution.gaps[Labs.name(101)])
        #expect(gaps.count == 6 && gaps == gaps.sorted() && Set(gaps).count > 1)
        #expect(Distribution.percentile(50, of: [1, 2, 3, 4]) == 2)
        #expect(Distribution.percentile(99, of: [1, 2, 3, 4]) == 4)
        #expect(Distribution.percentile(50, of: []) == nil)
    }
}
