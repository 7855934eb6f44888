// Changing the configuration, one member at a time.
// Who should be a voter is decided elsewhere (Decisions); here is only when a change is safe.

extension Raft {
    /// Proposes one change. It is in force as soon as it is in the log.
    public mutating func propose(_ change: ConfigurationChange, now: Instant) -> Result<LogIndex, ConfigurationRefusal>
    {
        guard isLeader, leadership!.transfer == nil else { return .failure(.notLeader) }
        // Two uncommitted changes, or one on top of an unknown predecessor's, could lead to two disjoint majorities.
        guard configurationIndex <= commitIndex, hasCommittedInTerm else { return .failure(.changeInProgress) }
        if case .promote(let member) = change, !isCaughtUp(member, within: 64, now: now) {
            return .failure(.notCaughtUp)
        }
        switch configuration.applying(change) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let newer):
            appendAsLeader(.configuration(newer))
            return .success(log.lastIndex)
        }
    }

    /// A leader that is no longer a voter leads until the entry that says so is committed (Ongaro 4.2.2).
    mutating func stepDownIfRemoved() {
        guard configurationIndex <= commitIndex, !configuration.isVoter(id) else { return }
        refuseReads()
        role = .follower
        leader = nil
        leadership = nil
    }
}
