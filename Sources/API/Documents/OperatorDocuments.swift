// People, their acts, and the revisions of what they declared: as they travel.

import Cluster
import Consensus

/// `POST /v1/operators`
public struct OperatorRequest: Sendable, Codable {
    public var name: String
    public var role: OperatorRole
    /// PKCS #10 in PEM, made where the key is and stays.
    public var csr: String

    public init(name: String, role: OperatorRole, csr: String) {
        self.name = name
        self.role = role
        self.csr = csr
    }
}

/// `POST /v1/operators/renew`: whoever asks gets a new certificate for the same name and role.
public struct OperatorRenewal: Sendable, Codable {
    public var csr: String

    public init(csr: String) { self.csr = csr }
}

/// The answer to both.
public struct OperatorCertificate: Hashable, Sendable, Codable {
    public var name: String
    public var role: OperatorRole
    /// PEM.
    public var certificate: String
    /// When it ends, milliseconds since 1970.
    public var expires: Int64
    public var revision: UInt64
}

/// `POST /v1/operators/revoke`
public struct RevokeRequest: Sendable, Codable {
    public var name: String

    public init(name: String) { self.name = name }
}

/// The answer to `GET /v1/operators`.
public struct OperatorsDocument: Hashable, Sendable, Codable {
    /// By name. Who has a certificate that is older than the cluster's state is not among them until it is replaced or
    /// revoked.
    public var operators: [OperatorRecord]
    public var read: ReadAge
}

/// The answer to `GET /v1/audit`.
public struct AuditDocument: Hashable, Sendable, Codable {
    /// Oldest first.
    public var entries: [AuditEntry]
    public var read: ReadAge
}

/// The answer to `GET /v1/revisions`.
public struct RevisionsDocument: Hashable, Sendable, Codable {
    public struct Item: Hashable, Sendable, Codable {
        public var revision: UInt64
        public var milliseconds: Int64
        public var actor: String
        /// `applied`, `deleted`, `rolled back to 12`, `tried`
        public var what: String
        /// The resources that were created, changed and deleted.
        public var created: [ResourceKey]
        public var changed: [ResourceKey]
        public var deleted: [ResourceKey]
    }

    /// Newest first.
    public var revisions: [Item]
    /// The oldest revision that can be rolled back to.
    public var oldest: UInt64
    public var trial: Trial?
    public var read: ReadAge
}

extension RevisionsDocument.Item {
    init(_ change: DeclarationChange) {
        self.init(
            revision: change.revision, milliseconds: change.milliseconds, actor: change.actor, what: change.what,
            created: change.parts.filter { $0.before == nil }.map(\.key),
            changed: change.parts.filter { $0.before != nil && $0.isDeclared }.map(\.key),
            deleted: change.parts.filter { !$0.isDeclared }.map(\.key))
    }
}

/// `POST /v1/rollback`
public struct RollBackRequest: Sendable, Codable {
    public var revision: UInt64
    public var checkRevision: UInt64?

    public init(revision: UInt64, checkRevision: UInt64? = nil) {
        self.revision = revision
        self.checkRevision = checkRevision
    }
}

/// `POST /v1/trial`: settles the trial that is under way.
public struct TrialRequest: Sendable, Codable {
    /// Whether what was tried stays.
    public var keep: Bool
    /// The revision that is on trial. Without it only whoever began the trial may settle it: what one means to keep may
    /// have ended meanwhile, and another's begun.
    public var revision: UInt64?

    public init(keep: Bool, revision: UInt64? = nil) {
        self.keep = keep
        self.revision = revision
    }
}
