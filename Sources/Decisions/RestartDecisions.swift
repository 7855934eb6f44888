// Whether a host may be restarted by plan: the machine, with everything in its failure domain. What is asked before its
// guests are told to leave, and once more by the host itself before it goes.

import Cluster
import Consensus

public enum RestartDecisions {
    /// Why the restart of a host may not begin, each in a sentence. Empty: it may. Guests whose disks hold them there do not
    /// stand in the way: they end, and are started again when it is back.
    /// - Parameter silent: members the leader has not heard of lately, beyond those the state says are unreachable.
    public static func obstacles(
        toRestarting host: String, state: ClusterState, configuration: Configuration, silent: [MemberID] = []
    ) -> [String] {
        var obstacles = Tolerance.obstacles(
            toMissing: host, state: state, configuration: configuration, silent: silent)
        if let disarmed = state.disarmed {
            obstacles.append("the cluster was disarmed by \(disarmed.actor), so that no guest can leave")
        }
        if let fence = state.hosts.look(host, { $0.fence }), !fence.isNone {
            obstacles.append("\(host) is fenced, or about to be")
        }
        for (name, other) in state.hosts.pairs where name != host && other.leaving != nil {
            obstacles.append("\(name) goes down as well")
        }
        return obstacles
    }

    /// Why a host that is empty may not stop yet. Of several that are to be restarted, whoever said so first goes first, and
    /// the next when that one is back.
    public static func obstacles(
        toStopping host: String, state: ClusterState, configuration: Configuration
    ) -> [String] {
        let own = state.hosts.look(host) { $0.leavingSince } ?? 0
        return Tolerance.obstacles(toMissing: host, state: state, configuration: configuration)
            + state.hosts.pairs.compactMap { name, other in
                guard name != host, other.leaving != nil, other.leavingSince < own else { return nil }
                return "\(name) goes first"
            }
    }
}
