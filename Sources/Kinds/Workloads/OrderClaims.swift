// Whether an order still holds at the moment it is carried out. Between the decision and the act lie queues, locks that are
// waited for, and an agent that may have been stopped in between; an order of then must not undo what was decided since.
//
// Relies on: a state that is as new as the question (a linearizable read). Does not say whether the order was right when it
// was given; that was decided from the state of then.

import Cluster
import Consensus

/// What an order rests on.
public enum OrderClaim: Hashable, Sendable {
    /// The guest is to run on this host, by the placement with this epoch, and nobody has said that it runs elsewhere.
    case start(ResourceKey, epoch: UInt64)
    /// A host that a configuration is taken from is fenced, or no host of the cluster any more.
    case take(from: String)
    /// The guest is to be given to another host, by the placement with this epoch.
    case migrate(ResourceKey, epoch: UInt64, to: String)
    /// The fence of the host with this epoch is this member's to carry out, by this method, and the host is not there.
    case fence(host: String, epoch: UInt64, by: FenceMethod)
    /// What bars the host is the fence with this epoch and no newer one, and it is this member's to lift.
    case lift(host: String, epoch: UInt64)
    /// Each of these hosts is proven to be away: the hypervisor's cluster may be made to go on without them.
    case lowerVotes(beside: [String])

    /// Why it does not hold (any more); nil: it holds.
    /// - Parameter member: who is to carry the order out.
    public func objection(in state: ClusterState, of member: MemberID) -> String? {
        switch self {
        case .start(let workload, let epoch):
            return placement(of: workload, epoch, in: state, for: member) { placement, host in
                guard placement.phase == .on(host) else { return "\(workload) is not to run on \(host)" }
                if placement.isDeclined { return "\(host) has said that it has begun nothing for \(workload)" }
                // Somebody may have seen it since. Whether a proof suffices for its disks was asked when it was placed.
                let holder = state.holders(of: placement, besides: host) { _ in true }.first
                return holder.map { "\(workload) may be running on \($0)" }
            }
        case .take(let host):
            return state.hosts[host]?.fence.isProven ?? true ? nil : "\(host) is not fenced any more"
        case .migrate(let workload, let epoch, let to):
            return placement(of: workload, epoch, in: state, for: member) { placement, host in
                guard case .moving(host, to, _) = placement.phase else {
                    return "\(workload) is not to leave \(host) for \(to)"
                }
                // What comes there now would come after what proves that the host writes no more.
                return state.hosts[to]?.fence.isNone ?? false ? nil : "\(to) is being fenced"
            }
        case .fence(let host, let epoch, let method):
            if state.disarmed != nil { return "the cluster is disarmed: no host is to be fenced" }
            // It may have come back while the order waited; its guests are well, and would lose all for nothing.
            if state.member(named: host)?.reachable == true { return "\(host) is there again" }
            return fence(of: host, epoch, in: state) { record in
                record.task == FenceTask(method, by: member)
                    ? nil : "it is not this member's to be carried out by \(method.rawValue)"
            }
        case .lift(let host, let epoch):
            return fence(of: host, epoch, in: state) { record in
                // An entry that another member makes after it was taken away would stay for ever.
                if record.isOrdered(besides: member) { return "another member may still be at an order of it" }
                return switch record.fence {
                case .lifting(_, member), .withdrawn(_, member): nil
                default: "it is not this member's to be lifted"
                }
            }
        case .lowerVotes(let others):
            guard let host = state.members[member]?.name else { return "this host is no member any more" }
            guard state.hosts[host]?.fence.isNone ?? false else { return "\(host) is being fenced" }
            return others.first { !state.isProvenAway($0) }.map { "\($0) is not proven to be away" }
        }
    }

    private func placement(
        of workload: ResourceKey, _ epoch: UInt64, in state: ClusterState, for member: MemberID,
        _ objection: (Placement, String) -> String?
    ) -> String? {
        guard let host = state.members[member]?.name else { return "this host is no member any more" }
        guard let placement = state.placements[workload] else { return "\(workload) has no place any more" }
        guard placement.epoch == epoch else {
            return "\(workload) was placed anew since: its epoch is \(placement.epoch), the order's \(epoch)"
        }
        if let words = objection(placement, host) { return words }
        return state.hosts[host]?.fence.isNone ?? false ? nil : "\(host) is being fenced"
    }

    private func fence(
        of host: String, _ epoch: UInt64, in state: ClusterState, _ objection: (HostRecord) -> String?
    ) -> String? {
        guard let record = state.hosts[host] else { return "there is no host \(host) any more" }
        guard record.fenceEpoch == epoch else {
            return "\(host) was fenced anew since: its fence has the epoch \(record.fenceEpoch), the order's \(epoch)"
        }
        return objection(record).map { "the fence of \(host): \($0)" }
    }
}

/// What the cluster says to a claim.
public enum ClaimAnswer: Hashable, Sendable {
    case holds
    case superseded(String)
    /// Nobody with a quorum answered in time.
    case unknown(String)
}
