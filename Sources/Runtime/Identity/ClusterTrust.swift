// What a member believes of others: the one authority of its cluster, and the check of a certificate against it.
// The chain is always authority and leaf, so the whole of path validation (RFC 5280 section 6) is the list of checks in
// `authenticate`. It is spelled out here instead of left to the TLS library because the library says only "verify
// failed", and a person at three in the morning needs to know that it is the clock.
// Whether a member still belongs to the cluster is not said by its certificate; callers ask the replicated state.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// The public half of a cluster's authority.
public struct ClusterTrust: Sendable {
    public let cluster: ClusterID
    public let certificate: Certificate
    /// SHA-256 of the authority's SubjectPublicKeyInfo in hexadecimal: what a join token pins.
    public let pin: String

    /// - Throws: `CertificateRefusal` when `certificate` is not a certificate authority with a P-256 key.
    public init(cluster: ClusterID, certificate: Certificate) throws(CertificateRefusal) {
        guard let key = P256.Signing.PublicKey(certificate.publicKey) else { throw .unusable("its key is not P-256") }
        guard case .isCertificateAuthority? = try? certificate.extensions.basicConstraints else {
            throw .unusable("it is not a certificate authority")
        }
        guard certificate.publicKey.isValidSignature(certificate.signature, for: certificate) else {
            throw .unusable("it is not signed by its own key")
        }
        self.cluster = cluster
        self.certificate = certificate
        pin = Self.pin(of: key)
    }

    /// SHA-256 of a key's SubjectPublicKeyInfo in hexadecimal: its name.
    public static func pin(of key: P256.Signing.PublicKey) -> String {
        hexadecimal(SHA256.hash(data: key.derRepresentation))
    }

    /// Finds the authority that `pin` names among the certificates a server sent.
    public init(cluster: ClusterID, pin: String, among chain: [[UInt8]]) throws(CertificateRefusal) {
        guard !chain.isEmpty else { throw .missing }
        for encoded in chain {
            guard let certificate = try? Certificate(derEncoded: encoded),
                let key = P256.Signing.PublicKey(certificate.publicKey), Self.pin(of: key) == pin
            else { continue }
            try self.init(cluster: cluster, certificate: certificate)
            return
        }
        throw .wrongPin(expected: pin)
    }

    /// What the holder of a certificate is about to be, which the certificate must allow.
    public enum Purpose: Sendable {
        case server
        case client
    }

    /// Who presented this chain.
    /// - Parameter chain: the certificates as the other side sent them, DER, its own first. Only that one counts.
    /// - Throws: why the other side is not believed.
    public func authenticate(
        chain: [[UInt8]], as purpose: Purpose, now: Date = Date()
    ) throws(CertificateRefusal) -> CertificateSubject {
        try identify(chain: chain, as: purpose, now: now).subject
    }

    /// The same, with the name of the key: SHA-256 of its SubjectPublicKeyInfo in hexadecimal.
    public func identify(
        chain: [[UInt8]], as purpose: Purpose, now: Date = Date()
    ) throws(CertificateRefusal) -> (subject: CertificateSubject, key: String) {
        guard let first = chain.first else { throw .missing }
        guard let leaf = try? Certificate(derEncoded: first) else { throw .unusable("it cannot be parsed") }
        let subject = try authenticate(leaf, as: purpose, now: now)
        guard let key = P256.Signing.PublicKey(leaf.publicKey) else { throw .unusable("its key is not P-256") }
        return (subject, Self.pin(of: key))
    }

    func authenticate(
        _ leaf: Certificate, as purpose: Purpose, now: Date
    ) throws(CertificateRefusal) -> CertificateSubject {
        guard leaf.issuer == certificate.subject,
            certificate.publicKey.isValidSignature(leaf.signature, for: leaf)
        else { throw .foreignAuthority(issuer: leaf.issuer.description) }
        try Self.requireTime(of: certificate, now: now, whose: "the authority's certificate")
        try Self.requireTime(of: leaf, now: now, whose: "the certificate")
        try Self.requireUse(of: leaf, as: purpose)
        return try subject(of: leaf)
    }

    private static func requireTime(of certificate: Certificate, now: Date, whose: String) throws(CertificateRefusal) {
        if now < certificate.notValidBefore {
            throw .notYetValid(whose: whose, from: certificate.notValidBefore, now: now)
        }
        if now > certificate.notValidAfter { throw .expired(whose: whose, at: certificate.notValidAfter, now: now) }
    }

    private static let understood: Set<ASN1ObjectIdentifier> = [
        .X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage, .X509ExtensionID.extendedKeyUsage,
        .X509ExtensionID.subjectAlternativeName,
    ]

    private static func requireUse(of leaf: Certificate, as purpose: Purpose) throws(CertificateRefusal) {
        for item in leaf.extensions where item.critical && !understood.contains(item.oid) {
            throw .unusable("it has the unknown critical extension \(item.oid)")
        }
        if case .isCertificateAuthority? = try? leaf.extensions.basicConstraints {
            throw .unusable("it is an authority's, not a member's or operator's")
        }
        let usage: ExtendedKeyUsage.Usage = purpose == .server ? .serverAuth : .clientAuth
        guard let allowed = try? leaf.extensions.extendedKeyUsage, allowed.contains(usage) else {
            throw .unusable("it may not be used by a \(purpose == .server ? "server" : "client")")
        }
    }

    private func subject(of leaf: Certificate) throws(CertificateRefusal) -> CertificateSubject {
        guard let key = P256.Signing.PublicKey(leaf.publicKey) else { throw .unusable("its key is not P-256") }
        let names = (try? leaf.extensions.subjectAlternativeNames).flatMap { $0 }.map(Array.init) ?? []
        let uris = names.compactMap { name in
            if case .uniformResourceIdentifier(let uri) = name { uri } else { nil }
        }
        guard uris.count == 1, let parsed = CertificateSubject.parse(uri: uris[0]) else {
            throw .unusable("it names neither a member nor an operator")
        }
        guard parsed.cluster == cluster else { throw .otherCluster(parsed.cluster, ours: cluster) }
        if case .member(let id) = parsed.subject, id != MemberID(publicKey: key) {
            throw .unusable("it names member \(id), but its key belongs to \(MemberID(publicKey: key))")
        }
        return parsed.subject
    }
}

/// Why a certificate is not believed.
public enum CertificateRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case missing
    case foreignAuthority(issuer: String)
    case wrongPin(expected: String)
    case expired(whose: String, at: Date, now: Date)
    case notYetValid(whose: String, from: Date, now: Date)
    case otherCluster(ClusterID, ours: ClusterID)
    case unusable(String)

    public var description: String {
        switch self {
        case .missing: "it presented no certificate"
        case .foreignAuthority(let issuer): "its certificate is not signed by this cluster's authority but by \(issuer)"
        case .wrongPin(let expected): "it does not show the authority that the token pins (\(expected.prefix(16))…)"
        case .expired(let whose, let at, let now):
            "\(whose) expired at \(at.formatted(.iso8601)); it is \(now.formatted(.iso8601)) here: check both clocks"
        case .notYetValid(let whose, let from, let now):
            "\(whose) is valid only from \(from.formatted(.iso8601)); it is \(now.formatted(.iso8601)) here: "
                + "check both clocks"
        case .otherCluster(let other, let ours): "its certificate is for cluster \(other), this is cluster \(ours)"
        case .unusable(let why): "its certificate is not usable: \(why)"
        }
    }
}
