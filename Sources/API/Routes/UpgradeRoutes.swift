// What an upgrade is made of: which member may be restarted now, what is installed there, and the restart itself. The
// order is walked by the command line, one member at a time; each member looks for itself before it goes.

import Agent
import Cluster
import Consensus
import Decisions
import HTTPTypes

extension API {
    static let upgrades: [Route] = [
        Route(method: .get, path: "/v1/upgrade", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            return UpgradeDocument(state, view, consistency)
        },
        Route(method: .get, path: "/v1/installed", needs: .operator) { api, call in
            _ = try await api.state(for: call.locally)
            return await api.upkeep.installed()
        },
        Route(method: .post, path: "/v1/restart", needs: .admin) { api, call in try await api.restart(call) },
        Route(method: .post, path: "/v1/level", needs: .admin) { api, call in try await api.raiseLevel(call) },
    ]

    private func restart(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(RestartRequest.self)
        let (state, view) = try await freshState(for: call)
        let own = state.name(of: view.member)
        guard request.member == own else {
            throw APIFailure(
                .badRequest, "this is \(own), not \(request.member.prefix(80))",
                next: "see where each member answers: holdfast cluster members -o wide")
        }
        guard upkeep.isSupervised else {
            throw APIFailure(
                .refused, "nothing would start the agent of \(own) again",
                next: "run it as the packaged service, or say --supervised when something else restarts it")
        }
        let obstacles = UpgradeDecisions.obstacles(
            toRestarting: view.member, state: state, configuration: view.configuration, silent: view.silent)
        guard obstacles.isEmpty || request.force == true else {
            throw APIFailure(
                .unsafe, "the agent of \(own) is not restarted now: \(obstacles.joined(separator: "; "))",
                next: "see what is away: holdfast status; or insist: --force")
        }
        let outcome = try await propose(.act(what: "restart the agent of \(own)"), for: call, stamped: false)
        guard !call.isDryRun else { return outcome }
        upkeep.restart()
        return OutcomeDocument(changed: true, message: "the agent of \(own) restarts", revision: outcome.revision)
    }

    private func raiseLevel(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(RaiseLevelRequest.self)
        let (state, view) = try await freshState(for: call)
        let without = try request.without.map { try Self.member($0, in: state).id }
        let staying = state.members.values.filter { !without.contains($0.id) }
        let common = staying.map { $0.level ?? 0 }.min() ?? 0
        guard common > state.level else {
            return OutcomeDocument(
                changed: false, message: "feature level \(state.level) is the highest that the others understand",
                revision: state.revision)
        }
        let left = view.configuration.allVoters.filter {
            !without.contains($0) || (state.members[$0]?.understands(common) ?? false)
        }
        guard view.configuration.hasQuorum(where: { left.contains($0) }) else {
            throw APIFailure(
                .unsafe,
                "\(left.count) of \(view.configuration.allVoters.count) voters would understand feature level "
                    + "\(common), which is no majority",
                next: "upgrade more members first: holdfast cluster upgrade")
        }
        return try await propose(.raiseLevel(to: common, without: without), for: call)
    }
}
