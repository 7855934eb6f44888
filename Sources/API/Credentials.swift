// What the server shows its clients and which clients it believes. TLS 1.3 only. A client certificate is optional at
// this level, so that joiners, probes and browsers can connect; one that is presented must be signed by the cluster's
// authority, or the handshake fails.

import Consensus
import NIOCore
import NIOSSL
import Runtime
import SwiftASN1
import Synchronization
import X509

/// Certificates and key of a server, each in PEM.
public struct APICredentials: Sendable {
    /// This member's certificate, followed by the authority's: a machine that joins recognizes the cluster by it.
    public var certificateChainPEM: String
    public var keyPEM: String
    /// The cluster's authority.
    public var authorityPEM: String

    public init(certificateChainPEM: String, keyPEM: String, authorityPEM: String) {
        self.certificateChainPEM = certificateChainPEM
        self.keyPEM = keyPEM
        self.authorityPEM = authorityPEM
    }

    /// Those of a member.
    public init(_ identity: MemberIdentity) throws {
        let authority = try identity.trust.certificate.serializeAsPEM().pemString
        self.init(
            certificateChainPEM: try identity.certificate.serializeAsPEM().pemString + "\n" + authority,
            keyPEM: identity.key.pemRepresentation, authorityPEM: authority)
    }
}

/// The credentials in force. New connections use what was stored last, so a renewed certificate needs no restart.
public final class APICredentialStore: Sendable {
    private struct Loaded {
        var certificates: [NIOSSLCertificateSource]
        var key: NIOSSLPrivateKeySource
    }

    /// The cluster whose certificates are believed.
    public let trust: ClusterTrust
    private let authority: [NIOSSLCertificate]
    private let loaded: Mutex<Loaded>

    /// - Throws: `NIOSSLError` when a part is not valid PEM, `CertificateRefusal` when the authority is none.
    public init(_ credentials: APICredentials, cluster: ClusterID) throws {
        trust = try ClusterTrust(cluster: cluster, certificate: Certificate(pemEncoded: credentials.authorityPEM))
        authority = try NIOSSLCertificate.fromPEMBytes(Array(credentials.authorityPEM.utf8))
        loaded = Mutex(try Self.load(credentials))
    }

    /// Shows a renewed certificate from the next connection on. The authority stays the one the store began with.
    /// - Throws: `NIOSSLError` when a part is not valid PEM; the earlier credentials then stay in force.
    public func renew(_ credentials: APICredentials) throws {
        let newer = try Self.load(credentials)
        loaded.withLock { $0 = newer }
    }

    private static func load(_ credentials: APICredentials) throws -> Loaded {
        Loaded(
            certificates: try NIOSSLCertificate.fromPEMBytes(Array(credentials.certificateChainPEM.utf8))
                .map { .certificate($0) },
            key: .privateKey(try NIOSSLPrivateKey(bytes: Array(credentials.keyPEM.utf8), format: .pem)))
    }

    func serverConfiguration() -> TLSConfiguration {
        let present = loaded.withLock { $0 }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: present.certificates, privateKey: present.key)
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .optionalVerification
        configuration.trustRoots = .certificates(authority)
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
}
