// Moving an address on an operator's word. It is refused when the target could not hold it; otherwise the holder is
// asked to let go in the target's favour, and the answer waits until the target holds it.

import Agent
import Cluster
import Consensus
import Kinds

extension API {
    /// Away from whoever holds it, to the first other candidate that can.
    func releaseAddress(_ call: Call) async throws -> OutcomeDocument {
        let key = ResourceKey(kind: "VirtualIP", name: try call.decode(ReleaseRequest.self).name)
        let (state, view) = try await freshState(for: call)
        guard let role = state.roles[key] else {
            throw APIFailure(.notFound, "\(key) is not declared", next: "see what is: holdfast vip list")
        }
        var refusals: [String] = []
        for name in Self.candidates(of: key, state) {
            guard let member = state.member(named: name), member.id != role.holder else { continue }
            do {
                try Self.requireAble(member, to: key, state, view)
                return try await move(key, to: name, call)
            } catch let failure as APIFailure where failure.code == .unsafe {
                refusals.append(failure.message)
            }
        }
        throw APIFailure(
            .unsafe, "nobody else can hold \(key.name)", next: "see why: holdfast why virtualip/\(key.name)",
            problems: refusals)
    }

    func moveAddress(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(MoveRequest.self)
        return try await move(ResourceKey(kind: "VirtualIP", name: request.name), to: request.to, call)
    }

    private func move(_ key: ResourceKey, to wanted: String, _ call: Call) async throws -> OutcomeDocument {
        let (state, view) = try await freshState(for: call)
        guard let role = state.roles[key] else {
            throw APIFailure(.notFound, "\(key) is not declared", next: "see what is: holdfast vip list")
        }
        let target = try Self.member(wanted, in: state)
        if case .held(by: target.id) = role.phase {
            return OutcomeDocument(
                changed: false, message: "\(target.name) holds \(key.name) already", revision: state.revision)
        }
        try Self.requireAble(target, to: key, state, view)
        guard role.holder != nil else {
            throw APIFailure(
                .conflict, "nobody holds \(key.name), so nobody can hand it over: \(role.reason)",
                next: "see why: holdfast why virtualip/\(key.name)")
        }
        // The events are asked for before the proposal, so that none of its consequences is missed.
        let events = access.events(after: state.lastEventID)
        let asked = try await propose(
            .release(
                role: key, epoch: role.epoch, to: target.id, reason: call.reason ?? "moved by \(call.principal.name)"),
            for: call)
        guard !call.isDryRun else { return asked }
        let left = max(call.deadline - access.now(), .milliseconds(1))
        return try await withDeadline(
            .nanoseconds(left.nanoseconds),
            orThrow: APIFailure(
                .timedOut,
                "\(state.name(of: role.holder ?? target.id)) was asked to hand \(key.name) to \(target.name), and has "
                    + "not done so by the deadline",
                next: "see where it is: holdfast why virtualip/\(key.name)")
        ) {
            try await self.waitUntilHeld(key, by: target, after: role.epoch, events)
        }
    }

    private func waitUntilHeld(
        _ key: ResourceKey, by target: MemberRecord, after epoch: UInt64, _ events: AsyncStream<ClusterEvent>
    ) async throws -> OutcomeDocument {
        if let outcome = try await arrival(of: key, at: target, after: epoch) { return outcome }
        for await event in events where event.subject == key.description {
            if let outcome = try await arrival(of: key, at: target, after: epoch) { return outcome }
        }
        throw APIFailure(.overloaded, "this member is stopping", next: "ask another member")
    }

    /// Nil while the role has not moved on from `epoch` in this member's state.
    private func arrival(
        of key: ResourceKey, at target: MemberRecord, after epoch: UInt64
    ) async throws -> OutcomeDocument? {
        guard case .state(let state, _) = await access.submit(.readLocal) else { return nil }
        guard let role = state.roles[key] else {
            throw APIFailure(.conflict, "\(key) was deleted meanwhile")
        }
        guard role.epoch > epoch else { return nil }
        guard role.holder == target.id else {
            throw APIFailure(
                .conflict,
                "\(key.name) went to \(role.holder.map { state.name(of: $0) } ?? "nobody") meanwhile: \(role.reason)",
                next: "see why: holdfast why virtualip/\(key.name)")
        }
        return OutcomeDocument(changed: true, message: "\(target.name) holds \(key.name)", revision: state.revision)
    }

    private static func candidates(of key: ResourceKey, _ state: ClusterState) -> [String] {
        (state.resources[key]?.declaration.spec["candidates"]?.array ?? []).compactMap { $0["member"]?.string }
    }

    private static func requireAble(
        _ target: MemberRecord, to key: ResourceKey, _ state: ClusterState, _ view: AgentView
    ) throws {
        let candidates = candidates(of: key, state)
        func refused(_ why: String) -> APIFailure {
            APIFailure(
                .unsafe, "\(target.name) cannot hold \(key.name): \(why)",
                next: "see the candidates: holdfast describe virtualip/\(key.name)")
        }
        guard candidates.contains(where: { state.isName($0, of: target.id) }) else {
            throw refused("it is no candidate (\(candidates.joined(separator: ", ")))")
        }
        guard target.reachable, !view.silent.contains(target.id) else { throw refused("it is unreachable") }
        guard !target.stopping else { throw refused("it is stopping") }
        if let unfit = state.roles[key]?.unfit[target.id.description] { throw refused(unfit) }
    }
}
