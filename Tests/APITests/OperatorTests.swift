// People: how they get their rights, how these are taken away, and what is remembered of what they did.

@testable import API
import AsyncHTTPClient
import Cluster
import Consensus
import Crypto
import Foundation
import NIOHTTP1
import Runtime
import Testing

@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(1))) struct OperatorTests {
    private func csr() throws -> (key: P256.Signing.PrivateKey, text: String) {
        let key = P256.Signing.PrivateKey()
        return (key, try SigningRequest.make(name: "x", key: key))
    }

    /// Asks for a certificate as an admin would, and gives the credential.
    private func admit(
        _ name: String, _ role: OperatorRole, _ server: TestServer, by admin: Credential? = nil
    ) async throws -> Credential {
        let (key, text) = try csr()
        let answer = try await server.ask(
            .POST, "/v1/operators", as: try admin ?? server.lab.credential("root", role: .admin),
            json: OperatorRequest(name: name, role: role, csr: text))
        #expect(answer.status == 200, "\(answer.text)")
        let signed = try answer.decoded(OperatorCertificate.self)
        return Credential(certificate: signed.certificate, key: key.pemRepresentation)
    }

    /// Every route with a method, its parameters filled in.
    private static var routes: [(HTTPMethod, String)] {
        API.routes.map { route in
            let path = route.path.replacing(":kind", with: "vip").replacing(":name", with: "kube-api")
                .replacing(":key", with: "a").replacing(":revision", with: "1")
            return (HTTPMethod(rawValue: route.method.rawValue), path)
        } + [(.GET, "/v1/events")]
    }

    /// A body each route understands, so that it gets as far as looking at the state or proposing.
    private static func body(_ path: String, _ lab: Lab) throws -> [UInt8]? {
        switch path {
        case "/v1/plan": try CanonicalJSON.encode(PlanRequest(declarations: []))
        case "/v1/apply":
            try CanonicalJSON.encode(
                ApplyRequest(declarations: [
                    ["apiVersion": "holdfast/v1", "kind": "Host", "metadata": ["name": "pve1"], "spec": [:]]
                ]))
        case "/v1/delete": try CanonicalJSON.encode(DeleteRequest(keys: [.kubeAPI]))
        case "/v1/kv/a": try CanonicalJSON.encode(ValueRequest(value: "1"))
        case "/v1/vip/move": try CanonicalJSON.encode(MoveRequest(name: "kube-api", to: "pve2"))
        case "/v1/vip/release": try CanonicalJSON.encode(ReleaseRequest(name: "kube-api"))
        case "/v1/workloads/steer":
            try CanonicalJSON.encode(SteerRequest(kind: "vm", name: "gitlab", action: .stop))
        case "/v1/hosts/steer": try CanonicalJSON.encode(HostRequest(name: "pve1", action: .drain))
        case "/v1/disarm": try CanonicalJSON.encode(DisarmRequest(seconds: 60))
        case "/v1/hosts/reboot": try CanonicalJSON.encode(RebootRequest(name: "pve1"))
        case "/v1/restart": try CanonicalJSON.encode(RestartRequest(member: "pve1"))
        case "/v1/authority/rotate": try CanonicalJSON.encode(RotateRequest(operatorsWithinSeconds: 60))
        case "/v1/level": try CanonicalJSON.encode(RaiseLevelRequest(without: []))
        case "/v1/tokens":
            try CanonicalJSON.encode(
                TokenRequest(
                    id: "0123456789", secretHash: String(repeating: "a", count: 64), kind: "host", ttlSeconds: 60))
        case "/v1/members/remove": try CanonicalJSON.encode(RemoveMemberRequest(member: "k8s-cp1"))
        case "/v1/members/rename": try CanonicalJSON.encode(RenameMemberRequest(member: "pve2", name: "pve9"))
        case "/v1/recover": try CanonicalJSON.encode(RecoverRequest(verifiedDead: ["pve2"]))
        case "/v1/transfer-leader": try CanonicalJSON.encode(TransferRequest())
        case "/v1/operators":
            try CanonicalJSON.encode(
                OperatorRequest(
                    name: "eve", role: .admin, csr: SigningRequest.make(name: "x", key: P256.Signing.PrivateKey())))
        case "/v1/operators/renew":
            try CanonicalJSON.encode(
                OperatorRenewal(csr: SigningRequest.make(name: "x", key: P256.Signing.PrivateKey())))
        case "/v1/operators/revoke": try CanonicalJSON.encode(RevokeRequest(name: "bob"))
        case "/v1/rollback": try CanonicalJSON.encode(RollBackRequest(revision: 1))
        case "/v1/trial": try CanonicalJSON.encode(TrialRequest(keep: true))
        default: nil
        }
    }

    @Test func aRevokedOperatorIsRefusedOnEveryRouteAtOnce() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let mallory = try await admit("mallory", .admin, server)
            #expect(try await server.ask(.GET, "/v1/status", as: mallory).status == 200)
            lab.agent.apply(.revokeOperator(name: "mallory"))
            let before = lab.agent.state.resources
            for (method, path) in Self.routes {
                let answer = try await server.ask(method, path, as: mallory, body: try Self.body(path, lab))
                #expect(answer.status == 403, "\(method) \(path): \(answer.status) \(answer.text)")
                #expect(answer.failure?.message.contains("revoked") == true, "\(method) \(path): \(answer.text)")
            }
            #expect(lab.agent.state.resources == before)
            #expect(lab.agent.state.operators["eve"] == nil && lab.agent.state.tokens.isEmpty)
            #expect(lab.agent.state.members.count == 4)
        }
    }

    @Test func aRoleThatIsTooSmallIsNamedOnEveryRoute() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let viewer = try await admit("vera", .viewer, server)
            for route in API.routes where route.needs != .viewer {
                let path = route.path.replacing(":key", with: "a")
                let answer = try await server.ask(
                    HTTPMethod(rawValue: route.method.rawValue), path, as: viewer, body: try Self.body(path, lab))
                #expect(answer.status == 403, "\(path)")
                #expect(answer.failure?.message.contains("needs the role \(route.needs.rawValue)") == true, "\(path)")
                #expect(answer.failure?.code.exitCode == 6)
            }
        }
    }

    @Test func whoGetsANewCertificateLosesTheOldOne() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let old = try await admit("alice", .operator, server)
            let (key, text) = try csr()
            let answer = try await server.ask(
                .POST, "/v1/operators/renew", as: old, json: OperatorRenewal(csr: text))
            let signed = try answer.decoded(OperatorCertificate.self)
            #expect(signed.name == "alice" && signed.role == .operator)
            let new = Credential(certificate: signed.certificate, key: key.pemRepresentation)
            #expect(try await server.ask(.GET, "/v1/status", as: new).status == 200)
            let refused = try await server.ask(.GET, "/v1/status", as: old)
            #expect(refused.status == 403 && refused.failure?.message.contains("replaced") == true)
        }
    }

    @Test func nobodyLocksHimselfOut() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let answer = try await server.ask(
                .POST, "/v1/operators/revoke", as: lab.credential("root", role: .admin),
                json: RevokeRequest(name: "root"))
            #expect(answer.failure?.code == .unsafe)
        }
    }

    @Test func aStreamOfEventsEndsWithTheRightToIt() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let mallory = try await admit("mallory", .viewer, server)
            let lines = try await server.withHTTPClient(mallory) { client -> String in
                var request = HTTPClientRequest(url: "https://127.0.0.1:\(server.port)/v1/events?after=0")
                request.headers.add(name: "Accept", value: "text/event-stream")
                let response = try await client.execute(request, timeout: .seconds(60))
                lab.agent.apply(.revokeOperator(name: "mallory"))
                // It ends by itself, or this would wait for its timeout.
                return String(buffer: try await response.body.collect(upTo: 1 << 20))
            }
            #expect(lines.contains("Bootstrapped"))
            #expect(!lines.contains("OperatorRevoked"))
        }
    }

    // MARK: The command line

    private func person(_ server: TestServer, _ name: String = "root", _ role: OperatorRole = .admin) throws -> Person {
        try Person.make(server, as: server.lab.credential(name, role: role))
    }

    @Test func aContextIsMadeUsedAndRevoked() async throws {
        try await Lab.make().serving { server in
            let root = try person(server)
            defer { root.forget() }
            let added = await root.run("context", "add", "vera", "--role", "viewer")
            #expect(added.status == 0, "\(added.notes)")
            #expect(await root.run("status", "--context", "home-vera").status == 0)
            let refused = await root.run("kv", "put", "a", "b", "--context", "home-vera")
            #expect(refused.status == 6)
            #expect(refused.notes.contains("needs the role operator; vera has viewer"))
            #expect(await root.run("context", "operators").output.contains("vera   viewer   admitted"))
            #expect(await root.run("context", "revoke", "vera", "--yes").status == 0)
            let gone = await root.run("status", "--context", "home-vera")
            #expect(gone.status == 6 && gone.notes.contains("revoked"))
            #expect(await root.run("context", "list").output.contains("* "))
        }
    }

    @Test func aContextForAnotherPersonIsAFileOfItsOwn() async throws {
        try await Lab.make().serving { server in
            let root = try person(server)
            defer { root.forget() }
            let path = root.folder + "/olaf.yaml"
            #expect(await root.run("context", "add", "olaf", "--role", "operator", "--file", path).status == 0)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let file = try ContextFile.load(path: path) { _ in }
            let olaf = try Person.make(file)
            defer { olaf.forget() }
            #expect(await olaf.run("kv", "put", "a", "b").status == 0)
            #expect(await olaf.run("cluster", "transfer-leader").status == 6)
            #expect(await olaf.run("context", "renew").status == 0)
            #expect(await olaf.run("kv", "get", "a").output == "b\n")
            let old = try Person.make(file)
            defer { old.forget() }
            #expect(await old.run("kv", "get", "a").status == 6)
        }
    }

    @Test func theAuditLogTellsWhoDidWhat() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let root = try person(server)
            defer { root.forget() }
            _ = await root.run("delete", "vip/kube-api", "--yes", "--reason", "spring cleaning")
            _ = await root.run("cluster", "transfer-leader", "pve2")
            _ = await root.run("kv", "put", "password", "hunter2")
            let audit = await root.run("audit")
            #expect(audit.status == 0)
            #expect(audit.output.contains("root   admin   delete VirtualIP/kube-api"))
            #expect(audit.output.contains("spring cleaning"))
            #expect(audit.output.contains("hand leadership to pve2"))
            #expect(!audit.output.contains("hunter2"))
            #expect(await root.run("audit", "--who", "nobody").output.split(separator: "\n").count == 1)
        }
    }

    // MARK: Revisions and trials

    private static func manifest(_ address: String) -> String {
        """
        apiVersion: holdfast/v1
        kind: VirtualIP
        metadata: {name: dns}
        spec: {address: \(address), candidates: [{member: pve1}]}
        """
    }

    @Test func whatWasDeclaredIsRolledBack() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let root = try person(server)
            defer { root.forget() }
            let dns = ResourceKey(kind: "VirtualIP", name: "dns")
            func address() -> String? { lab.agent.state.resources[dns]?.declaration.spec["address"]?.string }
            let file = try root.write(Self.manifest("192.168.1.2/24"), to: "dns.yaml")
            _ = await root.run("apply", "-f", file)
            let first = lab.agent.state.revision
            _ = try root.write(Self.manifest("192.168.1.3/24"), to: "dns.yaml")
            _ = await root.run("apply", "-f", file)
            let revisions = await root.run("revisions")
            #expect(revisions.output.contains("+VirtualIP/dns") && revisions.output.contains("~VirtualIP/dns"))
            let dry = await root.run("rollback", "\(first)", "--dry-run")
            #expect(dry.status == 1 && dry.output.contains("192.168.1.2/24"))
            #expect(address() == "192.168.1.3/24")
            #expect(await root.run("rollback", "\(first)", "--yes").status == 0)
            #expect(address() == "192.168.1.2/24")
            let unknown = await root.run("rollback", "99999", "--yes")
            #expect(unknown.status == 3 && unknown.notes.contains("holdfast revisions"))
        }
    }

    @Test func aTrialIsConfirmedOrEnded() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let root = try person(server)
            defer { root.forget() }
            let file = try root.write(Self.manifest("192.168.1.2/24"), to: "dns.yaml")
            func declared() -> Bool { lab.agent.state.resources[ResourceKey(kind: "VirtualIP", name: "dns")] != nil }
            let tried = await root.run("apply", "-f", file, "--mode", "try", "--timeout", "5m")
            #expect(tried.status == 0 && tried.notes.contains("undone in 300 s"), "\(tried.notes)")
            #expect(lab.agent.state.trial?.lengthMilliseconds == 300_000)
            #expect(await root.run("status").output.contains("is on trial by root"))
            let other = await root.run("delete", "vip/kube-api", "--yes")
            #expect(other.status == 4 && other.notes.contains("--confirm"))
            #expect(await root.run("apply", "--rollback").status == 0)
            #expect(!declared())
            #expect(await root.run("apply", "--confirm").status == 3)
            _ = await root.run("apply", "-f", file, "--mode", "try")
            #expect(lab.agent.state.trial?.lengthMilliseconds == 120_000)
            #expect(await root.run("apply", "--confirm").status == 0)
            #expect(declared() && lab.agent.state.trial == nil)
            #expect(await root.run("apply", "--confirm", "-f", file).status == 2)
            #expect(await root.run("apply").status == 2)
        }
    }

    /// Alice's trial has ended, Bob has begun one: what she confirms is not what she means.
    @Test func nobodySettlesAnothersTrialByAccident() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let alice = try person(server, "alice")
            let bob = try person(server, "bob")
            defer {
                alice.forget()
                bob.forget()
            }
            let file = try bob.write(Self.manifest("192.168.1.2/24"), to: "dns.yaml")
            let tried = await bob.run("apply", "-f", file, "--mode", "try", "--reason", "moving")
            let revision = try #require(lab.agent.state.trial?.revision)
            #expect(tried.notes.contains("holdfast apply --confirm --revision \(revision)"))
            for end in ["--confirm", "--rollback"] {
                let refused = await alice.run("apply", end)
                #expect(refused.status == 4 && refused.notes.contains("by bob (moving)"), "\(refused.notes)")
                #expect(refused.notes.contains("\(end) --revision \(revision)"))
            }
            #expect(await alice.run("apply", "--confirm", "--revision", "\(revision - 1)").status == 3)
            #expect(lab.agent.state.trial != nil)
            #expect(await alice.run("apply", "--confirm", "--revision", "\(revision)").status == 0)
            #expect(lab.agent.state.trial == nil)
            #expect(await alice.run("apply", "--revision", "1").status == 2)
            _ = try bob.write(Self.manifest("192.168.1.3/24"), to: "dns.yaml")
            _ = await bob.run("apply", "-f", file, "--mode", "try", "--reason", "moving")
            #expect(await bob.run("apply", "--confirm").status == 0, "his own, whatever he said about it")
        }
    }

    // MARK: The door

    /// Every host has the authority's key, also one that was removed and kept its disk.
    @Test func aCertificateForAnUnknownNameIsWorthNothing() async throws {
        let lab = try Lab.make(founded: true)
        let founder = try #require(lab.founder)
        try await lab.serving { server in
            #expect(try await server.ask(.GET, "/v1/status", as: founder).status == 200)
            let revision = lab.agent.state.revision
            let stranger = try lab.credential("x", role: .admin)
            for (method, path) in Self.routes {
                let answer = try await server.ask(method, path, as: stranger, body: try Self.body(path, lab))
                #expect(answer.status == 403, "\(method) \(path): \(answer.status) \(answer.text)")
                #expect(answer.failure?.message.contains("no operator of this cluster is called x") == true)
            }
            // Nor does the founder's name with another key.
            let twin = try lab.credential("root", role: .admin)
            #expect(try await server.ask(.GET, "/v1/status", as: twin).status == 403)
            #expect(lab.agent.state.revision == revision)
            let vera = try await admit("vera", .viewer, server, by: founder)
            #expect(try await server.ask(.GET, "/v1/status", as: vera).status == 200)
        }
    }

    /// What the log refuses is an entry on every disk all the same, and pushes other clients' sessions out.
    @Test func aRevokedOperatorCannotWriteToTheLogByBeingRefused() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let mallory = try await admit("mallory", .operator, server)
            lab.agent.apply(.revokeOperator(name: "mallory"))
            let before = lab.agent.state
            for session in 1...20 {
                let answer = try await server.ask(
                    .PUT, "/v1/kv/a", as: mallory,
                    headers: [("Holdfast-Session", "00000000000000\(session + 15)"), ("Holdfast-Request", "1")],
                    json: ValueRequest(value: "1"))
                #expect(answer.status == 403)
            }
            #expect(lab.agent.state == before)
        }
    }
}
