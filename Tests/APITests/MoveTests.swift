// Moving an address by an operator's word.

@testable import API
import Cluster
import Consensus
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct MoveTests {
    private func move(
        _ lab: Lab, to target: String, name: String = "kube-api", timeout: Int = 60_000,
        prepare: @escaping @Sendable (InMemoryAgent) -> Void = { _ in }
    ) async throws -> TestServer.Answer {
        prepare(lab.agent)
        return try await lab.serving { server in
            try await server.ask(
                .POST, "/v1/vip/move", as: lab.credential(role: .operator),
                headers: [("Holdfast-Timeout", "\(timeout)"), ("Holdfast-Reason", "pve1%20gets%20new%20memory")],
                json: MoveRequest(name: name, to: target))
        }
    }

    @Test func theAnswerComesWhenTheTargetHoldsIt() async throws {
        let lab = try Lab.make()
        let answer = try await move(lab, to: "pve2")
        #expect(answer.status == 200)
        #expect(try answer.decoded(OutcomeDocument.self).message == "pve2 holds kube-api")
        let role = try #require(lab.agent.state.roles[.kubeAPI])
        #expect(role.holder == lab.members[1])
        #expect(role.reason == "pve1 gets new memory")
    }

    @Test func itWaitsForAHolderThatTakesItsTime() async throws {
        let lab = try Lab.make()
        lab.agent.change { $0.letsGo = false }
        try await lab.serving { server in
            async let answer = server.ask(
                .POST, "/v1/vip/move", as: lab.credential(role: .operator),
                headers: [("Holdfast-Timeout", "60000")], json: MoveRequest(name: "kube-api", to: "pve2"))
            for await event in lab.agent.events(after: 0) where event.type == "RoleReleasing" { break }
            lab.agent.apply(.released(role: .kubeAPI, epoch: 1))
            let moved = try await answer
            #expect(moved.status == 200)
        }
    }

    @Test func aHolderThatNeverLetsGoIsToldByTheDeadline() async throws {
        let lab = try Lab.make()
        let answer = try await move(lab, to: "pve2", timeout: 1_000) { agent in agent.change { $0.letsGo = false } }
        #expect(answer.status == 504)
        #expect(answer.failure?.code == .timedOut)
        #expect(answer.failure?.next == "see where it is: holdfast why virtualip/kube-api")
    }

    @Test func aRoleThatWentElsewhereIsAConflict() async throws {
        let lab = try Lab.make()
        lab.agent.change { $0.letsGo = false }
        try await lab.serving { server in
            async let answer = server.ask(
                .POST, "/v1/vip/move", as: lab.credential(role: .operator),
                headers: [("Holdfast-Timeout", "60000")], json: MoveRequest(name: "kube-api", to: "pve2"))
            for await event in lab.agent.events(after: 0) where event.type == "RoleReleasing" { break }
            lab.agent.apply(
                .assign(role: .kubeAPI, epoch: 1, to: lab.members[3], reason: "pve1 was lost", because: nil))
            let conflict = try await answer
            #expect(conflict.failure?.code == .conflict)
            #expect(conflict.failure?.message == "kube-api went to k8s-cp1 meanwhile: pve1 was lost")
        }
    }

    @Test func theHolderItselfNeedsNoMove() async throws {
        let answer = try await move(try Lab.make(), to: "pve1")
        #expect(try answer.decoded(OutcomeDocument.self).changed == false)
    }

    @Test func whatIsUnknownIsNotFound() async throws {
        #expect(try await move(try Lab.make(), to: "pve9").status == 404)
        #expect(try await move(try Lab.make(), to: "pve2", name: "dns").status == 404)
    }

    @Test func anUnableTargetIsRefusedAsUnsafe() async throws {
        func refusal(_ to: String, _ prepare: @escaping @Sendable (InMemoryAgent, [MemberID]) -> Void) async throws
            -> APIFailure?
        {
            let lab = try Lab.make()
            let ids = lab.members
            let answer = try await move(lab, to: to) { agent in prepare(agent, ids) }
            #expect(lab.agent.state.roles[.kubeAPI]?.holder == ids[0])
            return answer.failure
        }
        let noCandidate = try await refusal("witness") { _, _ in }
        #expect(noCandidate?.code == .unsafe)
        #expect(noCandidate?.message.contains("no candidate (pve1, pve2, k8s-cp1)") == true)
        let silent = try await refusal("pve2") { agent, ids in agent.change { $0.view.silent = [ids[1]] } }
        #expect(silent?.message.contains("unreachable") == true)
        let lost = try await refusal("pve2") { agent, ids in
            agent.apply(.observeMember(ids[1], reachable: false, reason: "silent"))
        }
        #expect(lost?.code == .unsafe)
        let stopping = try await refusal("pve2") { agent, ids in agent.apply(.stopping(ids[1])) }
        #expect(stopping?.message.contains("stopping") == true)
        let unfit = try await refusal("pve2") { agent, ids in
            agent.apply(.reportFitness(role: .kubeAPI, member: ids[1], unfit: "127.0.0.1:6443 refuses"))
        }
        #expect(unfit?.message == "pve2 cannot hold kube-api: 127.0.0.1:6443 refuses")
    }

    @Test func whatNobodyHoldsCannotBeHandedOver() async throws {
        let lab = try Lab.make()
        let answer = try await move(lab, to: "pve2") { agent in
            agent.apply(.vacate(role: .kubeAPI, epoch: 1, reason: "all unfit", because: nil))
        }
        #expect(answer.failure?.code == .conflict)
    }
}
