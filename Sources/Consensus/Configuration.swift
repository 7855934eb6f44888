// Who belongs to the consensus, and how majorities of them are counted.
// A change moves one member at a time (Ongaro 4.1); the joint changes of 4.3 will add a second, outgoing set of voters
// here and in the two counting functions, and nowhere else.

/// The members that take part in replication. Both lists are sorted and have nothing in common.
public struct Configuration: Hashable, Sendable {
    /// Most voters a cluster may have; more cost latency and add no safety a home lab could use.
    public static let mostVoters = 7
    /// Most learners a cluster may have.
    public static let mostLearners = 1_000

    public private(set) var voters: [MemberID]
    public private(set) var learners: [MemberID]

    public init(voters: [MemberID], learners: [MemberID] = []) {
        precondition(
            Self.isWellFormed(voters: voters, learners: learners),
            "a configuration has at most 7 voters, and nobody in it twice")
        self.voters = voters.sorted()
        self.learners = learners.sorted()
    }

    /// Whether such a configuration may exist. To be asked before making one from what a disk or a peer says.
    public static func isWellFormed(voters: [MemberID], learners: [MemberID]) -> Bool {
        guard voters.count <= mostVoters, learners.count <= mostLearners else { return false }
        let all = (voters + learners).sorted()
        return zip(all, all.dropFirst()).allSatisfy { $0 < $1 }
    }

    /// Voters and learners together, sorted.
    public var members: [MemberID] { (voters + learners).sorted() }
    public func isVoter(_ member: MemberID) -> Bool { voters.contains(member) }
    public func contains(_ member: MemberID) -> Bool { voters.contains(member) || learners.contains(member) }

    /// Votes needed for a majority.
    public var quorum: Int { voters.count / 2 + 1 }

    /// The greatest value that a majority of the voters has reached; `reached` is asked once for each voter.
    /// Nil when there is no voter.
    public func reachedByQuorum<Value: Comparable>(_ reached: (MemberID) -> Value) -> Value? {
        guard !voters.isEmpty else { return nil }
        // Asked at every answer of a follower, so the few values are sorted on the stack.
        let counted = voters
        return withUnsafeTemporaryAllocation(of: Value.self, capacity: counted.count) { values in
            for (count, voter) in counted.enumerated() {
                values.initializeElement(at: count, to: reached(voter))
                var position = count
                while position > 0, values[position - 1] < values[position] {
                    values.swapAt(position - 1, position)
                    position -= 1
                }
            }
            defer { values.deinitialize() }
            return values[quorum - 1]
        }
    }

    /// Whether those for whom `answered` holds are a majority of the voters.
    public func hasQuorum(where answered: (MemberID) -> Bool) -> Bool {
        !voters.isEmpty && voters.count(where: answered) >= quorum
    }

    /// How an election stands; `ballot` is nil for a voter that has not answered. Lost as soon as it cannot be won any
    /// more: with an even number of voters that is before a majority has refused.
    public func voteResult(_ ballot: (MemberID) -> Bool?) -> VoteResult {
        if hasQuorum(where: { ballot($0) == true }) { return .won }
        return hasQuorum(where: { ballot($0) != false }) ? .pending : .lost
    }
}

/// How an election stands.
public enum VoteResult: Hashable, Sendable {
    case won
    case lost
    case pending
}

/// One step from a configuration to the next. Applying several steps takes several entries.
public enum ConfigurationChange: Hashable, Sendable {
    /// Adds a member that receives the log and does not vote.
    case addLearner(MemberID)
    /// Makes a caught-up learner a voter.
    case promote(MemberID)
    /// Makes a voter a learner.
    case demote(MemberID)
    /// Removes a member altogether.
    case remove(MemberID)
}

/// Why a change of the configuration was refused.
public enum ConfigurationRefusal: Error, Hashable, Sendable {
    case notLeader
    /// An earlier change is in the log and not committed yet, or this leader has committed nothing in its own term
    /// (Ongaro's correction of July 2015 to single-member changes), or leases are out that rest on the voters before the
    /// last change. Try again after a lease.
    case changeInProgress
    case alreadyMember
    case unknownMember
    case notCaughtUp
    case tooMany
    case wouldLeaveNoVoter
}

extension Configuration {
    /// The configuration after one change.
    public func applying(_ change: ConfigurationChange) -> Result<Configuration, ConfigurationRefusal> {
        switch change {
        case .addLearner(let member):
            guard !contains(member) else { return .failure(.alreadyMember) }
            guard learners.count < Self.mostLearners else { return .failure(.tooMany) }
            return .success(Configuration(voters: voters, learners: learners + [member]))
        case .promote(let member):
            guard learners.contains(member) else { return .failure(.unknownMember) }
            guard voters.count < Self.mostVoters else { return .failure(.tooMany) }
            return .success(Configuration(voters: voters + [member], learners: learners.filter { $0 != member }))
        case .demote(let member):
            guard voters.contains(member) else { return .failure(.unknownMember) }
            guard voters.count > 1 else { return .failure(.wouldLeaveNoVoter) }
            guard learners.count < Self.mostLearners else { return .failure(.tooMany) }
            return .success(Configuration(voters: voters.filter { $0 != member }, learners: learners + [member]))
        case .remove(let member):
            guard contains(member) else { return .failure(.unknownMember) }
            guard voters != [member] else { return .failure(.wouldLeaveNoVoter) }
            return .success(
                Configuration(voters: voters.filter { $0 != member }, learners: learners.filter { $0 != member }))
        }
    }
}
