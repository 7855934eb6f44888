// What the API says of virtual addresses beyond who holds them: several of one role, another machine that uses one, and
// members of a version that does not know what is declared.

import Cluster
import Consensus
import Testing

@testable import API

@Suite struct AddressTests {
    private static let group = Declaration(
        kind: "VirtualIP", name: "edge",
        spec: [
            "addresses": [["address": "192.168.1.90/24"], ["address": "fd00::90/64"]],
            "candidates": [["member": "pve1"]],
        ])

    @Test func anAlarmIsInStatusResourceWhyAndMetrics() async throws {
        let lab = try Lab.make()
        let words = "192.168.1.99 is also used by the machine with the address 02:00:00:00:00:07"
        lab.agent.apply(.reportConflict(role: .kubeAPI, epoch: 1, member: lab.members[0], conflict: words))
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let status: StatusDocument = try await server.ask(.GET, "/v1/status", as: viewer).decoded()
            #expect(status.addresses.first?.conflict == words)
            #expect(status.addresses.first?.holder == "pve1")
            #expect(status.degraded.contains { $0.contains(words) && $0.contains("find that machine") })
            let one: ResourceAnswer = try await server.ask(.GET, "/v1/resources/vip/kube-api", as: viewer).decoded()
            #expect(one.resource.status?.conditions.map(\.type) == ["AddressConflict"])
            let why: WhyDocument = try await server.ask(.GET, "/v1/why/virtualip/kube-api", as: viewer).decoded()
            #expect(why.chain.prefix(2).map(\.type) == ["AddressConflict", "RoleAssigned"])
            let metrics = try await server.ask(.GET, "/metrics", as: nil).text
            #expect(metrics.contains(#"holdfast_role_address_conflict{role="VirtualIP/kube-api"} 1"#))
        }
    }

    @Test func allAddressesOfARoleAreShown() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.apply(declarations: [Self.group], checkRevision: nil))
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let status: StatusDocument = try await server.ask(.GET, "/v1/status", as: viewer).decoded()
            #expect(status.addresses.first { $0.name == "edge" }?.address == "192.168.1.90/24, fd00::90/64")
            #expect(status.addresses.allSatisfy { $0.conflict == nil })
        }
    }

    @Test func whatAMemberOfAnotherVersionDoesNotKnowIsNotDeclared() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let request = PlanRequest(declarations: [Self.group.document])
            #expect(try await server.ask(.POST, "/v1/plan", as: viewer, json: request).status == 200)
            var newer = try #require(lab.agent.state.members[lab.members[1]])
            newer.version = "0.2.0"
            lab.agent.apply(.announce(member: newer))
            let refused = try await server.ask(.POST, "/v1/plan", as: viewer, json: request)
            #expect(refused.failure?.message.contains("members run different versions") == true)
            let plain = PlanRequest(declarations: [try Declaration.kubeAPI(address: "192.168.1.98/24").document])
            #expect(try await server.ask(.POST, "/v1/plan", as: viewer, json: plain).status == 200)
        }
    }
}
