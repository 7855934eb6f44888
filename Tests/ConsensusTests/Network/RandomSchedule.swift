// One seed: a cluster, a random subset of faults at random rates for a few seconds, then healing, in which everything
// must converge within a bound.

import Consensus

struct RandomSchedule {
    enum Fault: CaseIterable {
        case crash, partition, oneWayCut, diskStall, pause, membership, transfer, timing, withhold, snapshotLoss,
            memoryLoss
    }

    var cluster: TestCluster
    private let faults: [Fault]
    private var random: SplitMix64
    private let guests: Set<Int>
    private var nextValue: UInt64 = 0

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        let voters = Int(random.draw(1...5))
        let learners = Int(random.draw(0...1))
        let spares = Int(random.draw(0...2))
        let all = voters + learners + spares
        var timing = Timing()
        if random.chance(500) {
            timing.driftPartsPerMillion = 50_000
            timing.promise = timing.stretched(timing.quorumLease)
            timing.electionTimeoutLeast = timing.promise
        }
        let bound = timing.driftPartsPerMillion
        var guests: Set<Int> = []
        if random.chance(300) { guests.insert(Int(random.draw(1...Int64(all)))) }
        var drift: [Int64] = []
        for _ in 0..<all { drift.append(random.chance(500) ? (random.chance(500) ? bound : -bound) : 0) }
        var ranks: [LeadershipRank] = []
        for number in 1...all {
            let isWitness = random.chance(100)
            ranks.append(isWitness || guests.contains(number) ? .lastResort : .preferred)
        }
        var limits = Limits()
        if random.chance(300) {
            limits.appendEntries = 2
            limits.inFlightAppends = 2
            limits.waitingWrites = 4
        }
        if random.chance(700) { limits.snapshotChunkBytes = Int(random.draw(1...64)) }
        cluster = TestCluster(
            voters: voters, learners: learners, spares: spares, timing: timing, seed: random.next(), guests: guests,
            ranks: ranks, limits: limits, drift: drift)
        self.guests = guests
        cluster.movesRoles = true
        if random.chance(500) { cluster.batchPermille = random.draw(50...700) }
        if random.chance(500) { cluster.network.dropPermille = random.draw(1...200) }
        if random.chance(500) { cluster.network.duplicatePermille = random.draw(1...200) }
        if random.chance(300) { cluster.network.latePermille = random.draw(1...100) }
        if random.chance(300) { cluster.network.latency = 100_000...30_000_000 }
        if random.chance(300) { cluster.diskLatency = 1_000_000...60_000_000 }
        if random.chance(600) { cluster.snapshotEvery = UInt64(random.draw(2...12)) }
        var chosen: [Fault] = []
        for fault in Fault.allCases where random.chance(500) { chosen.append(fault) }
        // A second loss before the first is made good, or fewer voters meanwhile, may leave no majority that remembers.
        if voters < 3 { chosen.removeAll { $0 == .memoryLoss } }
        if chosen.contains(.memoryLoss) {
            chosen.removeAll { $0 == .membership }
            cluster.readmits = true
        }
        faults = chosen
    }

    /// What went wrong, if anything did.
    mutating func run() -> String? {
        for _ in 0..<random.draw(10...50) {
            cluster.tell { "faults \(faults)" }
            cluster.run(for: .milliseconds(random.draw(1...250)))
            work()
            if !faults.isEmpty, random.chance(600) { strike(faults[Int(random.draw(0...Int64(faults.count - 1)))]) }
            if let violation = cluster.checks.violation { return violation }
        }
        return heal()
    }

    private mutating func anyone() -> Int { Int(random.draw(1...Int64(cluster.members.count))) }
    private mutating func leaderOrAnyone() -> Int { random.chance(700) ? cluster.leader ?? anyone() : anyone() }

    /// Clients write and read.
    private mutating func work() {
        for _ in 0..<random.draw(0...3) {
            nextValue += 1
            cluster.propose(nextValue, at: leaderOrAnyone())
        }
        let reader = leaderOrAnyone()
        if random.chance(500) { _ = cluster.read(reader, mayUseLease: !guests.contains(reader)) }
        if random.chance(100), let leader = cluster.leader {
            let member = cluster[leader]
            let successor = MemberID(rawValue: UInt64(anyone()))
            if case .held = member.state.phase, successor != member.state.holder {
                let command = TestCommand.release(to: successor, epoch: member.state.epoch)
                cluster.act(leader) { raft, reading in _ = raft.propose([command.bytes], now: reading) }
            }
        }
    }

    private mutating func strike(_ fault: Fault) {
        switch fault {
        case .crash:
            let victim = leaderOrAnyone()
            if cluster[victim].isUp { cluster.crash(victim) } else { cluster.restart(victim) }
            if random.chance(600) { for number in 1...cluster.members.count { cluster.restart(number) } }
        case .partition:
            cluster.network.heal()
            if random.chance(600) {
                let group = (1...cluster.members.count).filter { _ in random.chance(400) }
                cluster.network.isolate(group)
            }
        case .oneWayCut:
            if random.chance(300) { cluster.network.heal() } else { cluster.network.cut(from: anyone(), to: anyone()) }
        case .diskStall:
            let victim = leaderOrAnyone()
            if cluster[victim].disk.isStalled { cluster.freeDisk(victim) } else { cluster.stallDisk(victim) }
        case .pause:
            for victim in guests.sorted() {
                if cluster[victim].clock.isPaused { cluster.resume(victim) } else { cluster.pause(victim) }
            }
        case .membership: changeMembership()
        case .transfer:
            if let leader = cluster.leader { cluster.transfer(from: leader, to: anyone()) }
        case .timing: changeTiming()
        case .snapshotLoss:
            let victim = anyone()
            if cluster[victim].isUp { cluster.crash(victim) }
            cluster[victim].disk.loseNewestSnapshot()
            cluster.restart(victim)
        case .memoryLoss: loseMemory()
        case .withhold:
            let member = MemberID(rawValue: UInt64(anyone()))
            let give = random.chance(500)
            cluster.act(leaderOrAnyone()) { raft, _ in
                if give { raft.restoreLease(to: member) } else { raft.withholdLease(from: member) }
            }
        }
    }

    /// One member's disk has lost something, when all the others are whole.
    private mutating func loseMemory() {
        let voters = cluster[1].initialConfiguration.voters
        let isWhole = cluster.members.allSatisfy { member in
            guard let raft = member.raft else { return false }
            return raft.hardState.memory == .whole && member.disk.hardState.memory == .whole
                && voters.allSatisfy(raft.configuration.isVoter)
        }
        guard isWhole, cluster.hasConverged else { return }
        let victim = Int(voters[Int(random.draw(0...Int64(voters.count - 1)))].rawValue)
        cluster.crash(victim)
        cluster.lose(random.chance(500) ? .lost : .incomplete, at: victim)
        cluster.restart(victim)
    }

    private mutating func changeMembership() {
        guard let leader = cluster.leader, let raft = cluster[leader].raft else { return }
        if random.chance(300) { return exchangeVoters(leader, raft.configuration) }
        let number = anyone()
        let member = MemberID(rawValue: UInt64(number))
        let change: ConfigurationChange =
            if raft.configuration.isVoter(member) {
                random.chance(500) ? .demote(member) : .remove(member)
            } else if raft.configuration.contains(member) {
                random.chance(800) ? .promote(member) : .remove(member)
            } else {
                .addLearner(member)
            }
        _ = cluster.change(change, at: leader)
    }

    /// Any of the members become the voters, the others learn or leave.
    private mutating func exchangeVoters(_ leader: Int, _ configuration: Configuration) {
        var voters: [MemberID] = []
        var removing: [MemberID] = []
        for member in configuration.members {
            if random.chance(500) {
                voters.append(member)
            } else if random.chance(300) {
                removing.append(member)
            }
        }
        _ = cluster.change(.exchangeVoters(for: voters, removing: removing), at: leader)
    }

    private mutating func changeTiming() {
        var timing = cluster.timing
        timing.quorumLease = .milliseconds(random.draw(160...600))
        timing.promise = timing.stretched(timing.quorumLease)
        timing.memberLease = .min(timing.quorumLease, .milliseconds(random.draw(100...600)))
        timing.electionTimeoutLeast = timing.promise
        timing.electionTimeoutMost = timing.promise + .milliseconds(250)
        cluster.timing = timing
        for number in 1...cluster.members.count where random.chance(800) {
            cluster.act(number) { raft, _ in raft.timing = timing }
        }
    }

    /// All faults end; now everyone must agree, and a new value must get through.
    private mutating func heal() -> String? {
        cluster.network.heal()
        cluster.network.dropPermille = 0
        cluster.network.duplicatePermille = 0
        cluster.network.latePermille = 0
        cluster.network.latency = 50_000...400_000
        for number in 1...cluster.members.count {
            cluster.resume(number)
            cluster.freeDisk(number)
            cluster.restart(number)
        }
        let healed = cluster.now
        guard cluster.run(within: .seconds(20), until: { $0.hasConverged && $0.settledLeader != nil }) else {
            return cluster.checks.violation ?? "no agreement within 20 s after the last fault"
        }
        // Nothing may disturb the peace any more: one proposal is enough.
        cluster.run(for: .seconds(3))
        nextValue += 1
        let value = nextValue
        if let leader = cluster.leader {
            cluster.propose(value, at: leader)
            if cluster.raft(leader).configuration.isJoint { return "a joint configuration was never left" }
        }
        guard cluster.run(within: .seconds(1), until: { $0.hasConverged && Self.everyone(in: $0, has: value) }) else {
            return cluster.checks.violation
                ?? "a value was not agreed on, \((cluster.now - healed) / 1_000_000) ms after the last fault"
        }
        return cluster.checks.violation
    }

    private static func everyone(in cluster: TestCluster, has value: UInt64) -> Bool {
        guard let leader = cluster.leader else { return false }
        return cluster.raft(leader).configuration.members.allSatisfy {
            cluster[Int($0.rawValue)].state.values.contains(value)
        }
    }
}
