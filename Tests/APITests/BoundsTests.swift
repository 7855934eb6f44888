// What happens at every limit, and with input nobody meant to send.

@testable import API
import Cluster
import Consensus
import Runtime
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct BoundsTests {
    @Test func requestsBeyondTheLimitAreRefusedAtOnce() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.requestsInWork = 2
        try await lab.serving(bounds: bounds) { server in
            let viewer = try lab.credential(role: .viewer)
            lab.agent.set(.holding)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<2 { group.addTask { try await server.ask(.GET, "/v1/status", as: viewer).status } }
                await lab.agent.untilHolding(2)
                let refused = try await server.ask(.GET, "/v1/status", as: viewer)
                #expect(refused.status == 429)
                #expect(refused.failure?.code == .overloaded)
                #expect(refused.headers["retry-after"] == "1")
                #expect(try await server.ask(.GET, "/healthz", as: nil).status == 200)
                lab.agent.set(.serving)
                for try await status in group { #expect(status == 200) }
            }
            #expect(try await server.ask(.GET, "/v1/status", as: viewer).status == 200)
        }
    }

    @Test func strangersWhoJoinCannotCrowdOutOperators() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.joinsInWork = 0
        try await lab.serving(bounds: bounds) { server in
            let refused = try await server.ask(.POST, "/v1/join", as: nil, body: [])
            #expect(refused.status == 429)
            #expect(try refused.decoded(JoinRefusalBody.self).message.contains("requests to join"))
            let answered = try await server.ask(.GET, "/v1/status", as: lab.credential(role: .viewer))
            #expect(answered.status == 200)
        }
    }

    @Test func aBodyThatIsTooLargeIsRefused() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.bodyBytes = 1_000
        bounds.joinBodyBytes = 100
        try await lab.serving(bounds: bounds) { server in
            let someone = try lab.credential(role: .operator)
            let large = [UInt8](repeating: UInt8(ascii: " "), count: 1_001)
            let answer = try await server.ask(.POST, "/v1/apply", as: someone, body: large)
            #expect(answer.status == 413)
            #expect(answer.failure?.code == .tooLarge)
            #expect(try await server.ask(.POST, "/v1/join", as: nil, body: Array(large[..<101])).status == 413)
            #expect(try await server.ask(.POST, "/v1/apply", as: someone, body: Array(large[..<1000])).status == 400)
        }
    }

    @Test func aValueThatIsTooLargeIsRefused() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let answer = try await server.ask(
                .PUT, "/v1/kv/a", as: lab.credential(role: .operator),
                json: ValueRequest(value: String(repeating: "x", count: 64 * 1024 + 1)))
            #expect(answer.status == 413)
        }
    }

    @Test(arguments: [
        "", "{", "null", "[]", "\"text\"", "{\"declarations\":7}", "{\"declarations\":[7]}", "\u{0}\u{1}",
        "{\"declarations\":[{}]}", "{\"declarations\":[{\"kind\":\"VirtualIP\",\"metadata\":[]}]}",
    ]) func garbageIsAnErrorOfTheOneWhoSentIt(_ body: String) async throws {
        let lab = try Lab.make()
        let before = lab.agent.state
        try await lab.serving { server in
            let someone = try lab.credential(role: .admin)
            for path in ["apply", "plan", "delete", "tokens", "members/remove", "vip/move"] {
                let answer = try await server.ask(.POST, "/v1/\(path)", as: someone, body: Array(body.utf8))
                #expect([400, 422].contains(answer.status), "\(path)")
                #expect(answer.failure != nil, "\(path)")
            }
        }
        #expect(lab.agent.state == before)
    }

    @Test func deeplyNestedJSONDoesNoHarm() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let someone = try lab.credential(role: .operator)
            let deep = "{\"declarations\":" + String(repeating: "[", count: 200_000)
            #expect(try await server.ask(.POST, "/v1/apply", as: someone, body: Array(deep.utf8)).status == 400)
            let closed =
                "{\"declarations\":[" + String(repeating: "[", count: 400) + String(repeating: "]", count: 400) + "]}"
            let answer = try await server.ask(.POST, "/v1/apply", as: someone, body: Array(closed.utf8))
            #expect([400, 422].contains(answer.status))
        }
    }

    @Test(arguments: [
        ("Holdfast-Timeout", "0"), ("Holdfast-Timeout", "60001"), ("Holdfast-Timeout", "soon"),
        ("Holdfast-Session", "abc"), ("Holdfast-Request", "1"), ("Holdfast-Reason", String(repeating: "x", count: 201)),
    ]) func aHeaderThatMakesNoSenseIsRefused(_ name: String, _ value: String) async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let answer = try await server.ask(
                .GET, "/v1/status", as: lab.credential(role: .viewer), headers: [(name, value)])
            #expect(answer.status == 400)
            #expect(answer.failure?.message.contains("Holdfast-") == true)
        }
    }

    @Test func anAgentWithTooMuchToDoSaysSo() async throws {
        let lab = try Lab.make()
        lab.agent.set(.overloaded)
        try await lab.serving { server in
            let answer = try await server.ask(.GET, "/v1/status", as: lab.credential(role: .viewer))
            #expect(answer.status == 429)
        }
    }

    @Test func aChangeWithoutQuorumSaysItMayStillHappen() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            lab.agent.set(.noQuorum)
            let answer = try await server.ask(
                .PUT, "/v1/kv/a", as: lab.credential(role: .operator), json: ValueRequest(value: "1"))
            #expect(answer.status == 503)
            #expect(answer.failure?.code == .noQuorum)
            #expect(answer.failure?.message.contains("may still take effect") == true)
        }
    }

    @Test func aRequestSentAgainCountsOnce() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let someone = try lab.credential(role: .operator)
            func put(_ value: String, request: Int) async throws -> TestServer.Answer {
                try await server.ask(
                    .PUT, "/v1/kv/a", as: someone,
                    headers: [
                        ("Holdfast-Session", "00000000000000ff"), ("Holdfast-Request", "\(request)"),
                        ("If-None-Match", "*"),
                    ], json: ValueRequest(value: value))
            }
            let first: OutcomeDocument = try await put("1", request: 1).decoded()
            let again: OutcomeDocument = try await put("1", request: 1).decoded()
            #expect(first == again)
            #expect(lab.agent.state.revision == first.revision)
            #expect(try await put("2", request: 2).status == 409)
            #expect(lab.agent.state.values["a"]?.value == "1")
        }
    }
}
