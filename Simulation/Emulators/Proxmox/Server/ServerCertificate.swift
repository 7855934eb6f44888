// The host's certificate, signed by itself as far as a client is concerned: what a fresh Proxmox shows. A client pins its
// fingerprint, or trusts the authority whose certificate comes with it.

import Crypto
import Foundation
import NIOSSL
import SwiftASN1
import X509

/// A host's key and certificate.
public struct ServerCertificate: Sendable {
    /// SHA-256 of the certificate, in pairs of hexadecimal digits with colons between them.
    public let fingerprint: String
    /// The authority that signed it, PEM.
    public let authorityPEM: String
    let context: NIOSSLContext
    private let pem: String

    /// The one that is kept in a file, or a new one that is kept there from now on: a host that is switched off and on
    /// again shows the certificate it had.
    public init(node: Node, keptIn path: String) throws {
        if FileManager.default.fileExists(atPath: path) {
            try self.init(pem: String(contentsOfFile: path, encoding: .utf8))
            return
        }
        try self.init(node: node)
        try Data(pem.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    /// Makes a new one.
    /// - Parameters:
    ///   - node: the host's name and address, which the certificate is good for.
    ///   - expired: whether it ended yesterday: a fault.
    public init(node: Node, expired: Bool = false, now: Date = Date()) throws {
        let authorityKey = P256.Signing.PrivateKey()
        let authorityName = try DistinguishedName {
            OrganizationName("PVE Cluster Manager CA")
            CommonName("Proxmox Virtual Environment")
        }
        let begin = now.addingTimeInterval(-30 * 86_400)
        let authority = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(authorityKey.publicKey),
            notValidBefore: begin, notValidAfter: now.addingTimeInterval(3_650 * 86_400), issuer: authorityName,
            subject: authorityName, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            }, issuerPrivateKey: .init(authorityKey))
        let key = P256.Signing.PrivateKey()
        var names: [GeneralName] = [.dnsName(node.name), .dnsName("localhost")]
        names += ([node.address, "127.0.0.1"] as [String]).compactMap(Self.addressName)
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: begin, notValidAfter: now.addingTimeInterval(expired ? -86_400 : 730 * 86_400),
            issuer: authorityName, subject: try DistinguishedName { CommonName(node.name) },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames(names)
            }, issuerPrivateKey: .init(authorityKey))
        try self.init(
            pem: [certificate.serializeAsPEM().pemString, authority.serializeAsPEM().pemString, key.pemRepresentation]
                .joined(separator: "\n"))
    }

    /// - Parameter pem: the certificate, its authority's, and the key.
    private init(pem: String) throws {
        let parts = try PEMDocument.parseMultiple(pemString: pem)
        guard parts.count == 3 else {
            throw ServerCertificateError(description: "no certificate, authority and key in PEM")
        }
        self.pem = pem
        fingerprint = Self.fingerprint(of: parts[0].derBytes)
        authorityPEM = parts[1].pemString
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(try NIOSSLCertificate(bytes: parts[0].derBytes, format: .der))],
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(parts[2].pemString.utf8), format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        context = try NIOSSLContext(configuration: configuration)
    }

    static func fingerprint(of bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return digits.count < 2 ? "0" + digits : digits
        }.joined(separator: ":")
    }

    private static func addressName(_ text: String) -> GeneralName? {
        let parts = text.split(separator: ".").compactMap { UInt8($0) }
        guard parts.count == 4 else { return nil }
        return .ipAddress(ASN1OctetString(contentBytes: parts[...]))
    }
}

/// Why there is no certificate.
public struct ServerCertificateError: Error, CustomStringConvertible {
    public let description: String
}
