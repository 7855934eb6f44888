// What happened, and why something is as it is.

import Cluster
import Consensus

/// The answer to `GET /v1/events`.
public struct EventsDocument: Hashable, Sendable, Codable {
    /// Oldest first.
    public var events: [ClusterEvent]
    /// The id of the newest event there is; ask on with `?after=`.
    public var last: UInt64
    public var read: ReadAge
}

/// The answer to `GET /v1/why/KIND/NAME`.
public struct WhyDocument: Hashable, Sendable, Codable {
    /// `VirtualIP/kube-api`, `member/pve1`
    public var subject: String
    /// The present state in a few words: `held by k8s-cp2`.
    public var state: String
    /// Since when, milliseconds since 1970; zero when nothing is known of it.
    public var sinceMilliseconds: Int64
    public var reason: String
    /// The event that led here, then its cause, and so on back.
    public var chain: [ClusterEvent]
    public var read: ReadAge
}

extension WhyDocument {
    /// Nil when there is nothing of that name, now or in the kept events.
    init?(_ key: ResourceKey, state: ClusterState, read: ReadAge) {
        if key.kind == KindName.member {
            guard let member = state.member(named: key.name) else {
                self.init(lastEventAbout: key.description, state: "no member any more", in: state, read: read)
                return
            }
            let words = member.stopping ? "stopping" : member.reachable ? "reachable" : "unreachable"
            self.init(key.description, words, from: member.lastEvent, in: state, read)
        } else if let role = state.roles[key] {
            let address = AddressDocument(key: key, role: role, state: state)
            let words =
                switch address.phase {
                case .vacant: "held by nobody"
                case .held: "held by \(address.holder ?? "")"
                case .releasing: "held by \(address.holder ?? ""), going to \(address.successor ?? "nobody")"
                }
            self.init(key.description, words, from: role.lastEvent, in: state, read)
            sinceMilliseconds = role.sinceMilliseconds
            reason = role.reason
        } else {
            let words = state.resources.contains(key) ? "declared" : "not declared"
            self.init(lastEventAbout: key.description, state: words, in: state, read: read)
            if chain.isEmpty, state.resources.contains(key) {
                reason = "its events are no longer kept"
            }
        }
    }

    private init?(lastEventAbout subject: String, state words: String, in state: ClusterState, read: ReadAge) {
        let last = state.events.last { $0.subject == subject }
        guard last != nil || words == "declared" else { return nil }
        self.init(subject, words, from: last?.id ?? 0, in: state, read)
    }

    private init(_ subject: String, _ words: String, from event: UInt64, in state: ClusterState, _ read: ReadAge) {
        let chain = state.causes(of: event)
        self.init(
            subject: subject, state: words, sinceMilliseconds: chain.first?.milliseconds ?? 0,
            reason: chain.first?.message ?? "its events are no longer kept", chain: chain, read: read)
    }
}
