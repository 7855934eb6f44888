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

    /// Its agent cannot look at its guests: it orders nothing for them, and what it said last may be long ago.
    func isBlind(_ host: String) -> Bool { state.hosts.look(host) { $0.facts.isBlind == true } ?? false }

    private func word(that host: String) -> String { "holdfast fence \(host) --i-verified-it-is-off" }

    private func mend(_ host: String) -> String {
        "mend that (holdfast doctor there), or power \(host) off and say so: \(word(that: host))"
    }

    /// Why a workload does not leave its host.
    func standstill(of host: String) -> String {
        "\(host) cannot look at its guests, and gives none away; \(mend(host))"
    }

    /// One that is on its way stays where it is while its host cannot look at it.
    mutating func tellStandstill(_ workload: ResourceKey, _ placement: Placement, of host: String) {
        guard isThere(host) else { return }
        // One that goes down would take the words for a reason to wait for it no longer.
        let isTold = isBlind(host) && state.hosts[host]?.leaving == nil
        block(workload, placement, isTold ? standstill(of: host) : "")
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
