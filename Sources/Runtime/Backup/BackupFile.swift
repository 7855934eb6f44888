// The cluster's state in one encrypted file. Nothing of it can be read or changed without the key: what is in the clear is
// only how the key is derived.
//
//     0    "HFBACKUP"
//     8    format, 1
//     9    the key comes from: 1 a passphrase (scrypt, RFC 7914), 2 a file of random bytes (HKDF, RFC 5869)
//     10   scrypt's log2 N, r and p; zero for a key file
//     13   zero
//     16   salt, 32 bytes
//     48   check of the key, 16 bytes: tells a wrong key from a damaged file
//     64   nonce, 12 bytes
//     76   AES-256-GCM (NIST SP 800-38D) of the content, its 16 bytes of tag last; bytes 0 to 75 are authenticated with it
//
//     content: length of the manifest (4 bytes, little-endian), the manifest (JSON), the state as in a snapshot
//
// Does not: know where a backup is kept, or talk to a cluster.

import Cluster
import Consensus
import Crypto
import CryptoExtras
import FoundationEssentials

/// What a backup says about itself.
public struct BackupManifest: Hashable, Sendable, Codable {
    /// The cluster it was taken of.
    public var cluster: String
    public var clusterName: String
    public var revision: UInt64
    /// The feature level in force there.
    public var level: UInt64
    /// The version of the program that took it.
    public var version: String
    /// Wall clock, milliseconds since 1970.
    public var takenMilliseconds: Int64
    /// What its secrets are sealed with; base64. A secret.
    public var secretsKey: Data?

    public init(
        cluster: String, clusterName: String, revision: UInt64, level: UInt64, version: String,
        takenMilliseconds: Int64,
        secretsKey: Data? = nil
    ) {
        self.cluster = cluster
        self.clusterName = clusterName
        self.revision = revision
        self.level = level
        self.version = version
        self.takenMilliseconds = takenMilliseconds
        self.secretsKey = secretsKey
    }
}

/// A backup in the clear.
public struct Backup: Sendable {
    public var manifest: BackupManifest
    /// `ClusterState.encoded`.
    public var encodedState: [UInt8]

    public init(manifest: BackupManifest, encodedState: [UInt8]) {
        self.manifest = manifest
        self.encodedState = encodedState
    }

    /// - Throws: `BackupError` when the state is of a later version, or not what the manifest says.
    public func state() throws(BackupError) -> ClusterState {
        let state: ClusterState
        do { state = try ClusterState(encoded: encodedState) } catch {
            switch error {
            case .newer(let what): throw .newer("its state has \(what)")
            case .malformed: throw .damaged("its state cannot be read: \(error)")
            }
        }
        guard state.level <= FeatureLevel.newest else {
            throw .newer(
                "its state is of feature level \(state.level), this version understands \(FeatureLevel.newest)")
        }
        guard state.revision == manifest.revision, state.clusterName == manifest.clusterName else {
            throw .damaged("its state is not the one its manifest names")
        }
        return state
    }
}

/// Why a backup cannot be used. Nothing was changed.
public enum BackupError: Error, Hashable, Sendable, CustomStringConvertible {
    case notABackup(String)
    case newer(String)
    case wrongKey(String)
    case damaged(String)

    public var description: String {
        switch self {
        case .notABackup(let why): "this is not a backup: \(why)"
        case .newer(let what): "the backup was made by a later version: \(what); install that version"
        case .wrongKey(let why): "the backup opens with another key: \(why)"
        case .damaged(let why): "the backup is damaged: \(why); take another copy of it"
        }
    }
}

/// What opens a backup. Never printed.
public enum BackupKey: Sendable, CustomStringConvertible, CustomReflectable {
    case passphrase([UInt8])
    case file([UInt8])

    public static let leastPassphraseBytes = 12
    public static let keyFileBytes = 32

    var kind: UInt8 {
        switch self {
        case .passphrase: 1
        case .file: 2
        }
    }

    public var description: String { "a backup's key" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

public enum BackupFile {
    static let magic: [UInt8] = Array("HFBACKUP".utf8)
    static let format: UInt8 = 1
    static let headerBytes = 76
    static let tagBytes = 16
    /// 128 MiB and about half a second: what is recommended for a key that guards a file for years.
    static let logRounds: UInt8 = 17
    /// No file makes a reader use more than 512 MiB.
    static let readableLogRounds: ClosedRange<UInt8> = 10...19
    private static let blockSize: UInt8 = 8

    private struct Keys {
        let content: SymmetricKey
        let check: [UInt8]
    }

    /// - Parameter logRounds: the cost of a passphrase; tests take a small one.
    public static func seal(_ backup: Backup, with key: BackupKey, logRounds: UInt8 = 17) throws -> [UInt8] {
        var header = magic + [format, key.kind]
        if case .passphrase = key { header += [logRounds, blockSize, 1] } else { header += [0, 0, 0] }
        header += [0, 0, 0] + randomBytes(count: 32)
        let keys = try derive(key, header)
        header += keys.check
        let nonce = AES.GCM.Nonce()
        header += Array(nonce)
        let manifest = try CanonicalJSON.encode(backup.manifest)
        var content: [UInt8] = []
        for place in 0..<4 { content.append(UInt8(truncatingIfNeeded: manifest.count >> (place * 8))) }
        content += manifest + backup.encodedState
        let sealed = try AES.GCM.seal(content, using: keys.content, nonce: nonce, authenticating: header)
        return header + Array(sealed.ciphertext) + Array(sealed.tag)
    }

    public static func open(_ bytes: [UInt8], with key: BackupKey) throws(BackupError) -> Backup {
        let header = try readHeader(bytes, key)
        let keys: Keys
        do { keys = try derive(key, header) } catch { throw .damaged("its key cannot be derived: \(error)") }
        guard constantTimeEqual(keys.check, Array(header[48..<64])) else {
            throw .wrongKey(
                key.kind == 1
                    ? "the passphrase is not the one it was made with" : "the key file is not the one it was made with")
        }
        guard
            let nonce = try? AES.GCM.Nonce(data: header[64..<76]),
            let box = try? AES.GCM.SealedBox(
                nonce: nonce, ciphertext: bytes[headerBytes..<bytes.count - tagBytes], tag: bytes.suffix(tagBytes)),
            let content = try? AES.GCM.open(box, using: keys.content, authenticating: header)
        else { throw .damaged("it was cut off or altered after it was made") }
        return try read(Array(content))
    }

    private static func readHeader(_ bytes: [UInt8], _ key: BackupKey) throws(BackupError) -> [UInt8] {
        guard bytes.starts(with: magic) else { throw .notABackup("it does not begin as one does") }
        guard bytes.count >= headerBytes + tagBytes else { throw .damaged("it was cut off after \(bytes.count) bytes") }
        guard bytes[8] == format else { throw .newer("it has the format \(bytes[8])") }
        switch (bytes[9], key.kind) {
        case (1, 1): break
        case (2, 2): break
        case (1, _): throw .wrongKey("it was made with a passphrase: --passphrase-file FILE")
        case (2, _): throw .wrongKey("it was made with a key file: --key-file FILE")
        default: throw .newer("its key is of the kind \(bytes[9])")
        }
        let isScrypt = bytes[9] == 1
        guard isScrypt == readableLogRounds.contains(bytes[10]), isScrypt == (bytes[11] == blockSize),
            isScrypt == (bytes[12] == 1)
        else { throw .damaged("the way to its key is none that this program takes") }
        return Array(bytes[..<headerBytes])
    }

    private static func derive(_ key: BackupKey, _ header: [UInt8]) throws -> Keys {
        let salt = header[16..<48]
        let first: SymmetricKey
        switch key {
        case .passphrase(let bytes):
            first = try KDF.Scrypt.deriveKey(
                from: bytes, salt: Array(salt), outputByteCount: 32, rounds: 1 << Int(header[10]),
                blockSize: Int(header[11]), parallelism: Int(header[12]))
        case .file(let bytes): first = SymmetricKey(data: bytes)
        }
        func part(_ what: String, _ count: Int) -> SymmetricKey {
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: first, salt: salt, info: Array("holdfast backup \(what)".utf8),
                outputByteCount: count)
        }
        return Keys(content: part("content", 32), check: part("check", 16).withUnsafeBytes { Array($0) })
    }

    private static func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func read(_ content: [UInt8]) throws(BackupError) -> Backup {
        guard content.count >= 4 else { throw .damaged("it is empty") }
        var length = 0
        for place in 0..<4 { length |= Int(content[place]) << (place * 8) }
        guard length <= content.count - 4 else { throw .damaged("its manifest is cut off") }
        do {
            return Backup(
                manifest: try CanonicalJSON.decode(BackupManifest.self, from: Array(content[4..<4 + length])),
                encodedState: Array(content[(4 + length)...]))
        } catch { throw .damaged("its manifest cannot be read: \(error)") }
    }
}

extension BackupFile {
    /// What a backup may take: a state as large as a snapshot may be, and a manifest.
    public static let mostBytes = Limits().snapshotBytes + 1024 * 1024

    /// Writes a new file that only its owner may read, whole or not at all, and reads it back.
    /// - Throws: `IdentityError` when the file is there already, cannot be written, or reads back as something else.
    public static func write(_ bytes: [UInt8], to path: String) throws(IdentityError) {
        guard !PrivateFile.exists(path) else {
            throw IdentityError(path, "is there already", remedy: "choose another name; a backup is never written over")
        }
        try PrivateFile.write(bytes, to: path, mode: 0o600)
        guard try read(path) == bytes else {
            throw IdentityError(path, "reads back as something else than was written", remedy: "check the disk")
        }
    }

    public static func read(_ path: String) throws(IdentityError) -> [UInt8] {
        try PrivateFile.read(path, secret: false, remedy: "name the file of a backup", most: mostBytes)
    }

    /// A passphrase: the file's first line.
    public static func passphrase(at path: String) throws(IdentityError) -> BackupKey {
        let bytes = try PrivateFile.read(path, secret: true, remedy: "name the file with the passphrase")
        let line = Array(bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
        guard line.count >= BackupKey.leastPassphraseBytes else {
            throw IdentityError(
                path, "begins with a line of \(line.count) bytes, which is guessed too easily",
                remedy: "take a passphrase of \(BackupKey.leastPassphraseBytes) or more")
        }
        return .passphrase(line)
    }

    public static func keyFile(at path: String) throws(IdentityError) -> BackupKey {
        let bytes = try PrivateFile.read(path, secret: true, remedy: "make one with: holdfast backup key \(path)")
        guard bytes.count == BackupKey.keyFileBytes else {
            throw IdentityError(
                path, "has \(bytes.count) bytes and not \(BackupKey.keyFileBytes)",
                remedy: "make a key file with: holdfast backup key FILE")
        }
        return .file(bytes)
    }

    /// A new key file.
    public static func makeKeyFile(at path: String) throws(IdentityError) {
        guard !PrivateFile.exists(path) else {
            throw IdentityError(path, "is there already", remedy: "choose another name; a key is never written over")
        }
        try PrivateFile.write(randomBytes(count: BackupKey.keyFileBytes), to: path, mode: 0o600)
    }
}
