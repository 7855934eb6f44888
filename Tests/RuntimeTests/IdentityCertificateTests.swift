// Who a certificate speaks for, and which certificates are not believed.

import Consensus
import Crypto
import FoundationEssentials
import SwiftASN1
import Testing
import X509

@testable import Runtime

@Suite struct IdentityCertificateTests {
    let cluster: TestCluster
    let day: TimeInterval = 86_400

    init() throws { cluster = try TestCluster() }

    private func refusal(
        _ identity: MemberIdentity, by trust: ClusterTrust? = nil, now: Date = Date()
    ) throws -> CertificateRefusal? {
        let chain = [try identity.certificate.derBytes()]
        do throws(CertificateRefusal) {
            _ = try (trust ?? cluster.founder.trust).authenticate(chain: chain, as: .server, now: now)
            return nil
        } catch { return error }
    }

    @Test func aMemberIsTheHashOfItsKey() throws {
        let key = P256.Signing.PrivateKey()
        var information = DER.Serializer()
        try information.serialize(Certificate.PublicKey(key.publicKey))
        let digest = Array(SHA256.hash(data: information.serializedBytes))
        #expect(MemberID(publicKey: key.publicKey).description == hexadecimal(digest.prefix(8)))
    }

    @Test func aMembersCertificateIsBelievedOnBothSides() throws {
        let member = try cluster.member("pve2")
        let chain = [try member.certificate.derBytes()]
        #expect(try cluster.founder.trust.authenticate(chain: chain, as: .server) == .member(member.member))
        #expect(try cluster.founder.trust.authenticate(chain: chain, as: .client) == .member(member.member))
    }

    @Test func anOperatorIsAClientAndNeverAServer() throws {
        let key = P256.Signing.PrivateKey()
        let certificate = try cluster.authority.issue(operator: "anna", role: .viewer, key: key.publicKey)
        let chain = [try certificate.derBytes()]
        let subject = try cluster.founder.trust.authenticate(chain: chain, as: .client)
        #expect(subject == .operatorAccount(name: "anna", role: .viewer))
        #expect(throws: CertificateRefusal.self) {
            try cluster.founder.trust.authenticate(chain: chain, as: .server)
        }
    }

    @Test func aCertificateHoldsForNinetyDaysAndFromFiveMinutesAgo() throws {
        let member = try cluster.member("pve2", issued: Date())
        #expect(try refusal(member) == nil)
        #expect(try refusal(member, now: Date() - 4 * 60) == nil)
        #expect(try refusal(member, now: Date() + 89 * day) == nil)
        let early = try #require(try refusal(member, now: Date() - 6 * 60))
        #expect(early.description.contains("check both clocks"))
        guard case .expired = try refusal(member, now: Date() + 91 * day) else {
            Issue.record("an expired certificate was believed")
            return
        }
    }

    @Test func aCertificateIsRenewedWithAMonthLeft() throws {
        let member = try cluster.member("pve2")
        let renewal = member.renewal(jitterPermille: 0)
        #expect(renewal.step(now: (Date() + 59 * day).millisecondsSince1970) != .renew)
        #expect(renewal.step(now: (Date() + 61 * day).millisecondsSince1970) == .renew)
    }

    @Test func noCertificateOutlivesTheAuthority() throws {
        let late = cluster.founder.trust.certificate.notValidAfter - 10
        let member = try cluster.member("pve2", issued: late)
        #expect(member.expires == cluster.founder.trust.certificate.notValidAfter)
        guard case .expired(let whose, _, _) = try refusal(member, now: late + 20) else {
            Issue.record("a certificate of an expired authority was believed")
            return
        }
        #expect(whose.contains("authority"))
    }

    @Test func anotherAuthorityIsForeignEvenWithTheSameClusterId() throws {
        let other = try ClusterAuthority.create(cluster: cluster.founder.cluster)
        let member = try cluster.member("pve2")
        guard case .foreignAuthority = try refusal(member, by: other.trust) else {
            Issue.record("a foreign authority's certificate was believed")
            return
        }
    }

    @Test func theRightAuthorityWithAnotherClustersNameIsRefused() throws {
        let other = ClusterID(rawValue: cluster.founder.cluster.rawValue ^ 1)
        let trust = try ClusterTrust(cluster: other, certificate: cluster.founder.trust.certificate)
        #expect(try refusal(cluster.founder, by: trust) == .otherCluster(cluster.founder.cluster, ours: other))
    }

    @Test func aCertificateThatNamesAnotherKeysMemberIsRefused() throws {
        let key = P256.Signing.PrivateKey()
        let forged = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey), notValidBefore: Date() - 60,
            notValidAfter: Date() + 60, issuer: cluster.founder.trust.certificate.subject,
            subject: DistinguishedName { CommonName("x") }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                SubjectAlternativeNames([
                    .uniformResourceIdentifier(
                        CertificateSubject.member(cluster.founder.member).uri(in: cluster.founder.cluster))
                ])
            }, issuerPrivateKey: .init(cluster.authority.key))
        let error = #expect(throws: CertificateRefusal.self) {
            try cluster.founder.trust.authenticate(chain: [forged.derBytes()], as: .client)
        }
        #expect(error?.description.contains("its key belongs to") == true)
    }

    @Test func theAuthoritysOwnCertificateIsNoMember() throws {
        #expect(throws: CertificateRefusal.self) {
            try cluster.founder.trust.authenticate(
                chain: [cluster.founder.trust.certificate.derBytes()], as: .client)
        }
    }

    @Test func nothingAndNonsenseAreNoCertificate() {
        #expect(throws: CertificateRefusal.missing) { try cluster.founder.trust.authenticate(chain: [], as: .client) }
        #expect(throws: CertificateRefusal.self) {
            try cluster.founder.trust.authenticate(chain: [[1, 2, 3]], as: .client)
        }
    }

    @Test func aSubjectReadsBackFromItsURI() throws {
        let id = ClusterID(rawValue: 0xAB)
        for subject in [
            CertificateSubject.member(MemberID(rawValue: 7)), .operatorAccount(name: "anna-2", role: .admin),
        ] {
            let parsed = try #require(CertificateSubject.parse(uri: subject.uri(in: id)))
            #expect(parsed.cluster == id)
            #expect(parsed.subject == subject)
        }
    }

    @Test(arguments: [
        "", "holdfast://", "https://00000000000000ab/member/0000000000000007", "holdfast://ab/member/0000000000000007",
        "holdfast://00000000000000ab/member/7", "holdfast://00000000000000AB/member/0000000000000007",
        "holdfast://00000000000000ab/member/0000000000000007/", "holdfast://00000000000000ab/guest/0000000000000007",
        "holdfast://00000000000000ab/operator/anna", "holdfast://00000000000000ab/operator/anna?role=root",
        "holdfast://00000000000000ab/operator/Anna?role=admin",
        "holdfast://00000000000000ab/operator/a?role=admin?role=viewer",
    ])
    func otherURIsNameNobody(uri: String) {
        #expect(CertificateSubject.parse(uri: uri) == nil)
    }

    @Test(arguments: ["a", "pve1", "k8s-cp-1", String(repeating: "a", count: 63)])
    func namesAreDNSLabels(name: String) { #expect(isValidName(name)) }

    @Test(arguments: ["", "PVE1", "pve.1", "pve_1", "pve 1", "ä", String(repeating: "a", count: 64), "a\n"])
    func otherNamesAreRefused(name: String) { #expect(!isValidName(name)) }

    @Test func anIdentityIsNeverPrintedWithItsKeys() throws {
        var dumped = ""
        dump(cluster.founder, to: &dumped)
        let printed = dumped + "\(cluster.founder) \(cluster.authority)" + String(reflecting: cluster.founder)
        for key in [cluster.founder.key, cluster.authority.key] {
            #expect(!printed.contains(key.pemRepresentation))
            #expect(!printed.lowercased().contains(hexadecimal(key.rawRepresentation)))
        }
    }
}
