// Whether a cluster that lost its majority may go on without it, and with whom. Everything that speaks against it is said
// at once, in words: whoever asks is in trouble already.
//
// Relies on: what the others answered a moment ago. Cannot know whether a silent member is dead; a person says that.

import Cluster
import Consensus

/// What a recovery would be.
public struct RecoveryPlan: Hashable, Sendable {
    public let voters: [MemberID]
    public let learners: [MemberID]
    /// The latest term any survivor knows.
    public let term: Term

    public init(voters: [MemberID], learners: [MemberID], term: Term) {
        self.voters = voters
        self.learners = learners
        self.term = term
    }
}

public enum RecoveryDecision: Hashable, Sendable {
    case recover(RecoveryPlan)
    /// Everything that speaks against it, each in a sentence.
    case refuse([String])
}

extension RecoveryDecision {
    /// - Parameters:
    ///   - survivor: the member that is asked; the new epoch would begin with its log.
    ///   - own: what it knows of itself.
    ///   - dead: whom the person has verified to be dead.
    ///   - answers: who has answered, and what.
    public static func decide(
        survivor: MemberID, own: RecoveryStanding, configuration: Configuration, dead: [MemberID],
        answers: SortedMap<MemberID, RecoveryStanding>, name: (MemberID) -> String
    ) -> RecoveryDecision {
        var against: [String] = []
        if !configuration.voters.contains(survivor) {
            against.append("\(name(survivor)) does not vote, so it cannot go on alone; ask a voter")
        }
        if !own.isWhole {
            against.append(
                "the disk of \(name(survivor)) has lost something it answered for, so nothing can begin with its log; ask "
                    + "another voter, or found the cluster anew from a backup")
        }
        let called = dead.filter { $0 == survivor || answers.contains($0) }
        if !called.isEmpty {
            let are = called.count == 1 ? "is" : "are"
            against.append("\(list(called, name)) \(are) not dead: an answer came just now")
        }
        let silent = configuration.allVoters.filter {
            $0 != survivor && !dead.contains($0) && !answers.contains($0)
        }
        if !silent.isEmpty {
            against.append(
                "\(list(silent, name)) did not answer and \(silent.count == 1 ? "was" : "were") not named as dead")
        }
        let standings = [(survivor, own)] + answers.pairs.map { ($0.0, $0.1) }
        if let (witness, standing) = standings.first(where: { $0.1.leader != nil }) {
            against.append(
                "\(name(witness)) sees \(name(standing.leader!)) lead: the majority is not gone")
        }
        // One that has forgotten something does not vote, and nobody can take it back without a leader.
        let deciding = { (voter: MemberID) in
            voter == survivor || answers[voter]?.isWhole == true && !dead.contains(voter)
        }
        if configuration.hasQuorum(where: deciding) {
            against.append("a majority of the voters answers and can decide by itself")
        }
        for (member, standing) in answers.pairs {
            if standing.epoch > own.epoch {
                against.append("\(name(member)) is in the later epoch \(standing.epoch): ask it instead")
            } else if configuration.isVoter(member), standing.isAhead(of: own) {
                against.append(
                    standing.isWhole
                        ? "\(name(member)) has more of the log: ask it instead, or what only it has is lost"
                        : "\(name(member)) has more of the log, but its disk has lost something it answered for, so it "
                            + "cannot be asked; bring another voter back, or switch it off and name it as dead too: what "
                            + "only it has is lost then")
            }
        }
        guard against.isEmpty else { return .refuse(against) }
        // A learner that has more of the log could not follow: some of it may be committed, and would have to go.
        let survivors = configuration.members.filter { member in
            member == survivor || answers[member].map { !$0.isAhead(of: own) } ?? false
        }
        // One that has forgotten something begins the epoch as a learner, and is taken back as after any loss.
        let votes = { (member: MemberID) in
            configuration.voters.contains(member) && (member == survivor || answers[member]?.isWhole == true)
        }
        return .recover(
            RecoveryPlan(
                voters: survivors.filter(votes), learners: survivors.filter { !votes($0) },
                term: standings.map(\.1.term).max() ?? own.term))
    }

    private static func list(_ members: [MemberID], _ name: (MemberID) -> String) -> String {
        members.map(name).joined(separator: ", ")
    }
}
