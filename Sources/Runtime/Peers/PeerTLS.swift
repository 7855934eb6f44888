// TLS between members: 1.3 only, both sides with a certificate of the cluster's own authority.
// Whether a certificate is believed is decided in ClusterTrust, not by the TLS library, so that a refusal has a reason.

import NIOCore
import NIOSSL
import X509

/// The TLS contexts of one member. A renewed certificate needs new ones; connections that stand keep theirs.
struct PeerTLS {
    let server: NIOSSLContext
    private let messages: NIOSSLContext
    private let bulk: NIOSSLContext

    /// For opening a connection that carries this.
    func client(for stream: PeerStream) -> NIOSSLContext {
        switch stream {
        case .messages: messages
        case .bulk: bulk
        }
    }

    init(_ identity: MemberIdentity) throws {
        let roots = try identity.trust.authorities.map {
            try NIOSSLCertificate(bytes: $0.certificate.derBytes(), format: .der)
        }
        let chain = try identity.certificateChain()
        let key = try identity.privateKeySource()
        var server = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
        // Asks the client for a certificate, and fails without one.
        server.certificateVerification = .noHostnameVerification
        server.trustRoots = .certificates(roots)
        server.applicationProtocols = PeerStream.allCases.map(\.rawValue)
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateVerification = .noHostnameVerification
        client.trustRoots = .certificates(roots)
        client.certificateChain = chain
        client.privateKey = key
        self.server = try NIOSSLContext(configuration: Self.bounded(server))
        client.applicationProtocols = [PeerStream.messages.rawValue]
        messages = try NIOSSLContext(configuration: Self.bounded(client))
        client.applicationProtocols = [PeerStream.bulk.rawValue]
        bulk = try NIOSSLContext(configuration: Self.bounded(client))
    }

    private static func bounded(_ configuration: TLSConfiguration) -> TLSConfiguration {
        var bounded = configuration
        bounded.minimumTLSVersion = .tlsv13
        // A peer that does not answer a farewell is not waited for.
        bounded.shutdownTimeout = .milliseconds(250)
        return bounded
    }
}

extension MemberIdentity {
    /// What this member shows: its own certificate, what links the authority that signed it to an earlier one, and the
    /// authorities, among which a joining machine finds the key that its token pins. The link stands first of them: a TLS
    /// library takes the first certificate that fits, and one that knows only the earlier authority must not end at the
    /// newer one.
    public var shownChain: [Certificate] {
        let links = trust.links.filter { (try? TrustedAuthority.pin(of: $0)) == signedBy }
        let signer = trust.authorities.filter { $0.pin == signedBy }
        let others = trust.authorities.filter { $0.pin != signedBy }
        return [certificate] + links + (signer + others).map(\.certificate)
    }

    /// The same, for TLS.
    public func certificateChain() throws -> [NIOSSLCertificateSource] {
        try shownChain.map { .certificate(try NIOSSLCertificate(bytes: $0.derBytes(), format: .der)) }
    }

    /// This member's key, for TLS.
    public func privateKeySource() throws -> NIOSSLPrivateKeySource {
        .privateKey(try NIOSSLPrivateKey(bytes: Array(key.derRepresentation), format: .der))
    }
}

extension Certificate {
    func derBytes() throws -> [UInt8] { try serializeAsPEM().derBytes }
}
