// Changes that an operator may make: declarations, values, and where an address is.

import Agent
import Cluster
import Consensus
import FoundationEssentials
import HTTPTypes
import Runtime

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
        Route(method: .post, path: "/v1/vip/release", needs: .operator) { api, call in
            try await api.releaseAddress(call)
        },
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
        let objections = Self.objections(to: declarations, deleting: deletions, in: state, view)
        return PlanDocument(
            index: state.revision,
            changes: changes
                + deletions.compactMap { state.resources[$0].map { ResourceChange.deleting($0.declaration) } },
            unchanged: declarations.count - changes.count, objections: objections.words,
            refused: objections.words.isEmpty ? nil : objections.areFinal, read: ReadAge(consistency, state, view))
    }

    private func apply(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(ApplyRequest.self)
        guard !request.declarations.isEmpty else { throw APIFailure(.badRequest, "there is nothing to apply") }
        if let seconds = request.trialSeconds, !(1...86_400).contains(seconds) {
            throw APIFailure(.badRequest, "trialSeconds is \(seconds); it must be 1 to 86400 (a day)")
        }
        let (state, view) = try await freshState(for: call)
        let declarations = try declarations(in: request.declarations, against: state)
        try Self.admit(declarations, deleting: [], in: state, view, force: request.force ?? false)
        return try await propose(
            .apply(
                declarations: declarations, checkRevision: request.checkRevision,
                trialMilliseconds: request.trialSeconds.map { $0 * 1000 }), for: call)
    }

    private func delete(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(DeleteRequest.self)
        guard !request.keys.isEmpty else { throw APIFailure(.badRequest, "there is nothing to delete") }
        let (state, view) = try await freshState(for: call)
        try Self.admit([], deleting: request.keys, in: state, view, force: request.force ?? false)
        return try await propose(.delete(keys: request.keys, checkRevision: request.checkRevision), for: call)
    }

    private func putValue(_ call: Call) async throws -> OutcomeDocument {
        let request = try ValueRequest(plainJSON: call.body) ?? call.decode(ValueRequest.self)
        guard request.value.utf8.count <= Call.mostValueBytes else {
            throw APIFailure(
                .tooLarge, "a value has at most \(Call.mostValueBytes) bytes, this has \(request.value.utf8.count)")
        }
        if request.secret == true { return try await putSecret(request.value, call) }
        guard !SecretsKey.isSealed(request.value) else {
            throw APIFailure(
                .badRequest, "a value cannot begin with \(SecretsKey.prefix), as sealed secrets do",
                next: "store it as a secret: holdfast kv put KEY VALUE --secret")
        }
        return try await propose(
            .put(key: try call.valueKey(), value: request.value, expected: try call.expectedValue()), for: call)
    }

    private func putSecret(_ text: String, _ call: Call) async throws -> OutcomeDocument {
        let key = try call.valueKey()
        let secrets = try secretsKey()
        var expected = try call.expectedValue()
        if case .value(let wanted)? = expected {
            // The same secret is sealed differently each time: what must still be there is the sealed text.
            let (state, _) = try await freshState(for: call)
            guard let present = state.values[key]?.value, SecretsKey.isSealed(present),
                try openSecret(present, as: key, in: state, for: call) == wanted
            else {
                throw APIFailure(
                    .conflict, "\(key) has another value", next: "look at what changed, then try again")
            }
            expected = .value(present)
        }
        return try await propose(
            .put(key: key, value: try secrets.seal(text, as: key), expected: expected), for: call)
    }

    private func secretsKey() throws -> SecretsKey {
        guard let secrets else {
            throw APIFailure(
                .elsewhere, "this member has no key for secrets: it joined before there was one",
                next: "ask another member: --endpoints")
        }
        return secrets
    }

    /// A secret in the clear, for those who may change things.
    func openSecret(_ sealed: String, as key: String, in state: ClusterState, for call: Call) throws -> String {
        guard let reader = call.principal.origin(needs: .operator, reason: nil), state.objection(to: reader) == nil
        else {
            throw APIFailure(
                .forbidden, "\(key) is a secret, and reading it needs the role operator",
                next: "ask an admin for a certificate with that role")
        }
        do { return try secretsKey().open(sealed, as: key) } catch let error as SecretError {
            throw APIFailure(.internal, "the secret \(key) does not open: \(error)")
        }
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
