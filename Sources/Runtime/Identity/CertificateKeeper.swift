// Keeps this member's certificate fresh: looks at it, has it replaced when that is due, and puts the new one in force.
// When it is due is decided in Decisions/CertificateRenewal. New connections show the new certificate; those that stand
// live on, because neither side asks again who the other is.
//
// A host signs for itself, since it holds the authority's key. The others ask a host, by `POST /v1/renew`.

import Cluster
import Consensus
import Decisions
import FoundationEssentials
import Logging
import NIOCore
import X509

/// What a member says to a host that is to sign for it: the body of `POST /v1/renew`.
public struct RenewRequest: Hashable, Sendable, Codable {
    /// PKCS #10 in PEM. Its signature proves that the sender holds the member's key.
    public var csr: String

    public init(csr: String) { self.csr = csr }
}

/// The answer to it.
public struct RenewResponse: Hashable, Sendable, Codable {
    /// PEM.
    public var certificate: String

    public init(certificate: String) { self.certificate = certificate }
}

public actor CertificateKeeper {
    /// What the keeper needs of the rest of the member.
    public struct Surroundings: Sendable {
        /// The members as this one knows them now; at the least those it knew when it was last running.
        public var members: @Sendable () async -> [MemberRecord]
        /// Has a signing request (PEM) signed by one of these hosts.
        public var ask: @Sendable (_ csr: String, _ hosts: [Endpoint]) async throws -> String
        /// Puts a new certificate in force for connections from now on.
        public var use: @Sendable (MemberIdentity) async throws -> Void
        /// Makes it survive a restart.
        public var write: @Sendable (MemberIdentity) async throws -> Void

        public init(
            members: @escaping @Sendable () async -> [MemberRecord],
            ask: @escaping @Sendable (_ csr: String, _ hosts: [Endpoint]) async throws -> String,
            use: @escaping @Sendable (MemberIdentity) async throws -> Void,
            write: @escaping @Sendable (MemberIdentity) async throws -> Void
        ) {
            self.members = members
            self.ask = ask
            self.use = use
            self.write = write
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

    private func newCertificate(now: Date) async throws -> Certificate {
        // Whether this host still belongs to the cluster is not its own to say: the others ask that at every handshake.
        if let authority = identity.authority {
            return try authority.issue(member: identity.settings.name, key: identity.key.publicKey, now: now)
        }
        let csr = try SigningRequest.make(name: identity.settings.name, key: identity.key)
        let hosts = await surroundings.members().filter { $0.kind == .host && $0.id != identity.member }
            .compactMap { Endpoint($0.apiEndpoint) }
        return try Certificate(pemEncoded: try await surroundings.ask(csr, hosts))
    }
}

/// Asks hosts to sign, one after the other.
public enum RenewClient {
    /// One host has so long.
    static let mostPerHost = TimeAmount.seconds(10)

    /// - Parameter trust: the authority the hosts are recognized by.
    /// - Returns: the certificate, PEM.
    /// - Throws: `RenewError` when no host signed.
    public static func renew(
        csr: String, trust: ClusterTrust, hosts: [Endpoint], group: any EventLoopGroup
    ) async throws -> String {
        let body = try CanonicalJSON.encode(RenewRequest(csr: csr))
        var failures: [String] = []
        for host in hosts.prefix(JoinTokenText.mostEndpoints) {
            do {
                let answer = try await PinnedRequest(cluster: trust.cluster, pin: trust.pin)
                    .post(path: "/v1/renew", body: body, to: host, until: .now() + mostPerHost, group: group)
                guard answer.status == 200 else {
                    let refusal = try? CanonicalJSON.decode(JoinRefusalBody.self, from: answer.body)
                    failures.append("\(host): \(refusal?.message ?? "HTTP \(answer.status)")")
                    continue
                }
                return try CanonicalJSON.decode(RenewResponse.self, from: answer.body).certificate
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
