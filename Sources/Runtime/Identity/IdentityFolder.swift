// The folder an identity lives in: writing it so that a crash leaves all or nothing, and reading it with errors that
// name the file and the way out.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// The `identity` folder of a data directory.
public struct IdentityFolder: Sendable {
    public let path: String

    /// - Parameter dataDirectory: for example `/var/lib/holdfast`.
    public init(dataDirectory: String) {
        path = (dataDirectory.hasSuffix("/") ? dataDirectory : dataDirectory + "/") + "identity"
    }

    private func file(_ name: String) -> String { "\(path)/\(name)" }

    static let joinAgain =
        "restore the folder from a backup, or remove it and join anew with: holdfast agent --join TOKEN"

    /// Whether this machine is a member already.
    public var isComplete: Bool { PrivateFile.exists(file("member.json")) }

    /// The key to join with: the one a join that was cut off left here, or a new one, durable before this returns.
    /// - Throws: `IdentityError`, also when this machine is a member already.
    public func keyForJoining() throws(IdentityError) -> P256.Signing.PrivateKey {
        try requireAbsent()
        if PrivateFile.exists(file("key.pem")) { return try readKey("key.pem") }
        let key = P256.Signing.PrivateKey()
        try PrivateFile.createFolder(path)
        try PrivateFile.write(Array(key.pemRepresentation.utf8), to: file("key.pem"), mode: 0o600)
        return key
    }

    /// Makes the folder, and the data directory around it.
    public func makeReady() throws(IdentityError) { try PrivateFile.createFolder(path) }

    private func requireAbsent() throws(IdentityError) {
        guard !isComplete else {
            // Only one who may read it can say what it is.
            _ = try PrivateFile.read(file("member.json"), secret: false, remedy: Self.joinAgain)
            throw IdentityError(
                file("member.json"), "this machine is a member of a cluster already",
                remedy: "remove it there with: holdfast cluster remove NAME, then delete \(path)")
        }
    }

    /// Writes a new identity.
    /// - Throws: `IdentityError`; nothing is overwritten when this machine is a member already.
    public func create(_ identity: MemberIdentity) throws(IdentityError) {
        try requireAbsent()
        try PrivateFile.createFolder(path)
        try write(identity.key.pemRepresentation, to: "key.pem", mode: 0o600)
        try write(pem(identity.trust.certificate, "authority.pem"), to: "authority.pem", mode: 0o644)
        if let authority = identity.authority {
            try write(authority.key.pemRepresentation, to: "authority-key.pem", mode: 0o600)
        }
        if let secrets = identity.secrets {
            try write(base64URL(secrets.raw), to: "secrets-key", mode: 0o600)
        }
        try replaceCertificate(of: identity)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        guard let settings = try? encoder.encode(identity.settings) else {
            throw IdentityError(file("member.json"), "cannot be encoded", remedy: Self.joinAgain)
        }
        try write(String(decoding: settings, as: UTF8.self), to: "member.json", mode: 0o644)
    }

    /// Writes a renewed certificate; the key stays.
    public func replaceCertificate(of identity: MemberIdentity) throws(IdentityError) {
        try write(pem(identity.certificate, "certificate.pem"), to: "certificate.pem", mode: 0o644)
    }

    private func write(_ text: String, to name: String, mode: UInt32) throws(IdentityError) {
        let ended = text.hasSuffix("\n") ? text : text + "\n"
        try PrivateFile.write(Array(ended.utf8), to: file(name), mode: mode)
    }

    private func pem(_ certificate: Certificate, _ name: String) throws(IdentityError) -> String {
        guard let document = try? certificate.serializeAsPEM() else {
            throw IdentityError(file(name), "cannot be encoded", remedy: Self.joinAgain)
        }
        return document.pemString
    }

    /// Reads the identity and checks that its parts belong together. An expired certificate is read.
    public func load() throws(IdentityError) -> MemberIdentity {
        guard isComplete else {
            throw IdentityError(
                file("member.json"), "this machine is not a member of a cluster",
                remedy: "found one with: holdfast cluster init, or join one with: holdfast agent --join TOKEN")
        }
        let settings = try readSettings()
        let key = try readKey("key.pem")
        let certificate = try readCertificate("certificate.pem")
        let root = try readCertificate("authority.pem")
        let trust = try belongs("authority.pem") { () throws(CertificateRefusal) in
            try ClusterTrust(cluster: settings.cluster, certificate: root)
        }
        var authority: ClusterAuthority?
        if PrivateFile.exists(file("authority-key.pem")) {
            let authorityKey = try readKey("authority-key.pem")
            authority = try belongs("authority-key.pem") { () throws(CertificateRefusal) in
                try ClusterAuthority(trust: trust, key: authorityKey)
            }
        }
        let secrets = try readSecretsKey()
        return try belongs("certificate.pem") { () throws(CertificateRefusal) in
            try MemberIdentity(
                settings: settings, key: key, certificate: certificate, trust: trust, authority: authority,
                secrets: secrets)
        }
    }

    private func readSecretsKey() throws(IdentityError) -> SecretsKey? {
        guard PrivateFile.exists(file("secrets-key")) else { return nil }
        let text = try PrivateFile.read(file("secrets-key"), secret: true, remedy: Self.joinAgain)
        let line = String(decoding: text.filter { $0 > 32 }, as: UTF8.self)
        guard let raw = bytes(base64URL: line), let key = SecretsKey(raw: raw) else {
            throw IdentityError(file("secrets-key"), "is not the key of secrets", remedy: Self.joinAgain)
        }
        return key
    }

    private func belongs<Result>(
        _ name: String, _ make: () throws(CertificateRefusal) -> Result
    ) throws(IdentityError) -> Result {
        do { return try make() } catch { throw IdentityError(file(name), error.description, remedy: Self.joinAgain) }
    }

    private func readSettings() throws(IdentityError) -> MemberSettings {
        let bytes = try PrivateFile.read(file("member.json"), secret: false, remedy: Self.joinAgain)
        do {
            return try JSONDecoder().decode(MemberSettings.self, from: Data(bytes))
        } catch {
            throw IdentityError(file("member.json"), "cannot be read (\(error))", remedy: Self.joinAgain)
        }
    }

    private func readKey(_ name: String) throws(IdentityError) -> P256.Signing.PrivateKey {
        let bytes = try PrivateFile.read(file(name), secret: true, remedy: Self.joinAgain)
        // The parser's own words are left out: they might quote the key.
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: String(decoding: bytes, as: UTF8.self)) else {
            throw IdentityError(file(name), "is not a P-256 private key in PEM", remedy: Self.joinAgain)
        }
        return key
    }

    private func readCertificate(_ name: String) throws(IdentityError) -> Certificate {
        let bytes = try PrivateFile.read(file(name), secret: false, remedy: Self.joinAgain)
        do {
            return try Certificate(pemEncoded: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw IdentityError(file(name), "is not a certificate in PEM (\(error))", remedy: Self.joinAgain)
        }
    }
}
