// What tests ask a TestCluster, and the steps they repeat.

import Consensus
import Testing

extension TestCluster {
    /// The number of the member that leads the newest term, if one does.
    var leader: Int? {
        members.filter { $0.raft?.isLeader == true && !$0.clock.isPaused }
            .max { $0.raft!.term < $1.raft!.term }
            .map { Int($0.id.rawValue) }
    }

    /// A leader with everything committed that its term can commit.
    var settledLeader: Int? {
        guard let leader, let raft = self[leader].raft, raft.hasCommittedInTerm else { return nil }
        return leader
    }

    /// Whether all members of the newest configuration follow one leader and have applied all of its log.
    var hasConverged: Bool {
        guard let leader, let head = self[leader].raft, head.commitIndex == head.log.lastIndex else { return false }
        return head.configuration.members.allSatisfy { member in
            guard let raft = self[Int(member.rawValue)].raft else { return false }
            return raft.term == head.term && raft.leader == head.id
                && self[Int(member.rawValue)].state.applied == head.log.lastIndex
        }
    }

    func reading(_ number: Int) -> Instant { self[number].clock.reading(at: now) }
    func raft(_ number: Int) -> Raft { self[number].raft! }

    /// Runs until there is a leader that has committed in its term, and returns it.
    mutating func elect(within bound: Interval = .seconds(5)) -> Int? {
        _ = run(within: bound) { $0.settledLeader != nil }
        return settledLeader
    }

    /// Makes a certain member the leader of an undisturbed cluster.
    mutating func elect(_ number: Int) -> Bool {
        guard let first = elect(within: .seconds(10)) else { return false }
        if first == number { return true }
        _ = run(within: .seconds(2)) { $0.hasConverged }
        transfer(from: first, to: number)
        return run(within: .seconds(5)) { $0.settledLeader == number }
    }

    /// Like `elect`, for tests that cannot go on without it.
    mutating func establish(leader number: Int, _ location: SourceLocation = #_sourceLocation) {
        if !elect(number) { Issue.record("member \(number) was not elected", sourceLocation: location) }
    }

    mutating func transfer(from: Int, to: Int) {
        act(from) { raft, reading in _ = raft.startTransfer(to: MemberID(rawValue: UInt64(to)), now: reading) }
    }

    mutating func propose(_ value: UInt64, at number: Int) {
        act(number) { raft, reading in _ = raft.propose([TestCommand.value(value).bytes], now: reading) }
    }

    mutating func change(
        _ change: ConfigurationChange, at number: Int
    ) -> Result<LogIndex, ConfigurationRefusal> {
        var result = Result<LogIndex, ConfigurationRefusal>.failure(.notLeader)
        act(number) { raft, reading in result = raft.propose(change, now: reading) }
        return result
    }

    /// What the product's agent does with the role, in a few lines: the leader re-assigns it when the holder's lease is
    /// certainly over; a holder that was asked to let go stops and says so.
    mutating func moveRoles(_ number: Int) {
        let member = self[number]
        guard let raft = member.raft else { return }
        if case .releasing(member.id, _) = member.state.phase, let leader = raft.leader,
            random.chance(100), !network.isCut(from: number, to: Int(leader.rawValue))
        {
            // Letting go includes what an earlier process of this member left in the kernel.
            checks.silenced(member.id)
            schedule(
                .command(Int(leader.rawValue), TestCommand.released(epoch: member.state.epoch).bytes), after: 300_000)
        }
        guard raft.hasCommittedInTerm, member.state.applied == raft.commitIndex,
            member.proposed.map({ $0.term == raft.term && $0.epoch == member.state.epoch }) != true
        else { return }
        let reading = member.clock.reading(at: now)
        if let holder = member.state.holder {
            guard raft.leaseIsCertainlyOver(holder, now: reading) else { return }
        }
        let fit = raft.configuration.members.filter { candidate in
            candidate != member.state.holder && self[Int(candidate.rawValue)].wantsLease
        }
        guard !fit.isEmpty else { return }
        let next = fit[Int(random.draw(0...Int64(fit.count - 1)))]
        members[number - 1].proposed = (raft.term, member.state.epoch)
        let command = TestCommand.assign(to: next, epoch: member.state.epoch)
        act(number) { raft, reading in _ = raft.propose([command.bytes], now: reading) }
    }

    /// What Decisions do on a real leader: a voter that has lost something becomes a learner while the others can decide
    /// without it, and one that was taken back becomes a voter again.
    mutating func takeBack(_ number: Int) {
        guard let raft = self[number].raft, raft.isLeader, raft.hasCommittedInTerm else { return }
        let reading = reading(number)
        func isThere(_ member: MemberID) -> Bool {
            if member == raft.id { return true }
            return raft.lastHeard(member).map { reading - $0 < .milliseconds(500) } ?? false
        }
        for member in raft.configuration.members where member != raft.id {
            let isForgetful = raft.hasLostMemory(member)
            let others = raft.configuration.voters.filter { $0 != member && isThere($0) && !raft.hasLostMemory($0) }
            if raft.configuration.isVoter(member) {
                guard isForgetful, others.count > (raft.configuration.voters.count - 1) / 2 else { continue }
                _ = members[number - 1].raft?.propose(.demote(member), now: reading)
            } else if !isForgetful, wasVoter(member) {
                _ = members[number - 1].raft?.propose(.promote(member), now: reading)
            }
        }
    }

    private func wasVoter(_ member: MemberID) -> Bool {
        self[Int(member.rawValue)].initialConfiguration.isVoter(member)
    }
}
