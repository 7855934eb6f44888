// When the feature level of a cluster is raised: as soon as everybody understands a higher one. A member that is away
// counts with what it said last, but does not hold the others up for ever: after an hour it is left behind, and told so
// when it comes back. Those who are there are a majority, or nobody would lead.

import Cluster
import Consensus

public enum LevelDecisions {
    /// How long a member may be away and still hold a level up. A host that restarts with a new kernel takes minutes.
    public static let patience = Interval.seconds(3_600)

    /// The next step; nil when everybody who counts understands no more than what is in force.
    public static func next(state: ClusterState, view: LeaderView) -> Command? {
        let members = state.members.values
        let common = members.filter { !view.longGone.contains($0.id) }.map { $0.level ?? 0 }.min() ?? 0
        guard common > state.level else { return nil }
        return .raiseLevel(to: common, without: members.filter { !$0.understands(common) }.map(\.id))
    }
}
