// A certificate that was checked once is believed as long as it lasts, and no longer.

import Cluster
import FoundationEssentials
import NIOSSL
import Runtime
import Testing
import X509

@testable import API

@Suite struct BelievedCertificateTests {
    let lab: Lab
    let certificate: [UInt8]
    let leaf: Certificate

    init() throws {
        lab = try Lab.make()
        let text = try lab.credential(role: .operator).certificate
        certificate = try NIOSSLCertificate(bytes: Array(text.utf8), format: .pem).toDERBytes()
        leaf = try Certificate(pemEncoded: text)
    }

    @Test func itsOwnerIsTheSameEachTime() throws {
        let believed = BelievedCertificates { [trust = lab.authority.trust] in trust }
        let first = try believed.principal(showing: certificate)
        #expect(first.name == "alice" && first.role == .operator)
        #expect(try believed.principal(showing: certificate) == first)
    }

    @Test func itIsRefusedWhenItHasEndedMeanwhile() throws {
        let believed = BelievedCertificates { [trust = lab.authority.trust] in trust }
        _ = try believed.principal(showing: certificate, now: leaf.notValidAfter)
        #expect(throws: CertificateRefusal.self) {
            try believed.principal(showing: certificate, now: leaf.notValidAfter + 1)
        }
    }

    @Test func itIsRefusedByAClockThatWasSetBack() throws {
        let believed = BelievedCertificates { [trust = lab.authority.trust] in trust }
        _ = try believed.principal(showing: certificate)
        #expect(throws: CertificateRefusal.self) {
            try believed.principal(showing: certificate, now: leaf.notValidBefore - 1)
        }
    }

    @Test func anotherClustersIsNeverBelieved() throws {
        let trust = try Lab.make().authority.trust
        let believed = BelievedCertificates { trust }
        for _ in 0..<2 {
            #expect(throws: CertificateRefusal.self) { try believed.principal(showing: certificate) }
        }
    }
}
