// A member's identity: its key, its certificate, the authority it believes, and what is settled about it.
// On disk it is the folder `identity` of the data directory:
//     key.pem (0600)  certificate.pem  authority.pem  authority-key.pem (0600, on hosts)  secrets-key (0600)  member.json
// While one authority takes another's place, `authority.pem` and `authority-key.pem` hold both, the one that signs first,
// and `authority-link.pem` what vouches for the newer one. `authority-next-key.pem` (0600) is a key that was made here and is to become one of them.
// `member.json` is written last, so a folder that has one is complete. `key.pem` may stand alone: it is written before
// joining, so that a join that was cut off is repeated with the same key and counts once.

import Cluster
import Consensus
import Crypto
import Decisions
import FoundationEssentials
import SwiftASN1
import X509

/// Who this member is. Holds private keys and is never printed.
public struct MemberIdentity: Sendable, CustomStringConvertible, CustomReflectable {
    public let settings: MemberSettings
    public let key: P256.Signing.PrivateKey
    public let certificate: Certificate
    public let trust: ClusterTrust
    /// On hosts: what it takes to admit and renew members, of every authority in `trust` that this one holds the key of.
    public let authorities: [ClusterAuthority]
    /// What stored secrets are sealed with; nil on a member that joined before there was one.
    public let secrets: SecretsKey?

    public var cluster: ClusterID { settings.cluster }
    public var member: MemberID { settings.member }
    /// The authority that signs, when its key is held here.
    public var authority: ClusterAuthority? { authorities.first { $0.trust.pin == trust.pin } }
    /// Names the authority that has signed the certificate.
    public let signedBy: String

    /// - Throws: `CertificateRefusal` when key, certificate, authority and settings do not belong together. The time is
    ///   not checked: a member that was off for months starts, and renews.
    public init(
        settings: MemberSettings, key: P256.Signing.PrivateKey, certificate: Certificate, trust: ClusterTrust,
        authorities: [ClusterAuthority], secrets: SecretsKey? = nil
    ) throws(CertificateRefusal) {
        guard P256.Signing.PublicKey(certificate.publicKey)?.derRepresentation == key.publicKey.derRepresentation else {
            throw .unusable("it is for another key")
        }
        guard settings.member == MemberID(publicKey: key.publicKey) else {
            throw .unusable(
                "the key belongs to member \(MemberID(publicKey: key.publicKey)), not to \(settings.member)")
        }
        guard settings.cluster == trust.cluster else { throw .otherCluster(trust.cluster, ours: settings.cluster) }
        guard authorities.allSatisfy({ trust.pins.contains($0.trust.pin) }) else {
            throw .unusable("the authority's key belongs to another authority")
        }
        let issuer = trust.issuer(of: certificate)
        let begins = max(certificate.notValidBefore, issuer?.certificate.notValidBefore ?? certificate.notValidBefore)
        let subject = try trust.authenticate(certificate, as: .client, now: begins)
        guard subject == .member(settings.member) else { throw .unusable("it is for \(subject)") }
        self.settings = settings
        self.key = key
        self.certificate = certificate
        self.trust = trust
        self.authorities = authorities
        self.secrets = secrets
        signedBy = issuer?.pin ?? ""
    }

    /// Of a member that holds the key of one authority, or of none.
    public init(
        settings: MemberSettings, key: P256.Signing.PrivateKey, certificate: Certificate, trust: ClusterTrust,
        authority: ClusterAuthority?, secrets: SecretsKey? = nil
    ) throws(CertificateRefusal) {
        try self.init(
            settings: settings, key: key, certificate: certificate, trust: trust,
            authorities: authority.map { [$0] } ?? [], secrets: secrets)
    }

    /// The first member of a new cluster, with the cluster's id and authority.
    /// - Parameters:
    ///   - name: checked with `isValidName`.
    ///   - secrets: of the cluster whose state it takes over, if it does.
    public static func found(
        name: String, address: String, peerPort: Int, apiPort: Int, secrets: SecretsKey = SecretsKey(),
        now: Date = Date()
    ) throws -> MemberIdentity {
        guard isValidName(name) else { throw EnrollmentRefusal.invalid(EnrollmentRefusal.badName("member", name)) }
        var generator = SystemRandomNumberGenerator()
        let cluster = ClusterID(rawValue: UInt64.random(in: 1 ... .max, using: &generator))
        let authority = try ClusterAuthority.create(cluster: cluster, now: now)
        let key = P256.Signing.PrivateKey()
        let id = MemberID(publicKey: key.publicKey)
        let settings = MemberSettings(
            cluster: cluster, member: id, name: name, kind: .host, address: address, peerPort: peerPort,
            apiPort: apiPort, initialVoters: [id])
        return try MemberIdentity(
            settings: settings, key: key, certificate: authority.issue(member: name, key: key.publicKey, now: now),
            trust: authority.trust, authority: authority, secrets: secrets)
    }

    /// Where the certificate stops being believed.
    public var expires: Date { certificate.notValidAfter }

    /// The same in milliseconds since 1970, as the cluster is told it.
    public var expiresMilliseconds: Int64 { expires.millisecondsSince1970 }

    /// When the certificate is to be replaced.
    /// - Parameter jitterPermille: see `CertificateRenewal`.
    func renewal(jitterPermille: Int64) -> CertificateRenewal {
        CertificateRenewal(
            begins: certificate.notValidBefore.millisecondsSince1970, ends: expiresMilliseconds,
            jitterPermille: jitterPermille)
    }

    /// The same identity with a new certificate for the same key.
    public func renewed(with certificate: Certificate) throws(CertificateRefusal) -> MemberIdentity {
        try MemberIdentity(
            settings: settings, key: key, certificate: certificate, trust: trust, authorities: authorities,
            secrets: secrets)
    }

    /// The same member, trusting these authorities and holding the keys of these.
    public func trusting(
        _ trust: ClusterTrust, certificate: Certificate? = nil, authorities: [ClusterAuthority]
    ) throws(CertificateRefusal) -> MemberIdentity {
        try MemberIdentity(
            settings: settings, key: key, certificate: certificate ?? self.certificate, trust: trust,
            authorities: authorities, secrets: secrets)
    }

    /// The same member under another name, which its certificate has too.
    public func named(_ name: String, certificate: Certificate) throws(CertificateRefusal) -> MemberIdentity {
        var settings = settings
        settings.name = name
        return try MemberIdentity(
            settings: settings, key: key, certificate: certificate, trust: trust, authorities: authorities,
            secrets: secrets)
    }

    public var description: String { "member \(settings.member) (\(settings.name)) of cluster \(settings.cluster)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension Date {
    /// As the replicated state and its decisions count wall-clock time.
    var millisecondsSince1970: Int64 { Int64((timeIntervalSince1970 * 1000).rounded()) }
}
