// What Prometheus is told: in its format, by its conventions, and nothing that is not for everybody.

@testable import API
import Cluster
import Consensus
import Foundation
import Subprocess
import Testing

@testable import Runtime

private let promtool = "/usr/bin/promtool"

@Suite(.serialized, .timeLimit(.minutes(1))) struct MetricsTests {
    private func page(_ lab: Lab) async throws -> String {
        try await lab.serving { server in
            let admin = try lab.credential("alice", role: .admin)
            _ = try await server.ask(.PUT, "/v1/kv/secret-key", as: admin, json: ValueRequest(value: "hunter2"))
            _ = try await server.ask(.GET, "/v1/resources/vip/none", as: admin)
            _ = try await server.ask(.GET, "/v1/status", as: nil)
            _ = try await server.ask(.GET, "/no/such/route/secret-key", as: nil)
            let answer = try await server.ask(.GET, "/metrics", as: nil)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            return answer.text
        }
    }

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: promtool), "promtool is needed: apt install prometheus"))
    func promtoolFindsNothingToObjectTo() async throws {
        let page = try await page(try Lab.make())
        let check = try await run(
            .path(.init(promtool)), arguments: ["check", "metrics"], input: .string(page),
            output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
        #expect(check.terminationStatus.isSuccess, "\(check.standardOutput)\(check.standardError)")
    }

    @Test func theyNeedNoCertificateAndTellNothingThatWasStored() async throws {
        let page = try await page(try Lab.make())
        for secret in ["alice", "secret-key", "hunter2"] { #expect(!page.contains(secret)) }
    }

    @Test func theyTellWhoLeadsWhoHoldsAndWhatWasAnswered() async throws {
        let page = try await page(try Lab.make())
        for line in [
            "holdfast_raft_term 3", "holdfast_raft_leader{member=\"pve1\"} 1", "holdfast_raft_is_leader 1",
            "holdfast_raft_quorum_lease_held 1", "holdfast_member_lease_held 1",
            "holdfast_role_holder{role=\"VirtualIP/kube-api\",member=\"pve1\"} 1",
            "holdfast_member_reachable{member=\"witness\"} 1", "holdfast_values 1",
            "holdfast_api_requests_total{route=\"/v1/kv/{key}\",method=\"PUT\",code=\"200\"} 1",
            "holdfast_api_requests_total{route=\"none\",method=\"any\",code=\"404\"} 1",
            "holdfast_api_refusals_total{reason=\"unauthenticated\"} 1",
            "holdfast_api_refusals_total{reason=\"notFound\"} 2", "holdfast_api_request_duration_seconds_count 4",
            "holdfast_api_in_work{what=\"requests\"} 0",
        ] {
            #expect(page.contains(line + "\n"), "\(line) is missing in:\n\(page)")
        }
    }

    @Test func aRoleWithoutAHolderIsZero() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.vacate(role: .kubeAPI, epoch: 1, reason: "test", because: nil))
        let page = try await page(lab)
        #expect(page.contains("holdfast_role_holder{role=\"VirtualIP/kube-api\",member=\"\"} 0\n"))
    }

    @Test func readyIsWhoKnowsALeaderAndIsCurrent() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.probeAge = .zero
        try await lab.serving(bounds: bounds) { server in
            #expect(try await server.ask(.GET, "/readyz", as: nil).status == 200)
            lab.agent.change { $0.view.isCurrent = false }
            let behind = try await server.ask(.GET, "/readyz", as: nil)
            #expect(behind.status == 503 && behind.text.contains("caught up"))
            lab.agent.change {
                $0.view.isCurrent = true
                $0.view.leader = nil
            }
            #expect(try await server.ask(.GET, "/readyz", as: nil).status == 503)
            #expect(try await server.ask(.GET, "/healthz", as: nil).status == 200)
        }
    }
}
