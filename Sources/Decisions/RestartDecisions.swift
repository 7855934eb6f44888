// Whether a host may be restarted by plan: the machine, with everything in its failure domain. Asked before its guests are
// told to leave, and once more by the host itself before it goes.

import Cluster
import Consensus

public enum RestartDecisions {
    /// Why the restart of a host may not be ordered, each in a sentence. Empty: it may. Guests whose disks hold them there do
    /// not stand in the way: they end, and are started again when it is back.
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
        for (name, other) in state.hosts.pairs where name != host && (other.leaving != nil || other.restart != nil) {
            obstacles.append("\(name) goes down as well")
        }
        return obstacles
    }

    /// Why a host that is to be restarted and is empty may not go yet.
    public static func obstacles(
        toStopping host: String, state: ClusterState, configuration: Configuration
    ) -> [String] {
        Tolerance.obstacles(toMissing: host, state: state, configuration: configuration)
            + state.hosts.pairs.compactMap { name, other in
                guard name != host, other.leaving != nil else { return nil }
                return "\(name) goes down, and is waited for"
            }
    }
}
