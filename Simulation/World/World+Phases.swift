// The parts of a run: everybody joins and everything is declared; the plan; healing; and what is checked at the end.

import Agent
import Cluster
import Consensus
import SimulationChecks

extension World {
    // MARK: The beginning

    /// Founds the cluster and lets everybody join. False: it did not get there, which is a violation.
    func beginPlan() -> Bool {
        if let present = plan.present { return begin(with: present) }
        guard let first = machines.first else { return false }
        first.hasJoined = true
        startProcess(first)
        for machine in machines.dropFirst() where !machine.plan.joinsLater {
            guard join(machine) else { return false }
        }
        if lab != nil {
            bringGuestsUp()
            machineIsWired()
            guard reachesLevel(2) else { return false }
            if plan.declaresLate {
                advance(to: now + 20_000_000_000) {
                    let known = machines.first?.process?.core.state.hosts
                    return machines.allSatisfy { !runsGuests($0) || known?.contains($0.name) == true }
                }
            }
        }
        let declarations = plan.addresses.map { Self.declaration($0) } + labDeclarations()
        if !declarations.isEmpty {
            guard carriedOut(send(.apply(declarations: declarations, checkRevision: nil), at: 0)) else { return false }
        }
        advanceUntilWhole(to: now + 20_000_000_000)
        guard truth.violation == nil, isWhole else {
            violate("notFounded", "twenty seconds after everybody joined, \(unfinished ?? "the cluster is not whole")")
            return false
        }
        planBegan = now
        lab?.hasBegun = true
        for machine in machines { machine.diskImage = machine.disk.image }
        truth.forgetLeaderChanges()
        for number in watch.records.indices {
            watch.records[number].gaps = []
            watch.records[number].silentSince = nil
        }
        result.story = []
        tell("everybody has joined; \(leaderName ?? "nobody") leads")
        return true
    }

    private func carriedOut(_ errand: Int) -> Bool {
        advance(to: now + 30_000_000_000) { people[errand].isDone }
        guard people[errand].succeeded else {
            violate("notFounded", "a command of the first minute failed: \(people[errand].words)")
            return false
        }
        return true
    }

    /// A token, and the joining with it.
    @discardableResult
    func join(_ machine: Machine) -> Bool {
        let token = JoinToken(id: machine.name, secretHash: "h", kind: machine.plan.kind, expiresMilliseconds: .max)
        let host = machine.hostIndex.map { machines[$0].name } ?? ""
        var record = MemberRecord(
            id: machine.id, name: machine.name, kind: machine.plan.kind, host: host,
            peerEndpoint: "\(machine.name):7400", apiEndpoint: "\(machine.name):7443", version: machine.version,
            level: machine.level)
        if lab != nil, plan.present == nil { record.runsGuests = runsGuests(machine) }
        let isLate = planBegan > 0
        if isLate {
            marks.reach(.memberJoinedLate)
            send(.createToken(token), at: 0)
            if machine.plan.kind == .witness, machine.hostIndex != nil {
                // It has no identity until it was let in, and so no agent.
                send(
                    .join(tokenID: machine.name, secretHash: "h", member: record), for: .join(machine.name), at: 0)
                return true
            }
            // In mid-run nobody waits: the token exists, the command goes its way, the agent starts.
            machine.hasJoined = true
            send(.join(tokenID: machine.name, secretHash: "h", member: record), at: 0)
            startProcess(machine)
            return true
        }
        guard carriedOut(send(.createToken(token), at: 0)),
            carriedOut(send(.join(tokenID: machine.name, secretHash: "h", member: record), at: 0))
        else { return false }
        machine.hasJoined = true
        startProcess(machine)
        return true
    }

    // MARK: Healing

    /// Ends all faults; within the bound everything declared must be true again.
    func heal(within bound: Int64) {
        tell("all faults end")
        note(17, outside, 0)
        let began = now
        wires.mendEverything()
        wires.usual = Wires.Quality()
        for machine in machines {
            machine.diskLatency = 300_000...4_000_000
            machine.callLatency = Kernel.usualLatency
            if machine.unwellUntil > now {
                machine.unwellUntil = now
                lookAtHealthLater(machine, at: now)
            }
            if machine.clock.partsPerMillion.magnitude > plan.timing.driftPartsPerMillion.magnitude {
                machine.clock.drift(0, at: now)
            }
            if machine.isFrozen { resumeGuest(machine) }
            if machine.process?.isPaused == true { resumeProcess(machine, life: machine.life) }
            machine.wantsAgent = true
            // A host with guests that has begun to go down does so, and comes back.
            if lab == nil || machine.plan.kind != .host { machine.isGoingDown = false }
            mend(machine)
        }
        healLab()
        for machine in machines where !machine.isPowered { powerOn(machine) }
        advanceUntilWhole(to: began + bound)
        guard truth.violation == nil else { return }
        if let reason = legitimateStall {
            result.legitimateStall = reason
            marks.reach(.noQuorum)
            tell("it stays down by right: \(reason)")
        } else if let unfinished {
            violate("notHealed", "\(TimeText.length(bound)) after the last fault \(unfinished)")
        } else {
            result.healedAfter = now - began
            tell("everything is true again")
            let calm = now
            // Peace must last: nobody campaigns, nothing moves.
            let changes = truth.leaderChanges
            advance(to: calm + 3_000_000_000)
            // Just now an address may be on its way back to a candidate that has been well for a while, and rightly. Or a
            // person got through only now, who has tried for a while, with something that is undone after its time.
            if truth.violation == nil, unfinished != nil { advanceUntilWhole(to: now + trialLeft + 1_000_000_000) }
            // Guests go back to their best host when that has been well for a while.
            if truth.violation == nil, lab != nil, unfinished != nil { advanceUntilWhole(to: now + 60_000_000_000) }
            if truth.violation == nil, truth.leaderChanges != changes || unfinished != nil {
                violate("restless", "seconds after everything was well, \(unfinished ?? "the leader changed")")
            }
        }
    }

    /// Looking at everybody costs more than an event: a look every few milliseconds is enough.
    private func advanceUntilWhole(to end: Int64) {
        var nextLook = now
        advance(to: end) {
            guard now >= nextLook else { return false }
            nextLook = now + 5_000_000
            return isWhole
        }
    }

    private var members: [Machine] { machines.filter(\.hasJoined) }

    /// Why no quorum can exist, whatever the agents do; nil: one can.
    private var legitimateStall: String? {
        guard let newest = members.compactMap({ $0.process?.core.raft }).max(by: { $0.term < $1.term }) else {
            return "no agent can start"
        }
        let lost = newest.configuration.allVoters.filter { voter in
            guard let machine = machines.first(where: { $0.id == voter }) else { return true }
            return machine.disk.hardState.memory != .whole
        }
        guard !newest.configuration.hasQuorum(where: { !lost.contains($0) }) else { return nil }
        return "\(lost.count) of \(newest.configuration.allVoters.count) voters have lost something they answered for"
    }

    /// How long what is on trial takes at most until it is undone, nanoseconds: members count from when they hear of it.
    private var trialLeft: Int64 {
        let leader = members.first { leads($0) }
        return (leader?.process?.core.state.trial?.lengthMilliseconds ?? 0) * 1_000_000
    }

    var isWhole: Bool { unfinished == nil }

    /// What is not true yet, in words; nil when everything is.
    var unfinished: String? {
        let able = members
        guard let leader = able.first(where: { leads($0) }), let head = leader.process else {
            return "nobody leads with the newest term"
        }
        let state = head.core.state
        // A witness that had to lead hands over to a host as soon as one has been steady for a while.
        let isStandIn = leader.plan.kind != .host
        if isStandIn, able.contains(where: { $0.plan.kind == .host && head.core.raft.configuration.isVoter($0.id) }) {
            return "\(leader.name) still leads for a host"
        }
        for machine in able where state.members[machine.id] != nil {
            // Whether the guest it is in should run is another question.
            if isCarried(machine), !isCarriedNow(machine) { continue }
            guard let process = machine.process, !process.isStopping, !machine.isGoingDown else {
                return "\(machine.name) does not run"
            }
            guard process.core.raft.leader == leader.id, process.core.raft.term == head.core.raft.term else {
                return "\(machine.name) does not follow \(leader.name)"
            }
            let last = head.core.raft.log.lastIndex
            guard process.core.applied == head.core.applied, head.core.applied == last else {
                return "\(machine.name) has not applied everything"
            }
            guard state.members[machine.id]?.reachable == true || machine === leader else {
                return "\(machine.name) counts as lost"
            }
        }
        if let trial = state.trial { return "revision \(trial.revision) is still on trial" }
        for machine in able where state.members[machine.id] == nil && !isRemoved(machine) {
            return "\(machine.name) is not a member yet"
        }
        return unfinishedAddress(state, able) ?? unfinishedWorkload(state)
    }

    private func unfinishedAddress(_ state: ClusterState, _ able: [Machine]) -> String? {
        for record in watch.records {
            guard let resource = state.resources[record.role] else { continue }
            let candidates = able.filter { machine in
                state.members[machine.id] != nil && Self.names(resource).contains(machine.name)
            }
            let holders = machines.filter { speaks($0, record.role) }
            if candidates.isEmpty { continue }
            guard holders.count == 1 else { return "\(record.name) is answered for by \(holders.count) machines" }
            guard state.roles[record.role]?.holder == holders[0].id else {
                return "\(record.name) is answered for by \(holders[0].name), which is not its holder"
            }
        }
        return nil
    }

    private static func names(_ resource: Resource) -> [String] {
        guard case .array(let candidates)? = resource.declaration.spec["candidates"] else { return [] }
        return candidates.compactMap { candidate in
            if case .string(let name)? = candidate["member"] { name } else { nil }
        }
    }

    func leads(_ machine: Machine) -> Bool {
        guard let process = machine.process, process.core.raft.isLeader else { return false }
        return process.core.raft.hasCommittedInTerm && process.core.raft.term == truth.newestTerm
    }

    private func isRemoved(_ machine: Machine) -> Bool {
        people.contains { errand in
            guard case .propose(.removeMember(let id), _, _, _, _) = errand.request else { return false }
            return id == machine.id
        }
            || people.contains { errand in
                // A joining that never got through leaves nothing behind.
                guard case .propose(.join(_, _, let record), _, _, _, _) = errand.request else { return false }
                return record.id == machine.id && errand.isDone && !errand.succeeded
            }
    }

    var leaderName: String? { machines.first { leads($0) }?.name }

    // MARK: The end

    func checkExpectations() {
        guard truth.violation == nil else { return }
        watchAll()
        for (name, wanted) in plan.expect.holders.pairs {
            expectHolder(of: name, wanted)
        }
        for record in watch.records {
            let longest = (record.gaps + openGap(record)).map(\.length).max() ?? 0
            if let most = plan.expect.gaps[record.name] ?? plan.expect.recoveredWithin, longest > most {
                violate(
                    "expectation",
                    "\(record.name) was silent for \(TimeText.seconds(longest)) s, allowed \(TimeText.length(most))")
            }
        }
        checkLabExpectations()
        if !plan.expect.leader.isEmpty { expectLeader(plan.expect.leader) }
        if let wanted = plan.expect.members { expectMembers(wanted) }
        if let most = plan.expect.mostLeaderChanges, truth.leaderChanges > most {
            violate("expectation", "the leader changed \(truth.leaderChanges) times, allowed \(most)")
        }
        if let quorum = plan.expect.quorum, quorum != (leaderName != nil) {
            violate("expectation", quorum ? "there is no leader" : "\(leaderName ?? "somebody") leads")
        }
    }

    func expectHolder(of address: String, _ wanted: [String]) {
        guard let record = watch.records.first(where: { $0.name == address }) else {
            return violate("badPlan", "there is no address \(address)")
        }
        let holders = machines.filter { speaks($0, record.role) }.map(\.name)
        let fits = wanted.isEmpty ? holders.isEmpty : holders.count == 1 && wanted.contains(holders[0])
        if !fits { violate("expectation", "\(address) is held by \(words(holders)), expected \(words(wanted))") }
    }

    /// By the word of whoever knows most.
    private func expectMembers(_ wanted: [String]) {
        let states = machines.compactMap { $0.process?.core.state }
        let members = states.max { $0.revision < $1.revision }?.members.values.map(\.name).sorted() ?? []
        if members != wanted.sorted() {
            violate("expectation", "the members are \(words(members)), expected \(words(wanted))")
        }
    }

    func expectLeader(_ wanted: [String]) {
        let leader = leaderName
        let fits = wanted.isEmpty ? leader == nil : leader.map(wanted.contains) ?? false
        if !fits { violate("expectation", "\(leader ?? "nobody") leads, expected \(words(wanted))") }
    }

    private func words(_ names: [String]) -> String { names.isEmpty ? "nobody" : names.joined(separator: " or ") }

    private func openGap(_ record: AddressWatch.Record) -> [RunResult.Gap] {
        record.silentSince.map { [RunResult.Gap(from: $0, to: now)] } ?? []
    }

    /// Judges the history and fills in the result.
    func finish() {
        if truth.violation == nil {
            switch Linearizability.check(history) {
            case .linearizable: break
            case .violation(let found): violate("nonLinearizable", found.description)
            case .undecided(let limit): violate("undecided", limit.description)
            }
        }
        if let violation = truth.violation { result.violations.append(violation) }
        result.hash = digest.value
        result.events = digest.events
        result.simulated = now
        result.leader = leaderName
        result.leaderChanges = truth.leaderChanges
        if truth.leaderChanges > 0 { marks.reach(.leaderReplaced) }
        if truth.skippedTerm { marks.reach(.termWithoutLeader) }
        result.marks = marks
        finishLab()
        for record in watch.records {
            let holder = machines.first { speaks($0, record.role) }?.name
            let gaps = (record.gaps + openGap(record)).map {
                RunResult.Gap(from: $0.from - planBegan, to: $0.to - planBegan)
            }
            result.addresses[record.name] = RunResult.Address(
                holder: holder, gaps: gaps, silences: record.silences, mostOwners: record.mostOwners)
        }
    }

    /// Every member understands the newest commands, and all know that of each other.
    private func reachesLevel(_ level: UInt64) -> Bool {
        advance(to: now + 20_000_000_000) {
            machines.contains { $0.process.map { $0.core.raft.isLeader && $0.core.state.level >= level } ?? false }
        }
        guard machines.contains(where: { ($0.process?.core.state.level ?? 0) >= level }) else {
            violate("notFounded", "the feature level \(level) did not come into force")
            return false
        }
        return true
    }

    /// The history of all clients, for other checkers.
    public var clientHistory: History { history }
}
