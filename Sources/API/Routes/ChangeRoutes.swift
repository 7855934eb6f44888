// Changes that an operator may make: declarations, values, and where an address is.

import Agent
import Cluster
import Consensus
import FoundationEssentials
import HTTPTypes

extension API {
    static let changes: [Route] = [
        Route(method: .post, path: "/v1/plan", needs: .viewer) { api, call in try await api.plan(call) },
        Route(method: .post, path: "/v1/apply", needs: .operator) { api, call in try await api.apply(call) },
        Route(method: .post, path: "/v1/delete", needs: .operator) { api, call in try await api.delete(call) },
        Route(method: .put, path: "/v1/kv/:key", needs: .operator) { api, call in try await api.putValue(call) },
        Route(method: .delete, path: "/v1/kv/:key", needs: .operator) { api, call in
            try await api.propose(.remove(key: try call.valueKey()), for: call)
        },
        Route(method: .post, path: "/v1/vip/move", needs: .operator) { api, call in try await api.moveAddress(call) },
    ]

    private func plan(_ call: Call) async throws -> PlanDocument {
        let request = try call.decode(PlanRequest.self)
        let (state, view, consistency) = try await state(for: call)
        let deletions = request.deletions ?? []
        let declarations = try declarations(in: request.declarations, against: state, deleting: deletions)
        let missing = deletions.filter { !state.resources.contains($0) }
        guard missing.isEmpty else { throw Self.notDeclared(missing) }
        let changes = declarations.compactMap {
            ResourceChange.between(state.resources[$0.key]?.declaration, and: $0)
        }
        return PlanDocument(
            index: state.revision,
            changes: changes
                + deletions.compactMap { state.resources[$0].map { ResourceChange.deleting($0.declaration) } },
            unchanged: declarations.count - changes.count, read: ReadAge(consistency, state, view))
    }

    private func apply(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(ApplyRequest.self)
        guard !request.declarations.isEmpty else { throw APIFailure(.badRequest, "there is nothing to apply") }
        if let seconds = request.trialSeconds, !(1...86_400).contains(seconds) {
            throw APIFailure(.badRequest, "trialSeconds is \(seconds); it must be 1 to 86400 (a day)")
        }
        let (state, _) = try await freshState(for: call)
        let declarations = try declarations(in: request.declarations, against: state)
        return try await propose(
            .apply(
                declarations: declarations, checkRevision: request.checkRevision,
                trialMilliseconds: request.trialSeconds.map { $0 * 1000 }), for: call)
    }

    private func delete(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(DeleteRequest.self)
        guard !request.keys.isEmpty else { throw APIFailure(.badRequest, "there is nothing to delete") }
        return try await propose(.delete(keys: request.keys, checkRevision: request.checkRevision), for: call)
    }

    private func putValue(_ call: Call) async throws -> OutcomeDocument {
        let value = try call.decode(ValueRequest.self).value
        guard value.utf8.count <= Call.mostValueBytes else {
            throw APIFailure(
                .tooLarge, "a value has at most \(Call.mostValueBytes) bytes, this has \(value.utf8.count)")
        }
        return try await propose(
            .put(key: try call.valueKey(), value: value, expected: try call.expectedValue()), for: call)
    }

    static func notDeclared(_ keys: [ResourceKey]) -> APIFailure {
        APIFailure(
            .notFound, "not declared: \(keys.map(\.description).joined(separator: ", "))",
            next: "see what is: holdfast get")
    }
}

extension Call {
    static let mostKeyBytes = 512
    static let mostValueBytes = 64 * 1024

    fileprivate func valueKey() throws -> String {
        let key = try parameter("key")
        guard key.utf8.count <= Self.mostKeyBytes else {
            throw APIFailure(.badRequest, "a key has at most \(Self.mostKeyBytes) bytes")
        }
        return key
    }

    /// `If-None-Match: *` wants no value there, `If-Match: "BASE64"` wants exactly this one.
    fileprivate func expectedValue() throws -> ExpectedValue? {
        switch (headers[.ifNoneMatch], headers[.ifMatch]) {
        case (nil, nil): return nil
        case ("*", nil): return .absent
        case (nil, let quoted?):
            guard quoted.count >= 2, quoted.hasPrefix("\""), quoted.hasSuffix("\""),
                let data = Data(base64Encoded: String(quoted.dropFirst().dropLast())),
                let text = String(bytes: data, encoding: .utf8)
            else { fallthrough }
            return .value(text)
        default:
            throw APIFailure(
                .badRequest,
                "give either If-None-Match: * or If-Match: \"…\" with the expected value in base64, and not both")
        }
    }
}
