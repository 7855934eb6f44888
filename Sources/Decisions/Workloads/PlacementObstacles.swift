// What is told of a workload that a host holds up: why nothing is done about it, and what helps.
//
// The remedy hangs on whether the host is there. Of one that answers nobody is believed that it is off, and one that cannot
// look at its guests may go on answering for ever: it is mended, or powered off first.
//
// Does not: decide anything. But what is told of a guest that is to leave a host that goes down ends its waiting: that host
// ends it then (Sources/Agent/HostRunning.swift).

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

    /// One that is on its way stays where it is while its host, which is there, cannot look at it.
    mutating func tellStandstill(_ workload: ResourceKey, _ placement: Placement, of host: String) {
        // One that goes down would take the words for a reason to wait for it no longer.
        let isTold = isBlind(host) && state.hosts[host]?.leaving == nil
        block(workload, placement, isTold ? standstill(of: host) : "")
    }

    /// Why a workload is started nowhere else.
    func mayHold(_ host: String, _ placement: Placement) -> String {
        let mayRun = "it may run on \(host), which"
        guard isThere(host) else {
            return "\(mayRun) has not said yet that it does not; if \(host) is off, say so: \(word(that: host))"
        }
        if isBlind(host) { return "\(mayRun) cannot look at its guests; \(mend(host))" }
        if placement.sighting(on: host) == .running {
            return "it runs on \(host); if it is not to, stop it there by hand"
        }
        if placement.sighting(on: host) == .stuck {
            return "a process of it is on \(host), and may be at its disks; if it stays there, end it there by hand"
        }
        return "\(mayRun) has not said yet that it does not (holdfast doctor there)"
    }

    /// Why a workload that has no place yet waits for a host.
    func silence(of host: String) -> String {
        let words = "\(host) has not said yet whether it has it"
        guard isThere(host) else {
            return "\(words); bring it back, or when it is gone for good: holdfast cluster remove \(host)"
        }
        if isBlind(host) { return "\(words), and cannot look at its guests (holdfast doctor there)" }
        return state.hosts.contains(host) ? words : "\(words), nor what it can run (holdfast doctor there)"
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
        guard let standing = member.flatMap({ view.standings[$0.id] }), standing.lostFor >= specs.policy.after else {
            return
        }
        if member?.stopping == true, !FenceDecisions.isOverdue(record, standing, specs) {
            return block(workload, placement, words(forStopped: host, record, spec))
        }
        let why: String
        if state.disarmed != nil {
            why = "the cluster is disarmed"
        } else if case .wanted = record.fence {
            // Told while it goes on for long, not at every failover.
            guard standing.lostFor >= specs.policy.after + .seconds(30) else { return }
            why = record.attempts.last ?? "it is being fenced"
        } else {
            why =
                FenceDecisions.obstacle(to: spec, on: host, specs: specs, state: state)
                ?? placer.best(for: workload, excluding: [host]).obstacle ?? "it is about to be fenced"
        }
        block(workload, placement, "\(host) does not answer: \(why)")
    }

    private func words(forStopped host: String, _ record: HostRecord, _ spec: WorkloadSpec) -> String {
        let isRestarting = record.restart?.hasBegun == true
        var words = isRestarting ? "\(host) is being restarted by order" : "\(host) has stopped by its own word"
        words += "; it is started there again"
        if specs.storage(of: spec) == .local { return words }
        if isRestarting {
            let minutes = FenceDecisions.longestRestart.milliseconds / 60_000
            words += ", or elsewhere when \(host) is not back within \(minutes) min and can be fenced"
        }
        return words + "; if \(host) is off and stays so, say so: \(word(that: host))"
    }
}
