// What people declare: a resource of some kind, with a spec that only its kind understands.
// Fields that this version does not know are kept as they came. Checks nothing; the kinds do.

import Consensus

/// Kind and name; unique in a cluster. Written `VirtualIP/kube-api`.
public struct ResourceKey: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public let kind: String
    public let name: String

    public init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }

    public static func < (left: ResourceKey, right: ResourceKey) -> Bool {
        left.kind == right.kind ? left.name < right.name : left.kind < right.kind
    }
    public var description: String { "\(kind)/\(name)" }
}

/// A resource as it is declared in a manifest.
public struct Declaration: Hashable, Sendable, Codable {
    public var kind: String
    public var name: String
    public var labels: SortedMap<String, String>
    public var environment: String?
    public var spec: JSONValue

    public init(
        kind: String, name: String, labels: SortedMap<String, String> = [:], environment: String? = nil, spec: JSONValue
    ) {
        self.kind = kind
        self.name = name
        self.labels = labels
        self.environment = environment
        self.spec = spec
    }

    public var key: ResourceKey { ResourceKey(kind: kind, name: name) }
}

/// A declared resource in the replicated state.
public struct Resource: Hashable, Sendable, Codable {
    public var declaration: Declaration
    /// The revision that created it, and the one that changed it last.
    public var created: UInt64
    public var modified: UInt64
    /// Counts changes of the declaration, from 1.
    public var generation: UInt64

    public init(declaration: Declaration, created: UInt64, modified: UInt64, generation: UInt64) {
        self.declaration = declaration
        self.created = created
        self.modified = modified
        self.generation = generation
    }
}

/// What a member is, which decides whether it votes, leads and holds roles.
public enum MemberKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// A physical host. Votes, leads.
    case host
    /// An agent inside a guest. Receives the log and may hold roles; never counts for a majority, because it dies
    /// together with its host.
    case guest
    /// A small machine in a third failure domain. Votes, holds no role.
    case witness
}

/// A member as the cluster knows it.
public struct MemberRecord: Hashable, Sendable, Codable {
    public var id: MemberID
    public var name: String
    public var kind: MemberKind
    /// For a guest: the name of the host it runs on now. Empty for hosts and witnesses.
    public var host: String
    /// Where other members reach it: `address:port`.
    public var peerEndpoint: String
    /// Where the CLI reaches it: `address:port`.
    public var apiEndpoint: String
    public var version: String
    /// The revision that admitted it.
    public var joined: UInt64 = 0
    /// Whether the leader hears of it, as of the last change.
    public var reachable = true
    /// It is about to stop by its own word, and gives its roles away.
    public var stopping = false
    /// The last event about it.
    public var lastEvent: UInt64 = 0
    /// When its certificate ends, milliseconds since 1970; nil for a member of a version that did not say.
    public var certificateExpires: Int64?
    /// The newest feature level that its version understands; nil for a version that did not say.
    public var level: UInt64?
    /// Names its whole key: SHA-256 of the SubjectPublicKeyInfo in hexadecimal, of which the id is the beginning. Nil for
    /// a member that was admitted by an older version and has announced nothing since.
    public var key: String?
    /// Names the authority that signed its present certificate: the SHA-256 of that authority's key, in hexadecimal. Nil
    /// until it has said so at level 2.
    public var signedBy: String?
    /// The newest authority that it trusts durably and, being a host, can sign with. Nil before its first rotation.
    public var preparedFor: String?
    /// Whether it has a hypervisor, by its own word: then it says what it is before long, and what it has of every guest. Nil:
    /// it has not said so at level 2, and may have one.
    public var runsGuests: Bool?
    /// Names the machine: the UUID that its firmware gives, or of a container the id of its boot, in lower case. Of witnesses
    /// only, by which a host knows its own guest or container. Nil: it could not be read.
    public var machine: String?

    public init(
        id: MemberID, name: String, kind: MemberKind, host: String = "", peerEndpoint: String, apiEndpoint: String,
        version: String, level: UInt64? = FeatureLevel.newest
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.host = host
        self.peerEndpoint = peerEndpoint
        self.apiEndpoint = apiEndpoint
        self.version = version
        self.level = level
    }

    /// Whether this is the member with that key, as far as is known; an id alone is 64 bits, which somebody may meet.
    public func isOf(_ key: String?) -> Bool { self.key == nil || self.key == key }

    /// What one physical fault takes away together with it.
    public var failureDomain: String { kind == .guest && !host.isEmpty ? host : name }
}

/// A single-use permission to join. The secret itself is never kept, only its SHA-256.
public struct JoinToken: Hashable, Sendable, Codable {
    public var id: String
    public var secretHash: String
    public var kind: MemberKind
    /// Wall clock of the leader, milliseconds since 1970.
    public var expiresMilliseconds: Int64

    public init(id: String, secretHash: String, kind: MemberKind, expiresMilliseconds: Int64) {
        self.id = id
        self.secretHash = secretHash
        self.kind = kind
        self.expiresMilliseconds = expiresMilliseconds
    }
}

/// A value of the small store that scripts and tests may use.
public struct StoredValue: Hashable, Sendable, Codable {
    public var value: String
    public var modified: UInt64

    public init(value: String, modified: UInt64) {
        self.value = value
        self.modified = modified
    }
}
