// The Scenario kind: what is read of it, and the texts of losses.

import Cluster
import Consensus
import Kinds
import Testing

@Suite struct ScenarioKindTests {
    @Test func aScenarioIsReadWithItsDefaults() throws {
        let spec = try ScenarioSpec(
            Declaration(kind: "Scenario", name: "pve1-dies", spec: ["lost": ["host/pve1"]]))
        #expect(spec.losses == ["host/pve1"] && spec.then.isEmpty && spec.staysDown.isEmpty)
        #expect(spec.within == nil && spec.mostGap == nil && spec.enforcement == .warn)
    }

    @Test func everyFieldIsRead() throws {
        let spec = try ScenarioSpec(
            Declaration(
                kind: "Scenario", name: "both",
                spec: [
                    "lost": ["host/pve1", "link/pve2:witness"], "then": ["vm/gitlab"], "enforce": "refuse",
                    "expect": ["staysDown": ["VirtualIP/dns", "cluster"], "within": "30s", "maxGap": "2s"],
                ]))
        #expect(spec.losses.count == 2 && spec.then == ["vm/gitlab"] && spec.enforcement == .refuse)
        #expect(spec.staysDown == ["VirtualIP/dns", "cluster"])
        #expect(spec.within == .seconds(30) && spec.mostGap == .seconds(2))
    }

    @Test func lossesAreReadAsPeopleWriteThem() {
        #expect(LossText("host/pve1") == LossText(.host, "pve1"))
        #expect(LossText("VM:gitlab") == LossText(.vm, "gitlab"))
        #expect(LossText("lxc/dns") == LossText(.ct, "dns"))
        #expect(LossText("link/pve1:pve2") == LossText(.link, "pve1:pve2"))
        #expect(LossText("link:pve1|pve2") == LossText(.link, "pve1|pve2"))
        for text in ["", "host", "host/", "hots/pve1", "link/pve1", "link/pve1:pve1", "link/a:b:c", "/pve1"] {
            #expect(LossText(text) == nil, "\(text)")
        }
    }

    @Test func theAdmissionOfAClusterIsLenientUnlessItSaysOtherwise() throws {
        #expect(try ClusterSpec(Declaration(kind: "Cluster", name: "home", spec: [:])).admission == .warn)
        let strict = Declaration(kind: "Cluster", name: "home", spec: ["admission": "refuse"])
        #expect(try ClusterSpec(strict).admission == .refuse)
    }
}
