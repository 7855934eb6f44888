// Every route of the API, over TLS on the loopback.

@testable import API
import Cluster
import Consensus
import Kinds
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct RouteTests {
    @Test func statusTellsEverythingAtAGlance() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let answer = try await server.ask(.GET, "/v1/status", as: lab.credential(role: .viewer))
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
            let status: StatusDocument = try answer.decoded()
            #expect(status.cluster == "home")
            #expect(status.clusterID == lab.cluster.description)
            #expect(status.leader == "pve1")
            #expect(status.quorum)
            #expect(status.members.map(\.name) == ["k8s-cp1", "pve1", "pve2", "witness"])
            #expect(status.members.map(\.voter) == [false, true, true, true])
            #expect(status.members.map(\.domain) == ["pve1", "pve1", "pve2", "witness"])
            #expect(status.addresses.map(\.holder) == ["pve1"])
            #expect(status.addresses[0].since == "2026-03-01T12:03:04.512Z")
            #expect(status.tolerance.map(\.canBeLost) == [true, true, true])
            #expect(status.degraded == [])
            #expect(status.revision == lab.agent.state.revision)
        }
    }

    @Test func aLocalReadAnswersWithoutQuorumAndSaysHowOldItIs() async throws {
        let lab = try Lab.make()
        lab.agent.set(.noQuorum)
        lab.agent.change { inside in
            inside.view.commitIndex = LogIndex(rawValue: 12)
            inside.view.appliedIndex = LogIndex(rawValue: 9)
            inside.view.leader = nil
            inside.view.role = .follower
        }
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let refused = try await server.ask(.GET, "/v1/status", as: viewer)
            #expect(refused.status == 503)
            #expect(refused.failure?.code == .noQuorum)
            let answer = try await server.ask(.GET, "/v1/status?consistency=local", as: viewer)
            let status: StatusDocument = try answer.decoded()
            #expect(!status.quorum)
            #expect(status.leader == nil)
            #expect(status.read.behind == 3)
            #expect(!status.read.knowsLeader)
        }
    }

    @Test func membersAndToleranceAnswerByThemselves() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.observeMember(lab.members[1], reachable: false, reason: "silent for 300 ms"))
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let members: MembersDocument = try await server.ask(.GET, "/v1/members", as: viewer).decoded()
            #expect(members.members.filter { !$0.reachable }.map(\.name) == ["pve2"])
            let report: ToleranceReport = try await server.ask(.GET, "/v1/tolerance", as: viewer).decoded()
            #expect(report.tolerance.filter(\.canBeLost).map(\.domain) == ["pve2"])
            #expect(report.tolerance[0].why.count == 2)
        }
    }

    @Test func resourcesAreFoundByAnyNameOfTheirKind() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            for path in ["/v1/resources", "/v1/resources/VirtualIP", "/v1/resources/virtualips", "/v1/resources/vip"] {
                let all: ResourcesDocument = try await server.ask(.GET, path, as: viewer).decoded()
                #expect(all.resources.map(\.metadata.name) == ["kube-api"], "\(path)")
            }
            let one: ResourceAnswer = try await server.ask(.GET, "/v1/resources/vip/kube-api", as: viewer).decoded()
            #expect(one.resource.status?.health == .healthy)
            #expect(one.resource.status?.placement?.member == "pve1")
            #expect(one.resource.apiVersion == "holdfast/v1")
            let missing = try await server.ask(.GET, "/v1/resources/VirtualIP/nowhere", as: viewer)
            #expect(missing.status == 404)
            #expect(missing.failure?.message == "VirtualIP/nowhere is not declared")
        }
    }

    @Test func whyTellsTheChainOfCauses() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.observeMember(lab.members[0], reachable: false, reason: "no answer for 300 ms"))
        lab.agent.apply(
            .assign(role: .kubeAPI, epoch: 1, to: lab.members[1], reason: "pve1 was lost", because: lab.members[0]))
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let why: WhyDocument = try await server.ask(.GET, "/v1/why/virtualip/kube-api", as: viewer).decoded()
            #expect(why.state == "held by pve2")
            #expect(why.reason == "pve1 was lost")
            #expect(why.chain.map(\.type) == ["RoleAssigned", "MemberLost", "MemberJoined", "Bootstrapped"])
            let member: WhyDocument = try await server.ask(.GET, "/v1/why/host/pve1", as: viewer).decoded()
            #expect(member.state == "unreachable")
            #expect(member.subject == "member/pve1")
            let unknown = try await server.ask(.GET, "/v1/why/virtualip/other", as: viewer)
            #expect(unknown.status == 404)
        }
    }

    @Test func eventsAreListedAfterAnId() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let all: EventsDocument = try await server.ask(.GET, "/v1/events", as: viewer).decoded()
            #expect(all.events.first?.id == 1)
            #expect(all.events.last?.id == all.last)
            let after: EventsDocument = try await server.ask(
                .GET, "/v1/events?after=\(all.last - 1)", as: viewer
            ).decoded()
            #expect(after.events.map(\.id) == [all.last])
            let beyond: EventsDocument = try await server.ask(
                .GET, "/v1/events?after=18446744073709551615", as: viewer
            ).decoded()
            #expect(beyond.events.isEmpty)
            let bad = try await server.ask(.GET, "/v1/events?after=x", as: viewer)
            #expect(bad.status == 400)
        }
    }

    @Test func planTellsWhatWouldChangeAndChangesNothing() async throws {
        let lab = try Lab.make()
        let before = lab.agent.state
        try await lab.serving { server in
            let request = PlanRequest(
                declarations: [
                    try Declaration.kubeAPI(address: "192.168.1.98/24").document,
                    try Declaration.kubeAPI(name: "dns", address: "192.168.1.97/24").document,
                ])
            let plan: PlanDocument = try await server.ask(
                .POST, "/v1/plan", as: lab.credential(role: .viewer), json: request
            ).decoded()
            #expect(plan.index == before.revision)
            #expect(plan.changes.map(\.action) == [.update, .create])
            #expect(
                plan.changes[0].fields == [
                    FieldChange(path: "spec.address", old: "192.168.1.99/24", new: "192.168.1.98/24")
                ])
            #expect(lab.agent.state == before)
        }
    }

    @Test func planOfWhatIsThereIsEmptyAndOfDeletionsNamesThem() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let same: PlanDocument = try await server.ask(
                .POST, "/v1/plan", as: viewer, json: PlanRequest(declarations: [try Declaration.kubeAPI().document])
            ).decoded()
            #expect(same.changes.isEmpty)
            #expect(same.unchanged == 1)
            let gone: PlanDocument = try await server.ask(
                .POST, "/v1/plan", as: viewer, json: PlanRequest(declarations: [], deletions: [.kubeAPI])
            ).decoded()
            #expect(gone.changes.map(\.action) == [.delete])
        }
    }

    @Test func applyDeclaresAndChecksTheIndex() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let someone = try lab.credential(role: .operator)
            let declaration = try Declaration.kubeAPI(name: "dns", address: "192.168.1.97/24")
            let index = lab.agent.state.revision
            let first = try await server.ask(
                .POST, "/v1/apply", as: someone, headers: [("Holdfast-Reason", "DNS%20moves")],
                json: ApplyRequest(declarations: [declaration.document], checkRevision: index))
            #expect(first.status == 200)
            #expect(try first.decoded(OutcomeDocument.self).changed)
            #expect(lab.agent.state.resources[declaration.key]?.declaration == declaration)
            #expect(lab.agent.state.events.last?.actor == "alice (DNS moves)")
            let stale = try await server.ask(
                .POST, "/v1/apply", as: someone,
                json: ApplyRequest(declarations: [declaration.document], checkRevision: index))
            #expect(stale.status == 409)
            #expect(stale.failure?.code == .conflict)
        }
    }

    @Test func whatIsNotValidIsRefusedWithAllThatIsWrong() async throws {
        let lab = try Lab.make()
        let before = lab.agent.state
        try await lab.serving { server in
            let documents: [JSONValue] = [
                ["apiVersion": "holdfast/v1", "kind": "VirtualIP", "metadata": ["name": "a"], "spec": ["adress": "x"]],
                ["apiVersion": "holdfast/v1", "kind": "Teapot", "metadata": ["name": "b"], "spec": [:]],
                try Declaration.kubeAPI(name: "other").document,
            ]
            let answer = try await server.ask(
                .POST, "/v1/apply", as: lab.credential(role: .operator), json: ApplyRequest(declarations: documents))
            #expect(answer.status == 422)
            let failure = try #require(answer.failure)
            #expect(failure.code == .invalid)
            #expect(failure.problems.contains { $0.contains("spec.adress") })
            #expect(failure.problems.contains { $0.contains("Teapot") })
            #expect(failure.problems.contains { $0.contains("VirtualIP/kube-api has this one") })
            #expect(lab.agent.state == before)
        }
    }

    @Test func deleteRemovesOrSaysWhatIsMissing() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let someone = try lab.credential(role: .operator)
            let gone = try await server.ask(
                .POST, "/v1/delete", as: someone, json: DeleteRequest(keys: [.kubeAPI]))
            #expect(gone.status == 200)
            #expect(lab.agent.state.resources.isEmpty)
            let again = try await server.ask(
                .POST, "/v1/delete", as: someone, json: DeleteRequest(keys: [.kubeAPI]))
            #expect(again.status == 404)
        }
    }

    @Test func valuesAreKeptComparedAndListed() async throws {
        let lab = try Lab.make(declared: false)
        try await lab.serving { server in
            let someone = try lab.credential(role: .operator)
            func put(_ value: String, _ headers: [(String, String)] = []) async throws -> Int {
                try await server.ask(
                    .PUT, "/v1/kv/a%2Fb", as: someone, headers: headers, json: ValueRequest(value: value)
                ).status
            }
            #expect(try await put("1", [("If-None-Match", "*")]) == 200)
            #expect(try await put("2", [("If-None-Match", "*")]) == 409)
            #expect(try await put("2", [("If-Match", "\"MQ==\"")]) == 200)
            #expect(try await put("3", [("If-Match", "\"MQ==\"")]) == 409)
            #expect(try await put("3", [("If-Match", "MQ==")]) == 400)
            #expect(try await put("3", [("If-Match", "\"MQ==\""), ("If-None-Match", "*")]) == 400)
            let value: ValueDocument = try await server.ask(.GET, "/v1/kv/a%2Fb", as: someone).decoded()
            #expect(value.value == "2")
            for key in ["a%2Fc", "b"] {
                _ = try await server.ask(.PUT, "/v1/kv/\(key)", as: someone, json: ValueRequest(value: key))
            }
            let page: ValuesDocument = try await server.ask(.GET, "/v1/kv?prefix=a&limit=1", as: someone).decoded()
            #expect(page.values.map(\.key) == ["a/b"])
            #expect(page.more)
            let rest: ValuesDocument = try await server.ask(
                .GET, "/v1/kv?prefix=a&after=a%2Fb", as: someone
            ).decoded()
            #expect(rest.values.map(\.key) == ["a/c"])
            #expect(!rest.more)
            #expect(try await server.ask(.DELETE, "/v1/kv/b", as: someone).status == 200)
            #expect(try await server.ask(.GET, "/v1/kv/b", as: someone).status == 404)
            #expect(try await server.ask(.DELETE, "/v1/kv/b", as: someone).status == 404)
        }
    }

    @Test func tokensKeepOnlyTheHash() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let admin = try lab.credential(role: .admin)
            let hash = String(repeating: "ab", count: 32)
            let made = try await server.ask(
                .POST, "/v1/tokens", as: admin,
                json: TokenRequest(id: "0123456789ab", secretHash: hash, kind: "witness", ttlSeconds: 3600))
            #expect(made.status == 200)
            let token = try #require(lab.agent.state.tokens["0123456789ab"])
            #expect(token.secretHash == hash)
            #expect(token.kind == .witness)
            for bad in [
                TokenRequest(id: "x", secretHash: hash, kind: "host", ttlSeconds: 3600),
                TokenRequest(id: "0123456789ac", secretHash: "short", kind: "host", ttlSeconds: 3600),
                TokenRequest(id: "0123456789ac", secretHash: hash, kind: "router", ttlSeconds: 3600),
                TokenRequest(id: "0123456789ac", secretHash: hash, kind: "host", ttlSeconds: 59),
            ] {
                #expect(try await server.ask(.POST, "/v1/tokens", as: admin, json: bad).status == 400)
            }
        }
    }

    @Test func aMemberIsRemovedUnlessTheQuorumHangsOnIt() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let admin = try lab.credential(role: .admin)
            func remove(_ member: String) async throws -> TestServer.Answer {
                try await server.ask(.POST, "/v1/members/remove", as: admin, json: RemoveMemberRequest(member: member))
            }
            #expect(try await remove("nobody").status == 404)
            lab.agent.apply(.observeMember(lab.members[1], reachable: false, reason: "silent"))
            let unsafe = try await remove("witness")
            #expect(unsafe.status == 409)
            #expect(unsafe.failure?.code == .unsafe)
            #expect(try await remove("pve2").status == 200)
            #expect(try await remove(lab.members[3].description).status == 200)
            #expect(lab.agent.state.members.count == 2)
        }
    }

    @Test func aMemberIsNotRemovedWhenThatSpendsWhatCanBeLost() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let admin = try lab.credential(role: .admin)
            func remove(_ member: String, force: Bool? = nil) async throws -> TestServer.Answer {
                try await server.ask(
                    .POST, "/v1/members/remove", as: admin, json: RemoveMemberRequest(member: member, force: force))
            }
            let refused = try await remove("witness")
            #expect(refused.failure?.code == .unsafe)
            #expect(
                refused.failure?.message == "without witness the loss of pve1 or pve2 would stop the cluster")
            #expect(refused.failure?.next.contains("holdfast cluster remove witness --force") == true)
            #expect(try await remove("k8s-cp1").status == 200, "a guest has no vote to lose")
            #expect(try await remove("witness", force: true).status == 200)
        }
    }

    @Test func theOnlyVoterIsNotRemoved() async throws {
        let lab = try Lab.make()
        let only = lab.members[0]
        lab.agent.change { $0.view.configuration = Configuration(voters: [only]) }
        try await lab.serving { server in
            let answer = try await server.ask(
                .POST, "/v1/members/remove", as: lab.credential(role: .admin), json: RemoveMemberRequest(member: "pve1")
            )
            #expect(answer.failure?.code == .unsafe)
            #expect(answer.failure?.message.contains("only voter") == true)
        }
    }

    @Test func leadershipIsHandedToAVoterThatAnswers() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let admin = try lab.credential(role: .admin)
            func transfer(_ to: String?) async throws -> TestServer.Answer {
                try await server.ask(.POST, "/v1/transfer-leader", as: admin, json: TransferRequest(to: to))
            }
            #expect(try await transfer("k8s-cp1").failure?.code == .unsafe)
            let same = try await transfer("pve1")
            #expect(try same.decoded(OutcomeDocument.self).changed == false)
            #expect(try await transfer("pve2").status == 200)
            #expect(try await transfer(nil).status == 200)
            #expect(lab.agent.change { $0.leaderTransfers } == [lab.members[1], nil])
        }
    }

    @Test func joiningIsHandedOnAsItCame() async throws {
        let lab = try Lab.make()
        try await lab.serving(join: { body in (421, Array("{\"got\":\(body.count)}".utf8)) }) { server in
            let answer = try await server.ask(.POST, "/v1/join", as: nil, body: Array("12345".utf8))
            #expect(answer.status == 421)
            #expect(answer.text == "{\"got\":5}")
        }
    }

    @Test func probesTellAliveFromReady() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.probeAge = .zero
        try await lab.serving(bounds: bounds) { server in
            func probe(_ path: String) async throws -> Int { try await server.ask(.GET, path, as: nil).status }
            let before = try await [probe("/healthz"), probe("/readyz")]
            lab.agent.change { $0.view.leader = nil }
            let after = try await [probe("/healthz"), probe("/readyz")]
            #expect(before == [200, 200])
            #expect(after == [200, 503])
        }
    }

    @Test func whatIsNotThereIsSaidInJSON() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let answer = try await server.ask(.GET, "/v2/everything", as: lab.credential(role: .viewer))
            #expect(answer.status == 404)
            #expect(answer.failure?.code == .notFound)
        }
    }
}
