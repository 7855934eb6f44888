// A rehearsal begins with the cluster as it is: the same members, holders and places.

import Cluster
import Consensus
import Kinds
import SimulationWhatIf
import SimulationWorld
import Testing

@Suite struct PresentTests {
    @Test func aRehearsalBeginsWhereTheClusterIs() throws {
        var plan = Labs.usual()
        plan.addresses.append(Plan.Address(name: "api", address: "192.168.1.3", candidates: ["pve2", "pve1"]))
        let cluster = try Labs.cluster(plan)
        for seed in UInt64(1)...5 {
            let rehearsal = World(try cluster.plan(seed: seed).plan).rehearse([], calm: 1, within: 1)
            #expect(rehearsal.result.violations.isEmpty)
            #expect(rehearsal.leaderBefore == cluster.leader.map { cluster.state.name(of: $0) })
            for (key, role) in cluster.state.roles.pairs {
                #expect(rehearsal.holders[key.name] == role.holder.map { cluster.state.name(of: $0) })
            }
            for (key, placement) in cluster.state.placements.pairs {
                #expect(rehearsal.before[key.description]?.host == placement.host)
                #expect(rehearsal.before[key.description]?.state == "running")
                #expect(rehearsal.state?.placements[key]?.phase == placement.phase)
                #expect(rehearsal.state?.placements[key]?.epoch == placement.epoch, "nothing was placed anew")
            }
            for (key, role) in cluster.state.roles.pairs {
                #expect(rehearsal.state?.roles[key]?.epoch == role.epoch, "nothing was assigned anew")
            }
        }
    }

    @Test func placesThatNobodyWouldChooseAreKept() throws {
        // Both guests on one host, and the address at its second candidate: as people leave it.
        var plan = Labs.usual()
        plan.workloads[1].host = "pve1"
        var cluster = try Labs.cluster(plan)
        let pve2 = try #require(cluster.state.member(named: "pve2")).id
        let role = ResourceKey(kind: "VirtualIP", name: "dns")
        let epoch = try #require(cluster.state.roles[role]).epoch
        cluster.apply(.release(role: role, epoch: epoch, to: pve2, reason: "test"))
        cluster.apply(.released(role: role, epoch: epoch))
        #expect(cluster.state.roles[role]?.holder == pve2)
        let rehearsal = World(try cluster.plan(seed: 3).plan).rehearse([], calm: 1, within: 1)
        #expect(rehearsal.holders["dns"] == "pve2")
        #expect(rehearsal.before[Labs.name(101)]?.host == "pve1")
        #expect(rehearsal.before[Labs.name(102)]?.host == "pve1")
    }

    @Test func oneStateLossAndSeedGiveOneForecast() throws {
        let cluster = try Labs.cluster(Labs.usual())
        let first = try cluster.forecast("host/pve1", seed: 7)
        #expect(try cluster.forecast("host/pve1", seed: 7) == first)
        #expect(try cluster.forecast("host/pve1", seed: 8).steps != first.steps)
    }

    @Test func nothingSecretIsPartOfIt() throws {
        var cluster = try Labs.cluster(Labs.usual())
        cluster.apply(.put(key: "password", value: "geheim-4711", expected: nil))
        cluster.apply(
            .createToken(JoinToken(id: "t", secretHash: "hash-of-geheim", kind: .host, expiresMilliseconds: .max)))
        cluster.apply(
            .admitOperator(OperatorRecord(name: "alice", role: .admin, key: "alices-key", certificateExpires: .max)))
        let whole = String(decoding: cluster.state.encoded, as: UTF8.self)
        let shown = String(decoding: cluster.state.forRehearsal().encoded, as: UTF8.self)
        for secret in ["geheim", "alices-key"] {
            #expect(whole.contains(secret))
            #expect(!shown.contains(secret))
        }
        let back = try ClusterState(encoded: cluster.state.forRehearsal().encoded)
        #expect(back == cluster.state.forRehearsal())
        #expect(back.placements == cluster.state.placements)
    }

    @Test func anEmptyClusterIsRefusedInWords() throws {
        let cluster = PresentCluster(
            state: ClusterState(), configuration: Configuration(voters: []), leader: nil)
        #expect(throws: RehearsalRefusal("the cluster has no members yet")) { try cluster.plan(seed: 1) }
    }

    @Test func membersWithoutHypervisorsAreEnough() throws {
        var plan = Labs.usual()
        plan.workloads = []
        let cluster = try Labs.cluster(plan)
        #expect(cluster.state.hosts.isEmpty)
        let forecast = try cluster.forecast("host/pve1")
        #expect(forecast.isSurvived, "\(forecast.verdict)")
        #expect(forecast.addresses.first?.after == "pve2")
        #expect(!forecast.assumptions.contains { $0.contains("guest") })
    }

    @Test func measuredRoundTripsAreUsed() throws {
        var cluster = try Labs.cluster(Labs.usual())
        #expect(try cluster.plan(seed: 1).assumptions.contains { $0.contains("nobody has measured") })
        cluster.roundTrips = [400, 2_000, 0, -3]
        let plan = try cluster.plan(seed: 1)
        #expect(plan.plan.conditions.delay == 200_000...1_000_000)
        #expect(plan.assumptions.contains { $0.contains("200 to 1000 µs") })
    }
}
