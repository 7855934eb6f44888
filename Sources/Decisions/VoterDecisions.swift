// Who should vote. The consensus configuration follows the member list: several voters at once where more than one has to
// move, otherwise one step at a time.
//
// For every failure domain F more than half of the voters must live outside F. Agents inside guests die with a host
// that has a voter of its own, so they are learners always. Voters are hosts and witnesses, an odd number of them: an
// even one tolerates no more losses than one less, and with two hosts alone the loss of *either* would stop everything.

import Cluster
import Consensus

public enum VoterDecisions {
    /// How far behind a learner may be to become a voter.
    public static let mostLacking: UInt64 = 64

    /// The next step from the present configuration toward the wanted one; nil when there is nothing to do.
    public static func next(state: ClusterState, view: LeaderView) -> ConfigurationChange? {
        let configuration = view.configuration
        // The consensus leaves a joint configuration by itself.
        guard !configuration.isJoint else { return nil }
        if let exchange = exchange(state: state, view: view) { return exchange }
        // First who should not be there at all, then who is missing.
        for member in configuration.members where !state.members.contains(member) && member != view.leader {
            return .remove(member)
        }
        for member in state.members.keys where !configuration.contains(member) { return .addLearner(member) }

        for voter in configuration.voters where mustBeReadmitted(voter, view) { return .demote(voter) }
        let wanted = wantedVoters(state: state, view: view)
        for learner in configuration.learners where wanted.contains(learner) {
            if let lacking = view.standings[learner]?.lacking, lacking <= mostLacking, view.isReachable(learner) {
                return .promote(learner)
            }
        }
        for voter in configuration.voters where !wanted.contains(voter) && voter != view.leader {
            return .demote(voter)
        }
        return nil
    }

    /// Moves two voters or more at once. One at a time, a voter that is lost for good would be taken out before its
    /// substitute is in (or after), and on the way there is an even number of voters, which bears one loss less. Nobody
    /// takes a vote from the leader itself: it hands over first.
    private static func exchange(state: ClusterState, view: LeaderView) -> ConfigurationChange? {
        let configuration = view.configuration
        var target = wantedVoters(state: state, view: view)
        if configuration.isVoter(view.leader), !target.contains(view.leader) { target.append(view.leader) }
        let incoming = target.filter { !configuration.isVoter($0) }
        let outgoing = configuration.voters.filter { !target.contains($0) }
        guard view.mayExchangeVoters, incoming.count + outgoing.count > 1, target.count <= Configuration.mostVoters,
            incoming.allSatisfy({ configuration.learners.contains($0) && view.isReachable($0) })
        else { return nil }
        return .exchangeVoters(for: target, removing: outgoing.filter { !state.members.contains($0) })
    }

    /// A voter whose disk has lost something comes back by way of being a learner (Consensus/Memory.swift). Only while
    /// the others can decide without it: until then it may still be one of those that keep the cluster going.
    private static func mustBeReadmitted(_ voter: MemberID, _ view: LeaderView) -> Bool {
        guard view.standings[voter]?.hasLostMemory == true, voter != view.leader else { return false }
        let others = view.configuration.voters.filter { $0 != voter }
        let there = others.filter { $0 == view.leader || (view.isReachable($0) && !view.hasLostMemory($0)) }
        return !others.isEmpty && there.count > others.count / 2
    }

    /// The members that should vote: present voters first, so that nobody is exchanged without need.
    static func wantedVoters(state: ClusterState, view: LeaderView) -> [MemberID] {
        let eligible = state.members.keys.filter { state.members.look($0) { $0.kind != .guest } == true }
        let present = eligible.filter { view.configuration.isVoter($0) }
        let caughtUp = eligible.filter { id in
            guard !present.contains(id), let standing = view.standings[id], standing.reachable, !standing.hasLostMemory
            else { return false }
            return (standing.lacking ?? .max) <= mostLacking
        }
        var wanted = Array((present + caughtUp).prefix(Configuration.mostVoters))
        // A voter that is only silent keeps its vote; taking it away would be a second fault.
        if wanted.count % 2 == 0, let last = wanted.last, !present.contains(last) { wanted.removeLast() }
        return wanted
    }
}
