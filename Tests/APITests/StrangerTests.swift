// Machines without a certificate: what they may ask, and that they are in nobody's way.

@testable import API
import AsyncHTTPClient
import Cluster
import Consensus
import Crypto
import Foundation
import NIOCore
import Testing

@testable import Runtime
@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(1))) struct StrangerTests {
    private func token(_ lab: Lab) -> JoinTokenText {
        JoinTokenText(trust: lab.authority.trust, endpoints: [Endpoint(host: "127.0.0.1", port: 1)], kind: .host)
    }

    private func request(_ token: JoinTokenText, _ key: P256.Signing.PrivateKey) throws -> [UInt8] {
        let applicant = JoinApplicant(
            name: "pve3", address: "10.0.0.9", peerPort: 7000, apiPort: 7443, version: "0.1.0")
        return try CanonicalJSON.encode(JoinRequest(token: token, applicant: applicant, key: key))
    }

    @Test func anInventedTokenWritesNothingToTheLog() async throws {
        let lab = try Lab.make()
        let desk = try lab.desk()
        let before = lab.agent.state
        try await lab.serving(join: desk.join) { server in
            let body = try request(token(lab), P256.Signing.PrivateKey())
            let answer = try await server.ask(.POST, "/v1/join", as: nil, body: body)
            #expect(answer.status == 403)
            #expect(try answer.decoded(JoinRefusalBody.self).message.contains("unknown or used"))
        }
        #expect(lab.agent.state == before)
    }

    @Test func aTokenAdmitsAndARepeatedRequestIsAnsweredWithoutAnEntry() async throws {
        let lab = try Lab.make(founded: true)
        let desk = try lab.desk()
        let token = token(lab)
        lab.agent.apply(.createToken(token.replicated(expiresMilliseconds: .max)))
        let key = P256.Signing.PrivateKey()
        try await lab.serving(join: desk.join) { server in
            let body = try request(token, key)
            #expect(try await server.ask(.POST, "/v1/join", as: nil, body: body).status == 200)
            let admitted = lab.agent.state
            #expect(admitted.member(named: "pve3")?.key == ClusterTrust.pin(of: key.publicKey))
            let again = try await server.ask(.POST, "/v1/join", as: nil, body: body)
            #expect(again.status == 200)
            #expect(try again.decoded(JoinResponse.self).memberID == MemberID(publicKey: key.publicKey))
            #expect(lab.agent.state == admitted)
        }
    }

    /// Sixteen that joined hang, which is as many as may; a member whose certificate ends is served all the same.
    @Test func strangersWhoJoinAreNotInTheWayOfMembersWhoRenew() async throws {
        let lab = try Lab.make()
        let hanging: APIServer.Responder = { _ in
            _ = await lab.agent.submit(.readLocal)
            return (503, Array("{\"message\":\"\"}".utf8))
        }
        let signed = try CanonicalJSON.encode(RenewResponse(certificate: "for a member"))
        try await lab.serving(join: hanging, renew: { _ in (200, signed) }) { server in
            lab.agent.set(.holding)
            try await withThrowingTaskGroup(of: Int.self) { joins in
                let most = APIServer.Bounds().joinsInWork
                for _ in 0..<most {
                    joins.addTask { try await server.ask(.POST, "/v1/join", as: nil, body: []).status }
                }
                await lab.agent.untilHolding(most)
                #expect(try await server.ask(.POST, "/v1/join", as: nil, body: []).status == 429)
                #expect(try await server.ask(.POST, "/v1/renew", as: nil, body: []).status == 200)
                lab.agent.set(.serving)
                for try await status in joins { #expect(status == 503) }
            }
        }
    }

    @Test func howLongARequestToJoinMayTakeIsNotForTheSenderToSay() async throws {
        var bounds = APIServer.Bounds()
        bounds.joinBodyTime = .milliseconds(50)
        try await Lab.make().serving(bounds: bounds) { server in
            try await server.withHTTPClient(nil) { client in
                var request = HTTPClientRequest(url: "https://127.0.0.1:\(server.port)/v1/join")
                request.method = .POST
                request.headers.add(name: "Holdfast-Timeout", value: "60000")
                let (parts, part) = AsyncStream.makeStream(of: ByteBuffer.self)
                request.body = .stream(parts, length: .known(Int64(10)))
                part.yield(ByteBuffer(string: "x"))
                let answer = try await client.execute(request, timeout: .seconds(50))
                #expect(answer.status == .gatewayTimeout)
                part.finish()
            }
        }
    }

    @Test func allWhoAskForTheMetricsWithinASecondShareAPage() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.probeAge = .seconds(3_600)
        try await lab.serving(bounds: bounds) { server in
            for path in ["/metrics", "/readyz"] {
                let first = try await server.ask(.GET, path, as: nil)
                #expect(first.status == 200)
                lab.agent.set(.overloaded)
                let again = try await server.ask(.GET, path, as: nil)
                #expect(again.status == 200 && again.text == first.text, "the agent is not asked again")
                lab.agent.set(.serving)
            }
        }
    }

    @Test func thoseWhoAskWithoutACertificateAreFew() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.probesInWork = 0
        try await lab.serving(bounds: bounds) { server in
            for (path, status) in [("/metrics", 429), ("/readyz", 429), ("/healthz", 200)] {
                let answer = try await server.ask(.GET, path, as: nil)
                #expect(answer.status == status, "\(path)")
            }
        }
    }
}
