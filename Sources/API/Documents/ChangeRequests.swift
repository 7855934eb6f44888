// The bodies of requests that change something, and of their answers.

import Cluster
import Consensus

/// `POST /v1/plan`
public struct PlanRequest: Sendable, Codable {
    /// Each in the shape of a manifest.
    public var declarations: [JSONValue]
    /// Resources that would be deleted.
    public var deletions: [ResourceKey]?

    public init(declarations: [JSONValue], deletions: [ResourceKey]? = nil) {
        self.declarations = declarations
        self.deletions = deletions
    }
}

/// `POST /v1/apply`
public struct ApplyRequest: Sendable, Codable {
    /// Each in the shape of a manifest.
    public var declarations: [JSONValue]
    /// The index of the plan this carries out; refused as a conflict when resources changed since.
    public var checkRevision: UInt64?
    /// On trial: undone after so many seconds, 1 to 86,400, unless it is confirmed (`POST /v1/trial`).
    public var trialSeconds: Int64?
    /// Also when something could not be recovered any more afterwards.
    public var force: Bool?

    public init(
        declarations: [JSONValue], checkRevision: UInt64? = nil, trialSeconds: Int64? = nil, force: Bool? = nil
    ) {
        self.declarations = declarations
        self.checkRevision = checkRevision
        self.trialSeconds = trialSeconds
        self.force = force
    }
}

/// `POST /v1/delete`
public struct DeleteRequest: Sendable, Codable {
    public var keys: [ResourceKey]
    public var checkRevision: UInt64?
    /// Also when something could not be recovered any more afterwards.
    public var force: Bool?

    public init(keys: [ResourceKey], checkRevision: UInt64? = nil, force: Bool? = nil) {
        self.keys = keys
        self.checkRevision = checkRevision
        self.force = force
    }
}

/// `POST /v1/tokens`. The secret stays with who made it.
public struct TokenRequest: Sendable, Codable {
    public var id: String
    /// SHA-256 of the secret, 64 hexadecimal digits.
    public var secretHash: String
    public var kind: String
    /// How long it may be used: 60 to 604,800 (a week).
    public var ttlSeconds: Int64

    public init(id: String, secretHash: String, kind: String, ttlSeconds: Int64) {
        self.id = id
        self.secretHash = secretHash
        self.kind = kind
        self.ttlSeconds = ttlSeconds
    }
}

/// `POST /v1/members/rename`
public struct RenameMemberRequest: Sendable, Codable {
    /// Name or id.
    public var member: String
    /// What it is to be called.
    public var name: String

    public init(member: String, name: String) {
        self.member = member
        self.name = name
    }
}

/// `POST /v1/members/remove`
public struct RemoveMemberRequest: Sendable, Codable {
    /// Name or id.
    public var member: String
    /// Also when the cluster could then lose less than now. Absent: no.
    public var force: Bool?

    public init(member: String, force: Bool? = nil) {
        self.member = member
        self.force = force
    }
}

/// `POST /v1/recover`
public struct RecoverRequest: Sendable, Codable {
    /// Names or ids of the members that somebody has verified to be dead.
    public var verifiedDead: [String]

    public init(verifiedDead: [String]) { self.verifiedDead = verifiedDead }
}

/// `POST /v1/transfer-leader`
public struct TransferRequest: Sendable, Codable {
    /// Name or id of a voter; nil: the best one.
    public var to: String?

    public init(to: String? = nil) { self.to = to }
}

/// `POST /v1/vip/move`
public struct MoveRequest: Sendable, Codable {
    /// The VirtualIP's name.
    public var name: String
    /// The name or id of the member that shall hold it.
    public var to: String

    public init(name: String, to: String) {
        self.name = name
        self.to = to
    }
}

/// `POST /v1/vip/release`
public struct ReleaseRequest: Sendable, Codable {
    /// The VirtualIP's name.
    public var name: String

    public init(name: String) { self.name = name }
}

/// `PUT /v1/kv/KEY`
public struct ValueRequest: Sendable, Codable {
    public var value: String
    /// Sealed before it leaves the member that is asked, and shown to operators alone. Absent: no.
    public var secret: Bool?

    public init(value: String, secret: Bool? = nil) {
        self.value = value
        self.secret = secret
    }

    /// Nil for what only the general decoder reads.
    init?(plainJSON bytes: [UInt8]) {
        guard let value = PlainJSON.text(of: "value", in: bytes) else { return nil }
        self.init(value: value)
    }
}

/// The answer to a change that took effect, or had nothing to change.
public struct OutcomeDocument: Hashable, Sendable, Codable {
    /// False when everything was as asked for already.
    public var changed: Bool
    public var message: String
    /// The revision after the change.
    public var revision: UInt64

    public init(changed: Bool, message: String, revision: UInt64) {
        self.changed = changed
        self.message = message
        self.revision = revision
    }

    init(_ outcome: Outcome) {
        self.init(changed: outcome.code == .done, message: outcome.message, revision: outcome.revision)
    }
}

extension OutcomeDocument: WrittenPlainly {
    func plainJSON() -> String? {
        PlainJSON.quoted(message).map { "{\"changed\":\(changed),\"message\":\($0),\"revision\":\(revision)}" }
    }
}

/// The answer to `GET /v1/kv/KEY`.
public struct ValueDocument: Hashable, Sendable, Codable {
    public var key: String
    public var value: String
    /// The revision that wrote it.
    public var modified: UInt64
    /// True for what was stored as a secret.
    public var secret: Bool?
    public var read: ReadAge
}

extension ValueDocument: WrittenPlainly {
    func plainJSON() -> String? {
        guard secret == nil, let key = PlainJSON.quoted(key), let value = PlainJSON.quoted(value),
            let read = read.plainJSON()
        else { return nil }
        return "{\"key\":\(key),\"modified\":\(modified),\"read\":\(read),\"value\":\(value)}"
    }
}

/// The answer to `GET /v1/kv`.
public struct ValuesDocument: Hashable, Sendable, Codable {
    public struct Item: Hashable, Sendable, Codable {
        public var key: String
        /// Empty for a secret.
        public var value: String
        public var modified: UInt64
        public var secret: Bool?
    }

    /// In the order of their keys.
    public var values: [Item]
    /// Whether there are more than were asked for; ask on with `?after=KEY`.
    public var more: Bool
    public var read: ReadAge
}
