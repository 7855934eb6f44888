// The key under which stored secrets are sealed before they reach the log. Every member has it in its identity folder and
// nowhere else: `cluster init` draws it, a member that joins gets it encrypted to its own key. What is in the log, in
// snapshots, on the wire between members and in the state is sealed.
//
//     hfs1:BASE64(nonce, AES-256-GCM ciphertext, tag)      authenticated with it: the name under which it is stored
//
// Does not: protect against who can read a member's identity folder, or hide how long a secret is.

import Crypto
import FoundationEssentials

/// Never printed.
public struct SecretsKey: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    public static let bytes = 32
    /// What a sealed text begins with; no other value may.
    public static let prefix = "hfs1:"

    public let raw: [UInt8]

    public init() { raw = randomBytes(count: Self.bytes) }

    /// Nil when there are not 32 bytes.
    public init?(raw: [UInt8]) {
        guard raw.count == Self.bytes else { return nil }
        self.raw = raw
    }

    private static func authenticated(_ name: String) -> [UInt8] { Array("holdfast secret \(name)".utf8) }

    /// - Parameter name: under which it will be stored; under another one it does not open.
    public func seal(_ text: String, as name: String) throws -> String {
        let box = try AES.GCM.seal(
            Array(text.utf8), using: SymmetricKey(data: raw), authenticating: Self.authenticated(name))
        // With a nonce of the usual length there always is one.
        guard let combined = box.combined else { throw SecretError.damaged }
        return Self.prefix + combined.base64EncodedString()
    }

    public static func isSealed(_ text: String) -> Bool { text.hasPrefix(prefix) }

    public func open(_ sealed: String, as name: String) throws(SecretError) -> String {
        guard Self.isSealed(sealed), let combined = Data(base64Encoded: String(sealed.dropFirst(Self.prefix.count))),
            let box = try? AES.GCM.SealedBox(combined: combined)
        else { throw .damaged }
        guard
            let opened = try? AES.GCM.open(
                box, using: SymmetricKey(data: raw), authenticating: Self.authenticated(name)),
            let text = String(bytes: opened, encoding: .utf8)
        else { throw .anotherKey }
        return text
    }

    public var description: String { "the key of a cluster's secrets" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Why a secret does not open.
public enum SecretError: Error, Hashable, Sendable, CustomStringConvertible {
    case damaged
    case anotherKey

    public var description: String {
        switch self {
        case .damaged: "it is no sealed text"
        case .anotherKey: "it was sealed with another key, or for another name"
        }
    }
}

/// The key of the cluster's secrets, encrypted to the key of the member that is to have it (HPKE, RFC 9180), for the same
/// reason as the authority's.
public struct SealedSecretsKey: Hashable, Sendable, Codable {
    var encapsulatedKey: Data
    var ciphertext: Data

    private static let suite = HPKE.Ciphersuite.P256_SHA256_AES_GCM_256
    private static func information(_ trust: ClusterTrust) -> Data {
        Data("holdfast secrets key of cluster \(trust.cluster)".utf8)
    }

    static func seal(
        _ key: SecretsKey, of trust: ClusterTrust, for member: P256.Signing.PublicKey
    ) throws -> SealedSecretsKey {
        let recipient = try P256.KeyAgreement.PublicKey(rawRepresentation: member.rawRepresentation)
        var sender = try HPKE.Sender(recipientKey: recipient, ciphersuite: suite, info: information(trust))
        let ciphertext = try sender.seal(key.raw)
        return SealedSecretsKey(encapsulatedKey: sender.encapsulatedKey, ciphertext: ciphertext)
    }

    func open(with key: P256.Signing.PrivateKey, trust: ClusterTrust) throws -> SecretsKey {
        let own = try P256.KeyAgreement.PrivateKey(rawRepresentation: key.rawRepresentation)
        var recipient = try HPKE.Recipient(
            privateKey: own, ciphersuite: Self.suite, info: Self.information(trust), encapsulatedKey: encapsulatedKey)
        guard let opened = SecretsKey(raw: Array(try recipient.open(ciphertext))) else { throw SecretError.damaged }
        return opened
    }
}
