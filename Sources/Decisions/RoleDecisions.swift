// Who should hold each role, decided by the leader from the replicated state and what it hears. The result is commands
// to propose; each names the epoch it was decided at, so a decision that comes too late does nothing.
//
// The one rule that must never be bent: a role is given to another member only when the old holder has let go by its
// own word, or when its lease is certainly over (point 3 of the chain of leases).

import Cluster
import Consensus
import Kinds

public enum RoleDecisions {
    /// How long an earlier candidate must have been well before `preempt: always` takes the role back to it.
    public static let steadyBeforePreempt = Interval.seconds(5)

    /// The commands this leader should propose now. Deterministic in its inputs.
    public static func decide(
        state: ClusterState, specs: SortedMap<ResourceKey, VirtualIPSpec>, view: LeaderView
    ) -> [Command] {
        var commands = observations(state: state, view: view)
        // Who may be answering for each address now, or will be by a decision made here.
        var occupants: SortedMap<String, ResourceKey> = [:]
        for (role, record) in state.roles.pairs where record.holder != nil {
            occupy(record.address, role, &occupants)
        }
        for (role, record) in state.roles.pairs {
            let situation = Situation(
                role: role, record: record, spec: specs[role],
                occupant: specs[role].flatMap { occupant(of: $0, notBeing: role, occupants) },
                state: state, view: view)
            let decided = situation.decide()
            if decided.isEmpty { continue }
            if let spec = specs[role], case .assign? = decided.first { occupy(spec.addressText, role, &occupants) }
            commands.append(contentsOf: decided)
        }
        return commands
    }

    private static func occupy(
        _ text: String, _ role: ResourceKey, _ occupants: inout SortedMap<String, ResourceKey>
    ) {
        for address in RoleAddresses.list(text) { occupants[address] = role }
    }

    /// Another role that is held with one of the addresses.
    private static func occupant(
        of spec: VirtualIPSpec, notBeing role: ResourceKey, _ occupants: SortedMap<String, ResourceKey>
    ) -> ResourceKey? {
        for address in spec.addresses {
            if let occupant = occupants[address.address], occupant != role { return occupant }
        }
        return nil
    }

    /// Changes of reachability, told to everybody once.
    static func observations(state: ClusterState, view: LeaderView) -> [Command] {
        var commands: [Command] = []
        for id in state.members.keys {
            guard let standing = view.standings[id], let wasReachable = state.members.look(id, { $0.reachable }) else {
                continue
            }
            // A member counts as lost only when its lease is over too, so that the loss and what follows from it are
            // told in this order.
            if wasReachable && !standing.reachable && standing.leaseIsCertainlyOver {
                commands.append(
                    .observeMember(id, reachable: false, reason: "not heard of for longer than the quorum lease"))
            } else if !wasReachable && standing.reachable {
                commands.append(.observeMember(id, reachable: true, reason: "the leader hears of it"))
            }
        }
        return commands
    }
}

/// One role and everything that bears on who should hold it.
struct Situation {
    let role: ResourceKey
    let record: RoleRecord
    /// Nil when the role is no longer declared.
    let spec: VirtualIPSpec?
    /// Another role whose holder may be answering for the address of this one.
    let occupant: ResourceKey?
    let state: ClusterState
    let view: LeaderView

    func decide() -> [Command] {
        // Ranked only where somebody may have to be chosen: mostly the holder is there and stays.
        switch record.phase {
        case .vacant:
            guard occupant == nil, let best = ranking().first else { return [] }
            return [.assign(role: role, epoch: record.epoch, to: best, reason: "nobody held it", because: nil)]
        case .held(let holder):
            if isGone(holder) { return succeed(holder, ranking()) }
            return keepOrMove(holder)
        case .releasing(let holder, let successor):
            // A holder that died while letting go is succeeded like any other.
            guard isGone(holder) else { return [] }
            let candidates = ranking()
            let heir = successor.flatMap { candidates.contains($0) ? [$0] : nil } ?? candidates
            return succeed(holder, heir)
        }
    }

    /// Whether the holder can be succeeded without its word.
    private func isGone(_ holder: MemberID) -> Bool {
        guard holder != view.leader, let standing = view.standings[holder] else { return false }
        return !standing.reachable && standing.leaseIsCertainlyOver
    }

    private func succeed(_ holder: MemberID, _ candidates: [MemberID]) -> [Command] {
        let lost = "\(state.name(of: holder)) was lost"
        if let occupant {
            let reason = "\(lost), and \(occupant) is still held with the address"
            return [.vacate(role: role, epoch: record.epoch, reason: reason, because: holder)]
        }
        guard let best = candidates.first(where: { $0 != holder }) else {
            let reason = "\(lost), and no other candidate is fit and reachable"
            return [.vacate(role: role, epoch: record.epoch, reason: reason, because: holder)]
        }
        return [.assign(role: role, epoch: record.epoch, to: best, reason: lost, because: holder)]
    }

    /// A holder that is there keeps the role, unless it should not have it.
    private func keepOrMove(_ holder: MemberID) -> [Command] {
        guard let reason = reasonToMove(holder) else { return [] }
        // For another address there is nothing to hand on: who is to have it is decided when the old one is free.
        let successor = hasAnotherAddress ? nil : ranking().first { $0 != holder }
        return [.release(role: role, epoch: record.epoch, to: successor, reason: reason)]
    }

    private func reasonToMove(_ holder: MemberID) -> String? {
        let name = state.name(of: holder)
        guard let spec else { return "\(role) is no longer declared" }
        guard spec.candidates.contains(where: { state.isName($0.member, of: holder) }) else {
            return "\(name) is no longer a candidate"
        }
        if hasAnotherAddress {
            return spec.addresses.count == 1
                ? "its address is now \(spec.addressText)" : "its addresses are now \(spec.addressText)"
        }
        if state.members.look(holder, { $0.stopping }) == true { return "\(name) is stopping" }
        if record.isUnfit(holder), ranking().contains(where: { $0 != holder }) {
            return "\(name) cannot serve: \(record.unfit[holder.description] ?? "")"
        }
        if spec.preempt == .always, let best = ranking().first, best != holder,
            (view.standings[best]?.steadyFor ?? .zero) >= RoleDecisions.steadyBeforePreempt
        {
            return "\(state.name(of: best)) comes first among the candidates and is well again"
        }
        return nil
    }

    /// Whether the role is declared with other addresses than those it is held with.
    private var hasAnotherAddress: Bool { spec.map { $0.addressText != record.address } ?? false }

    /// Candidates that could take the role now, best first.
    func ranking() -> [MemberID] {
        guard let spec else { return [] }
        return spec.candidates.compactMap { candidate -> MemberID? in
            guard let member = state.member(named: candidate.member), member.kind != .witness, !member.stopping,
                view.isReachable(member.id), !record.isUnfit(member.id),
                spec.follow == nil || record.hasHeard(of: member.id)
            else { return nil }
            return member.id
        }
    }
}
