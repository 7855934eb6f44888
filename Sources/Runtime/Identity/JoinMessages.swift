// What a new machine and a member say to each other when it joins: the JSON of `POST /v1/join`.

import Cluster
import Consensus
import Crypto
import FoundationEssentials

/// What a machine says about itself when it wants to become a member.
public struct JoinApplicant: Hashable, Sendable {
    public var name: String
    /// For a guest: the name of the host it runs on. Empty for hosts and witnesses.
    public var host: String
    public var address: String
    public var peerPort: Int
    public var apiPort: Int
    public var version: String
    /// What tells this machine from others, for a witness, which must be no guest of a host.
    public var place = MachinePlace()

    public init(name: String, host: String = "", address: String, peerPort: Int, apiPort: Int, version: String) {
        self.name = name
        self.host = host
        self.address = address
        self.peerPort = peerPort
        self.apiPort = apiPort
        self.version = version
    }
}

/// The body of `POST /v1/join`.
public struct JoinRequest: Hashable, Sendable, Codable, CustomStringConvertible, CustomReflectable {
    public var tokenID: String
    /// Base64url. A secret.
    public var secret: String
    /// PKCS #10 in PEM.
    public var csr: String
    public var name: String
    public var kind: MemberKind
    public var host: String
    public var peerEndpoint: String
    public var apiEndpoint: String
    public var version: String
    /// The newest feature level it understands; nil from a version that does not say.
    public var level: UInt64?
    /// What a witness says of its machine; see `MachinePlace`. Nil from the others, and from a version that does not say.
    public var machine: String?
    public var boot: String?

    /// The request of a machine that holds `token` and `key`.
    public init(token: JoinTokenText, applicant: JoinApplicant, key: P256.Signing.PrivateKey) throws {
        tokenID = token.id
        secret = base64URL(token.secret)
        csr = try SigningRequest.make(name: applicant.name, key: key)
        name = applicant.name
        kind = token.kind
        host = applicant.host
        peerEndpoint = Endpoint(host: applicant.address, port: applicant.peerPort).description
        apiEndpoint = Endpoint(host: applicant.address, port: applicant.apiPort).description
        version = applicant.version
        level = FeatureLevel.newest
        if token.kind == .witness { (machine, boot) = (applicant.place.machine, applicant.place.boot) }
    }

    /// Without the secret.
    public var description: String { "request of \(kind.rawValue) \(name) to join with token \(tokenID)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The answer to a machine that has become a member.
public struct JoinResponse: Hashable, Sendable, Codable {
    public var cluster: ClusterID
    public var memberID: MemberID
    /// PEM.
    public var certificate: String
    /// The authority's certificate, PEM.
    public var authority: String
    /// For hosts: the authority's private key, which only the new member's own key opens.
    public var authorityKey: SealedAuthorityKey?
    /// While one authority takes another's place: the one that does not sign, its key, and what links the two. PEM.
    public var otherAuthorities: [String]?
    public var otherAuthorityKeys: [SealedAuthorityKey]?
    public var links: [String]?
    /// The key of the cluster's secrets, likewise; nil from a member that has none.
    public var secretsKey: SealedSecretsKey?
    /// Every member, the new one included.
    public var members: [MemberRecord]

    public init(
        cluster: ClusterID, memberID: MemberID, certificate: String, authority: String,
        authorityKey: SealedAuthorityKey?, secretsKey: SealedSecretsKey? = nil, members: [MemberRecord]
    ) {
        self.cluster = cluster
        self.memberID = memberID
        self.certificate = certificate
        self.authority = authority
        self.authorityKey = authorityKey
        self.secretsKey = secretsKey
        self.members = members
    }
}

/// The authority's private key, encrypted to the key of the member that is to have it (HPKE, RFC 9180).
///
/// A join may be repeated, because its first answer may be lost. Whoever got hold of somebody else's signing request
/// could repeat it too; a certificate for a key that he does not have is of no use to him, and neither is this.
public struct SealedAuthorityKey: Hashable, Sendable, Codable {
    var encapsulatedKey: Data
    var ciphertext: Data

    private static let suite = HPKE.Ciphersuite.P256_SHA256_AES_GCM_256
    private static func information(_ trust: ClusterTrust) -> Data {
        Data("holdfast authority key of cluster \(trust.cluster)".utf8)
    }

    static func seal(_ authority: ClusterAuthority, for member: P256.Signing.PublicKey) throws -> SealedAuthorityKey {
        let recipient = try P256.KeyAgreement.PublicKey(rawRepresentation: member.rawRepresentation)
        var sender = try HPKE.Sender(
            recipientKey: recipient, ciphersuite: suite, info: information(authority.trust))
        let ciphertext = try sender.seal(authority.key.rawRepresentation)
        return SealedAuthorityKey(encapsulatedKey: sender.encapsulatedKey, ciphertext: ciphertext)
    }

    /// - Throws: also when the key is of no authority in `trust`.
    func open(with key: P256.Signing.PrivateKey, trust: ClusterTrust) throws -> ClusterAuthority {
        let own = try P256.KeyAgreement.PrivateKey(rawRepresentation: key.rawRepresentation)
        var recipient = try HPKE.Recipient(
            privateKey: own, ciphersuite: Self.suite, info: Self.information(trust), encapsulatedKey: encapsulatedKey)
        let opened = try P256.Signing.PrivateKey(rawRepresentation: recipient.open(ciphertext))
        guard let authority = ClusterAuthority(key: opened, in: trust) else {
            throw CertificateRefusal.unusable("the authority's key does not belong to the authority's certificate")
        }
        return authority
    }
}

/// The body of an answer that refuses to join: what a person is to read, and where to go instead.
public struct JoinRefusalBody: Hashable, Sendable, Codable {
    public var message: String
    /// API endpoints of members that can admit, when this one cannot.
    public var endpoints: [String]?

    public init(message: String, endpoints: [String]? = nil) {
        self.message = message
        self.endpoints = endpoints
    }
}
