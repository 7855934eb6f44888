// Declared scenarios, held against what a rehearsal comes to.

import Cluster
import Consensus
import Kinds
import SimulationWhatIf
import SimulationWorld
import Testing

@Suite struct ScenarioCheckTests {
    private static func checks(_ spec: JSONValue, _ storage: Plan.Storage = .ceph) throws -> [ScenarioCheck] {
        var cluster = try Labs.cluster(Labs.usual(storage))
        cluster.apply(
            .apply(declarations: [Declaration(kind: "Scenario", name: "test", spec: spec)], checkRevision: nil))
        return try WhatIf.check(scenariosOf: cluster)
    }

    @Test func aLossThatIsSurvivedHolds() throws {
        let checks = try Self.checks([
            "lost": ["host/pve1"], "expect": ["within": "60s", "maxGap": "5s"], "enforce": "refuse",
        ])
        #expect(checks == [ScenarioCheck(name: "Scenario/test", complaints: [], isEnforced: true)])
    }

    @Test func whatTakesTooLongIsSaidOnce() throws {
        let complaints = try Self.checks(["lost": ["host/pve1"], "expect": ["within": "1ms", "maxGap": "1ms"]])[0]
            .complaints
        #expect(complaints.count == 2)
        #expect(
            complaints.contains { $0.hasPrefix("VirtualIP/dns would be gone for ") && $0.hasSuffix("may be for 1ms") })
        #expect(complaints.contains { $0.hasPrefix("\(Labs.name(101)) would be gone for ") })
        let addresses = try Self.checks(["lost": ["host/pve1"], "expect": ["within": "60s", "maxGap": "1ms"]])[0]
        #expect(addresses.complaints.count == 1 && addresses.complaints[0].hasPrefix("VirtualIP/dns"))
    }

    @Test func whatStaysDownIsSaidUnlessItMay() throws {
        let complaints = try Self.checks(["lost": ["host/pve1"]], .local)[0].complaints
        #expect(complaints.count == 1 && complaints[0].hasPrefix("\(Labs.name(101)) would stay down: "))
        let allowed = try Self.checks(
            ["lost": ["host/pve1"], "expect": ["staysDown": [.string(Labs.name(101))]]], .local)
        #expect(allowed[0].holds)
    }

    @Test func aScenarioAboutNothingDoesNotHold() throws {
        let complaints = try Self.checks(["lost": ["host/pve9"]])[0].complaints
        #expect(complaints.count == 1)
        #expect(complaints[0].hasPrefix("it cannot be rehearsed: host/pve9: there is no such host"))
    }
}
