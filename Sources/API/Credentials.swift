// What the server shows its clients and which clients it believes. TLS 1.3 only. A client certificate is optional at
// this level, so that joiners, probes and browsers can connect; one that is presented must be signed by an authority of the
// cluster, or the handshake fails. Which authorities that are may change while the server runs.

import Consensus
import NIOCore
import NIOSSL
import Runtime
import SwiftASN1
import Synchronization
import X509

/// Certificates and key of a server, each in PEM.
public struct APICredentials: Sendable {
    /// This member's certificate, followed by the authorities': a machine that joins recognizes the cluster by them.
    public var certificateChainPEM: String
    public var keyPEM: String
    /// The cluster's authorities, the one that signs first.
    public var authorityPEM: String

    public init(certificateChainPEM: String, keyPEM: String, authorityPEM: String) {
        self.certificateChainPEM = certificateChainPEM
        self.keyPEM = keyPEM
        self.authorityPEM = authorityPEM
    }

    /// Those of a member.
    public init(_ identity: MemberIdentity) throws {
        func text(_ certificates: [Certificate]) throws -> String {
            try certificates.map { try $0.serializeAsPEM().pemString }.joined(separator: "\n")
        }
        self.init(
            certificateChainPEM: try text(identity.shownChain), keyPEM: identity.key.pemRepresentation,
            authorityPEM: try text(identity.trust.authorities.map(\.certificate)))
    }
}

/// The credentials in force. New connections use what was stored last, so a renewed certificate needs no restart, and
/// neither does another authority.
public final class APICredentialStore: Sendable {
    private struct Loaded {
        var certificates: [NIOSSLCertificateSource]
        var key: NIOSSLPrivateKeySource
        var trust: ClusterTrust
        var authorities: [NIOSSLCertificate]
        /// Names of the authorities as answers tell them.
        var told: String
    }

    private let cluster: ClusterID
    private let loaded: Mutex<Loaded>

    /// The cluster whose certificates are believed, and by which authorities.
    public var trust: ClusterTrust { loaded.withLock { $0.trust } }

    /// What every answer says of the authorities, the one that signs first: a client that knows others asks for them.
    var toldAuthorities: String { loaded.withLock { $0.told } }

    /// - Throws: `NIOSSLError` when a part is not valid PEM, `CertificateRefusal` when an authority is none.
    public init(_ credentials: APICredentials, cluster: ClusterID) throws {
        self.cluster = cluster
        loaded = Mutex(try Self.load(credentials, cluster))
    }

    /// Shows a renewed certificate, and believes these authorities, from the next connection on.
    /// - Throws: `NIOSSLError` when a part is not valid PEM; the earlier credentials then stay in force.
    public func renew(_ credentials: APICredentials) throws {
        let newer = try Self.load(credentials, cluster)
        loaded.withLock { $0 = newer }
    }

    private static func load(_ credentials: APICredentials, _ cluster: ClusterID) throws -> Loaded {
        let authorities = try TrustedAuthority.all(pem: credentials.authorityPEM)
        guard !authorities.isEmpty else { throw CertificateRefusal.missing }
        return Loaded(
            certificates: try NIOSSLCertificate.fromPEMBytes(Array(credentials.certificateChainPEM.utf8))
                .map { .certificate($0) },
            key: .privateKey(try NIOSSLPrivateKey(bytes: Array(credentials.keyPEM.utf8), format: .pem)),
            trust: ClusterTrust(cluster: cluster, authorities: authorities),
            authorities: try NIOSSLCertificate.fromPEMBytes(Array(credentials.authorityPEM.utf8)),
            told: AuthorityNames.text(authorities.map(\.pin)))
    }

    /// A server's configuration; what is shown is asked for anew with every connection.
    func serverConfiguration() -> TLSConfiguration {
        let present = loaded.withLock { $0 }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: present.certificates, privateKey: present.key)
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .optionalVerification
        // What counts is `verify`; without these the library wants the machine's own authorities, of which a small Debian
        // has none.
        configuration.trustRoots = .certificates(present.authorities)
        configuration.applicationProtocols = ["http/1.1"]
        // How long a closing connection waits for the other side's farewell; a client that is gone must not hold up the
        // end of the agent.
        configuration.shutdownTimeout = .milliseconds(500)
        configuration.sslContextCallback = { [self] _, promise in
            let newest = loaded.withLock { $0 }
            var change = NIOSSLContextConfigurationOverride()
            change.certificateChain = newest.certificates
            change.privateKey = newest.key
            promise.succeed(change)
        }
        return configuration
    }

    /// Whether a connection may go on whose client has shown these certificates. Takes the place of the TLS library's own
    /// check, which keeps to the authorities that there were when the server began.
    func verify(_ shown: [NIOSSLCertificate]) -> NIOSSLVerificationResult {
        do {
            _ = try trust.identify(chain: try shown.prefix(1).map { try $0.toDERBytes() }, as: .client)
            return .certificateVerified
        } catch CertificateRefusal.otherCluster {
            // Rightly signed: the answer says in words what is wrong with it.
            return .certificateVerified
        } catch {
            return .failed
        }
    }
}

/// How answers name the cluster's authorities: the beginnings of their names.
public enum AuthorityNames {
    /// The header of every answer.
    public static let header = "Holdfast-Authorities"

    public static func text(_ pins: [String]) -> String { pins.map { String($0.prefix(16)) }.joined(separator: ",") }
}
