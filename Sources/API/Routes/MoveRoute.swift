// Moving an address on an operator's word. It is refused when the target could not hold it; otherwise the holder is
// asked to let go in the target's favour, and the answer waits until the target holds it.

import Agent
import Cluster
import Consensus
import Kinds

extension API {
    func moveAddress(_ call: Call) async throws -> OutcomeDocument {
        let request = try call.decode(MoveRequest.self)
        let key = ResourceKey(kind: "VirtualIP", name: request.name)
        let (state, view) = try await freshState(for: call)
        guard let role = state.roles[key] else {
            throw APIFailure(.notFound, "\(key) is not declared", next: "see what is: holdfast vip list")
        }
        let target = try Self.member(request.to, in: state)
        if case .held(by: target.id) = role.phase {
            return OutcomeDocument(
                changed: false, message: "\(target.name) holds \(request.name) already", revision: state.revision)
        }
        try Self.requireAble(target, to: key, state, view)
        guard role.holder != nil else {
            throw APIFailure(
                .conflict, "nobody holds \(request.name), so nobody can hand it over: \(role.reason)",
                next: "see why: holdfast why virtualip/\(request.name)")
        }
        // The events are asked for before the proposal, so that none of its consequences is missed.
        let events = access.events(after: state.lastEventID)
        _ = try await propose(
            .release(
                role: key, epoch: role.epoch, to: target.id, reason: call.reason ?? "moved by \(call.principal.name)"),
            for: call)
        let left = max(call.deadline - access.now(), .milliseconds(1))
        return try await withDeadline(
            .nanoseconds(left.nanoseconds),
            orThrow: APIFailure(
                .timedOut,
                "\(state.name(of: role.holder ?? target.id)) was asked to hand \(request.name) to \(target.name), and has "
                    + "not done so by the deadline",
                next: "see where it is: holdfast why virtualip/\(request.name)")
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

    private static func requireAble(
        _ target: MemberRecord, to key: ResourceKey, _ state: ClusterState, _ view: AgentView
    ) throws {
        let candidates = (state.resources[key]?.declaration.spec["candidates"]?.array ?? [])
            .compactMap { $0["member"]?.string }
        func refused(_ why: String) -> APIFailure {
            APIFailure(
                .unsafe, "\(target.name) cannot hold \(key.name): \(why)",
                next: "see the candidates: holdfast describe virtualip/\(key.name)")
        }
        guard candidates.contains(target.name) else {
            throw refused("it is no candidate (\(candidates.joined(separator: ", ")))")
        }
        guard target.reachable, !view.silent.contains(target.id) else { throw refused("it is unreachable") }
        guard !target.stopping else { throw refused("it is stopping") }
        if let unfit = state.roles[key]?.unfit[target.id.description] { throw refused(unfit) }
    }
}
