// Keeps this member's certificate fresh: looks at it, has it replaced when that is due, and puts the new one in force.
// When it is due is decided in Decisions/CertificateRenewal. New connections show the new certificate; those that stand
// live on, because neither side asks again who the other is.
//
// A host signs for itself, since it holds the authority's key. The others ask a host, by `POST /v1/renew`.
//
// It also follows the cluster's authorities (Cluster/Authorities.swift): it trusts those that the state names, gets a
// certificate of the one that signs, and, being a host, the keys, which it asks another host for in the same way.

import Cluster
import Consensus
import Crypto
import Decisions
import FoundationEssentials
import Logging
import NIOCore
import X509

/// What a member says to a host that is to sign for it: the body of `POST /v1/renew`.
public struct RenewRequest: Hashable, Sendable, Codable {
    /// PKCS #10 in PEM. Its signature proves that the sender holds the member's key.
    public var csr: String
    /// Names of authorities whose keys a host asks for.
    public var keysOf: [String]?

    public init(csr: String, keysOf: [String]? = nil) {
        self.csr = csr
        self.keysOf = keysOf
    }
}

/// The answer to it.
public struct RenewResponse: Hashable, Sendable, Codable {
    /// PEM.
    public var certificate: String
    /// Only for a host that asked for them.
    public var authorityKeys: [SealedAuthorityKey]?

    public init(certificate: String, authorityKeys: [SealedAuthorityKey]? = nil) {
        self.certificate = certificate
        self.authorityKeys = authorityKeys
    }
}

public actor CertificateKeeper {
    /// What the keeper needs of the rest of the member.
    public struct Surroundings: Sendable {
        public typealias Ask =
            @Sendable (_ request: RenewRequest, _ trust: ClusterTrust, _ hosts: [Endpoint]) async throws
            -> RenewResponse

        /// The members as this one knows them now; at the least those it knew when it was last running.
        public var members: @Sendable () async -> [MemberRecord]
        /// Has a request answered by one of these hosts, which are recognized by this trust.
        public var ask: Ask
        /// Puts a new certificate in force for connections from now on.
        public var use: @Sendable (MemberIdentity) async throws -> Void
        /// Makes it survive a restart.
        public var write: @Sendable (MemberIdentity) async throws -> Void
        /// The same for another name.
        public var writeName: @Sendable (MemberIdentity) async throws -> Void
        /// The keys of authorities that were made here, of which one is to be the cluster's.
        public var nextKeys: @Sendable () async throws -> [P256.Signing.PrivateKey]
        /// Tells the cluster; `preparedFor` as in `MemberRecord`.
        public var tell: @Sendable (_ identity: MemberIdentity, _ preparedFor: String?) async -> Void

        public init(
            members: @escaping @Sendable () async -> [MemberRecord],
            ask: @escaping Ask,
            use: @escaping @Sendable (MemberIdentity) async throws -> Void,
            write: @escaping @Sendable (MemberIdentity) async throws -> Void,
            writeName: @escaping @Sendable (MemberIdentity) async throws -> Void = { _ in },
            nextKeys: @escaping @Sendable () async throws -> [P256.Signing.PrivateKey] = { [] },
            tell: @escaping @Sendable (MemberIdentity, String?) async -> Void = { _, _ in }
        ) {
            self.members = members
            self.ask = ask
            self.use = use
            self.write = write
            self.writeName = writeName
            self.nextKeys = nextKeys
            self.tell = tell
        }
    }

    private let surroundings: Surroundings
    private let log: Logger
    private let jitter: @Sendable () -> Int64
    private(set) var identity: MemberIdentity
    private var renewal: CertificateRenewal

    /// - Parameter jitter: draws 0 to 999.
    public init(
        identity: MemberIdentity, surroundings: Surroundings, log: Logger,
        jitter: @escaping @Sendable () -> Int64 = { Int64.random(in: 0..<1_000) }
    ) {
        self.identity = identity
        self.surroundings = surroundings
        self.log = log
        self.jitter = jitter
        renewal = identity.renewal(jitterPermille: jitter())
    }

    /// Looks once, and renews when it is due.
    /// - Returns: how long to wait before the next look; ten minutes at most.
    public func look(now: Date = Date()) async -> Duration {
        let milliseconds = now.millisecondsSince1970
        if case .renew = renewal.step(now: milliseconds) { await renew(now: now) }
        guard case .wait(let wait) = renewal.step(now: milliseconds) else { return .seconds(1) }
        return .milliseconds(wait)
    }

    private func renew(now: Date) async {
        do {
            let renewed = try identity.renewed(with: try await newCertificate(now: now))
            _ = try renewed.trust.authenticate(renewed.certificate, as: .client, now: now)
            // Close to the authority's own end a new certificate lasts no longer than the old one. Asking for the next
            // one at once would never end.
            let isLonger = renewed.expires > identity.expires || now < identity.certificate.notValidBefore
            try await surroundings.use(renewed)
            identity = renewed
            await surroundings.tell(renewed, nil)
            if isLonger {
                renewal = renewed.renewal(jitterPermille: jitter())
                log.notice("certificate renewed", metadata: ["expires": "\(renewed.expires.formatted(.iso8601))"])
            } else {
                renewal.failed(now: now.millisecondsSince1970, jitterPermille: jitter())
                log.warning(
                    "the renewed certificate lasts no longer than the one before; the cluster's authority itself ends",
                    metadata: ["expires": "\(renewed.expires.formatted(.iso8601))"])
            }
        } catch {
            renewal.failed(now: now.millisecondsSince1970, jitterPermille: jitter())
            log.warning(
                "the certificate was not renewed and is asked for again",
                metadata: [
                    "expires": "\(identity.expires.formatted(.iso8601))", "failures": "\(renewal.failures)",
                    "reason": "\(error)",
                ])
            return
        }
        do { try await surroundings.write(identity) } catch {
            // In force all the same; a restart begins with the old one and renews it again.
            log.warning("the renewed certificate could not be written", metadata: ["reason": "\(error)"])
        }
    }

    /// Takes another name, with a certificate that has it.
    /// - Returns: whether it has it; otherwise to be called again after a pause.
    public func rename(to name: String, now: Date = Date()) async -> Bool {
        guard name != identity.settings.name else { return true }
        do {
            let certificate = try await newCertificate(named: name, now: now)
            _ = try identity.trust.authenticate(certificate, as: .client, now: now)
            let renamed = try identity.named(name, certificate: certificate)
            try await surroundings.use(renamed)
            identity = renamed
            renewal = renamed.renewal(jitterPermille: jitter())
            try await surroundings.writeName(renamed)
            await surroundings.tell(renamed, nil)
            log.notice("this member has another name", metadata: ["name": "\(name)"])
            return true
        } catch {
            log.warning(
                "this member's files could not take its new name yet",
                metadata: ["name": "\(name)", "reason": "\(error)"])
            return false
        }
    }

    private func newCertificate(named name: String? = nil, now: Date) async throws -> Certificate {
        // Whether this host still belongs to the cluster is not its own to say: the others ask that at every handshake.
        if let authority = identity.authority {
            return try authority.issue(
                member: name ?? identity.settings.name, key: identity.key.publicKey, now: now)
        }
        return try Certificate(pemEncoded: try await askHosts(trust: identity.trust).certificate)
    }

    private func askHosts(keysOf: [String]? = nil, trust: ClusterTrust) async throws -> RenewResponse {
        let csr = try SigningRequest.make(name: identity.settings.name, key: identity.key)
        let hosts = await surroundings.members().filter { $0.kind == .host && $0.id != identity.member }
            .compactMap { Endpoint($0.apiEndpoint) }
        return try await surroundings.ask(RenewRequest(csr: csr, keysOf: keysOf), trust, hosts)
    }
}

extension CertificateKeeper {
    /// Does what the cluster says about its authorities. What is done already is not done again.
    /// - Returns: whether everything is done; otherwise to be called again after a pause.
    public func follow(_ book: AuthorityBook, now: Date = Date()) async -> Bool {
        do {
            let (next, isComplete) = try await following(book, now: now)
            if next.trust.pins != identity.trust.pins || next.certificate != identity.certificate
                || next.trust.links != identity.trust.links || next.authorities.count != identity.authorities.count
            {
                // What the others count on must outlive a restart.
                try await surroundings.write(next)
                try await surroundings.use(next)
                if next.certificate != identity.certificate { renewal = next.renewal(jitterPermille: jitter()) }
                identity = next
                log.notice(
                    "authorities followed",
                    metadata: [
                        "trusted": "\(next.trust.pins.map { $0.prefix(16) }.joined(separator: ", "))",
                        "certificate": "\(next.signedBy.prefix(16))",
                    ])
            }
            await surroundings.tell(identity, mayCountOn(book) ? book.newest : nil)
            return isComplete
        } catch {
            log.warning(
                "what the cluster says of its authorities could not be followed yet", metadata: ["reason": "\(error)"])
            return false
        }
    }

    private func mayCountOn(_ book: AuthorityBook) -> Bool {
        identity.trust.pins.contains(book.newest)
            && (identity.settings.kind != .host || identity.authorities.contains { $0.trust.pin == book.newest })
    }

    /// The identity as the book wants it, as far as it can be had now.
    private func following(_ book: AuthorityBook, now: Date) async throws -> (MemberIdentity, isComplete: Bool) {
        let trust = try ClusterTrust(book, cluster: identity.cluster)
        let held = try await authorities(in: trust)
        let lacksKeys = identity.settings.kind == .host && held.count < trust.authorities.count
        if trust.issuer(of: identity.certificate)?.pin == trust.pin {
            return (try identity.trusting(trust, authorities: held), !lacksKeys)
        }
        let renewed: Certificate
        if let signer = held.first(where: { $0.trust.pin == trust.pin }) {
            renewed = try signer.issue(member: identity.settings.name, key: identity.key.publicKey, now: now)
        } else {
            // Until it has a certificate of the authority that signs, it trusts what it shows.
            let both = trust.including(identity.trust)
            do {
                renewed = try Certificate(pemEncoded: try await askHosts(trust: both).certificate)
                guard trust.issuer(of: renewed)?.pin == trust.pin else {
                    throw CertificateRefusal.unusable("it is signed by the authority that was")
                }
            } catch {
                log.info("no certificate of the new authority yet", metadata: ["reason": "\(error)"])
                return (try identity.trusting(both, authorities: held), false)
            }
        }
        _ = try trust.authenticate(renewed, as: .client, now: now)
        return (try identity.trusting(trust, certificate: renewed, authorities: held), !lacksKeys)
    }

    /// Of those in `trust`, the ones this member can sign with; asks for those a host lacks.
    private func authorities(in trust: ClusterTrust) async throws -> [ClusterAuthority] {
        guard identity.settings.kind == .host else { return [] }
        var held = identity.authorities.filter { trust.pins.contains($0.trust.pin) }
        func lacking() -> [String] { trust.pins.filter { pin in !held.contains { $0.trust.pin == pin } } }
        func take(_ authority: ClusterAuthority) {
            if !held.contains(where: { $0.trust.pin == authority.trust.pin }) { held.append(authority) }
        }
        if !lacking().isEmpty {
            for key in try await surroundings.nextKeys() { ClusterAuthority(key: key, in: trust).map(take) }
        }
        guard !lacking().isEmpty else { return held }
        do {
            let answer = try await askHosts(keysOf: lacking(), trust: trust.including(identity.trust))
            for sealed in answer.authorityKeys ?? [] { take(try sealed.open(with: identity.key, trust: trust)) }
        } catch {
            log.info("the authority's key could not be had yet", metadata: ["reason": "\(error)"])
        }
        return held
    }
}

extension ClusterTrust {
    /// What the state says, if it holds together.
    public init(_ book: AuthorityBook, cluster: ClusterID) throws {
        let authorities = try book.trusted.map { try TrustedAuthority(Certificate(pemEncoded: $0.certificate)) }
        guard !authorities.isEmpty, authorities.map(\.pin) == book.trusted.map(\.pin) else {
            throw CertificateRefusal.unusable("the state names authorities that its certificates are not of")
        }
        let links = try book.links.map { try Certificate(pemEncoded: $0) }
        self.init(cluster: cluster, authorities: authorities, links: links)
    }

    /// This one, and what the other one trusts beyond it.
    func including(_ other: ClusterTrust) -> ClusterTrust {
        ClusterTrust(
            cluster: cluster, authorities: authorities + other.authorities.filter { !pins.contains($0.pin) },
            links: links)
    }
}

/// Asks hosts to sign, one after the other.
public enum RenewClient {
    /// One host has so long.
    static let mostPerHost = TimeAmount.seconds(10)

    /// - Parameter trust: the authorities the hosts are recognized by.
    /// - Throws: `RenewError` when no host signed. A host that lacks a key that is asked for is not the last one asked, nor one
    ///   whose certificate is not valid by this machine's clock.
    public static func renew(
        _ request: RenewRequest, trust: ClusterTrust, hosts: [Endpoint], group: any EventLoopGroup
    ) async throws -> RenewResponse {
        let body = try CanonicalJSON.encode(request)
        var failures: [String] = []
        for host in hosts.prefix(JoinTokenText.mostEndpoints) {
            do {
                let answer = try await PinnedRequest(trust: trust)
                    .post(path: "/v1/renew", body: body, to: host, until: .now() + mostPerHost, group: group)
                guard answer.status == 200 else {
                    let refusal = try? CanonicalJSON.decode(JoinRefusalBody.self, from: answer.body)
                    failures.append("\(host): \(refusal?.message ?? "HTTP \(answer.status)")")
                    continue
                }
                let response = try CanonicalJSON.decode(RenewResponse.self, from: answer.body)
                // A host whose clock is ahead signs what is no good yet; the next one may be right.
                if request.keysOf == nil {
                    _ = try trust.authenticate(Certificate(pemEncoded: response.certificate), as: .client, now: Date())
                }
                return response
            } catch { failures.append("\(host): \(error)") }
        }
        throw RenewError(failures: failures)
    }
}

/// No host signed a new certificate.
public struct RenewError: Error, Hashable, Sendable, CustomStringConvertible {
    public var failures: [String]

    public var description: String {
        failures.isEmpty
            ? "no host of this cluster is known"
            : "no host signed a new certificate: \(failures.joined(separator: "; "))"
    }
}
