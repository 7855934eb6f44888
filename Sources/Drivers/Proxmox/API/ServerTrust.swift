// By what the server of the API is recognised: the fingerprint of its certificate, or an authority. There is no way to
// accept just anyone: whoever answers would be handed the token.

import Crypto
import NIOCore
import NIOSSL

/// What makes a certificate the right one.
public enum ServerTrust: Hashable, Sendable {
    /// The certificate with this SHA-256 fingerprint, whoever signed it and whatever name it has; as Proxmox shows it
    /// (`pvenode cert info`): 32 bytes in hexadecimal, with or without colons.
    case fingerprint(CertificateFingerprint)
    /// A certificate of an authority in this file (PEM), for the address or name that is connected to. Proxmox keeps its
    /// own at `/etc/pve/pve-root-ca.pem`, which cannot be read while its cluster file system is down.
    case authority(path: String)
}

/// The SHA-256 digest of a certificate in DER.
public struct CertificateFingerprint: Hashable, Sendable, CustomStringConvertible {
    let bytes: [UInt8]

    /// nil unless the text is 32 bytes in hexadecimal, with or without colons between them.
    public init?(_ text: String) {
        let digits = text.filter { $0 != ":" }
        guard digits.utf8.count == 64, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        var bytes: [UInt8] = []
        var rest = Substring(digits)
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        self.bytes = bytes
    }

    init(certificate der: [UInt8]) { bytes = Array(SHA256.hash(data: der)) }

    /// As Proxmox writes it: upper case, with colons.
    public var description: String {
        bytes.map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return digits.count == 1 ? "0" + digits : digits
        }.joined(separator: ":")
    }
}

extension ServerTrust {
    /// The settings of TLS for this trust. Reads the authority's file.
    func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.shutdownTimeout = .milliseconds(250)
        switch self {
        // The callback below decides instead.
        case .fingerprint: configuration.certificateVerification = .noHostnameVerification
        case .authority(let path):
            configuration.certificateVerification = .fullVerification
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
        }
        return try NIOSSLContext(configuration: configuration)
    }

    /// The TLS side of a connection. `refused` is told why a certificate was not the right one.
    func handler(
        _ context: NIOSSLContext, serverName: String?, refused: @escaping @Sendable (String) -> Void
    ) throws -> NIOSSLClientHandler {
        guard case .fingerprint(let expected) = self else {
            return try NIOSSLClientHandler(context: context, serverHostname: serverName)
        }
        return try NIOSSLClientHandler(context: context, serverHostname: nil) { chain, verdict in
            do {
                guard let leaf = chain.first else { throw NIOSSLError.noCertificateToValidate }
                let shown = CertificateFingerprint(certificate: try leaf.toDERBytes())
                guard shown == expected else {
                    refused("its certificate has the fingerprint \(shown), not \(expected)")
                    return verdict.succeed(.failed)
                }
                verdict.succeed(.certificateVerified)
            } catch {
                refused("its certificate cannot be read: \(error)")
                verdict.succeed(.failed)
            }
        }
    }
}
