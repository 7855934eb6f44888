// The cluster's authority: which it is, and its replacement by another one. A host makes the new one and keeps its key; what
// is proposed is public. How it goes on from there is the leader's (Decisions/RotationDecisions.swift).

import Agent
import Cluster
import Consensus
import HTTPTypes
import Runtime

extension API {
    static let authorities: [Route] = [
        Route(method: .get, path: "/v1/authority", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            return AuthorityDocument(
                trusted: try state.authorityBook?.trusted ?? api.trust.authorities.map { try $0.record },
                rotation: RotationDocument(state, silent: view.silent, now: api.wallClock()),
                read: ReadAge(consistency, state, view))
        },
        Route(method: .post, path: "/v1/authority/rotate", needs: .admin) { api, call in try await api.rotate(call) },
        Route(method: .post, path: "/v1/authority/cancel", needs: .admin) { api, call in
            try await api.cancelRotation(call)
        },
    ]

    private func rotate(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(RotateRequest.self)
        let bounds = ClusterState.rotationGraceMilliseconds
        guard (bounds.lowerBound / 1_000...bounds.upperBound / 1_000).contains(request.operatorsWithinSeconds) else {
            throw APIFailure(
                .badRequest,
                "operatorsWithinSeconds is \(request.operatorsWithinSeconds); it must be \(bounds.lowerBound / 1_000) to "
                    + "\(bounds.upperBound / 1_000) (90 days)")
        }
        let (state, _) = try await freshState(for: call)
        // Asked before a key is made, and once more when it is applied.
        if let rotation = state.rotation {
            throw APIFailure(
                .conflict, "the authority is being rotated to \(rotation.plan.new.shortName) already",
                next: "see what it waits for: holdfast cluster rotate-authority --status")
        }
        if let objection = state.objection(toLevel: 2) { throw APIFailure(.refused, objection) }
        let grace = request.operatorsWithinSeconds * 1_000
        guard let plan = try await desk.newAuthority(grace, call.isDryRun) else { throw try await cannotSign(call) }
        return try await propose(.rotateAuthority(plan), for: call)
    }

    private func cancelRotation(_ call: Call) async throws -> OutcomeDocument {
        let (state, _) = try await freshState(for: call)
        return try await propose(.cancelRotation(pin: state.rotation?.plan.new.pin ?? ""), for: call)
    }
}
