// The folder an identity lives in: writing it so that a crash leaves all or nothing, and reading it with errors that
// name the file and the way out.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import Glibc
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
        try write(identity.trust.authorities)
        try write(links: identity.trust.links)
        try write(keysOf: identity.authorities)
        if let secrets = identity.secrets {
            try write(base64URL(secrets.raw), to: "secrets-key", mode: 0o600)
        }
        try replaceCertificate(of: identity)
        try writeSettings(of: identity)
    }

    private func writeSettings(of identity: MemberIdentity) throws(IdentityError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        guard let settings = try? encoder.encode(identity.settings) else {
            throw IdentityError(file("member.json"), "cannot be encoded", remedy: Self.joinAgain)
        }
        try write(String(decoding: settings, as: UTF8.self), to: "member.json", mode: 0o644)
    }

    /// Writes the certificate and the settings of a member that is called otherwise. What a name says is for people, so a
    /// crash between the two leaves an identity that is as good.
    public func replaceName(of identity: MemberIdentity) throws(IdentityError) {
        try replaceCertificate(of: identity)
        try writeSettings(of: identity)
    }

    /// Writes a renewed certificate; the key stays.
    public func replaceCertificate(of identity: MemberIdentity) throws(IdentityError) {
        try write(pem(identity.certificate, "certificate.pem"), to: "certificate.pem", mode: 0o644)
    }

    /// Writes what another trust, or another certificate under it, makes of an identity. After a crash at any point the
    /// folder holds the old identity, the new one, or the old one that trusts what both do.
    public func replaceTrust(of identity: MemberIdentity) throws(IdentityError) {
        for step in try stepsReplacingTrust(of: identity) { try step.take(self) }
    }

    /// One file of an identity, written whole or not at all.
    struct WritingStep: Sendable {
        let take: @Sendable (IdentityFolder) throws(IdentityError) -> Void
    }

    /// More is trusted before anything rests on it, and less only when nothing does any more.
    func stepsReplacingTrust(of identity: MemberIdentity) throws(IdentityError) -> [WritingStep] {
        let present = try load()
        let pins = identity.trust.pins
        let gone = present.trust.authorities.filter { !pins.contains($0.pin) }
        let keysGone = present.authorities.filter { !pins.contains($0.trust.pin) }
        var steps = [
            WritingStep { (folder) throws(IdentityError) in try folder.write(keysOf: identity.authorities + keysGone) },
            WritingStep { (folder) throws(IdentityError) in try folder.write(identity.trust.authorities + gone) },
            WritingStep { (folder) throws(IdentityError) in try folder.write(links: identity.trust.links) },
            WritingStep { (folder) throws(IdentityError) in try folder.replaceCertificate(of: identity) },
            WritingStep { (folder) throws(IdentityError) in try folder.forgetNext(identity) },
        ]
        if !gone.isEmpty || !keysGone.isEmpty {
            steps.append(
                WritingStep { (folder) throws(IdentityError) in try folder.write(identity.trust.authorities) })
            steps.append(
                WritingStep { (folder) throws(IdentityError) in try folder.write(keysOf: identity.authorities) })
        }
        return steps
    }

    /// Keeps the key of an authority that is to be one, beside others of which that is not decided yet. Not to be called
    /// twice at one time.
    public func keepNext(_ authority: ClusterAuthority) throws(IdentityError) {
        let keys = try nextKeys().suffix(Self.mostNextKeys - 1) + [authority.key]
        try write(keys.map(\.pemRepresentation).joined(separator: "\n"), to: "authority-next-key.pem", mode: 0o600)
    }

    /// Rotations that one host was asked for and that did not come to be.
    static let mostNextKeys = 8

    /// The keys kept by `keepNext`.
    public func nextKeys() throws(IdentityError) -> [P256.Signing.PrivateKey] {
        PrivateFile.exists(file("authority-next-key.pem")) ? try readKeys("authority-next-key.pem") : []
    }

    /// What was kept for later is an authority of this identity now.
    private func forgetNext(_ identity: MemberIdentity) throws(IdentityError) {
        let pins = try nextKeys().map { ClusterTrust.pin(of: $0.publicKey) }
        guard pins.contains(where: { pin in identity.authorities.contains { $0.trust.pin == pin } }) else { return }
        unlink(file("authority-next-key.pem"))
    }

    private func write(_ authorities: [TrustedAuthority]) throws(IdentityError) {
        var texts: [String] = []
        for authority in authorities { texts.append(try pem(authority.certificate, "authority.pem")) }
        try write(texts.joined(separator: "\n"), to: "authority.pem", mode: 0o644)
    }

    /// Those of an earlier rotation may stay: they say nothing without the authority that signed them.
    private func write(links: [Certificate]) throws(IdentityError) {
        guard !links.isEmpty else { return }
        var texts: [String] = []
        for link in links { texts.append(try pem(link, "authority-link.pem")) }
        try write(texts.joined(separator: "\n"), to: "authority-link.pem", mode: 0o644)
    }

    private func write(keysOf authorities: [ClusterAuthority]) throws(IdentityError) {
        guard !authorities.isEmpty else { return }
        let texts = authorities.map(\.key.pemRepresentation)
        try write(texts.joined(separator: "\n"), to: "authority-key.pem", mode: 0o600)
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
        let trust = try readTrust(of: settings.cluster)
        let authorities = try readAuthorities(trust)
        let secrets = try readSecretsKey()
        return try belongs("certificate.pem") { () throws(CertificateRefusal) in
            try MemberIdentity(
                settings: settings, key: key, certificate: certificate, trust: trust, authorities: authorities,
                secrets: secrets)
        }
    }

    private func readTrust(of cluster: ClusterID) throws(IdentityError) -> ClusterTrust {
        let bytes = try PrivateFile.read(file("authority.pem"), secret: false, remedy: Self.joinAgain)
        do {
            let authorities = try TrustedAuthority.all(pem: String(decoding: bytes, as: UTF8.self))
            guard !authorities.isEmpty else { throw CertificateRefusal.missing }
            let links = try readLinks().filter { link in authorities.contains { $0.hasSigned(link) } }
            return ClusterTrust(cluster: cluster, authorities: authorities, links: links)
        } catch let error as IdentityError {
            throw error
        } catch {
            throw IdentityError(
                file("authority.pem"), "is not an authority's certificate in PEM (\(error))", remedy: Self.joinAgain)
        }
    }

    private func readLinks() throws(IdentityError) -> [Certificate] {
        guard PrivateFile.exists(file("authority-link.pem")) else { return [] }
        let bytes = try PrivateFile.read(file("authority-link.pem"), secret: false, remedy: Self.joinAgain)
        do {
            return try PEMDocument.parseMultiple(pemString: String(decoding: bytes, as: UTF8.self))
                .map { try Certificate(pemDocument: $0) }
        } catch {
            throw IdentityError(
                file("authority-link.pem"), "is not a certificate in PEM (\(error))", remedy: Self.joinAgain)
        }
    }

    /// A key whose authority is not trusted was written just before a crash, or waits to be dropped; one at least belongs.
    private func readAuthorities(_ trust: ClusterTrust) throws(IdentityError) -> [ClusterAuthority] {
        guard PrivateFile.exists(file("authority-key.pem")) else { return [] }
        var held: [ClusterAuthority] = []
        for key in try readKeys("authority-key.pem") {
            if let authority = ClusterAuthority(key: key, in: trust) { held.append(authority) }
        }
        guard !held.isEmpty else {
            throw IdentityError(
                file("authority-key.pem"), "the authority's key does not belong to the authority's certificate",
                remedy: Self.joinAgain)
        }
        return held
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

    /// One key or more.
    private func readKeys(_ name: String) throws(IdentityError) -> [P256.Signing.PrivateKey] {
        let bytes = try PrivateFile.read(file(name), secret: true, remedy: Self.joinAgain)
        let documents = try? PEMDocument.parseMultiple(pemString: String(decoding: bytes, as: UTF8.self))
        let keys = (documents ?? []).map { try? P256.Signing.PrivateKey(pemRepresentation: $0.pemString) }
        let sound = keys.compactMap { $0 }
        // The parser's own words are left out: they might quote the key.
        guard !sound.isEmpty, sound.count == keys.count else {
            throw IdentityError(file(name), "is not a P-256 private key in PEM", remedy: Self.joinAgain)
        }
        return sound
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
