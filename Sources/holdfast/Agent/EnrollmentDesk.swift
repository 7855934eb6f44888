// What this member does for machines without a valid certificate: it lets those join that have a token, and signs anew for
// members. Relies on Enrollment for what may be signed, and on the agent for who belongs to the cluster.

import Agent
import Cluster
import Consensus
import Logging
import NIOPosix
import Runtime

struct EnrollmentDesk: Sendable {
    let current: CurrentIdentity
    /// Where the key of a new authority is kept; nil: this desk makes none.
    var folder: IdentityFolder?
    let access: any AgentAccess
    /// The members known when this one was last running.
    let known: [MemberRecord]
    let log: Logger
    /// On which host of the cluster a machine runs that wants to be a witness; nil: on none that this member knows of.
    var carrier: @Sendable (MachinePlace, ClusterState) async -> String? = { _, _ in nil }

    private var identity: MemberIdentity { current.value }

    @Sendable func join(_ body: [UInt8]) async -> (status: Int, body: [UInt8]) {
        do {
            let request = try CanonicalJSON.decode(JoinRequest.self, from: body)
            let enrollment = Enrollment(identity: identity)
            let state = try await state()
            var prepared = try enrollment.prepare(request, members: state.members.values)
            if state.hasAdmitted(prepared.record) { return try answer(prepared, state) }
            // Whatever is proposed is written to every disk, and only whoever has a token may cause that. The log has the
            // last word: of two that show the same token it admits one.
            guard case .join(let id, let hash, _) = prepared.command, state.hasOpenToken(id, secretHash: hash) else {
                return refusal(
                    403, "the join token is unknown or used; create one with: holdfast cluster token create")
            }
            if prepared.record.kind == .witness, let host = await carrier(prepared.place, state) {
                prepared = prepared.found(on: host)
            }
            let deadline = access.now() + .seconds(5)
            let proposal = AgentRequest.propose(prepared.command, stamp: nil, actor: request.name, deadline: deadline)
            switch await access.submit(proposal) {
            case .outcome(let outcome) where outcome.succeeded: return try answer(prepared, try await self.state())
            case .outcome(let outcome): return refusal(outcome.code == .conflict ? 409 : 403, outcome.message)
            case .failed(let failure): return refusal(503, "the cluster could not admit the member: \(failure)")
            case .state: return refusal(500, "the agent gave no outcome")
            }
        } catch let refused as EnrollmentRefusal {
            return (refused.status, encoded(refused.body))
        } catch is DecodingError {
            return refusal(400, "the body is not a request to join")
        } catch {
            log.warning("a request to join failed: \(error)")
            return refusal(503, "\(error)")
        }
    }

    /// Signs for a member anew. Works without a quorum too: after months without power every certificate has ended, and
    /// a quorum comes only of members that have new ones.
    @Sendable func renew(_ body: [UInt8]) async -> (status: Int, body: [UInt8]) {
        do {
            let request = try CanonicalJSON.decode(RenewRequest.self, from: body)
            let members = await MembersAtLeast(access: access, known: known).now()
            let enrollment = Enrollment(identity: identity)
            var response = RenewResponse(
                certificate: try enrollment.renew(csr: request.csr, members: members))
            if let pins = request.keysOf {
                // What a majority says now, or nothing.
                response.authorityKeys = try enrollment.authorityKeys(
                    of: pins, csr: request.csr, members: try await state().members.values)
            }
            return (200, try CanonicalJSON.encode(response))
        } catch let refused as EnrollmentRefusal {
            return (refused.status, encoded(refused.body))
        } catch is DecodingError {
            return refusal(400, "the body is not a request to renew a certificate")
        } catch {
            log.warning("a request to renew a certificate failed: \(error)")
            return refusal(503, "\(error)")
        }
    }

    @Sendable func signOperator(_ name: String, _ role: OperatorRole, _ csr: String) async throws -> SignedOperator? {
        try Enrollment(identity: identity).sign(operator: name, role: role, csr: csr)
    }

    /// Makes a new authority, and keeps its key.
    @Sendable func newAuthority(
        _ graceMilliseconds: Int64, _ isRehearsal: Bool
    ) async throws -> AuthorityRotation.Plan? {
        guard let folder else { return nil }
        return try await NIOThreadPool.singleton.runIfActive { [current] in
            try current.newAuthority(
                graceMilliseconds: graceMilliseconds, keptIn: isRehearsal ? nil : folder)
        }
    }

    private func answer(_ prepared: Enrollment.Prepared, _ state: ClusterState) throws -> (status: Int, body: [UInt8]) {
        let response = try Enrollment(identity: identity).complete(prepared, members: state.members.values)
        return (200, try CanonicalJSON.encode(response))
    }

    /// As the cluster has it.
    private func state() async throws -> ClusterState {
        switch await access.submit(.read(deadline: access.now() + .seconds(5))) {
        case .state(let state, _): return state
        case .failed(let failure): throw failure
        case .outcome: throw AgentFailure.refused("the agent gave no state")
        }
    }

    private func refusal(_ status: Int, _ words: String) -> (Int, [UInt8]) {
        (status, encoded(JoinRefusalBody(message: words)))
    }

    private func encoded(_ body: JoinRefusalBody) -> [UInt8] {
        // Plain strings are always JSON; an empty body would still carry the status.
        (try? CanonicalJSON.encode(body)) ?? []
    }
}

/// The members, as well as can be told: as the cluster has them, else as this member has them, else as it had them when
/// it was last running.
struct MembersAtLeast: Sendable {
    let access: any AgentAccess
    let known: [MemberRecord]
    /// How long to try for the cluster's own word.
    var patience = Interval.seconds(2)

    func now() async -> [MemberRecord] {
        for request in [AgentRequest.read(deadline: access.now() + patience), .readLocal] {
            if case .state(let state, _) = await access.submit(request), !state.members.isEmpty {
                return state.members.values
            }
        }
        return known
    }
}
