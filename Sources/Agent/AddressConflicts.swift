// What others on the network were seen doing with addresses this member holds: another machine used one as its own. The
// cluster is told, so that everybody sees it and the alarm ends when it is over.
//
// It is an alarm and never a reason to let go. Anybody on the network can claim an address with one packet; who may hold
// it is decided by the chain of leases, which nobody can forge.

import Cluster
import Consensus
import Kinds

struct AddressConflicts: Sendable {
    /// A conflict counts as over when nothing was seen of it for so long.
    static let memory = Interval.seconds(60)

    struct Sighting: Sendable {
        /// The first one's words: others that follow do not change them, however many machines somebody pretends to be.
        let words: String
        var ends: Instant
    }

    var seen: SortedMap<ResourceKey, Sighting> = [:]
    var told: SortedMap<ResourceKey, RequestStamp> = [:]
    /// The revision that was looked at last, with nothing left to tell.
    var settledAt: UInt64?

    var nextEnd: Instant { seen.isEmpty ? .distantFuture : seen.values.map(\.ends).min() ?? .distantFuture }
}

extension AgentCore {
    mutating func sawConflict(_ role: ResourceKey, address: String, hardwareAddress: String, now: Instant) {
        guard let record = state.roles[role], record.holder == id else { return }
        let words =
            conflicts.seen[role]?.words ?? "\(address) is also used by the machine with the address \(hardwareAddress)"
        conflicts.seen[role] = AddressConflicts.Sighting(words: words, ends: now + AddressConflicts.memory)
        conflicts.settledAt = nil
    }

    /// Tells the cluster of what is seen, and of what is over.
    mutating func reconcileConflicts(now: Instant) {
        if conflicts.nextEnd <= now {
            for (role, sighting) in conflicts.seen.pairs where sighting.ends <= now { conflicts.seen[role] = nil }
            conflicts.settledAt = nil
        }
        guard conflicts.settledAt != state.revision else { return }
        var isSettled = true
        for role in local.named {
            guard let record = state.roles[role], record.holder == id else { continue }
            let words = conflicts.seen[role]?.words ?? ""
            guard record.conflict != words else { continue }
            // A member of another version may not know the command, and would then have another state.
            guard state.members.values.allSatisfy({ $0.version == setup.record.version }) else { continue }
            isSettled = false
            if proposals.isOpen(conflicts.told[role]) { continue }
            conflicts.told[role] = propose(
                .reportConflict(role: role, epoch: record.epoch, member: id, conflict: words), now: now)
        }
        for role in conflicts.seen.keys where state.roles[role]?.holder != id { conflicts.seen[role] = nil }
        for role in conflicts.told.keys where state.roles[role]?.holder != id { conflicts.told[role] = nil }
        if isSettled { conflicts.settledAt = state.revision }
    }
}
