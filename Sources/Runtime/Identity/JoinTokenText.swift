// The one line a person copies from a member to a new machine: `hf1.` and base64url of JSON.
// It says where the cluster is, by which key to recognize it, and holds a secret that admits one member once.
// Only the SHA-256 of the secret goes into the replicated state, so neither log nor snapshot nor backup can be joined
// with.

import Cluster
import Consensus
import Crypto
import FoundationEssentials

/// A join token as people see it. It is a secret: print `text` only where it was asked for.
public struct JoinTokenText: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    public let cluster: ClusterID
    /// API endpoints of members, 1 to 16.
    public let endpoints: [Endpoint]
    /// SHA-256 of the authority's SubjectPublicKeyInfo, 64 hexadecimal digits.
    public let pin: String
    /// Names the token in lists and in the audit log; not a secret.
    public let id: String
    public let kind: MemberKind
    /// 32 random bytes.
    let secret: [UInt8]

    static let prefix = "hf1."
    static let secretBytes = 32
    static let mostEndpoints = 16
    static let mostCharacters = 4_096

    /// A new token with a secret of its own.
    /// - Parameter endpoints: of which the first 16 go into the token; at least one.
    public init(trust: ClusterTrust, endpoints: [Endpoint], kind: MemberKind) {
        precondition(!endpoints.isEmpty, "a token needs an endpoint")
        cluster = trust.cluster
        self.endpoints = Array(endpoints.prefix(Self.mostEndpoints))
        pin = trust.pin
        id = hexadecimal(randomBytes(count: 6))
        self.kind = kind
        secret = randomBytes(count: Self.secretBytes)
    }

    /// What the replicated state keeps.
    /// - Parameter expiresMilliseconds: wall clock, milliseconds since 1970.
    public func replicated(expiresMilliseconds: Int64) -> JoinToken {
        JoinToken(
            id: id, secretHash: Self.hash(of: secret), kind: kind, expiresMilliseconds: expiresMilliseconds)
    }

    static func hash(of secret: [UInt8]) -> String { hexadecimal(SHA256.hash(data: secret)) }

    private struct Content: Codable {
        var cluster: String
        var endpoints: [String]
        var pin: String
        var id: String
        var secret: String
        var kind: String
    }

    /// The line to copy.
    public var text: String {
        let content = Content(
            cluster: cluster.description, endpoints: endpoints.map(\.description), pin: pin, id: id,
            secret: base64URL(secret), kind: kind.rawValue)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let encoded = try? encoder.encode(content) else { preconditionFailure("strings are always JSON") }
        return Self.prefix + base64URL(encoded)
    }

    /// Reads what `text` wrote; white space around it is ignored.
    public init(_ text: String) throws(JoinTokenError) {
        let trimmed = text.drop { $0.isWhitespace }
        let line = trimmed.prefix(trimmed.count - trimmed.reversed().prefix { $0.isWhitespace }.count)
        guard line.utf8.count <= Self.mostCharacters else { throw .notAToken("it is longer than any token") }
        guard line.hasPrefix(Self.prefix) else {
            guard line.hasPrefix("hf"), let dot = line.firstIndex(of: "."), Int(line[..<dot].dropFirst(2)) != nil else {
                throw .notAToken("it does not begin with \(Self.prefix)")
            }
            throw .newerFormat(String(line[..<dot]))
        }
        guard let decoded = bytes(base64URL: String(line.dropFirst(Self.prefix.count))) else {
            throw .damaged("it has characters that no token has, or was cut off")
        }
        guard let content = try? JSONDecoder().decode(Content.self, from: Data(decoded)) else {
            throw .damaged("its content is incomplete; probably it was cut off when copied")
        }
        try self.init(content)
    }

    private init(_ content: Content) throws(JoinTokenError) {
        guard let cluster = ClusterID(content.cluster) else { throw .damaged("the cluster id is malformed") }
        guard let kind = MemberKind(rawValue: content.kind) else {
            throw .damaged("it admits a \(content.kind.debugDescription), which this version does not know")
        }
        guard (1...Self.mostEndpoints).contains(content.endpoints.count) else {
            throw .damaged("it has \(content.endpoints.count) endpoints instead of 1 to \(Self.mostEndpoints)")
        }
        var endpoints: [Endpoint] = []
        for text in content.endpoints {
            guard let endpoint = Endpoint(text) else { throw .damaged("\(text.debugDescription) is not host:port") }
            endpoints.append(endpoint)
        }
        let isDigit: (UInt8) -> Bool = { (48...57).contains($0) || (97...102).contains($0) }
        guard content.pin.utf8.count == 64, content.pin.utf8.allSatisfy(isDigit) else {
            throw .damaged("the pinned key is malformed")
        }
        guard (1...64).contains(content.id.utf8.count), content.id.utf8.allSatisfy(isDigit) else {
            throw .damaged("the token's id is malformed")
        }
        guard let secret = bytes(base64URL: content.secret), secret.count == Self.secretBytes else {
            throw .damaged("the secret is malformed")
        }
        self.cluster = cluster
        self.endpoints = endpoints
        self.pin = content.pin
        self.id = content.id
        self.kind = kind
        self.secret = secret
    }

    /// Without the secret.
    public var description: String { "join token \(id) for a \(kind.rawValue) of cluster \(cluster)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Why a text is not a usable token. Never quotes the token.
public enum JoinTokenError: Error, Hashable, Sendable, CustomStringConvertible {
    case notAToken(String)
    case newerFormat(String)
    case damaged(String)

    public var description: String {
        let remedy = "create one on a member with: holdfast cluster token create"
        return switch self {
        case .notAToken(let why): "this is not a join token: \(why); \(remedy)"
        case .newerFormat(let format):
            "the join token has format \(format), which this version does not know; install the cluster's version here"
        case .damaged(let why): "the join token is damaged: \(why); copy it again in one piece, or \(remedy)"
        }
    }
}
