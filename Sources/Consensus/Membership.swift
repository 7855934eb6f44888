// Changing the configuration: one member at a time, or several voters at once through a joint configuration.
// Who should be a voter is decided elsewhere (Decisions); here is only when a change is safe.

extension Raft {
    /// Proposes one change. It is in force as soon as it is in the log.
    public mutating func propose(_ change: ConfigurationChange, now: Instant) -> Result<LogIndex, ConfigurationRefusal>
    {
        guard isLeader, leadership!.transfer == nil else { return .failure(.notLeader) }
        // Two uncommitted changes, or one on top of an unknown predecessor's, could lead to two disjoint majorities.
        guard configurationIndex <= commitIndex, hasCommittedInTerm else { return .failure(.changeInProgress) }
        if case .exchangeVoters = change, !mayExchangeVoters { return .failure(.notKnownToAll) }
        switch configuration.applying(change) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let newer):
            // They would be waited for by every commit from now on.
            let newcomers = newer.voters.filter { !configuration.isVoter($0) && $0 != id }
            guard newcomers.allSatisfy({ isCaughtUp($0, within: 64, now: now) }) else { return .failure(.notCaughtUp) }
            guard newer.sides == configuration.sides || mayChangeVoters(now: now) else {
                return .failure(.changeInProgress)
            }
            appendAsLeader(.configuration(newer))
            return .success(log.lastIndex)
        }
    }

    /// Whether nobody this leader has heard of in its term would stand before a joint configuration that it cannot read:
    /// it would close the connection, and count for nothing until it is upgraded.
    public var mayExchangeVoters: Bool {
        guard let leadership, knowsJointConfigurations else { return false }
        return leadership.progress.storedValues.allSatisfy { !$0.lacksJointConfigurations }
    }

    /// Leaves a joint configuration as soon as that is safe. Every leader looks, also one that found the joint
    /// configuration in its log or its snapshot: nothing else would ever end it.
    ///
    ///     old voters     ── leases ──┤ over
    ///     old and new        ├── both majorities ────┤                entering and leaving are two changes of the
    ///     new voters                                 ├── leases ──    voters, a lease apart like any others
    ///
    /// Committed first, under both majorities: the old voters could decide among themselves otherwise, while the new ones
    /// do already. And something of the own term first, as for any other change.
    mutating func leaveJointConfiguration(now: Instant) {
        guard isLeader, configuration.isJoint, leadership!.transfer == nil, configurationIndex <= commitIndex,
            hasCommittedInTerm,
            mayChangeVoters(now: now)
        else { return }
        appendAsLeader(.configuration(configuration.left))
    }

    /// Voters change at most once within a lease. Majorities of neighbouring configurations meet, and the member in both
    /// keeps its promise; two steps apart they need not, and a successor could be elected while leases live that rest on
    /// the voters from before.
    private mutating func mayChangeVoters(now: Instant) -> Bool {
        guard now >= leadership!.votersStayUntil else { return false }
        let own = leadership!.quorumLease.acknowledged?.end ?? .distantPast
        leadership!.votersStayUntil = max(own, leadership!.leases.longestOutstanding(now: now) ?? .distantPast)
        return true
    }

    /// Whether this member was a voter before a change that is not known to be committed. Such a member still campaigns
    /// (Ongaro 4.2.2): the change may be in its log alone, and then nobody without it can be elected, because its log is
    /// ahead. It does not count itself; once elected it commits the change and steps down.
    var isVoterUntilCommit: Bool {
        configurationIndex > commitIndex && configurationBefore(configurationIndex).isVoter(id)
    }

    /// A leader that is no longer a voter leads until the entry that says so is committed (Ongaro 4.2.2).
    mutating func stepDownIfRemoved() {
        guard configurationIndex <= commitIndex, !configuration.isVoter(id) else { return }
        for member in leadership!.progress.keys { tellCommit(to: member) }
        refuseReads()
        role = .follower
        leader = nil
        leadership = nil
    }
}
