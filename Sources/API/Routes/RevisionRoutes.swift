// Revisions of what is declared: looking at them, going back to one, and settling a trial.

import Agent
import Cluster
import Consensus
import HTTPTypes
import Kinds

extension API {
    static let revisions: [Route] = [
        Route(method: .get, path: "/v1/revisions", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            return RevisionsDocument(
                revisions: state.declarationChanges.reversed().map(RevisionsDocument.Item.init),
                oldest: state.oldestKnownDeclarations, trial: state.trial, read: ReadAge(consistency, state, view))
        },
        Route(method: .get, path: "/v1/revisions/:revision", needs: .viewer) { api, call in
            try await api.planOfRollBack(call)
        },
        Route(method: .post, path: "/v1/rollback", needs: .operator) { api, call in try await api.rollBack(call) },
        Route(method: .post, path: "/v1/trial", needs: .operator) { api, call in try await api.settleTrial(call) },
    ]

    private static func declared(at revision: UInt64, in state: ClusterState) throws -> [Declaration] {
        guard let declared = state.declarations(at: revision) else {
            throw APIFailure(
                .notFound, "what was declared at revision \(revision) is not known", next: "holdfast revisions")
        }
        return declared.values
    }

    /// What a roll-back would change.
    private func planOfRollBack(_ call: Call) async throws -> PlanDocument {
        let text = try call.parameter("revision")
        guard let revision = UInt64(text) else {
            throw APIFailure(.badRequest, "\(text) is no revision; it must be a whole number from 0")
        }
        let (state, view, consistency) = try await state(for: call)
        let wanted = try Self.declared(at: revision, in: state)
        let changes = wanted.compactMap { ResourceChange.between(state.resources[$0.key]?.declaration, and: $0) }
        let gone = state.resources.values.map(\.declaration).filter { present in
            !wanted.contains { $0.key == present.key }
        }
        return PlanDocument(
            index: state.revision, changes: changes + gone.map { ResourceChange.deleting($0) },
            unchanged: wanted.count - changes.count, read: ReadAge(consistency, state, view))
    }

    private func rollBack(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(RollBackRequest.self)
        let (state, _) = try await freshState(for: call)
        let wanted = try Self.declared(at: request.revision, in: state)
        // It was valid once; this version may know better.
        let problems = KindRegistry.crossCheck(wanted, against: [])
        guard problems.isEmpty else {
            throw APIFailure(
                .invalid, "what was declared at revision \(request.revision) is not valid any more",
                next: "holdfast apply what should be declared instead", problems: problems.prefix(50).map(\.description)
            )
        }
        return try await propose(
            .rollBack(revision: request.revision, checkRevision: request.checkRevision), for: call)
    }

    private func settleTrial(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(TrialRequest.self)
        let (state, _) = try await freshState(for: call)
        guard let trial = state.trial else {
            throw APIFailure(.notFound, "nothing is on trial; it was settled, or has ended", next: "holdfast revisions")
        }
        guard request.revision != nil || trial.wasBegun(by: call.principal.name) else {
            throw APIFailure(
                .conflict, "what is on trial now is revision \(trial.revision) by \(trial.actor), and none of yours",
                next: "if that is the one you mean, name it: holdfast apply "
                    + "\(request.keep ? "--confirm" : "--rollback") --revision \(trial.revision)")
        }
        return try await propose(
            .settleTrial(revision: request.revision ?? trial.revision, keep: request.keep), for: call)
    }
}
