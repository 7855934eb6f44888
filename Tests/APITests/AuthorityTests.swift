// The rotation of the authority through the API, over real TLS: who may begin it, and that contexts follow it.

@testable import API
import AsyncHTTPClient
import Cluster
import Consensus
import Crypto
import Foundation
import NIOHTTP1
import Synchronization
import Testing
import X509

@testable import Runtime
@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(1))) struct AuthorityTests {
    /// The member whose API is served, through a rotation.
    private struct Rotation: Sendable {
        let current: CurrentIdentity
        let new: ClusterAuthority
        let plan: AuthorityRotation.Plan

        init(_ lab: Lab) throws {
            let key = lab.memberKeys[0]
            let identity = try MemberIdentity(
                settings: MemberSettings(
                    cluster: lab.cluster, member: lab.members[0], name: "pve1", kind: .host, address: "127.0.0.1",
                    peerPort: 1, apiPort: 2),
                key: key, certificate: lab.authority.issue(member: "pve1", key: key.publicKey),
                trust: lab.authority.trust, authority: lab.authority)
            current = CurrentIdentity(identity)
            guard let made = try Enrollment(identity: identity).newAuthority(graceMilliseconds: 3_600_000) else {
                throw TestFailure(words: "the member holds no authority")
            }
            (new, plan) = made
        }

        var sign: @Sendable (String, OperatorRole, String) throws -> SignedOperator {
            { [current] name, role, csr in
                guard let signed = try Enrollment(identity: current.value).sign(operator: name, role: role, csr: csr)
                else {
                    throw TestFailure(words: "nothing was signed")
                }
                return signed
            }
        }

        /// Applies a step and does what the member would do about it.
        func step(_ command: Command, _ server: TestServer) throws {
            let outcome = server.lab.agent.apply(command)
            guard outcome.code == .done, let book = server.lab.agent.state.authorityBook else {
                throw TestFailure(words: "\(command): \(outcome.message)")
            }
            let identity = current.value
            let trust = try ClusterTrust(book, cluster: identity.cluster)
            let held = (identity.authorities.filter { $0.trust.pin != new.trust.pin } + [new]).filter {
                trust.pins.contains($0.trust.pin)
            }
            guard let signer = held.first(where: { $0.trust.pin == trust.pin }) else {
                throw TestFailure(words: "the member cannot sign")
            }
            let next = try identity.trusting(
                trust, certificate: signer.issue(member: "pve1", key: identity.key.publicKey), authorities: held)
            try server.store.renew(APICredentials(next))
            current.set(next)
        }

        func finish(_ server: TestServer) throws {
            for id in server.lab.members {
                guard var record = server.lab.agent.state.members[id] else { continue }
                record.signedBy = new.trust.pin
                server.lab.agent.apply(.announce(member: record))
            }
            try step(.advanceRotation(pin: new.trust.pin, to: .finish), server)
        }
    }

    private func context(_ person: Person) throws -> ClusterContext {
        try #require(ContextFile.load(path: person.configuration) { _ in }.contexts.first)
    }

    private func authorities(_ person: Person) throws -> [String] {
        try TrustedAuthority.all(pem: context(person).authority).map(\.pin)
    }

    @Test func anAdminBeginsItAndThatIsOnRecord() async throws {
        let lab = try Lab.make()
        let rotation = try Rotation(lab)
        let rehearsed = Ledger()
        try await lab.serving(newAuthority: { _, isRehearsal in
            rehearsed.add("\(isRehearsal)")
            return rotation.plan
        }) { server in
            let root = try lab.credential("root", role: .admin)
            let request = RotateRequest(operatorsWithinSeconds: 3_600)
            let dry = try await server.ask(
                .POST, "/v1/authority/rotate", as: root, headers: [("Holdfast-Dry-Run", "true")], json: request)
            #expect(dry.status == 200 && lab.agent.state.rotation == nil, "\(dry.text)")
            let answer = try await server.ask(.POST, "/v1/authority/rotate", as: root, json: request)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(rehearsed.items == ["true", "false"], "a rehearsal keeps no key")
            #expect(lab.agent.state.rotation?.plan.new.pin == rotation.new.trust.pin)
            #expect(lab.agent.state.auditLog.last?.what.hasPrefix("rotate the authority to") == true)
            let again = try await server.ask(.POST, "/v1/authority/rotate", as: root, json: request)
            #expect(again.failure?.code == .conflict)
            let shown: AuthorityDocument = try await server.ask(.GET, "/v1/authority", as: root).decoded()
            #expect(shown.rotation?.waitsFor.isEmpty == false)
            #expect(shown.trusted.map(\.pin) == [lab.authority.trust.pin, rotation.new.trust.pin])
            let cancelled = try await server.ask(.POST, "/v1/authority/cancel", as: root)
            #expect(cancelled.status == 200 && lab.agent.state.rotation == nil)
            let wrong = try await server.ask(
                .POST, "/v1/authority/rotate", as: root, json: RotateRequest(operatorsWithinSeconds: 59))
            #expect(wrong.failure?.code == .badRequest)
        }
    }

    @Test func aMemberThatIsNoHostSendsOneElsewhere() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let answer = try await server.ask(
                .POST, "/v1/authority/rotate", as: lab.credential("root", role: .admin),
                json: RotateRequest(operatorsWithinSeconds: 60))
            #expect(answer.failure?.code == .elsewhere)
            let next = answer.failure?.next ?? ""
            #expect(next.contains("127.0.0.1:7001") && next.contains("127.0.0.2:7001") && !next.contains("127.0.0.3"))
        }
    }

    @Test func aContextFollowsByBeingUsed() async throws {
        let lab = try Lab.make()
        let rotation = try Rotation(lab)
        let old = lab.authority.trust.pin
        let new = rotation.new.trust.pin
        try await lab.serving(sign: rotation.sign) { server in
            let person = try Person.make(server, as: lab.credential("alice", role: .operator))
            defer { person.forget() }
            let copy = try Person.make(ContextFile.load(path: person.configuration) { _ in })
            defer { copy.forget() }
            let key = try context(person).key

            try rotation.step(.rotateAuthority(rotation.plan), server)
            #expect(await person.run("status").status == 0)
            #expect(try authorities(person) == [old, new])
            #expect(lab.agent.state.operators["alice"] == nil, "there is nothing to renew yet")

            try rotation.step(.advanceRotation(pin: new, to: .replace), server)
            let result = await person.run("status")
            #expect(result.status == 0 && result.notes.contains("follows the cluster's authority"), "\(result)")
            #expect(try authorities(person) == [new, old])
            #expect(lab.agent.state.operators["alice"]?.signedBy == new)
            #expect(try context(person).key == key, "copies of the context stay good")
            #expect(await copy.run("kv", "put", "a", "b", "--endpoints", "127.0.0.1:\(server.port)").status == 0)

            try rotation.finish(server)
            #expect(await person.run("kv", "put", "c", "d").status == 0)
            #expect(try authorities(person) == [new])
            let quiet = await person.run("status")
            #expect(quiet.status == 0 && quiet.notes.isEmpty, "\(quiet.notes)")
        }
    }

    /// Its TLS library knows the old authority alone, and believes the new one by the link.
    @Test func aContextThatWasNotUsedForLongIsLetInWhileTheOldAuthorityIsTrusted() async throws {
        let lab = try Lab.make()
        let rotation = try Rotation(lab)
        try await lab.serving(sign: rotation.sign) { server in
            let credential = try lab.credential("alice", role: .operator)
            let person = try Person.make(server, as: credential)
            defer { person.forget() }
            let late = try Person.make(server, as: credential)
            defer { late.forget() }
            try rotation.step(.rotateAuthority(rotation.plan), server)
            try rotation.step(.advanceRotation(pin: rotation.new.trust.pin, to: .replace), server)
            let result = await person.run("status")
            #expect(result.status == 0, "\(result)")
            #expect(try authorities(person).count == 2)

            try rotation.finish(server)
            let refused = await late.run("status", leastLimit: "2s")
            #expect(refused.status != 0, "the stated time is over")
            #expect(try authorities(late) == [lab.authority.trust.pin])
        }
    }

    /// A small Debian has no authorities of its own, and the TLS library fails to begin where it is to load them.
    @Test func theServerAsksForNoAuthoritiesOfTheMachine() throws {
        let lab = try Lab.make()
        let own = try lab.credential(member: 0)
        let store = try APICredentialStore(
            APICredentials(
                certificateChainPEM: own.certificate + "\n" + (try lab.authorityPEM), keyPEM: own.key,
                authorityPEM: try lab.authorityPEM), cluster: lab.cluster)
        guard case .certificates(let roots) = store.serverConfiguration().trustRoots else {
            Issue.record("it loads those of the machine")
            return
        }
        #expect(roots.count == 1)
    }

    @Test func aConnectionThatStandsGoesOnUntilItsAuthorityIsNotTrustedAnyMore() async throws {
        let lab = try Lab.make()
        let rotation = try Rotation(lab)
        try await lab.serving(sign: rotation.sign) { server in
            let credential = try lab.credential("alice", role: .viewer)
            try await server.withHTTPClient(credential, connections: 1) { client in
                func status() async throws -> (code: Int, told: String?) {
                    let request = HTTPClientRequest(url: "https://127.0.0.1:\(server.port)/v1/status")
                    let response = try await client.execute(request, timeout: .seconds(30))
                    _ = try await response.body.collect(upTo: 1 << 20)
                    return (Int(response.status.code), response.headers.first(name: AuthorityNames.header))
                }
                let before = try await status()
                #expect(before.code == 200 && before.told == AuthorityNames.text([lab.authority.trust.pin]))
                try rotation.step(.rotateAuthority(rotation.plan), server)
                #expect(try await status().code == 200)
                try rotation.step(.advanceRotation(pin: rotation.new.trust.pin, to: .replace), server)
                let pins = [rotation.new.trust.pin, lab.authority.trust.pin]
                let meanwhile = try await status()
                #expect(meanwhile.code == 200 && meanwhile.told == AuthorityNames.text(pins))
                try rotation.finish(server)
                #expect(try await status().code == 403)
            }
        }
    }

    @Test func theCommandLineBeginsItAndTellsWhatItWaitsFor() async throws {
        let lab = try Lab.make()
        let rotation = try Rotation(lab)
        try await lab.serving(sign: rotation.sign, newAuthority: { _, _ in rotation.plan }) { server in
            let person = try Person.make(server, as: lab.credential("root", role: .admin))
            defer { person.forget() }
            #expect(await person.run("cluster", "rotate-authority", "--status").output.contains("no rotation"))
            let begun = await person.run("cluster", "rotate-authority", "--yes", "--reason", "a disk was stolen")
            #expect(begun.status == 0, "\(begun)")
            #expect(lab.agent.state.auditLog.last?.reason == "a disk was stolen")
            let status = await person.run("cluster", "rotate-authority", "--status")
            #expect(status.output.contains("not until pve2 trusts the new authority"), "\(status.output)")
            #expect(await person.run("status").output.contains("the authority is being rotated"))
            let cancelled = await person.run("cluster", "rotate-authority", "--cancel", "--yes")
            #expect(cancelled.status == 0 && lab.agent.state.rotation == nil, "\(cancelled)")
        }
    }
}

/// What happened, in order.
private final class Ledger: Sendable {
    private let all = Mutex<[String]>([])
    var items: [String] { all.withLock { $0 } }
    func add(_ item: String) { all.withLock { $0.append(item) } }
}
