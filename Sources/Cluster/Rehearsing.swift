// What of a state a rehearsal needs, and whoever may look at the cluster may have: who belongs to it, what is declared, who
// holds what, where workloads are, what is fenced. Neither values nor secrets, and nothing of people.

import Consensus

extension ClusterState {
    /// This state without its history, its values, its tokens and the people who may use the cluster. What is on trial
    /// counts as declared.
    public func forRehearsal() -> ClusterState {
        var state = self
        state.tokens = [:]
        state.values = [:]
        state.valueBytes = 0
        state.events = []
        state.sessions = Sessions()
        state.operators = [:]
        state.operatorsAreListed = false
        state.auditLog = []
        state.declarationChanges = []
        state.forgottenDeclarations = declarationsRevision
        state.trial = nil
        // The rehearsal's consensus begins anew.
        state.epoch = 0
        state.leftBehind = [:]
        state.formerNames = [:]
        state.authority = nil
        state.rotation = nil
        return state
    }
}
