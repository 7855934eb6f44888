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

    /// Ten years: longer than the machines. `holdfast cluster rotate-authority` makes another one earlier.
    static let authorityLifetime: TimeInterval = 3653 * day
    /// Short, because a lost key of a removed member is good for nothing but this long. Renewed by itself at two thirds.
    static let memberLifetime: TimeInterval = 90 * day
    static let operatorLifetime: TimeInterval = 365 * day
    /// Certificates begin this much in the past, because the clock of the one who checks may be behind ours.
    static let backdating: TimeInterval = 5 * 60
    private static let day: TimeInterval = 86_400

    /// Makes the authority of a new cluster, or one that is to take another's place.
    public static func create(cluster: ClusterID, now: Date = Date()) throws -> ClusterAuthority {
        let key = P256.Signing.PrivateKey()
        let certificate = try certificate(
            for: key.publicKey, of: cluster, signedBy: key, from: now - backdating, until: now + authorityLifetime)
        return try ClusterAuthority(trust: ClusterTrust(cluster: cluster, certificate: certificate), key: key)
    }

    /// All authorities of a cluster have one name, and are told apart by their keys. So a link is issued to its own name,
    /// and does not count against the path length of the authority that signed it (RFC 5280 section 4.2.1.9).
    private static func certificate(
        for key: P256.Signing.PublicKey, of cluster: ClusterID, signedBy signer: P256.Signing.PrivateKey, from: Date,
        until: Date
    ) throws -> Certificate {
        let name = try DistinguishedName {
            OrganizationName("Holdfast")
            CommonName("cluster \(cluster)")
        }
        let signers = SubjectKeyIdentifier(hash: .init(signer.publicKey))
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key), notValidBefore: from,
            notValidAfter: until, issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: .init(key))
                AuthorityKeyIdentifier(keyIdentifier: signers.keyIdentifier)
            },
            issuerPrivateKey: .init(signer))
    }

    /// The certificate of `newer` signed with this authority's key: whoever trusts this one believes that one by it.
    func link(to newer: ClusterAuthority) throws -> Certificate {
        guard let key = P256.Signing.PublicKey(newer.trust.certificate.publicKey) else {
            throw CertificateRefusal.unusable("its key is not P-256")
        }
        let (own, other) = (trust.certificate, newer.trust.certificate)
        return try Self.certificate(
            for: key, of: trust.cluster, signedBy: self.key, from: max(own.notValidBefore, other.notValidBefore),
            until: min(own.notValidAfter, other.notValidAfter))
    }

    /// - Throws: `CertificateRefusal` when the key is not the one the certificate is for.
    public init(trust: ClusterTrust, key: P256.Signing.PrivateKey) throws(CertificateRefusal) {
        guard trust.pin == ClusterTrust.pin(of: key.publicKey) else {
            throw .unusable("the authority's key does not belong to the authority's certificate")
        }
        self.trust = trust
        self.key = key
    }

    /// The authority in `trust` that this is the key of; nil when there is none.
    init?(key: P256.Signing.PrivateKey, in trust: ClusterTrust) {
        let pin = ClusterTrust.pin(of: key.publicKey)
        guard let authority = trust.authorities.first(where: { $0.pin == pin }) else { return nil }
        self.trust = ClusterTrust(cluster: trust.cluster, authorities: [authority])
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
