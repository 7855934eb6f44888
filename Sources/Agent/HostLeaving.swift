// This machine goes down by plan: its guests leave it or end, then the agent stops. Either its system asked for that, and ends
// the machine itself, or a person ordered that it be restarted, and the agent has it restarted when it stops.
//
// Such an order is part of the replicated state (Restarts.swift): an agent that is started again in the midst of it goes on
// with it. But not once it has begun: then the process that began it had given everything away, and the machine should be
// down. That it is not is told.

import Cluster
import Consensus
import Decisions
import Kinds

extension HostWorkloads {
    /// This process's part in an ordered restart.
    struct Restart: Hashable, Sendable {
        /// The order that it said it begins with; nil: none.
        var begun: UInt64?
        /// The agent stops because of it, and is to have the machine restarted in the end.
        var isGoing = false
        /// What it waits for, as last told to the log.
        var waitsFor: [String] = []
    }
}

extension AgentCore {
    mutating func hostStops(_ leaving: HostRecord.Leaving, now: Instant) {
        guard hostName != nil else { return beginStop(now: now) }
        guests.leaving = leaving
        guests.changes += 1
        effects.append(.log("this machine goes down (\(leaving.rawValue)): its guests leave it or end first"))
    }

    /// Why this machine goes down; nil: it does not. An order of an earlier boot has been carried out.
    func leaving(_ host: HostRecord?) -> HostRecord.Leaving? {
        if let leaving = guests.leaving { return leaving }
        guard let host, host.restart != nil, host.facts.boot == guests.facts?.boot else { return nil }
        return .reboot
    }

    mutating func leaveIfAsked(_ name: String, now: Instant) {
        guard let host = state.hosts[name], let leaving = leaving(host), !stop.isStopping, host.leaving == leaving
        else { return }
        guard guests.seesGuests else {
            // Nobody else is restarted meanwhile.
            if guests.isBlind, guests.leaving == nil {
                wait(for: [
                    "its guests cannot be looked at (holdfast doctor); the order is taken back by: "
                        + "holdfast host reboot \(name) --cancel"
                ])
            }
            return
        }
        // What others manage they end themselves.
        let isEmpty = guests.observed.pairs.allSatisfy { workload, seen in
            seen.state != .running || seen.isManagedElsewhere
                || workloadSpecs.workloads[workload]?.desired == .ignored
        }
        let owes = state.placements.pairs.contains { workload, placement in
            guard placement.hosts.contains(name), let spec = workloadSpecs.workloads[workload],
                workloadSpecs.shallRun(workload, placement) == true,
                guests.observed[workload]?.isManagedElsewhere != true
            else { return false }
            // The leader has not decided yet, or it is on its way.
            return WorkloadPolicy.leaves(spec, leaving) && placement.obstacle.isEmpty
        }
        // What was just started was not looked at yet.
        guard isEmpty, guests.orders.isEmpty, guests.unseen.isEmpty, !owes else { return wait(for: []) }
        guard guests.leaving == nil, let restart = host.restart else { return beginStop(now: now) }
        begin(restart, name, now: now)
    }

    // MARK: Restarting by order

    /// Forgets an order that was taken back, and tells of one that came to nothing.
    mutating func followRestart(_ name: String, now: Instant) {
        guard let host = state.hosts[name], let restart = host.restart, host.facts.boot == guests.facts?.boot else {
            if !stop.isStopping { guests.restart = HostWorkloads.Restart() }
            forget("restart")
            return
        }
        guard restart.hasBegun, guests.restart.begun != restart.order, !stop.isStopping else { return }
        let words = "its agent had begun to restart the machine, and was started again instead; see its log"
        tell("restart", .restartFailed(name, order: restart.order, reason: words), now: now)
    }

    /// This machine is empty. It goes when the rest can do without it, and the cluster has taken note that it goes.
    private mutating func begin(_ restart: HostRestart, _ name: String, now: Instant) {
        if restart.hasBegun {
            guard guests.restart.begun == restart.order else { return }
            forget("restart")
            guests.restart.isGoing = true
            return beginStop(now: now)
        }
        // Who decides must be there to take over, and what is known of the others must be new.
        guard holdsLease(now: now) else { return }
        let obstacles =
            restart.isForced
            ? [] : RestartDecisions.obstacles(toStopping: name, state: state, configuration: raft.configuration)
        wait(for: obstacles)
        guard obstacles.isEmpty else { return }
        guests.restart.begun = restart.order
        tell("restart", .beginRestart(name, order: restart.order), now: now)
    }

    /// Tells the log, once, what an ordered restart waits for besides the guests here.
    private mutating func wait(for obstacles: [String]) {
        guard obstacles != guests.restart.waitsFor else { return }
        guests.restart.waitsFor = obstacles
        guard !obstacles.isEmpty else { return }
        effects.append(.log("the restart of this machine waits: \(obstacles.joined(separator: "; "))"))
    }

    /// Whether this machine is to be restarted now that its agent has stopped; a person may have taken it back at the last
    /// moment.
    var restartsMachine: Bool {
        guard guests.restart.isGoing, let name = hostName, let restart = state.hosts[name]?.restart else {
            return false
        }
        return restart.hasBegun && restart.order == guests.restart.begun
    }
}
