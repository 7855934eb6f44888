// What a host said of its guests before its machine started anew. No process of then is there any more, and which ones are
// there now the host has yet to say: its hypervisor may start guests by itself before any agent of ours looks.
//
//     boot b1: vm 120 is running here ──▶ (the machine starts anew) ──▶ boot b2: nothing is known of vm 120 here
//
// Forgotten is not the same as gone: where something may run is asked for (`hostsToHear`), and what belongs to the host is
// taken from it only by its word or by a fence. That it had nothing of a guest stands, for a start brings none there.
//
// Relies on: hosts that say in which boot they are before they say what they see in it (reportHost, then sight), also when
// their drivers cannot look. Does not: touch what a move may have brought there. That goes on while its target is reset, so it
// may be younger than the boot (`isUnseen`, `leftovers`).

import Consensus

extension HostFacts {
    /// Whether the machine has certainly started anew between these facts and others. A boot that could not be read is not
    /// known to be another one.
    func isOfAnotherBoot(than others: HostFacts) -> Bool {
        boot != others.boot && !boot.isEmpty && !others.boot.isEmpty
    }
}

extension ClusterState {
    /// A host has said that it is in another boot than before; its present facts are in the state.
    /// - Parameter before: what it had said of itself in the boot before.
    mutating func forgetEarlierBoot(of name: String, _ before: HostFacts, _ record: CommandRecord) {
        var forgotten: [ResourceKey] = []
        var addresses = SortedMap((hosts[name]?.earlierAddresses ?? []).map { ($0, true) })
        for (workload, placement) in placements.pairs {
            guard let old = placement.sightings[name], old.state != .absent else { continue }
            forgotten.append(workload)
            for client in old.clients { addresses[StorageClient.address(of: client)] = true }
        }
        guard !forgotten.isEmpty else { return }
        // Its own is among its facts, and may be another one by now; but it is not known before a disk is open, where nobody
        // has written it down.
        if hosts[name]?.facts.storageAddress.isEmpty == false { addresses[before.storageAddress] = nil }
        let kept = Array(addresses.keys.prefix(HostRecord.mostBarred))
        let event = note(
            "HostStartedAnew", "host/\(name)", "nothing runs on any more there; it has yet to say what it has now",
            cause: hosts[name]?.lastEvent ?? 0, record)
        _ = hosts.update(name) {
            $0.earlierAddresses = kept
            $0.lastEvent = event
        }
        for workload in forgotten {
            _ = placements.update(workload) {
                $0.sightings[name] = nil
                $0.lastEvent = event
                if $0.phase == .on(name) { $0.care.runEnded() }
            }
        }
    }
}
