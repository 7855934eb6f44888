// What is told of a workload that a host holds up: why nothing is done about it, and what helps. Decides nothing.

import Cluster
import Consensus
import Kinds

extension Planning {
    /// The leader hears of it, and everybody has been told so.
    func isThere(_ host: String) -> Bool {
        guard let member = state.member(named: host) else { return false }
        return member.reachable && view.isReachable(member.id)
    }

    func mayHold(_ host: String) -> String {
        "it may run on \(host), which has not said yet that it does not; if \(host) is off, say so: "
            + "holdfast fence \(host) --i-verified-it-is-off"
    }

    /// Why a workload that has no place yet is not placed where it was found.
    func foundUnderFence(on host: String) -> String {
        "it was found on \(host), which is fenced, or about to be; it belongs there once \(host) is back, or when that is gone "
            + "for good: holdfast cluster remove \(host)"
    }

    /// Says why one on a host that is away is not started elsewhere.
    mutating func tellLoss(_ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, of host: String) {
        guard shallRun(workload, placement), let record = state.hosts[host] else { return }
        let member = state.member(named: host)
        guard let lostFor = member.flatMap({ view.standings[$0.id]?.lostFor }), lostFor >= specs.policy.after else {
            return
        }
        if member?.stopping == true {
            return block(workload, placement, "\(host) has stopped by its own word; it is started there again")
        }
        let why: String
        if state.disarmed != nil {
            why = "the cluster is disarmed"
        } else if case .wanted = record.fence {
            // Told while it goes on for long, not at every failover.
            guard lostFor >= specs.policy.after + .seconds(30) else { return }
            why = record.attempts.last ?? "it is being fenced"
        } else {
            why =
                FenceDecisions.obstacle(to: spec, on: host, specs: specs, state: state)
                ?? placer.best(for: workload, excluding: [host]).obstacle ?? "it is about to be fenced"
        }
        block(workload, placement, "\(host) does not answer: \(why)")
    }
}
