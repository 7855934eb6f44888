// What people type for a loss, and what they are told when it makes no sense.

import Cluster
import Consensus
import Kinds
import SimulationWhatIf
import SimulationWorld
import Testing

@Suite struct SuppositionTests {
    private static func cluster() throws -> PresentCluster {
        var plan = Labs.usual()
        plan.members.append(Plan.Member(name: "cp1", kind: .guest, host: "pve1"))
        return try Labs.cluster(plan)
    }

    @Test func everySubjectIsRead() throws {
        let cluster = try Self.cluster()
        #expect(try cluster.supposition(["host/pve1"]).losses == [.machine("pve1")])
        #expect(try cluster.supposition(["host", "pve1"]).losses == [.machine("pve1")])
        #expect(try cluster.supposition(["HOST:pve1"]).losses == [.machine("pve1")])
        #expect(try cluster.supposition(["member/witness"]).losses == [.machine("witness")])
        #expect(try cluster.supposition(["member/cp1"]).losses == [.agent("cp1")])
        let key = ResourceKey(kind: "VirtualMachine", name: "vm-101")
        #expect(try cluster.supposition(["vm:vm-101"]).losses == [.workload(key)])
        #expect(try cluster.supposition(["link", "pve1|pve2"]).losses == [.link("pve1", "pve2")])
        #expect(try cluster.supposition(["link/pve1:witness"]).losses == [.link("pve1", "witness")])
        #expect(try cluster.supposition(["network/pve2"]).losses == [.network("pve2")])
        #expect(
            try cluster.supposition(["host/pve1", "vm/vm-102"], isPause: true, isolated: ["pve2:witness"]).losses.count
                == 3)
        #expect(try cluster.supposition(["host/pve1", "link/pve1:pve2"]).description == "member/pve1 link/pve1:pve2")
    }

    @Test(arguments: [
        (["host/pve3"], "host/pve3: there is no such host; did you mean pve1?"),
        (["host/witness"], "host/witness: there is no such host; there is pve1, pve2"),
        (["vm/vm-10"], "vm/vm-10: there is no such vm; did you mean vm-101?"),
        (["ct/dns"], "ct/dns: there is no such ct; there is none"),
        (["hots/pve1"], "hots is nothing that can be lost; expected"),
        (["hots/pve1"], "did you mean host?"),
        (["host"], "host of what?"),
        (["link/pve1"], "a link is between two machines, like pve1:pve2; found"),
        (["link/pve1:pve1"], "a link is between two machines"),
        (["link/pve1:pve9"], "link/pve9: there is no such link; did you mean pve1?"),
        (["network/cp1"], "network/cp1: there is no such network"),
        (["host/pve1", "member/pve1"], "member/pve1 is named twice"),
        ([], "nothing is lost: name what is"),
    ])
    func whatMakesNoSenseIsSaid(arguments: [String], words: String) throws {
        let cluster = try Self.cluster()
        do {
            let read = try cluster.supposition(arguments)
            Issue.record("\(arguments) was read as \(read.losses)")
        } catch {
            #expect(error.description.contains(words), "\(error)")
        }
    }

    @Test func everySingleAndEveryDoubleLossIsListedOnce() throws {
        let cluster = try Self.cluster()
        let single = cluster.singleLosses.map(\.description)
        #expect(
            single == [
                "member/pve1", "member/pve2", "member/witness", "link/pve1:pve2", "link/pve1:witness",
                "link/pve2:witness",
            ])
        let double = cluster.doubleLosses.map(\.description)
        #expect(Set(double).count == double.count)
        #expect(double.contains("member/pve1 member/pve2") && double.contains("member/pve1 link/pve2:witness"))
        #expect(!double.contains("member/pve1 link/pve1:pve2"))
    }
}
