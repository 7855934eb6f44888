// Admitting a machine: what is asked, what is refused, and who gets the authority's key.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import Testing
import X509

@testable import Runtime

@Suite struct IdentityEnrollmentTests {
    let cluster: TestCluster
    let token: JoinTokenText
    let key = P256.Signing.PrivateKey()
    let applicant = JoinApplicant(
        name: "pve2", address: "10.0.0.2", peerPort: 7000, apiPort: 7443, version: "0.1.0")
    var enrollment: Enrollment { Enrollment(identity: cluster.founder) }
    var members: [MemberRecord] { [cluster.founder.settings.record(version: "0.1.0")] }

    init() throws {
        cluster = try TestCluster()
        token = JoinTokenText(
            trust: cluster.founder.trust, endpoints: [Endpoint(host: "10.0.0.1", port: 7443)], kind: .host)
    }

    private func request() throws -> JoinRequest { try JoinRequest(token: token, applicant: applicant, key: key) }

    private func refusal(_ change: (inout JoinRequest) -> Void) throws -> EnrollmentRefusal? {
        var changed = try request()
        change(&changed)
        do throws(EnrollmentRefusal) {
            _ = try enrollment.prepare(changed, members: members)
            return nil
        } catch { return error }
    }

    @Test func aRequestBecomesTheCommandThatUsesUpTheToken() throws {
        let prepared = try enrollment.prepare(request(), members: members)
        let hash = token.replicated(expiresMilliseconds: 0).secretHash
        #expect(prepared.command == .join(tokenID: token.id, secretHash: hash, member: prepared.record))
        #expect(prepared.record.id == MemberID(publicKey: key.publicKey))
        #expect(prepared.record.peerEndpoint == "10.0.0.2:7000")
    }

    @Test func aHostIsAdmittedAndCanAdmitOthers() throws {
        let prepared = try enrollment.prepare(request(), members: members)
        let response = try enrollment.complete(prepared, members: members + [prepared.record])
        let joined = try JoinClient.accept(
            response, from: token.endpoints[0], token: token, applicant: applicant, key: key)
        #expect(joined.member == prepared.record.id)
        #expect(joined.settings.knownMembers.count == 2)
        let third = try joined.authority?.issue(member: "pve3", key: P256.Signing.PrivateKey().publicKey)
        let chain = [try #require(third).derBytes()]
        #expect(throws: Never.self) { try cluster.founder.trust.authenticate(chain: chain, as: .client) }
    }

    @Test func onlyItsOwnKeyOpensTheAuthoritysKey() throws {
        let prepared = try enrollment.prepare(request(), members: members)
        let response = try enrollment.complete(prepared, members: members + [prepared.record])
        let sealed = try #require(response.authorityKey)
        #expect(throws: (any Error).self) {
            try sealed.open(with: P256.Signing.PrivateKey(), trust: cluster.founder.trust)
        }
        let sent = String(decoding: try JSONEncoder().encode(response), as: UTF8.self)
        #expect(!sent.contains(cluster.authority.key.rawRepresentation.base64EncodedString()))
    }

    @Test func aGuestThatRepeatsItsRequestAsAHostGetsNoAuthorityKey() throws {
        let prepared = try enrollment.prepare(request(), members: members)
        var asAdmitted = prepared.record
        asAdmitted.kind = .guest
        let response = try enrollment.complete(prepared, members: members + [asAdmitted])
        #expect(response.authorityKey == nil)
        #expect(throws: JoinError.self) {
            try JoinClient.accept(response, from: token.endpoints[0], token: token, applicant: applicant, key: key)
        }
    }

    @Test func whoIsNotAmongTheMembersGetsNothing() throws {
        let prepared = try enrollment.prepare(request(), members: members)
        #expect(throws: EnrollmentRefusal.self) { try enrollment.complete(prepared, members: members) }
    }

    @Test func aMemberWithoutTheAuthorityNamesThoseWhoHaveIt() throws {
        let witness = Enrollment(identity: try cluster.member("witness", kind: .witness))
        #expect(throws: EnrollmentRefusal.authorityElsewhere(endpoints: [members[0].apiEndpoint])) {
            try witness.prepare(try request(), members: members)
        }
    }

    @Test func everyPartOfARequestIsChecked() throws {
        #expect(try refusal { _ in } == nil)
        #expect(try refusal { $0.name = "PVE2" } != nil)
        #expect(try refusal { $0.host = "pve1" } != nil)
        #expect(try refusal { $0.kind = .guest } != nil)
        #expect(try refusal { $0.peerEndpoint = "10.0.0.2" } != nil)
        #expect(try refusal { $0.peerEndpoint = "0.0.0.0:7000" } != nil)
        #expect(try refusal { $0.apiEndpoint = "[::]:7443" } != nil)
        #expect(try refusal { $0.apiEndpoint = $0.peerEndpoint } != nil)
        #expect(try refusal { $0.version = "" } != nil)
        #expect(try refusal { $0.version = "1\n2" } != nil)
        #expect(try refusal { $0.secret = "AAAA" } != nil)
        #expect(try refusal { $0.tokenID = "" } != nil)
    }

    @Test func aSigningRequestMustBeSignedByItsOwnKey() throws {
        let other = try SigningRequest.make(name: "pve2", key: P256.Signing.PrivateKey())
        let honest = try CertificateSigningRequest(pemEncoded: try request().csr)
        let forged = try CertificateSigningRequest(
            version: .v1, subject: honest.subject, publicKey: honest.publicKey, attributes: .init(),
            signatureAlgorithm: .ecdsaWithSHA256, signature: CertificateSigningRequest(pemEncoded: other).signature
        ).serializeAsPEM().pemString
        #expect(
            try refusal { $0.csr = forged } == .invalid("the certificate signing request is not signed by its own key"))
        #expect(try refusal { $0.csr = "nonsense" } != nil)
    }

    @Test func aSigningRequestMustBeForAP256Key() throws {
        let key = Certificate.PrivateKey(P384.Signing.PrivateKey())
        let large = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName("pve2") }, privateKey: key, attributes: .init()
        ).serializeAsPEM().pemString
        let error = try #require(try refusal { $0.csr = large })
        #expect(error.description.contains("P-256"))
    }

    @Test func aMemberRenewsForItsOwnKeyOnly() throws {
        let member = try cluster.member("pve2")
        let record = member.settings.record(version: "0.1.0")
        let own = try SigningRequest.make(name: "pve2", key: member.key)
        let renewed = try enrollment.renew(csr: own, members: members + [record])
        #expect(throws: Never.self) { try member.renewed(with: Certificate(pemEncoded: renewed)) }
        let foreign = try SigningRequest.make(name: "pve2", key: P256.Signing.PrivateKey())
        #expect(throws: EnrollmentRefusal.self) {
            try enrollment.renew(csr: foreign, members: members + [record])
        }
        #expect(throws: EnrollmentRefusal.self) { try enrollment.renew(csr: own, members: members) }
    }

    /// An id is the beginning of a key's hash, and another key may begin alike. Whoever has one gets neither a certificate
    /// nor the authority's key.
    @Test func whoHasAnotherKeyThanTheOneThatJoinedGetsNothing() throws {
        let prepared = try enrollment.prepare(request(), members: members)
        #expect(prepared.record.key == ClusterTrust.pin(of: key.publicKey))
        var present = prepared.record
        present.key = "another"
        let csr = try SigningRequest.make(name: "pve2", key: key)
        let others = members + [present]
        #expect(throws: EnrollmentRefusal.self) { try enrollment.renew(csr: csr, members: others) }
        #expect(throws: EnrollmentRefusal.self) { try enrollment.complete(prepared, members: others) }
        present.key = nil
        #expect(throws: Never.self) { try enrollment.renew(csr: csr, members: members + [present]) }
    }

    @Test func aRequestIsNotPrintedWithItsSecret() throws {
        let request = try request()
        var dumped = ""
        dump(request, to: &dumped)
        #expect(!("\(request)" + dumped).contains(request.secret))
    }
}
