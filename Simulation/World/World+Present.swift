// A world that begins with a cluster as it is: every member starts from a snapshot of the same state, whoever does not
// answer is off, and guests run where the hosts said that they saw them.
//
// Relies on: a state that holds nothing a rehearsal does not need (ClusterState.forRehearsal).
// Does not: know what is true of machines beyond what their members have said of them.

import Agent
import Cluster
import Consensus
import Kinds

extension Plan {
    /// A cluster as it is.
    public struct Present: Hashable, Sendable {
        public var state: ClusterState
        public var configuration: Configuration
        /// Who leads; nil: nobody, or it is not known.
        public var leader: MemberID?
        /// Machines that do not answer, by name. They are taken to be without power; a guest's agent, to have ended.
        public var silent: [String]

        public init(state: ClusterState, configuration: Configuration, leader: MemberID?, silent: [String]) {
            self.state = state
            self.configuration = configuration
            self.leader = leader
            self.silent = silent
        }
    }
}

extension World {
    /// How long nothing must change before the happenings begin: longer than addresses take to go back to the candidate
    /// that they prefer, and guests to their best host.
    private static let calmBefore: Int64 = 8_000_000_000
    private static let mostBefore: Int64 = 120_000_000_000

    /// Starts everybody and lets them come to rest. False: a promise was broken on the way.
    func begin(with present: Plan.Present) -> Bool {
        let mark = SnapshotMark(
            index: LogIndex(rawValue: 1), term: Term(rawValue: 1), configuration: present.configuration)
        let snapshot = Snapshot(mark: mark, bytes: present.state.encoded)
        truth.begin(behind: mark.position)
        for machine in machines {
            machine.hasJoined = true
            machine.disk = LogDiskModel(behind: snapshot)
            // Its members say that they understand what is in force.
            machine.leastLevel = max(present.state.level, FeatureLevel.newest)
        }
        toldEvent = present.state.lastEventID
        for machine in machines where present.silent.contains(machine.name) {
            if machine.plan.kind == .guest { machine.wantsAgent = false } else { powerOff(machine) }
        }
        if lab != nil {
            placeGuests(as: present.state)
            machineIsWired()
        }
        for machine in machines { startProcess(machine) }
        comeToRest(calm: Self.calmBefore, within: Self.mostBefore)
        handLeadership(to: present.leader)
        guard truth.violation == nil else { return false }
        beginStory()
        return true
    }

    /// The cluster that the plan founds, as it is when everything is declared and true; nil: it did not get there.
    public func found() -> Plan.Present? {
        guard beginPlan() else { return nil }
        // Voters follow a little later.
        comeToRest(calm: Self.calmBefore, within: Self.mostBefore)
        guard truth.violation == nil, let leader = machines.first(where: { leads($0) }),
            let core = leader.process?.core
        else { return nil }
        return Plan.Present(
            state: core.state, configuration: core.raft.configuration, leader: leader.id, silent: [])
    }

    private func beginStory() {
        planBegan = now
        lab?.hasBegun = true
        truth.forgetLeaderChanges()
        watchAll()
        for number in watch.records.indices {
            watch.records[number].gaps = []
            if watch.records[number].silentSince != nil { watch.records[number].silentSince = now }
        }
        result.story = []
    }

    /// Whoever leads now is to lead when it begins: the loss of the leader is another story than that of a follower.
    private func handLeadership(to wanted: MemberID?) {
        guard let wanted, let target = machines.first(where: { $0.id == wanted }), target.process != nil,
            let leader = machines.first(where: { leads($0) }), leader !== target, truth.violation == nil
        else { return }
        send(.transferLeadership(to: wanted, deadline: .distantFuture), at: leader.index)
        comeToRest(calm: Self.calmBefore, within: Self.mostBefore)
    }

    // MARK: Guests

    private func placeGuests(as state: ClusterState) {
        guard let lab else { return }
        for number in lab.guests.indices {
            lab.guests[number].isDeclared = true
            guard let placement = state.placements[lab.guests[number].guest.workload] else {
                lab.guests[number].config = nil
                continue
            }
            place(number, as: placement, lab)
        }
        for (name, host) in state.hosts.pairs {
            guard let machine = machine(named: name) else { continue }
            if !host.barred.isEmpty, host.proofs.contains(where: { $0.method == .cephBlocklist }) {
                lab.ceph.blocked += host.barred
                lab.ceph.shutOut += host.barred
            }
            guard !machine.isPowered else { continue }
            // What was proven of a machine is true of it, and a watchdog that it had armed is not fed any more.
            if host.proofs.contains(where: { $0.method != .cephBlocklist }) {
                lab.hosts[machine.index].isProvenOff = true
            }
            if host.facts.isGuarded { lab.hosts[machine.index].watchdog.firesAtTrue = now }
        }
    }

    private func place(_ number: Int, as placement: Placement, _ lab: GuestLab) {
        var config: Int?
        for (host, sighting) in placement.sightings.pairs where sighting.state != .absent {
            guard let machine = machine(named: host) else { continue }
            if config == nil || placement.host == host { config = machine.index }
            guard machine.isPowered, sighting.state != .stopped else { continue }
            lab.guests[number].instances.append(
                Instance(
                    id: lab.number(), machine: machine.index, nonce: lab.draws.next() >> 32, phase: .running,
                    isFenced: sighting.state == .stuck))
            if sighting.state == .running { lab.guests[number].lastHost = machine.index }
        }
        // Not seen anywhere: it lies where it was taken from, or where it belongs.
        for host in placement.sources + [placement.host ?? ""] where config == nil {
            config = machine(named: host)?.index
        }
        lab.guests[number].config = config
    }

    // MARK: Rest

    /// What changes while anything is going on.
    private struct Stir: Equatable {
        var leader: Int?
        var revision: UInt64
        var steps: Int
        var fences: Int
        var booting: Int
        var instances: [UInt64]
        var silent: [Bool]
    }

    private var stir: Stir {
        Stir(
            leader: machines.first { leads($0) }?.index, revision: newestState?.revision ?? 0,
            steps: lab?.steps.count ?? 0, fences: lab?.fences.count ?? 0,
            booting: machines.count { $0.bootTicket != 0 || $0.isGoingDown },
            instances: lab?.guests.flatMap { guest in
                guest.instances.map { $0.id << 2 | ($0.phase == .running ? 1 : 0) | ($0.isFenced ? 2 : 0) }
            } ?? [], silent: watch.records.map { $0.silentSince != nil })
    }

    /// The state of whoever has applied most.
    var newestState: ClusterState? {
        machines.compactMap { $0.process?.core }.max { $0.applied < $1.applied }?.state
    }

    /// Lets time pass until nothing has changed for a while.
    /// - Returns: whether it came to rest within the bound.
    @discardableResult
    func comeToRest(calm: Int64, within bound: Int64) -> Bool {
        let end = now + bound
        var last = stir
        var since = now
        while now < end, truth.violation == nil, !isCancelled() {
            advance(to: min(now + 100_000_000, end))
            watchAll()
            let next = stir
            // What is under way is no rest, however long it takes.
            if next != last || next.steps > 0 || next.fences > 0 || next.booting > 0 { since = now }
            last = next
            if now - since >= calm { return true }
        }
        return false
    }
}
