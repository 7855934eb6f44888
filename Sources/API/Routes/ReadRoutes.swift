// Questions about the state. A viewer may ask all of them.

import Agent
import Cluster
import Consensus
import Decisions
import HTTPTypes
import Runtime

extension API {
    static let reads: [Route] = [
        Route(method: .get, path: "/v1/status", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            return StatusDocument(
                cluster: api.trust.cluster, state: state, view: view, consistency: consistency, now: api.wallClock())
        },
        Route(method: .get, path: "/v1/members", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            return MembersDocument(
                members: MemberDocument.all(state, view), read: ReadAge(consistency, state, view))
        },
        Route(method: .get, path: "/v1/tolerance", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            let departing = view.configuration.members.filter { !state.members.contains($0) }.map(\.description)
            return ToleranceReport(
                tolerance: ToleranceDocument.all(state, view), departing: departing.isEmpty ? nil : departing,
                read: ReadAge(consistency, state, view))
        },
        Route(method: .get, path: "/v1/what-if", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            return PresentDocument(state, view, ReadAge(consistency, state, view))
        },
        Route(method: .get, path: "/v1/self", needs: .viewer) { api, call in
            _ = try await api.state(for: call.locally)
            guard let readings = await api.selfMeasurement() else {
                throw APIFailure(.overloaded, "this member cannot measure itself now", next: "try again in a moment")
            }
            return readings
        },
        Route(method: .get, path: "/v1/resources", needs: .viewer) { api, call in
            try await api.resources(ofKind: nil, for: call)
        },
        Route(method: .get, path: "/v1/resources/:kind", needs: .viewer) { api, call in
            try await api.resources(ofKind: try call.parameter("kind"), for: call)
        },
        Route(method: .get, path: "/v1/resources/:kind/:name", needs: .viewer) { api, call in
            try await api.resource(call)
        },
        Route(method: .get, path: "/v1/why/:kind/:name", needs: .viewer) { api, call in try await api.why(call) },
        Route(method: .get, path: "/v1/kv", needs: .viewer) { api, call in try await api.values(call) },
        Route(method: .get, path: "/v1/kv/:key", needs: .viewer) { api, call in try await api.value(call) },
    ]

    private func resources(ofKind text: String?, for call: Call) async throws -> ResourcesDocument {
        let (state, view, consistency) = try await state(for: call)
        let kind = text.map { KindName.canonical($0, in: state) }
        let resources = state.resources.values.filter { kind == nil || $0.declaration.kind == kind }
        return ResourcesDocument(
            resources: resources.map { ResourceDocument($0, state: state) }, read: ReadAge(consistency, state, view))
    }

    private func resource(_ call: Call) async throws -> ResourceAnswer {
        let (state, view, consistency) = try await state(for: call)
        let key = ResourceKey(
            kind: KindName.canonical(try call.parameter("kind"), in: state), name: try call.parameter("name"))
        guard let resource = state.resources[key] else {
            throw APIFailure(
                .notFound, "\(key) is not declared", next: "see what is: holdfast get \(key.kind)")
        }
        return ResourceAnswer(
            resource: ResourceDocument(resource, state: state), read: ReadAge(consistency, state, view))
    }

    private func why(_ call: Call) async throws -> WhyDocument {
        let (state, view, consistency) = try await state(for: call)
        var key = ResourceKey(
            kind: KindName.canonical(try call.parameter("kind"), in: state), name: try call.parameter("name"))
        // `why host/pve1` is asked about the member when no such resource is declared.
        if !state.resources.contains(key), let member = state.member(named: key.name),
            member.kind.rawValue == key.kind.lowercased()
        {
            key = ResourceKey(kind: KindName.member, name: member.name)
        }
        guard let document = WhyDocument(key, state: state, read: ReadAge(consistency, state, view)) else {
            throw APIFailure(
                .notFound, "nothing is known of \(key)", next: "see what there is: holdfast get \(key.kind)")
        }
        return document
    }

    private func values(_ call: Call) async throws -> ValuesDocument {
        let prefix = call.query.get("prefix") ?? ""
        let limit = Int(clamping: min(try call.number("limit") ?? 1_000, 1_000))
        let (state, view, consistency) = try await state(for: call)
        var position = state.values.lowerBound(max(prefix, call.query.get("after") ?? ""))
        var found: [ValuesDocument.Item] = []
        while position < state.values.count, found.count <= limit {
            let key = state.values.keys[position]
            guard key.hasPrefix(prefix) else { break }
            if key != call.query.get("after") {
                let value = state.values.values[position]
                let isSecret = SecretsKey.isSealed(value.value)
                found.append(
                    .init(
                        key: key, value: isSecret ? "" : value.value, modified: value.modified,
                        secret: isSecret ? true : nil))
            }
            position += 1
        }
        return ValuesDocument(
            values: Array(found.prefix(limit)), more: found.count > limit, read: ReadAge(consistency, state, view))
    }

    private func value(_ call: Call) async throws -> ValueDocument {
        let key = try call.parameter("key")
        let (state, view, consistency) = try await state(for: call)
        guard let value = state.values[key] else { throw APIFailure(.notFound, "\(key) has no value") }
        if SecretsKey.isSealed(value.value) {
            return ValueDocument(
                key: key, value: try openSecret(value.value, as: key, in: state, for: call), modified: value.modified,
                secret: true, read: ReadAge(consistency, state, view))
        }
        return ValueDocument(
            key: key, value: value.value, modified: value.modified, read: ReadAge(consistency, state, view))
    }
}
