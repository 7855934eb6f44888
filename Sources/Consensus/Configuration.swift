// Who belongs to the consensus, and how majorities of them are counted.
// A change moves one member at a time (Ongaro 4.1), or exchanges several voters at once through a joint configuration
// (4.3): then every question that needs a majority needs one of the voters before and one of the voters after, and the
// counting functions here are the only place that knows. When each step may be taken is in Membership.swift.

/// The members that take part in replication. All lists are sorted.
public struct Configuration: Hashable, Sendable {
    /// Most voters a cluster may have; more cost latency and add no safety a home lab could use. Of a joint
    /// configuration: on each side.
    public static let mostVoters = 7
    /// Most learners a cluster may have.
    public static let mostLearners = 1_000

    /// Who votes; of a joint configuration, who will vote when it has been left.
    public private(set) var voters: [MemberID]
    /// Members that receive the log and vote on neither side.
    public private(set) var learners: [MemberID]
    /// The voters before the change under way; empty when none is.
    public private(set) var outgoingVoters: [MemberID]
    /// Outgoing voters that become learners when the joint configuration is left; the other outgoing ones that are not
    /// among `voters` leave altogether. They are no learners before, because they vote until then.
    public private(set) var learnersNext: [MemberID]
    /// The epoch it is of. A member follows no configuration of an earlier epoch than its own into an election.
    public private(set) var epoch: Epoch

    public init(
        voters: [MemberID], learners: [MemberID] = [], outgoingVoters: [MemberID] = [], learnersNext: [MemberID] = [],
        epoch: Epoch = .first
    ) {
        precondition(
            Self.isWellFormed(
                voters: voters, learners: learners, outgoingVoters: outgoingVoters, learnersNext: learnersNext),
            "a configuration has at most 7 voters on a side, and nobody in it twice")
        self.voters = voters.sorted()
        self.learners = learners.sorted()
        self.outgoingVoters = outgoingVoters.sorted()
        self.learnersNext = learnersNext.sorted()
        self.epoch = epoch
    }

    /// Whether such a configuration may exist. To be asked before making one from what a disk or a peer says.
    public static func isWellFormed(
        voters: [MemberID], learners: [MemberID], outgoingVoters: [MemberID] = [], learnersNext: [MemberID] = []
    ) -> Bool {
        guard voters.count <= mostVoters, outgoingVoters.count <= mostVoters,
            learners.count + learnersNext.count <= mostLearners
        else { return false }
        // Learners are on neither side, and whoever is demoted is on the outgoing side alone.
        let outgoingOnly = outgoingVoters.filter { !voters.contains($0) }
        return (outgoingVoters.isEmpty || !voters.isEmpty) && learnersNext.allSatisfy(outgoingOnly.contains)
            && hasNobodyTwice(outgoingVoters) && hasNobodyTwice(learnersNext)
            && hasNobodyTwice(voters + outgoingOnly + learners)
    }

    private static func hasNobodyTwice(_ members: [MemberID]) -> Bool {
        let sorted = members.sorted()
        return zip(sorted, sorted.dropFirst()).allSatisfy { $0 < $1 }
    }

    /// Whether two majorities are needed.
    public var isJoint: Bool { !outgoingVoters.isEmpty }
    /// Everyone who votes, on either side, sorted.
    public var allVoters: [MemberID] {
        guard isJoint else { return voters }
        return (voters + outgoingVoters.filter { !voters.contains($0) }).sorted()
    }
    /// Voters and learners together, sorted.
    public var members: [MemberID] { (allVoters + learners).sorted() }
    /// Whether it votes, on either side.
    public func isVoter(_ member: MemberID) -> Bool { voters.contains(member) || outgoingVoters.contains(member) }
    public func contains(_ member: MemberID) -> Bool { isVoter(member) || learners.contains(member) }

    /// How many names it takes to write this down.
    public var storedMembers: Int { voters.count + learners.count + outgoingVoters.count + learnersNext.count }

    /// The sides a majority is needed of.
    public var sides: [[MemberID]] { isJoint ? [voters, outgoingVoters] : [voters] }

    /// The greatest value that a majority has reached, on each side; `reached` is asked once for each voter of a side.
    /// Nil when there is no voter.
    public func reachedByQuorum<Value: Comparable>(_ reached: (MemberID) -> Value) -> Value? {
        guard let incoming = Self.reachedByMajority(of: voters, reached) else { return nil }
        guard let outgoing = Self.reachedByMajority(of: outgoingVoters, reached) else { return incoming }
        return min(incoming, outgoing)
    }

    private static func reachedByMajority<Value: Comparable>(
        of counted: [MemberID], _ reached: (MemberID) -> Value
    ) -> Value? {
        guard !counted.isEmpty else { return nil }
        // Asked at every answer of a follower, so the few values are sorted on the stack.
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
            return values[majority(of: counted) - 1]
        }
    }

    /// Votes needed for a majority of these.
    public static func majority(of voters: [MemberID]) -> Int { voters.count / 2 + 1 }

    /// Whether those for whom `answered` holds are a majority of the voters, on each side.
    public func hasQuorum(where answered: (MemberID) -> Bool) -> Bool {
        !voters.isEmpty && Self.hasMajority(of: voters, where: answered)
            && (!isJoint || Self.hasMajority(of: outgoingVoters, where: answered))
    }

    private static func hasMajority(of voters: [MemberID], where answered: (MemberID) -> Bool) -> Bool {
        voters.count(where: answered) >= majority(of: voters)
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
    /// Makes exactly these the voters, all at once: a joint configuration, which is left by itself once it is committed.
    /// New ones must be caught-up learners; voters that are not among them become learners, or leave altogether when
    /// `removing` names them. Learners that it names leave at once.
    case exchangeVoters(for: [MemberID], removing: [MemberID])
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
    /// A member that was heard of is of a release without joint configurations: change one voter at a time.
    case notKnownToAll
    /// The same voters as before.
    case nothingToChange
    case tooMany
    case wouldLeaveNoVoter
}

extension Configuration {
    /// The configuration after one change.
    public func applying(_ change: ConfigurationChange) -> Result<Configuration, ConfigurationRefusal> {
        // Two majorities are enough to keep in mind.
        guard !isJoint else { return .failure(.changeInProgress) }
        switch change {
        case .addLearner(let member):
            guard !contains(member) else { return .failure(.alreadyMember) }
            guard learners.count < Self.mostLearners else { return .failure(.tooMany) }
            return .success(changed(learners: learners + [member]))
        case .promote(let member):
            guard learners.contains(member) else { return .failure(.unknownMember) }
            guard voters.count < Self.mostVoters else { return .failure(.tooMany) }
            return .success(changed(voters: voters + [member], learners: learners.filter { $0 != member }))
        case .demote(let member):
            guard voters.contains(member) else { return .failure(.unknownMember) }
            guard voters.count > 1 else { return .failure(.wouldLeaveNoVoter) }
            guard learners.count < Self.mostLearners else { return .failure(.tooMany) }
            return .success(changed(voters: voters.filter { $0 != member }, learners: learners + [member]))
        case .remove(let member):
            guard contains(member) else { return .failure(.unknownMember) }
            guard voters != [member] else { return .failure(.wouldLeaveNoVoter) }
            return .success(
                changed(voters: voters.filter { $0 != member }, learners: learners.filter { $0 != member }))
        case .exchangeVoters(let newVoters, let removing):
            return exchanging(for: newVoters, removing: removing)
        }
    }

    private func exchanging(
        for newVoters: [MemberID], removing: [MemberID]
    ) -> Result<Configuration, ConfigurationRefusal> {
        guard !newVoters.isEmpty else { return .failure(.wouldLeaveNoVoter) }
        guard newVoters.count <= Self.mostVoters else { return .failure(.tooMany) }
        guard newVoters.allSatisfy({ contains($0) && !removing.contains($0) }), removing.allSatisfy(contains),
            Self.hasNobodyTwice(newVoters), Self.hasNobodyTwice(removing)
        else { return .failure(.unknownMember) }
        guard newVoters.sorted() != voters else { return .failure(.nothingToChange) }
        let demoted = voters.filter { !newVoters.contains($0) && !removing.contains($0) }
        let learning = learners.filter { !newVoters.contains($0) && !removing.contains($0) }
        guard learning.count + demoted.count <= Self.mostLearners else { return .failure(.tooMany) }
        return .success(
            Configuration(
                voters: newVoters, learners: learning, outgoingVoters: voters, learnersNext: demoted, epoch: epoch))
    }

    private func changed(voters: [MemberID]? = nil, learners: [MemberID]) -> Configuration {
        Configuration(voters: voters ?? self.voters, learners: learners, epoch: epoch)
    }

    /// What a joint configuration is left for; itself, when it is none.
    public var left: Configuration { changed(learners: learners + learnersNext) }
}
