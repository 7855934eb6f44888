// A host that cannot look at its guests: its hypervisor answers nothing, its driver was refused, or it came back without one.
// Nothing is known of what runs there, so it goes on as it does; but nobody must wait for this host, as one that takes guests or
// that carries fences out.

import Cluster
import Consensus
import Decisions
import Kinds

extension AgentCore {
    /// Notes for how long nothing has been seen, and whether the cluster is to know.
    mutating func reconcileSight(now: Instant) {
        guard let name = state.members[id]?.name, guests.facts != nil || state.hosts.contains(name) else { return }
        if guests.knownFrom == nil, holdsLease(now: now) { guests.knownFrom = state.revision }
        if guests.seesGuests {
            guests.blindSince = nil
        } else if guests.blindSince == nil {
            guests.blindSince = now
        }
        let isBlind = guests.blindSince.map { now - $0 >= HostWorkloads.blindAfter } ?? false
        if guests.isBlind != isBlind {
            guests.isBlind = isBlind
            guests.changes += 1
        }
        if guests.facts != nil {
            // A process that has just begun has not looked yet: what the one before it said holds on.
            let known = state.hosts[name]?.facts.isBlind
            guests.facts?.isBlind = isBlind || (!guests.seesGuests && known == true) ? true : nil
        } else if isBlind, holdsLease(now: now), var facts = state.hosts[name]?.facts,
            facts.isBlind != true || facts.isGuarded
        {
            // No driver, so nobody who feeds a watchdog or arms one: one that an earlier process has left armed resets this machine
            // all the same, and of one that is not armed a silence proves nothing. All else is as it was said last.
            facts.isBlind = true
            facts.isGuarded = false
            tell("facts", .reportHost(name, facts), now: now)
        } else {
            forget("facts")
        }
    }

    /// What was given to this host and not taken over may be given to another one. That this process was there when it was
    /// given is the proof that no earlier one has begun anything for it; and an order of its own is known until its end was seen.
    mutating func decline(_ name: String, now: Instant) {
        guard guests.isBlind, holdsLease(now: now), let knownFrom = guests.knownFrom else { return }
        for (workload, placement) in state.placements.pairs
        where placement.phase == .on(name) && placement.since > knownFrom && !placement.isDeclined {
            guard placement.sighting(on: name) == .absent, guests.orders[workload] == nil,
                guests.unseen[workload] == nil, guests.results[workload] == nil,
                let spec = workloadSpecs.workloads[workload], workloadSpecs.storage(of: spec) != .local,
                workloadSpecs.shallRun(workload, placement) == true
            else { continue }
            guests.results[workload] = .decline(epoch: placement.epoch)
        }
        tellResults(name, now: now)
    }
}
