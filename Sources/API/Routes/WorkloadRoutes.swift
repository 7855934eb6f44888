// Workloads and hosts on a person's word. A command is refused here when it could not be carried out; what follows from one
// that was accepted is decided by the leader, and `GET /v1/workloads` tells how far it is.

import Agent
import Cluster
import Consensus
import Decisions
import HTTPTypes
import Kinds

extension API {
    static let workloads: [Route] = [
        Route(method: .get, path: "/v1/workloads", needs: .viewer) { api, call in
            let (state, view, consistency) = try await api.state(for: call)
            let workloads = WorkloadDocument.all(state, WorkloadSpecs(state))
            return WorkloadsDocument(
                workloads: workloads, hosts: HostDocument.all(state, workloads, silent: view.silent),
                disarmedBy: state.disarmed?.actor, read: ReadAge(consistency, state, view))
        },
        Route(method: .post, path: "/v1/workloads/steer", needs: .operator) { api, call in try await api.steer(call) },
        Route(method: .post, path: "/v1/hosts/steer", needs: .operator) { api, call in try await api.steerHost(call) },
        Route(method: .post, path: "/v1/hosts/reboot", needs: .admin) { api, call in try await api.rebootHost(call) },
        Route(method: .post, path: "/v1/disarm", needs: .operator) { api, call in try await api.disarm(call) },
    ]

    private func steer(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(SteerRequest.self)
        let (state, view) = try await freshState(for: call)
        let key = ResourceKey(kind: KindName.canonical(request.kind, in: state), name: request.name)
        guard let placement = state.placements[key] else {
            throw APIFailure(.notFound, "\(key) is no workload", next: "see what is: holdfast vm list")
        }
        switch request.action {
        case .start: return try await propose(.workload(.steer(key, .run)), for: call)
        case .stop: return try await propose(.workload(.steer(key, .stop)), for: call)
        case .declared: return try await propose(.workload(.steer(key, .asDeclared)), for: call)
        case .move:
            guard let host = request.to else {
                throw APIFailure(.badRequest, "to is missing: the host it shall go to", next: "holdfast host list")
            }
            if placement.phase == .on(host) {
                return OutcomeDocument(
                    changed: false, message: "\(key.name) is on \(host) already", revision: state.revision)
            }
            try Self.requireRoom(for: key, on: host, state, view)
            return try await propose(.workload(.steer(key, .move(to: host, live: request.live ?? true))), for: call)
        }
    }

    private static func requireRoom(
        for key: ResourceKey, on host: String, _ state: ClusterState, _ view: AgentView
    ) throws {
        guard state.hosts.contains(host) else {
            throw APIFailure(.notFound, "\(host) is no host that runs guests", next: "see what is: holdfast host list")
        }
        let specs = WorkloadSpecs(state)
        if let spec = specs.workloads[key], specs.storage(of: spec) == .local {
            throw APIFailure(
                .unsafe, "\(key.name) has local disks and cannot leave its host",
                next: "move its disks to shared storage first, in Proxmox")
        }
        let placer = Placer(state: state, specs: specs) { !view.silent.contains($0) }
        if let objection = placer.objection(to: key, on: host) {
            throw APIFailure(.unsafe, "\(key.name) cannot go to \(host): \(objection)", next: "holdfast host list")
        }
    }

    private func steerHost(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(HostRequest.self)
        let (state, _) = try await freshState(for: call)
        guard state.hosts.contains(request.name) else {
            throw APIFailure(
                .notFound, "\(request.name) is no host that runs guests", next: "see what is: holdfast host list")
        }
        switch request.action {
        case .drain: return try await propose(.workload(.drain(request.name, true)), for: call)
        case .undrain: return try await propose(.workload(.drain(request.name, false)), for: call)
        case .fence:
            guard request.verifiedOff == true else {
                throw APIFailure(
                    .unsafe, "a host is fenced by word only when somebody has verified that it is off",
                    next: "holdfast fence \(request.name) --i-verified-it-is-off")
            }
            return try await propose(.workload(.fenceByWord(request.name)), for: call)
        }
    }

    private func rebootHost(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(RebootRequest.self)
        let (state, view) = try await freshState(for: call)
        guard state.hosts.contains(request.name) else {
            throw APIFailure(
                .notFound, "\(request.name.prefix(80)) is no host that runs guests",
                next: "see what is: holdfast host list")
        }
        if request.cancel == true { return try await propose(.workload(.cancelRestart(request.name)), for: call) }
        let own = state.name(of: view.member)
        guard request.name == own else {
            throw APIFailure(
                .badRequest, "this is \(own), not \(request.name)",
                next: "see where each member answers: holdfast cluster members -o wide")
        }
        guard let trouble = upkeep.restartTrouble else {
            throw APIFailure(
                .refused, "the agent of \(own) drives no Proxmox that could restart it",
                next: "restart it there, its agent gives its roles away first: systemctl reboot")
        }
        let obstacles = RestartDecisions.obstacles(
            toRestarting: own, state: state, configuration: view.configuration, silent: view.silent)
        guard obstacles.isEmpty || request.force == true else {
            throw APIFailure(
                .unsafe, "\(own) is not restarted now: \(obstacles.joined(separator: "; "))",
                next: "see what can be lost: holdfast cluster tolerance; or insist: --force")
        }
        if let words = await trouble() {
            throw APIFailure(
                .refused, "\(own) could not be restarted: \(words)",
                next: "give the token's role Sys.PowerMgmt on /nodes/\(own): pveum acl modify")
        }
        return try await propose(.workload(.orderRestart(own, isForced: request.force == true)), for: call)
    }

    private func disarm(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(DisarmRequest.self)
        if let seconds = request.seconds, !(1...86_400).contains(seconds) {
            throw APIFailure(.badRequest, "seconds is \(seconds); it must be 1 to 86400 (a day)")
        }
        return try await propose(.workload(.disarm(milliseconds: request.seconds.map { $0 * 1_000 })), for: call)
    }
}
