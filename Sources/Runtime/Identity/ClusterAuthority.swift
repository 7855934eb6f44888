// The cluster's own certificate authority. `cluster init` creates it; every host holds it, so that any of them can admit
// and renew while the others are away. It signs for members and operators only: what browsers see is signed publicly.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// The cluster's authority with its private key. Never printed.
public struct ClusterAuthority: Sendable, CustomStringConvertible, CustomReflectable {
    public let trust: ClusterTrust
    let key: P256.Signing.PrivateKey

    /// Ten years: longer than the machines, and replacing an authority means re-admitting every member.
    static let authorityLifetime: TimeInterval = 3653 * day
    /// Short, because a lost key of a removed member is good for nothing but this long. Renewed by itself at two thirds.
    static let memberLifetime: TimeInterval = 90 * day
    static let operatorLifetime: TimeInterval = 365 * day
    /// Certificates begin this much in the past, because the clock of the one who checks may be behind ours.
    static let backdating: TimeInterval = 5 * 60
    private static let day: TimeInterval = 86_400

    /// Makes the authority of a new cluster.
    public static func create(cluster: ClusterID, now: Date = Date()) throws -> ClusterAuthority {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName {
            OrganizationName("Holdfast")
            CommonName("cluster \(cluster)")
        }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: now - backdating, notValidAfter: now + authorityLifetime, issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: .init(key.publicKey))
            },
            issuerPrivateKey: .init(key))
        return try ClusterAuthority(trust: ClusterTrust(cluster: cluster, certificate: certificate), key: key)
    }

    /// - Throws: `CertificateRefusal` when the key is not the one the certificate is for.
    public init(trust: ClusterTrust, key: P256.Signing.PrivateKey) throws(CertificateRefusal) {
        guard trust.pin == ClusterTrust.pin(of: key.publicKey) else {
            throw .unusable("the authority's key does not belong to the authority's certificate")
        }
        self.trust = trust
        self.key = key
    }

    /// A member's certificate, valid for 90 days, for both ends of a connection.
    public func issue(member name: String, key: P256.Signing.PublicKey, now: Date = Date()) throws -> Certificate {
        try issue(
            .member(MemberID(publicKey: key)), name: name, key: key, lifetime: Self.memberLifetime,
            alternativeNames: [.dnsName(name)], usage: [.serverAuth, .clientAuth], now: now)
    }

    /// An operator's certificate, valid for a year, for clients.
    public func issue(
        operator name: String, role: OperatorRole, key: P256.Signing.PublicKey, now: Date = Date()
    ) throws -> Certificate {
        guard isValidName(name) else { throw EnrollmentRefusal.invalid(EnrollmentRefusal.badName("operator", name)) }
        return try issue(
            .operatorAccount(name: name, role: role), name: name, key: key, lifetime: Self.operatorLifetime,
            alternativeNames: [], usage: [.clientAuth], now: now)
    }

    private func issue(
        _ subject: CertificateSubject, name: String, key subjectKey: P256.Signing.PublicKey, lifetime: TimeInterval,
        alternativeNames: [GeneralName], usage: [ExtendedKeyUsage.Usage], now: Date
    ) throws -> Certificate {
        let names = [.uniformResourceIdentifier(subject.uri(in: trust.cluster))] + alternativeNames
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(subjectKey),
            notValidBefore: now - Self.backdating, notValidAfter: min(now + lifetime, trust.certificate.notValidAfter),
            issuer: trust.certificate.subject, subject: try DistinguishedName { CommonName(name) },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage(usage)
                SubjectAlternativeNames(names)
                SubjectKeyIdentifier(hash: .init(subjectKey))
                AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: .init(key.publicKey)).keyIdentifier)
            },
            issuerPrivateKey: .init(key))
    }

    public var description: String { "authority of cluster \(trust.cluster)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A certificate signing request whose signature has been checked: whoever made it holds the key.
public struct SigningRequest: Sendable {
    public let publicKey: P256.Signing.PublicKey
    public var memberID: MemberID { MemberID(publicKey: publicKey) }

    /// Reads a PKCS #10 request.
    /// - Throws: `EnrollmentRefusal` for anything but a correctly signed request for a P-256 key of at most 8 KiB.
    public init(pem: String) throws(EnrollmentRefusal) {
        guard pem.utf8.count <= 8_192, let request = try? CertificateSigningRequest(pemEncoded: pem) else {
            throw .invalid("the certificate signing request cannot be read")
        }
        guard let key = P256.Signing.PublicKey(request.publicKey) else {
            throw .invalid("the certificate signing request is for a \(request.publicKey); a P-256 key is needed")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw .invalid("the certificate signing request is not signed by its own key")
        }
        publicKey = key
    }

    /// Asks for a certificate for `key`. Names in it are for people only; the authority decides what it signs.
    public static func make(name: String, key: P256.Signing.PrivateKey) throws -> String {
        try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName(name) }, privateKey: .init(key), attributes: .init(),
            signatureAlgorithm: .ecdsaWithSHA256
        ).serializeAsPEM().pemString
    }
}
