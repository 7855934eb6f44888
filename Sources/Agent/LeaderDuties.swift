// What a leader does beyond replication: it looks who is there, and proposes what follows from it. The decisions
// themselves are in Decisions; here is only when they are made, and with what knowledge.

import Cluster
import Consensus
import Decisions
import Kinds

struct LeaderDuties: Sendable {
    var nextDecision: Instant = .distantPast
    /// The last entry this leader proposed on its own account; it decides again once that is applied.
    var barrier: LogIndex = .zero
    var decidedRevision: UInt64 = 0
    /// The view in which there was nothing to do at that revision. In the same one there is nothing to do again.
    var settledView: LeaderView?
    /// Since when each member has been heard of without a break.
    var steadySince: SortedMap<MemberID, Instant> = [:]
    /// Since when each member that is away has been, as far as this leader has seen.
    var silentSince: SortedMap<MemberID, Instant> = [:]
    /// Since when it has been certain that each member that is away acts under no lease. Only of hosts that run guests.
    var lostSince: SortedMap<MemberID, Instant> = [:]
    /// Since when each workload whose health is waited for has been as it is.
    var healthSince: SortedMap<ResourceKey, (spell: HealthDecisions.Spell, since: Instant)> = [:]
    /// Since when each member has been coming and going.
    var unsteadySince: SortedMap<MemberID, Instant> = [:]

    /// Since when each member that was ordered something under a fence has had none of it to carry out any more.
    var idleSince: SortedMap<FenceOrderKey, Instant> = [:]

    /// The order that is to be carried out about each host under its fence, and since when it has been this one.
    var workSince: SortedMap<String, FenceWork> = [:]

    /// One order under a fence; each further try is another one.
    struct FenceWork: Hashable, Sendable {
        var member: MemberID
        var fence: FencePhase
        var further: FenceTask?
        var epoch: UInt64
        var orderedAt: UInt64
        var failures: UInt64
        var since: Instant
    }

    /// What a member was ordered under one fence of a host.
    struct FenceOrderKey: Hashable, Comparable, Sendable {
        var host: String
        var epoch: UInt64
        var member: MemberID

        static func < (left: Self, right: Self) -> Bool {
            (left.host, left.epoch, left.member) < (right.host, right.epoch, right.member)
        }
    }

    /// How much of a silence before it led a leader takes into account at most.
    static let mostElection = Interval.seconds(1)

    mutating func reset(now: Instant) {
        self = LeaderDuties()
        nextDecision = now
    }
}

/// When this member saw the trial that is under way.
struct TrialSeen: Sendable {
    var revision: UInt64
    var at: Instant
    /// False when it was read from the log after a restart or an interruption: it began some time before.
    var asItBegan: Bool
}

extension AgentCore {
    /// How long a new leader waits for a first word before it counts a member as silent. The leader it deposed gets
    /// none of it: that one has been silent for a whole election timeout. What shares its failure domain has probably
    /// gone with it and gets a short one; if it is there after all, it has lost nothing, since its lease ended with
    /// the old leader's.
    private func firstWord(of member: MemberID) -> Interval {
        guard let deserter = raft.deserter else { return raft.timing.heartbeat }
        if member == deserter { return .zero }
        let sharesDomain = state.members[member]?.failureDomain == state.members[deserter]?.failureDomain
        return sharesDomain ? raft.timing.heartbeat / 3 : raft.timing.heartbeat
    }

    /// Silence after which a member counts as unreachable; its lease ends later still.
    private var silence: Interval { raft.timing.quorumLease - raft.timing.heartbeat }

    /// This leader's knowledge of every member and every holder of a role.
    func standings(now: Instant) -> SortedMap<MemberID, LeaderView.Standing> {
        guard let since = raft.leadership?.since else { return [:] }
        var standings = state.members.mapKeys { standing($0, leadingSince: since, now: now) }
        let roles = state.roles.values
        for position in roles.indices {
            if let holder = roles[position].holder, !standings.contains(holder) {
                standings[holder] = standing(holder, leadingSince: since, now: now)
            }
        }
        return standings
    }

    private func standing(_ member: MemberID, leadingSince since: Instant, now: Instant) -> LeaderView.Standing {
        if member == id {
            return LeaderView.Standing(
                reachable: true, leaseIsCertainlyOver: false, steadyFor: steadiness(now - since), lacking: 0)
        }
        let reachable: Bool
        if let heard = raft.lastHeard(member) {
            reachable = now - heard < silence
        } else {
            // The grace is for who was there: it brings back nobody who counts as lost.
            let wasThere = state.members[member]?.reachable ?? true
            reachable = wasThere && now - since < firstWord(of: member)
        }
        return LeaderView.Standing(
            reachable: reachable, leaseIsCertainlyOver: raft.leaseIsCertainlyOver(member, now: now),
            steadyFor: duties.steadySince[member].map { steadiness(now - $0) } ?? .zero,
            lacking: lacking(member).map { min($0, LeaderView.Standing.mostLacking) },
            hasLostMemory: raft.hasLostMemory(member))
    }

    private func steadiness(_ length: Interval) -> Interval {
        .min(.seconds(length.milliseconds / 1_000), LeaderView.Standing.mostSteady)
    }

    /// How many entries a member lacks, as far as this leader knows.
    func lacking(_ member: MemberID) -> UInt64? {
        if member == id { return 0 }
        let match = raft.leadership?.progress.look(member) { $0.match } ?? nil
        return match.map { raft.log.lastIndex.rawValue - $0.rawValue }
    }

    /// A leader decides only on a state that contains everything it inherited and everything it proposed before.
    var mayDecide: Bool {
        raft.isLeader && raft.hasCommittedInTerm && applied == raft.commitIndex && applied >= duties.barrier
    }

    mutating func performLeaderDuties(now: Instant) {
        guard mayDecide, now >= duties.nextDecision || state.revision != duties.decidedRevision else { return }
        foundCluster(now: now)
        var standings = standings(now: now)
        noteSteadiness(standings, now: now)
        noteLosses(&standings, now: now)
        let isNews = duties.decidedRevision != state.revision
        if isNews {
            raft.membersOfLastResort = state.members.values.filter { $0.kind != .host }.map(\.id)
        }
        duties.decidedRevision = state.revision
        duties.nextDecision = nextLook(standings, now: now)

        var view = LeaderView(
            leader: id, standings: standings, configuration: raft.configuration,
            longGone: duties.silentSince.isEmpty
                ? [] : duties.silentSince.pairs.filter { now - $0.1 >= LevelDecisions.patience }.map { $0.0 },
            mayExchangeVoters: knowsWhoReadsJointConfigurations(now: now))
        view.finished = finishedFenceOrders(now: now)
        view.overdue = overdueFenceOrders(standings, now: now)
        view.healthFor = noteHealth(now: now)
        // Time alone ends a trial, and the patience with operators who have not renewed.
        if let command = endOfTrial(now: now) { decree(command, now: now) }
        if let command = RotationDecisions.next(state: state, view: view, wallMilliseconds: wallMilliseconds) {
            decree(command, now: now)
        }
        if isNews || duties.settledView != view {
            duties.settledView = decide(view, now: now) ? nil : view
        }
        if raft.isLeader && raft.log.lastIndex > applied { duties.barrier = raft.log.lastIndex }
    }

    /// Whoever is there has said by then whether it can read a joint configuration.
    private func knowsWhoReadsJointConfigurations(now: Instant) -> Bool {
        guard let since = raft.leadership?.since else { return false }
        return raft.mayExchangeVoters && now - since >= raft.timing.electionTimeoutLeast
    }

    /// Decides and proposes what follows.
    /// - Returns: whether there was anything to do, done or not.
    private mutating func decide(_ view: LeaderView, now: Instant) -> Bool {
        var commands = RoleDecisions.decide(state: state, specs: specs, view: view)
        if let raise = LevelDecisions.next(state: state, view: view) { commands.append(raise) }
        for command in workloadCommands(view) { commands.append(.workload(command)) }
        for command in commands { decree(command, now: now) }
        let change = VoterDecisions.next(state: state, view: view)
        if let change {
            // Refused while another change is under way or the member is not caught up; looked at again soon.
            if case .success = raft.propose(change, now: now) {
                effects.append(.log("configuration: \(words(change))"))
            }
        }
        let better = betterLeader(view.standings)
        if let better, raft.startTransfer(to: better, now: now) {
            effects.append(.log("handing leadership to \(state.name(of: better))"))
        }
        return !commands.isEmpty || change != nil || better != nil
    }

    /// Appends a decision to the log in the same step it was made in, or not at all.
    ///
    /// A decision to give a role away rests on this leader's lease table at this moment: from here on every grant has a
    /// floor at or above the entry. Offered again later, or to another leader, it would stand *after* a fresh lease of
    /// the old holder, whose floor lies before it, and two members would act. So it is never kept: what is still right
    /// is decided anew.
    private mutating func decree(_ command: Command, now: Instant) {
        let record = CommandRecord(
            stamp: proposals.stamp(session: setup.session), milliseconds: wallMilliseconds, actor: setup.record.name,
            command: command)
        guard let bytes = setup.writeCommand(record) else {
            preconditionFailure("a decision is made of names and numbers, which are always JSON")
        }
        if case .failure(let refusal) = raft.propose([bytes], now: now) {
            effects.append(.log("a decision could not be proposed and is made anew: \(refusal)"))
        }
    }

    private mutating func foundCluster(now: Instant) {
        guard let name = setup.founds, state.clusterName.isEmpty, state.members.isEmpty else { return }
        propose(.bootstrap(clusterName: name, member: setup.record, founder: setup.founder), now: now)
    }

    private mutating func endOfTrial(now: Instant) -> Command? {
        guard let trialSeen else { return nil }
        return TrialDecisions.decide(
            state: state, seenFor: now - trialSeen.at, wallMilliseconds: trialSeen.asItBegan ? nil : wallMilliseconds)
    }

    /// Every member watches the time of a trial, because any of them may lead when it is over.
    mutating func watchTrial(now: Instant) {
        guard let trial = state.trial else {
            trialSeen = nil
            return
        }
        guard trialSeen?.revision != trial.revision else { return }
        trialSeen = TrialSeen(
            revision: trial.revision, at: now,
            asItBegan: TrialDecisions.seesBegin(of: trial, isCurrent: isCurrent, wallMilliseconds: wallMilliseconds))
    }

    private func workloadCommands(_ view: LeaderView) -> [WorkloadCommand] {
        guard !state.hosts.isEmpty, state.level >= 2 else { return [] }
        return FenceDecisions.decide(state: state, specs: workloadSpecs, view: view)
            + PlacementDecisions.decide(state: state, specs: workloadSpecs, view: view)
    }

    private mutating func noteLosses(_ standings: inout SortedMap<MemberID, LeaderView.Standing>, now: Instant) {
        guard !state.hosts.isEmpty else { return }
        for (member, standing) in standings.pairs {
            if standing.reachable || !standing.leaseIsCertainlyOver {
                if duties.lostSince.contains(member) { duties.lostSince[member] = nil }
                // Not by the view's `steadyFor`, which ends before that.
                if duties.unsteadySince.contains(member), let steady = duties.steadySince[member],
                    now - steady >= FenceDecisions.steadyAgain
                {
                    duties.unsteadySince[member] = nil
                }
                continue
            }
            let unsteady = duties.unsteadySince[member] ?? now
            duties.unsteadySince[member] = unsteady
            let since = duties.lostSince[member] ?? now
            duties.lostSince[member] = since
            let silent = min(since, silenceOfFormerLeader(member) ?? since)
            _ = standings.update(member) {
                $0.lostFor = Self.tenths(now - since)
                $0.silentFor = Self.tenths(now - silent)
                $0.unsteadyFor = min(
                    .seconds((now - unsteady).milliseconds / 1_000), FenceDecisions.mostUnsteady)
            }
        }
    }

    /// Since when the leader before this one would have counted as lost, had another one led all the while: this one followed it
    /// until it fell silent. Nil of others, and once it has been heard of since. What an election may take counts and no more;
    /// before that it may have been there for others.
    private func silenceOfFormerLeader(_ member: MemberID) -> Instant? {
        guard let formerLeader, formerLeader.member == member, raft.lastHeard(member) == nil,
            let since = raft.leadership?.since
        else { return nil }
        return max(
            formerLeader.heard + raft.timing.stretched(raft.timing.memberLease), since - LeaderDuties.mostElection)
    }

    private static func tenths(_ length: Interval) -> Interval {
        min(.milliseconds(length.milliseconds / 100 * 100), LeaderView.Standing.mostLost)
    }

    /// Who has had no order under a fence for so long that nothing can come of an earlier one, there or not: it gives its
    /// driver one only under a lease, with a state that is as new, and what is given has its effect in time or never.
    private mutating func finishedFenceOrders(now: Instant) -> SortedMap<String, [MemberID]> {
        guard !duties.idleSince.isEmpty || state.hosts.values.contains(where: { !$0.ordered.isEmpty }) else {
            return [:]
        }
        var since: SortedMap<LeaderDuties.FenceOrderKey, Instant> = [:]
        var finished: SortedMap<String, [MemberID]> = [:]
        for (name, host) in state.hosts.pairs {
            // Who was removed carries nothing out any more, but for what it had begun.
            for member in host.ordered where !host.isAtWork(member) || state.members[member] == nil {
                let key = LeaderDuties.FenceOrderKey(host: name, epoch: host.fenceEpoch, member: member)
                let began = duties.idleSince[key] ?? now
                since[key] = began
                if now - began >= FenceOrder.certainlyOver { finished[name] = (finished[name] ?? []) + [member] }
            }
        }
        duties.idleSince = since
        return finished
    }

    /// Hosts whose present order is reported on by nobody, although its member is there: its driver hangs, or it has none.
    private mutating func overdueFenceOrders(
        _ standings: SortedMap<MemberID, LeaderView.Standing>, now: Instant
    ) -> [String] {
        guard !duties.workSince.isEmpty || state.hosts.values.contains(where: { !$0.fence.isNone }) else { return [] }
        var work: SortedMap<String, LeaderDuties.FenceWork> = [:]
        var overdue: [String] = []
        for (name, host) in state.hosts.pairs {
            guard let member = host.worker, standings[member]?.reachable == true else { continue }
            var present = LeaderDuties.FenceWork(
                member: member, fence: host.fence, further: host.further, epoch: host.fenceEpoch,
                orderedAt: host.orderedAt, failures: host.failures, since: now)
            if var before = duties.workSince[name] {
                let since = before.since
                before.since = now
                if before == present { present.since = since }
            }
            work[name] = present
            // Further proofs are tried at longer intervals.
            let pause = host.fence.isProven && host.further != nil ? Fencing.retryFurtherAfter : .zero
            if now - present.since >= FenceOrder.certainlyOver + pause { overdue.append(name) }
        }
        duties.workSince = work
        return overdue
    }

    /// In whole seconds, and no more than is waited for: a view in which nothing is to be done does not change.
    private mutating func noteHealth(now: Instant) -> SortedMap<ResourceKey, Interval> {
        var lengths: SortedMap<ResourceKey, Interval> = [:]
        for workload in workloadSpecs.tended {
            guard let placement = state.placements[workload], let spec = workloadSpecs.workloads[workload],
                let spell = HealthDecisions.spell(of: placement)
            else {
                if duties.healthSince.contains(workload) { duties.healthSince[workload] = nil }
                continue
            }
            var since = now
            if let known = duties.healthSince[workload], known.spell == spell {
                since = known.since
            } else {
                duties.healthSince[workload] = (spell, now)
            }
            let seconds = Interval.seconds((now - since).milliseconds / 1_000)
            lengths[workload] = min(seconds, HealthDecisions.pause(placement, spec))
        }
        if duties.healthSince.count > lengths.count {
            for workload in duties.healthSince.keys where !lengths.contains(workload) {
                duties.healthSince[workload] = nil
            }
        }
        return lengths
    }

    private mutating func noteSteadiness(_ standings: SortedMap<MemberID, LeaderView.Standing>, now: Instant) {
        for (member, standing) in standings.pairs {
            if !standing.reachable {
                duties.steadySince[member] = nil
                if duties.silentSince[member] == nil { duties.silentSince[member] = now }
            } else if duties.steadySince[member] == nil {
                duties.steadySince[member] = now
                duties.silentSince[member] = nil
            }
        }
    }

    /// The next moment at which the decisions can come out differently without anything happening: a heartbeat from
    /// now, or earlier when a holder's lease ends before.
    private func nextLook(_ standings: SortedMap<MemberID, LeaderView.Standing>, now: Instant) -> Instant {
        var next = now + raft.timing.heartbeat
        if let since = raft.leadership?.since, since + raft.timing.heartbeat / 3 > now {
            next = min(next, since + raft.timing.heartbeat / 3)
        }
        let roles = state.roles.values
        for position in roles.indices {
            guard let holder = roles[position].holder, let over = raft.leaseOutstandingUntil(holder, now: now) else {
                continue
            }
            next = min(next, over)
        }
        return max(next, now + .milliseconds(1))
    }

    /// Whom to hand over to. A witness or guest that had to lead hands over as soon as a host can. So does a leader that was removed from
    /// the cluster, to a witness if need be: nobody takes a vote from the leader itself, so it would lead for ever.
    private func betterLeader(_ standings: SortedMap<MemberID, LeaderView.Standing>) -> MemberID? {
        let isRemoved = state.members[id] == nil
        guard setup.record.kind != .host || isRemoved else { return nil }
        // A removed leader does not wait for a moment without work: the hand-over feeds its successor first.
        let mostLacking = isRemoved ? VoterDecisions.mostLacking : 0
        let able = raft.configuration.voters.filter { voter in
            guard voter != id, state.members[voter] != nil, let standing = standings[voter] else { return false }
            return standing.steadyFor >= .seconds(2) && standing.lacking.map { $0 <= mostLacking } ?? false
        }
        let host = able.first { state.members[$0]?.kind == .host }
        return isRemoved ? host ?? able.first : host
    }

    private func words(_ change: ConfigurationChange) -> String {
        switch change {
        case .addLearner(let member): "adding \(state.name(of: member)) as a learner"
        case .promote(let member): "making \(state.name(of: member)) a voter"
        case .demote(let member): "making \(state.name(of: member)) a learner"
        case .remove(let member): "removing \(state.name(of: member))"
        case .exchangeVoters(let voters, _):
            "making \(voters.map { state.name(of: $0) }.joined(separator: ", ")) the voters, all at once"
        }
    }
}
