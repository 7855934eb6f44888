// Certificates: signed anew by a host, and warned of in time.

@testable import API
import Cluster
import Crypto
import Foundation
import NIOPosix
import Testing
import X509

@testable import Runtime
@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(1))) struct RenewalTests {
    private func renew(_ key: P256.Signing.PrivateKey, _ lab: Lab, at server: TestServer) async throws -> Certificate {
        let answer = try await RenewClient.renew(
            RenewRequest(csr: SigningRequest.make(name: "any", key: key)), trust: lab.authority.trust,
            hosts: [Endpoint(host: "127.0.0.1", port: server.port)], group: MultiThreadedEventLoopGroup.singleton)
        return try Certificate(pemEncoded: answer.certificate)
    }

    @Test func aMemberIsSignedForAnewWithoutShowingACertificate() async throws {
        let lab = try Lab.make()
        let desk = try lab.desk()
        try await lab.serving(renew: desk.renew) { server in
            let certificate = try await renew(lab.memberKeys[3], lab, at: server)
            let chain = [Array(try certificate.serializeAsPEM().derBytes)]
            #expect(try lab.authority.trust.authenticate(chain: chain, as: .client) == .member(lab.members[3]))
        }
    }

    @Test func aRemovedMemberIsNotSignedFor() async throws {
        let lab = try Lab.make()
        let desk = try lab.desk()
        lab.agent.apply(.removeMember(lab.members[3]))
        try await lab.serving(renew: desk.renew) { server in
            let error = await #expect(throws: RenewError.self) {
                _ = try await renew(lab.memberKeys[3], lab, at: server)
            }
            #expect(error?.description.contains("does not belong to the cluster") == true)
        }
    }

    @Test func aHostSignsAlsoWithoutAQuorum() async throws {
        let lab = try Lab.make()
        let desk = try lab.desk()
        lab.agent.set(.noQuorum)
        try await lab.serving(renew: desk.renew) { server in _ = try await renew(lab.memberKeys[2], lab, at: server) }
    }

    @Test func aCertificateThatEndsSoonOrHasEndedStandsInTheStatusWithTheRemedy() async throws {
        let lab = try Lab.make()
        let day: Int64 = 86_400_000
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        for (position, ends) in [(1, now + 10 * day), (2, now - day), (3, now + 80 * day)] {
            var record = try #require(lab.agent.state.members[lab.members[position]])
            record.certificateExpires = ends
            lab.agent.apply(.announce(member: record))
        }
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            let status = try await server.ask(.GET, "/v1/status", as: viewer).decoded(StatusDocument.self)
            let words = status.degraded.filter { $0.contains("certificate") }
            #expect(words.count == 2, "\(words)")
            #expect(words.contains { $0.contains("pve2 ends in 9 days") || $0.contains("pve2 ends in 10 days") })
            #expect(words.contains { $0.contains("witness ended at") })
            #expect(words.allSatisfy { $0.contains("systemctl restart holdfast") })
        }
    }
}
