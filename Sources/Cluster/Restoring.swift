// What of a state goes on in another cluster. The new cluster has its own members, authority and identity; it takes over
// what was declared, what was stored, and the history. Whoever belonged to the old one has to join or be admitted anew, so
// that nobody acts for two clusters.

import Consensus

extension ClusterState {
    /// This state as the beginning of a new cluster, before its founder is there.
    /// - Parameters:
    ///   - words: where it comes from, for the history.
    ///   - milliseconds: the wall clock, since 1970.
    public func forNewCluster(_ words: String, milliseconds: Int64) -> ClusterState {
        var state = self
        let record = CommandRecord(
            stamp: RequestStamp(session: 0, request: 0, settled: 0), milliseconds: milliseconds, actor: "restore",
            command: .act(what: "restore"))
        // What was on trial was not confirmed, and nobody is there to confirm it.
        if let trial { _ = state.settleTrial(trial.revision, keep: false, record) }
        state.sessions = Sessions()
        state.tokens = [:]
        state.operators = [:]
        state.operatorsAreListed = false
        state.members = [:]
        state.level = 0
        // Its consensus begins anew, in the first epoch. Recoveries of the old cluster, and whom they left behind, are no
        // matter of the new one.
        state.epoch = 0
        state.leftBehind = [:]
        state.authority = nil
        state.rotation = nil
        state.formerNames = [:]
        for (key, role) in state.roles.pairs {
            // Epochs only grow, also across clusters: a guard that saw the old ones takes no lower one.
            var vacant = RoleRecord()
            vacant.epoch = role.epoch
            vacant.reason = "restored from a backup"
            if state.resources[key] == nil {
                state.retiredEpoch = max(state.retiredEpoch, role.epoch)
                state.roles[key] = nil
            } else {
                state.roles[key] = vacant
            }
        }
        // Hosts say anew what they are and what they have.
        for name in state.hosts.keys { state.forgetHost(name) }
        // What was ordered in the old cluster was ordered of members that are none of this one.
        for address in state.leftFences.keys { _ = state.leftFences.update(address) { $0.ordered = [] } }
        state.disarmed = nil
        for (key, placement) in state.placements.pairs {
            var unplaced = Placement()
            unplaced.epoch = placement.epoch
            unplaced.reason = "restored from a backup"
            state.placements[key] = unplaced
        }
        state.revision += 1
        _ = state.note("Restored", "cluster/\(clusterName)", words, record)
        state.clusterName = ""
        return state
    }
}
