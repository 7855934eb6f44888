// What a member believes of others: the authorities of its cluster, and the check of a certificate against them.
// There is one authority, and two while one takes the other's place (Cluster/Authorities.swift). The chain is authority and
// leaf, so the whole of path validation (RFC 5280 section 6) is the list of checks in `authenticate`. It is spelled out here
// instead of left to the TLS library because the library says only "verify failed", and a person at three in the morning
// needs to know that it is the clock.
//
// Between the two there may be one link: the newer authority's certificate, signed with the older one's key (RFC 4210
// section 4.4). Whoever knows only the older one believes by it what the newer one has signed.
//
// Whether a member still belongs to the cluster is not said by its certificate; callers ask the replicated state.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// The public half of an authority.
public struct TrustedAuthority: Sendable, Hashable {
    public let certificate: Certificate
    /// SHA-256 of its SubjectPublicKeyInfo in hexadecimal: what a join token pins.
    public let pin: String

    /// - Throws: `CertificateRefusal` when `certificate` is not one of an authority with a P-256 key, signed by itself.
    public init(_ certificate: Certificate) throws(CertificateRefusal) {
        pin = try Self.pin(of: certificate)
        guard certificate.publicKey.isValidSignature(certificate.signature, for: certificate) else {
            throw .unusable("it is not signed by its own key")
        }
        self.certificate = certificate
    }

    /// Reads one or more certificates, PEM.
    public static func all(pem: String) throws -> [TrustedAuthority] {
        try PEMDocument.parseMultiple(pemString: pem).map { try TrustedAuthority(Certificate(pemDocument: $0)) }
    }

    static func pin(of certificate: Certificate) throws(CertificateRefusal) -> String {
        guard let key = P256.Signing.PublicKey(certificate.publicKey) else { throw .unusable("its key is not P-256") }
        guard case .isCertificateAuthority? = try? certificate.extensions.basicConstraints else {
            throw .unusable("it is not a certificate authority")
        }
        return ClusterTrust.pin(of: key)
    }

    func hasSigned(_ other: Certificate) -> Bool {
        other.issuer == certificate.subject && certificate.publicKey.isValidSignature(other.signature, for: other)
    }

    public var record: AuthorityRecord {
        get throws { AuthorityRecord(pin: pin, certificate: try certificate.serializeAsPEM().pemString) }
    }
}

/// The authorities of a cluster, by their public halves.
public struct ClusterTrust: Sendable {
    /// Certificates of a chain that are looked at.
    static let mostCertificates = 8

    public let cluster: ClusterID
    /// Never empty; the first one signs.
    public let authorities: [TrustedAuthority]
    /// Shown beside a certificate of the newer authority.
    public let links: [Certificate]

    /// The authority that signs.
    public var certificate: Certificate { authorities[0].certificate }
    /// Its name.
    public var pin: String { authorities[0].pin }
    public var pins: [String] { authorities.map(\.pin) }

    public init(cluster: ClusterID, authorities: [TrustedAuthority], links: [Certificate] = []) {
        precondition(!authorities.isEmpty, "a cluster has an authority")
        self.cluster = cluster
        self.authorities = authorities
        self.links = links
    }

    /// - Throws: `CertificateRefusal` when `certificate` is not a certificate authority with a P-256 key.
    public init(cluster: ClusterID, certificate: Certificate) throws(CertificateRefusal) {
        self.init(cluster: cluster, authorities: [try TrustedAuthority(certificate)])
    }

    /// SHA-256 of a key's SubjectPublicKeyInfo in hexadecimal: its name.
    public static func pin(of key: P256.Signing.PublicKey) -> String {
        hexadecimal(SHA256.hash(data: key.derRepresentation))
    }

    /// Finds the authority that `pin` names among the certificates a server sent.
    public init(cluster: ClusterID, pin: String, among chain: [[UInt8]]) throws(CertificateRefusal) {
        guard !chain.isEmpty else { throw .missing }
        for encoded in chain.prefix(Self.mostCertificates) {
            guard let certificate = try? Certificate(derEncoded: encoded),
                let key = P256.Signing.PublicKey(certificate.publicKey), Self.pin(of: key) == pin,
                // A link has the same key and is not signed by it.
                let authority = try? TrustedAuthority(certificate)
            else { continue }
            self.init(cluster: cluster, authorities: [authority])
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

    /// Who it is, with what key, and when the certificate and whoever vouches for it are valid.
    public struct Identified: Sendable {
        public let subject: CertificateSubject
        /// SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal.
        public let key: String
        public let valid: ClosedRange<Date>
    }

    /// The same, with more of what was found.
    public func identify(
        chain: [[UInt8]], as purpose: Purpose, now: Date = Date()
    ) throws(CertificateRefusal) -> Identified {
        guard let first = chain.first else { throw .missing }
        guard let leaf = try? Certificate(derEncoded: first) else { throw .unusable("it cannot be parsed") }
        let others = chain.dropFirst().prefix(Self.mostCertificates - 1).compactMap { try? Certificate(derEncoded: $0) }
        return try identify(leaf, among: others, as: purpose, now: now)
    }

    func authenticate(
        _ leaf: Certificate, as purpose: Purpose, now: Date
    ) throws(CertificateRefusal) -> CertificateSubject {
        try identify(leaf, among: [], as: purpose, now: now).subject
    }

    private func identify(
        _ leaf: Certificate, among others: [Certificate], as purpose: Purpose, now: Date
    ) throws(CertificateRefusal) -> Identified {
        var path = [leaf]
        if let authority = issuer(of: leaf) {
            path.append(authority.certificate)
        } else if let (link, authority) = link(to: leaf, among: others) {
            path += [link, authority.certificate]
        } else {
            throw .foreignAuthority(issuer: leaf.issuer.description)
        }
        for authority in path.dropFirst().reversed() {
            try Self.requireTime(of: authority, now: now, whose: "the authority's certificate")
        }
        try Self.requireTime(of: leaf, now: now, whose: "the certificate")
        try Self.requireUse(of: leaf, as: purpose)
        let subject = try subject(of: leaf)
        guard let key = P256.Signing.PublicKey(leaf.publicKey) else { throw .unusable("its key is not P-256") }
        // Every one of them is valid now, so neither is empty.
        let from = path.map(\.notValidBefore).max() ?? leaf.notValidBefore
        let end = path.map(\.notValidAfter).min() ?? leaf.notValidAfter
        return Identified(subject: subject, key: Self.pin(of: key), valid: from...max(from, end))
    }

    /// The authority here that has signed this certificate, if one has.
    public func issuer(of leaf: Certificate) -> TrustedAuthority? { authorities.first { $0.hasSigned(leaf) } }

    /// The certificate among `others` by which an authority here vouches for the one that has signed `leaf`.
    private func link(to leaf: Certificate, among others: [Certificate]) -> (Certificate, TrustedAuthority)? {
        for link in others {
            guard (try? TrustedAuthority.pin(of: link)) != nil, link.subject == leaf.issuer,
                link.publicKey.isValidSignature(leaf.signature, for: leaf),
                let authority = authorities.first(where: { $0.hasSigned(link) })
            else { continue }
            return (link, authority)
        }
        return nil
    }

    /// Whether the authority of this name is one that is trusted, or one that a trusted one vouches for in `links`.
    func vouches(for pin: String, by links: [Certificate]) -> Bool {
        authorities.contains { $0.pin == pin }
            || links.contains { link in
                (try? TrustedAuthority.pin(of: link)) == pin && authorities.contains { $0.hasSigned(link) }
            }
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
        case .foreignAuthority(let issuer):
            "its certificate is not signed by this cluster's authority but by \(issuer), or by one that is not trusted here "
                + "(any more)"
        case .wrongPin(let expected):
            "it does not show the authority that the token pins (\(expected.prefix(16))…): the token is another cluster's, or "
                + "from before the authority was rotated; create a new one: holdfast cluster token create"
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
