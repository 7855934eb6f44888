// Admitting a machine, on the member it asked. The HTTP route calls `prepare`, has the command replicated, and when that
// succeeded calls `complete`. Nothing here waits or remembers anything.
// The token is checked where it counts once, when the command is applied, and not here.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// What a member does with a `JoinRequest`.
public struct Enrollment: Sendable {
    let identity: MemberIdentity

    public init(identity: MemberIdentity) { self.identity = identity }

    /// A request that is well-formed, as the command that would admit its sender.
    public struct Prepared: Sendable {
        public private(set) var record: MemberRecord
        public private(set) var command: Command
        /// What the sender says of its machine; of a witness only.
        public let place: MachinePlace
        let publicKey: P256.Signing.PublicKey

        /// The same of a machine that is found to run on a host, where the cluster decides what comes of that.
        public func found(on host: String) -> Prepared {
            guard case .join(let tokenID, let secretHash, _) = command else { return self }
            var found = self
            found.record.host = host
            found.command = .join(tokenID: tokenID, secretHash: secretHash, member: found.record)
            return found
        }
    }

    /// Checks a request. Refuses at once where this member could not complete it, so that no token is used up in vain.
    /// - Parameter members: the cluster's members as this one knows them.
    public func prepare(_ request: JoinRequest, members: [MemberRecord]) throws(EnrollmentRefusal) -> Prepared {
        guard identity.authority != nil else { throw Self.elsewhere(members) }
        let signing = try SigningRequest(pem: request.csr)
        guard isValidName(request.name) else { throw .invalid(EnrollmentRefusal.badName("member", request.name)) }
        switch request.kind {
        case .guest:
            guard isValidName(request.host) else { throw .invalid(EnrollmentRefusal.badName("host", request.host)) }
        case .host, .witness:
            guard request.host.isEmpty else { throw .invalid("a \(request.kind.rawValue) runs on no other host") }
        }
        let peer = try Self.endpoint(request.peerEndpoint, "peer")
        let api = try Self.endpoint(request.apiEndpoint, "API")
        guard peer != api else { throw .invalid("peer and API endpoint are both \(peer); they need a port each") }
        guard (1...64).contains(request.version.utf8.count),
            request.version.utf8.allSatisfy({ (33...126).contains($0) })
        else { throw .invalid("the version is not 1 to 64 printable characters") }
        guard (1...64).contains(request.tokenID.utf8.count) else { throw .invalid("the token's id is malformed") }
        guard let secret = bytes(base64URL: request.secret), secret.count == JoinTokenText.secretBytes else {
            throw .invalid("the token's secret is malformed; copy the token again in one piece")
        }
        var record = MemberRecord(
            id: signing.memberID, name: request.name, kind: request.kind, host: request.host,
            peerEndpoint: peer.description, apiEndpoint: api.description, version: request.version,
            level: request.level)
        record.key = ClusterTrust.pin(of: signing.publicKey)
        var place = MachinePlace()
        if request.kind == .witness {
            place.machine = request.machine.flatMap(MachinePlace.uuid)
            place.boot = request.boot.flatMap(MachinePlace.uuid)
            record.machine = place.kept
        }
        let command = Command.join(
            tokenID: request.tokenID, secretHash: JoinTokenText.hash(of: secret), member: record)
        return Prepared(record: record, command: command, place: place, publicKey: signing.publicKey)
    }

    private static func endpoint(_ text: String, _ what: String) throws(EnrollmentRefusal) -> Endpoint {
        guard let endpoint = Endpoint(text) else {
            throw .invalid("the \(what) endpoint \(text.prefix(80).debugDescription) is not host:port")
        }
        guard !endpoint.isUnspecified else {
            throw .invalid("other members cannot connect to \(endpoint); state this machine's own address")
        }
        return endpoint
    }

    private static func otherKey(_ record: MemberRecord) -> EnrollmentRefusal {
        .invalid("\(record.name) joined with another key that begins alike; join anew with a token and a new key")
    }

    private static func elsewhere(_ members: [MemberRecord]) -> EnrollmentRefusal {
        .authorityElsewhere(endpoints: members.filter { $0.kind == .host }.map(\.apiEndpoint))
    }

    /// The answer, after the command was applied.
    /// - Parameter members: the members after the command. What the new member is comes from here and never from its
    ///   request: a guest that repeats its request as a host must not get the authority's key.
    public func complete(
        _ prepared: Prepared, members: [MemberRecord], now: Date = Date()
    ) throws -> JoinResponse {
        guard let authority = identity.authority else { throw Self.elsewhere(members) }
        guard let record = members.first(where: { $0.id == prepared.record.id }) else {
            throw EnrollmentRefusal.invalid("member \(prepared.record.name) was not admitted, or removed again at once")
        }
        guard record.isOf(prepared.record.key) else { throw Self.otherKey(record) }
        let certificate = try authority.issue(member: record.name, key: prepared.publicKey, now: now)
        let secrets = try identity.secrets.map {
            try SealedSecretsKey.seal($0, of: authority.trust, for: prepared.publicKey)
        }
        var response = JoinResponse(
            cluster: identity.cluster, memberID: record.id, certificate: try certificate.serializeAsPEM().pemString,
            authority: try authority.trust.certificate.serializeAsPEM().pemString,
            authorityKey: record.kind == .host ? try SealedAuthorityKey.seal(authority, for: prepared.publicKey) : nil,
            secretsKey: secrets, members: members)
        let others = identity.trust.authorities.dropFirst()
        guard !others.isEmpty else { return response }
        response.otherAuthorities = try others.map { try $0.certificate.serializeAsPEM().pemString }
        response.links = try identity.trust.links.map { try $0.serializeAsPEM().pemString }
        if record.kind == .host {
            response.otherAuthorityKeys = try identity.authorities.filter { $0.trust.pin != authority.trust.pin }
                .map { try SealedAuthorityKey.seal($0, for: prepared.publicKey) }
        }
        return response
    }

    /// The keys of these authorities, for another host and for nobody else.
    /// - Parameters:
    ///   - csr: as for `renew`: what comes back opens only with the key that has signed it.
    ///   - members: as a majority has them, since a host that was removed must not get a new authority's key.
    public func authorityKeys(
        of pins: [String], csr: String, members: [MemberRecord]
    ) throws -> [SealedAuthorityKey] {
        let signing = try SigningRequest(pem: csr)
        guard let record = members.first(where: { $0.id == signing.memberID }), record.kind == .host,
            record.isOf(ClusterTrust.pin(of: signing.publicKey))
        else { throw EnrollmentRefusal.invalid("only a host of the cluster gets an authority's key") }
        return try pins.prefix(ClusterTrust.mostCertificates).map { pin in
            guard let authority = identity.authorities.first(where: { $0.trust.pin == pin }) else {
                throw EnrollmentRefusal.invalid("the key of authority \(pin.prefix(16)) is not held here")
            }
            return try SealedAuthorityKey.seal(authority, for: signing.publicKey)
        }
    }

    /// A new authority for this cluster, with what makes the state know it; nil when this member cannot sign.
    /// - Parameter graceMilliseconds: how long operators have for renewing their certificates.
    public func newAuthority(
        graceMilliseconds: Int64, now: Date = Date()
    ) throws -> (authority: ClusterAuthority, plan: AuthorityRotation.Plan)? {
        guard let present = identity.authority else { return nil }
        let authority = try ClusterAuthority.create(cluster: identity.cluster, now: now)
        let plan = AuthorityRotation.Plan(
            old: try identity.trust.authorities[0].record, new: try authority.trust.authorities[0].record,
            link: try present.link(to: authority).serializeAsPEM().pemString, graceMilliseconds: graceMilliseconds)
        return (authority, plan)
    }

    /// A new certificate for a member.
    ///
    /// The request is signed with the member's key, and the key is the identity: that is all the proof there is need of.
    /// The present certificate is not asked for, since it may have ended while the machine was off; and whoever repeats
    /// another's request gets a certificate for a key that he does not have.
    /// - Parameters:
    ///   - csr: PKCS #10 in PEM, for the key the member has.
    ///   - members: the cluster's members; who is not among them gets nothing.
    /// - Returns: the certificate, PEM.
    public func renew(csr: String, members: [MemberRecord], now: Date = Date()) throws -> String {
        guard let authority = identity.authority else { throw Self.elsewhere(members) }
        let signing = try SigningRequest(pem: csr)
        guard let record = members.first(where: { $0.id == signing.memberID }) else {
            throw EnrollmentRefusal.invalid(
                "member \(signing.memberID) does not belong to the cluster; join anew with a token")
        }
        guard record.isOf(ClusterTrust.pin(of: signing.publicKey)) else { throw Self.otherKey(record) }
        return try authority.issue(member: record.name, key: signing.publicKey, now: now).serializeAsPEM().pemString
    }
}

/// A certificate for an operator.
public struct SignedOperator: Hashable, Sendable {
    /// PEM.
    public var certificate: String
    /// Names its key, as `ClusterTrust.identify` does.
    public var key: String
    public var expiresMilliseconds: Int64
    /// Names the authority that signed.
    public var signedBy: String?

    public init(certificate: String, key: String, expiresMilliseconds: Int64, signedBy: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.expiresMilliseconds = expiresMilliseconds
        self.signedBy = signedBy
    }
}

extension Enrollment {
    /// Signs for an operator, for a year.
    /// - Returns: nil when this member does not hold the authority.
    public func sign(
        operator name: String, role: OperatorRole, csr: String, now: Date = Date()
    ) throws -> SignedOperator? {
        guard let authority = identity.authority else { return nil }
        let signing = try SigningRequest(pem: csr)
        let certificate = try authority.issue(operator: name, role: role, key: signing.publicKey, now: now)
        return SignedOperator(
            certificate: try certificate.serializeAsPEM().pemString, key: ClusterTrust.pin(of: signing.publicKey),
            expiresMilliseconds: certificate.notValidAfter.millisecondsSince1970, signedBy: authority.trust.pin)
    }
}

/// Why a machine is not admitted, in words for the person at that machine.
public enum EnrollmentRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The request itself is wrong (HTTP 400).
    case invalid(String)
    /// This member cannot sign; these can (HTTP 421).
    case authorityElsewhere(endpoints: [String])

    static func badName(_ what: String, _ name: String) -> String {
        "\(name.prefix(80).debugDescription) is not a \(what) name: 1 to 63 of a-z, 0-9 and hyphen"
    }

    public var description: String {
        switch self {
        case .invalid(let why): why
        case .authorityElsewhere(let endpoints):
            "this member does not hold the authority's key; ask a host: \(endpoints.joined(separator: ", "))"
        }
    }

    /// The HTTP status that fits.
    public var status: Int {
        switch self {
        case .invalid: 400
        case .authorityElsewhere: 421
        }
    }

    /// The body that the joining side understands.
    public var body: JoinRefusalBody {
        switch self {
        case .invalid: JoinRefusalBody(message: description)
        case .authorityElsewhere(let endpoints): JoinRefusalBody(message: description, endpoints: endpoints)
        }
    }
}
