// Operators and what they did. A certificate is signed first and admitted then: one that was not admitted is worth
// nothing more than the one before it, and an admission without a certificate would lock its owner out.

import Agent
import Cluster
import Consensus
import HTTPTypes
import Runtime

extension API {
    static let operators: [Route] = [
        Route(method: .get, path: "/v1/audit", needs: .viewer) { api, call in try await api.auditLog(call) },
        Route(method: .get, path: "/v1/operators", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            return OperatorsDocument(
                operators: state.operators.values, read: ReadAge(consistency, state, view))
        },
        Route(method: .post, path: "/v1/operators", needs: .admin) { api, call in
            let request = try call.decode(OperatorRequest.self)
            return try await api.admit(request.name, request.role, csr: request.csr, for: call)
        },
        Route(method: .post, path: "/v1/operators/renew", needs: .viewer) { api, call in
            try await api.renewOwn(call)
        },
        Route(method: .post, path: "/v1/operators/revoke", needs: .admin) { api, call in try await api.revoke(call) },
    ]

    private func auditLog(_ call: Call) async throws -> AuditDocument {
        let after = try call.number("after") ?? 0
        let (state, view, consistency) = try await state(for: call)
        return AuditDocument(
            entries: state.auditLog.filter { $0.id > after }, read: ReadAge(consistency, state, view))
    }

    private func admit(
        _ name: String, _ role: OperatorRole, csr: String, for call: Call
    ) async throws -> OperatorCertificate {
        guard let signed = try await signed(name, role, csr) else { throw try await cannotSign(call) }
        var admitted = OperatorRecord(
            name: name, role: role, key: signed.key, certificateExpires: signed.expiresMilliseconds)
        admitted.signedBy = signed.signedBy
        guard !call.isDryRun else {
            throw APIFailure(.badRequest, "a certificate cannot be made on trial", next: "leave the dry run away")
        }
        let outcome = try await propose(.admitOperator(admitted), for: call)
        return OperatorCertificate(
            name: name, role: role, certificate: signed.certificate, expires: signed.expiresMilliseconds,
            revision: outcome.revision)
    }

    /// Why a member that is no host does not do what it is asked for.
    func cannotSign(_ call: Call) async throws -> APIFailure {
        let (state, _, _) = try await state(for: call)
        let hosts = state.members.values.filter { $0.kind == .host }.map(\.apiEndpoint)
        return APIFailure(
            .elsewhere, "this member does not hold the authority's key and cannot sign",
            next: "ask a host: --endpoints \(hosts.joined(separator: ","))")
    }

    private func signed(_ name: String, _ role: OperatorRole, _ csr: String) async throws -> SignedOperator? {
        do {
            return try await desk.signOperator(name, role, csr)
        } catch let refusal as EnrollmentRefusal {
            throw APIFailure(.badRequest, refusal.description)
        }
    }

    private func renewOwn(_ call: Call) async throws -> OperatorCertificate {
        guard case .operatorAccount(let name, let role) = call.principal.subject else {
            throw APIFailure(.forbidden, "a member's certificate renews by itself, and not here")
        }
        return try await admit(name, role, csr: try call.decode(OperatorRenewal.self).csr, for: call)
    }

    private func revoke(_ call: Call) async throws -> OutcomeDocument {
        let name = try call.decode(RevokeRequest.self).name
        guard isValidName(name) else {
            throw APIFailure(.badRequest, "\(name.prefix(80).debugDescription) is no operator's name")
        }
        guard name != call.principal.name else {
            throw APIFailure(
                .unsafe, "\(name) is who asks, and would be locked out",
                next: "let another admin revoke \(name); or replace the key: holdfast context renew")
        }
        return try await propose(.revokeOperator(name: name), for: call)
    }
}
