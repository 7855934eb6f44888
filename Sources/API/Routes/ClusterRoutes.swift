// Changes of the cluster itself. They need an admin.

import Agent
import Cluster
import Consensus
import Decisions
import HTTPTypes

extension API {
    static let clusterChanges: [Route] = [
        Route(method: .post, path: "/v1/tokens", needs: .admin) { api, call in try await api.createToken(call) },
        Route(method: .post, path: "/v1/members/remove", needs: .admin) { api, call in
            try await api.removeMember(call)
        },
        Route(method: .post, path: "/v1/members/rename", needs: .admin) { api, call in
            let request = try call.decode(RenameMemberRequest.self)
            let (state, _) = try await api.freshState(for: call)
            let member = try Self.member(request.member, in: state)
            return try await api.propose(.renameMember(member.id, to: request.name), for: call)
        },
        Route(method: .post, path: "/v1/recover", needs: .admin) { api, call in try await api.recover(call) },
        Route(method: .post, path: "/v1/transfer-leader", needs: .admin) { api, call in
            try await api.transferLeader(call)
        },
    ]

    private func createToken(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(TokenRequest.self)
        guard let kind = MemberKind(rawValue: request.kind) else {
            throw APIFailure(.badRequest, "kind is \(request.kind); it must be host, guest or witness")
        }
        guard (60...604_800).contains(request.ttlSeconds) else {
            throw APIFailure(.badRequest, "ttlSeconds is \(request.ttlSeconds); it must be 60 to 604800 (a week)")
        }
        guard request.secretHash.utf8.count == 64, request.secretHash.utf8.allSatisfy(Self.isLowercaseHexadecimal)
        else {
            throw APIFailure(
                .badRequest, "secretHash must be the SHA-256 of the secret, 64 lower-case hexadecimal digits")
        }
        guard (8...64).contains(request.id.utf8.count), request.id.utf8.allSatisfy(Self.isLowercaseHexadecimal) else {
            throw APIFailure(.badRequest, "id must have 8 to 64 lower-case hexadecimal digits")
        }
        let token = JoinToken(
            id: request.id, secretHash: request.secretHash, kind: kind,
            expiresMilliseconds: wallClock() + request.ttlSeconds * 1000)
        return try await propose(.createToken(token), for: call)
    }

    private static func isLowercaseHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private func removeMember(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(RemoveMemberRequest.self)
        let (state, view) = try await freshState(for: call)
        if let gone = Self.leftBehind(request.member, in: state) {
            if let objection = state.objection(toLevel: 2) { throw APIFailure(.unsafe, objection) }
            return try await propose(.removeMember(gone.id), for: call)
        }
        let member = try Self.member(request.member, in: state)
        if view.configuration.isVoter(member.id) {
            let remaining = view.configuration.voters.filter { $0 != member.id }
            guard !remaining.isEmpty else {
                throw APIFailure(
                    .unsafe, "\(member.name) is the only voter, so nobody would be left to decide",
                    next: "let another host join first: holdfast cluster token create --kind host")
            }
            let answering = remaining.filter { voter in
                state.members[voter]?.reachable == true && !view.silent.contains(voter)
            }
            let needed = remaining.count / 2 + 1
            guard answering.count >= needed else {
                throw APIFailure(
                    .unsafe,
                    "without \(member.name) only \(answering.count) of \(remaining.count) voters would answer, and "
                        + "\(needed) are needed",
                    next: "bring the unreachable voters back first: holdfast cluster members")
            }
            try refuseToSpendTolerance(on: member, state, view, force: request.force ?? false)
        }
        return try await propose(.removeMember(member.id), for: call)
    }

    /// Who has this name or id among those that recoveries went on without, when no member has.
    private static func leftBehind(_ name: String, in state: ClusterState) -> MemberRecord? {
        let isMeant = { (record: MemberRecord) in record.name == name || record.id.description == name }
        guard !state.members.values.contains(where: isMeant) else { return nil }
        return state.leftBehind.values.first(where: isMeant)
    }

    /// What can be lost must not become less by a command that does not say so.
    private func refuseToSpendTolerance(
        on member: MemberRecord, _ state: ClusterState, _ view: AgentView, force: Bool
    ) throws {
        let spent = Tolerance.spent(
            byRemoving: member.id, state: state, configuration: view.configuration, silent: view.silent)
        guard !force, !spent.isEmpty else { return }
        throw APIFailure(
            .unsafe,
            "without \(member.name) the loss of \(spent.map(\.domain).joined(separator: " or ")) would stop the cluster",
            next: "let another host or a witness join first: holdfast cluster token create --kind host; or insist: "
                + "holdfast cluster remove \(member.name) --force",
            problems: spent.map { "\($0.domain): \($0.obstacles.joined(separator: "; "))" })
    }

    private func transferLeader(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(TransferRequest.self)
        let (state, view) = try await freshState(for: call)
        let target = try request.to.map { try Self.member($0, in: state) }
        if let target {
            guard view.leader != target.id else {
                return OutcomeDocument(
                    changed: false, message: "\(target.name) leads already", revision: state.revision)
            }
            guard view.configuration.isVoter(target.id) else {
                throw APIFailure(
                    .unsafe, "\(target.name) is no voter and cannot lead",
                    next: "see who votes: holdfast cluster members")
            }
            guard target.reachable, !view.silent.contains(target.id) else {
                throw APIFailure(.unsafe, "\(target.name) is unreachable")
            }
        }
        // It changes nothing in the state; the audit log has it all the same, and a revoked operator ends here.
        _ = try await propose(
            .act(what: "hand leadership to \(target?.name ?? "the best voter")"), for: call, stamped: false)
        if call.isDryRun {
            return OutcomeDocument(
                changed: true, message: "dry run, nothing was changed: \(target?.name ?? "the best voter") would lead",
                revision: state.revision)
        }
        switch await access.submit(.transferLeadership(to: target?.id, deadline: call.deadline)) {
        case .outcome(let outcome):
            if let failure = APIFailure(outcome) { throw failure }
            return OutcomeDocument(outcome)
        case .state(let state, let view):
            return OutcomeDocument(
                changed: true, message: "\(view.leader.map { state.name(of: $0) } ?? "another member") leads",
                revision: state.revision)
        case .failed(let failure): throw APIFailure(failure, changing: true)
        }
    }

    /// By the state of the asked member alone: there is nobody else to ask. It decides for itself, and says everything that
    /// speaks against it.
    private func recover(_ call: Call) async throws -> OutcomeDocument {
        guard case .state(let state, _) = await access.submit(.readLocal) else {
            throw APIFailure(.overloaded, "the agent has too much waiting", next: "try again in a moment")
        }
        try call.requireStanding(in: state)
        let request = try call.decode(RecoverRequest.self)
        guard !request.verifiedDead.isEmpty, request.verifiedDead.count <= 64 else {
            throw APIFailure(.badRequest, "verifiedDead must name 1 to 64 members")
        }
        let dead = try request.verifiedDead.map { try Self.member($0, in: state).id }
        let answer = await access.submit(.recover(without: dead, actor: call.actor, origin: call.origin))
        switch answer {
        case .outcome(let outcome):
            if let failure = APIFailure(outcome) { throw failure }
            return OutcomeDocument(outcome)
        case .failed(.refused(let against)):
            throw APIFailure(
                .unsafe, against,
                next: "bring the others back if that is possible at all; see \"When the majority is gone\" in the "
                    + "operator's guide")
        case .failed(let failure): throw APIFailure(failure, changing: true)
        case .state: throw APIFailure(.internal, "the agent answered a recovery with a state")
        }
    }

    /// A member by name or id.
    static func member(_ text: String, in state: ClusterState) throws -> MemberRecord {
        if let member = state.member(named: text) ?? MemberID(text).flatMap({ state.members[$0] }) { return member }
        throw APIFailure(.notFound, "no member is called \(text)", next: "see who there is: holdfast cluster members")
    }
}
