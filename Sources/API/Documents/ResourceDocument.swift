// A resource as it travels, in the shape of its manifest, so that what `get -o yaml` prints can be applied again.

import Cluster
import Consensus
import Kinds

public struct ResourceDocument: Hashable, Sendable, Codable {
    public var apiVersion: String
    public var kind: String
    public var metadata: Metadata
    public var spec: JSONValue
    /// Only in answers.
    public var status: Status?

    public struct Metadata: Hashable, Sendable, Codable {
        public var name: String
        public var labels: SortedMap<String, String>?
        public var environment: String?
        /// Only in answers: how often it was declared differently, and the revisions that created and changed it.
        public var generation: UInt64?
        public var created: UInt64?
        public var modified: UInt64?
    }

    public struct Status: Hashable, Sendable, Codable {
        public var sync: Sync
        public var health: Health
        public var conditions: [Condition]
        public var placement: Placement?
    }

    public enum Sync: String, Sendable, Codable, CaseIterable {
        case synced = "Synced", outOfSync = "OutOfSync", unknown = "Unknown"
    }

    public enum Health: String, Sendable, Codable, CaseIterable {
        case healthy = "Healthy"
        case progressing = "Progressing"
        case degraded = "Degraded"
        case suspended = "Suspended"
        case missing = "Missing"
        case unknown = "Unknown"
    }

    public struct Condition: Hashable, Sendable, Codable {
        public var type: String
        public var message: String
    }

    public struct Placement: Hashable, Sendable, Codable {
        public var member: String
        public var since: String
        public var epoch: UInt64
        public var reason: String
    }

    public init(_ declaration: Declaration) {
        apiVersion = DocumentSchema.apiVersion
        kind = declaration.kind
        metadata = Metadata(
            name: declaration.name, labels: declaration.labels.isEmpty ? nil : declaration.labels,
            environment: declaration.environment)
        spec = declaration.spec
    }

    /// What it declares.
    public var declaration: Declaration {
        Declaration(
            kind: kind, name: metadata.name, labels: metadata.labels ?? [:], environment: metadata.environment,
            spec: spec)
    }
}

/// The answer to `GET /v1/resources` and `GET /v1/resources/KIND`.
public struct ResourcesDocument: Hashable, Sendable, Codable {
    public var resources: [ResourceDocument]
    public var read: ReadAge
}

/// The answer to `GET /v1/resources/KIND/NAME`.
public struct ResourceAnswer: Hashable, Sendable, Codable {
    public var resource: ResourceDocument
    public var read: ReadAge
}

// MARK: From the state

extension ResourceDocument {
    init(_ resource: Resource, state: ClusterState) {
        self.init(resource.declaration)
        metadata.generation = resource.generation
        metadata.created = resource.created
        metadata.modified = resource.modified
        status = Status(of: resource.declaration.key, state)
    }
}

extension ResourceDocument.Status {
    init(of key: ResourceKey, _ state: ClusterState) {
        if let placement = state.placements[key] {
            self.init(ofWorkload: key, placement, state)
            return
        }
        guard let role = state.roles[key] else {
            self.init(sync: .unknown, health: .unknown, conditions: [], placement: nil)
            return
        }
        let address = AddressDocument(key: key, role: role, state: state)
        var conditions = address.unfit.map {
            ResourceDocument.Condition(type: "CandidateUnfit", message: "\($0.member): \($0.why)")
        }
        if let conflict = address.conflict { conditions.append(.init(type: "AddressConflict", message: conflict)) }
        let holder = role.holder.flatMap { state.members[$0] }
        let sync: ResourceDocument.Sync
        let health: ResourceDocument.Health
        switch address.phase {
        case .vacant:
            (sync, health) = (.outOfSync, .missing)
            conditions.append(.init(type: "Vacant", message: role.reason))
        case .releasing: (sync, health) = (.outOfSync, .progressing)
        case .held:
            if let holder, holder.reachable {
                (sync, health) = (.synced, .healthy)
            } else {
                (sync, health) = (.unknown, .degraded)
                conditions.append(.init(type: "HolderUnreachable", message: "its holder is not heard of"))
            }
        }
        self.init(
            sync: sync, health: health, conditions: conditions,
            placement: address.holder.map {
                .init(member: $0, since: address.since, epoch: address.epoch, reason: address.reason)
            })
    }
}
