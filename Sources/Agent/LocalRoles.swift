// This member's own part: which addresses it answers for, under its lease, as its applied state says.
//
// It acts on a role only while three things hold together: the applied state names it as the holder, its lease has not
// ended, and the state has applied the lease's floor. The driver gets every renewal as a new `until`; the kernel
// enforces it, so nothing here has to be in time for safety, only for service.

import Cluster
import Consensus
import Kinds

struct LocalRoles: Sendable {
    /// How long the old holder of a planned move goes on accepting packets that still reach it.
    static let drain = Interval.milliseconds(100)

    struct Held: Sendable {
        var epoch: UInt64
        var addresses: [VirtualAddress]
        var until: Instant
        /// The driver was told to let go, and its word is awaited.
        var releasing = false
    }

    var held: SortedMap<ResourceKey, Held> = [:]
    /// What the driver was told to drop within the lease. It may act on it until it gets to that order, at most `until`.
    var dropped: SortedMap<ResourceKey, Held> = [:]
    /// Releases that the driver has confirmed, and the command that tells the cluster.
    var confirmed: SortedMap<ResourceKey, Confirmed> = [:]

    struct Confirmed: Sendable {
        let epoch: UInt64
        var told: RequestStamp?
    }

    /// The roles whose record names this member, as of a revision of the state.
    var named: [ResourceKey] = []
    var namedRevision: UInt64?

    /// All that this member's part follows from, but the time.
    struct Grounds: Equatable, Sendable {
        var revision: UInt64
        var applied: LogIndex
        var leaseUntil: Instant
        var leaseFloor: LogIndex
        var fitness: UInt64
        var reports: UInt64
    }

    /// Counts reports of the driver.
    var reports: UInt64 = 0
    /// What was acted on last; on the same grounds there is nothing new to do before `settledUntil`.
    var settledOn: Grounds?
    var settledUntil: Instant = .distantPast

    var isEmpty: Bool { held.isEmpty }

    /// When a release that the driver has not answered is over in any case.
    var nextEnd: Instant {
        let all = held.values
        var next = Instant.distantFuture
        for position in all.indices where all[position].releasing { next = min(next, all[position].until) }
        return next
    }
}

extension AgentCore {
    mutating func reconcileRoles(now: Instant) {
        // Everything was taken down. The state may go on naming this member, and its lease may go on.
        if case .stopped = stop.phase { return }
        let grounds = LocalRoles.Grounds(
            revision: state.revision, applied: applied, leaseUntil: leaseUntil, leaseFloor: leaseFloor,
            fitness: fitness.changes, reports: local.reports)
        if now < local.settledUntil, local.settledOn == grounds { return }
        reconsiderRoles(now: now)
        // A release that is to be told hangs on a proposal, which is none of the grounds: it is looked at every time.
        local.settledOn = local.confirmed.isEmpty ? grounds : nil
        local.settledUntil = now < leaseUntil ? min(leaseUntil, local.nextEnd) : .distantFuture
    }

    private mutating func reconsiderRoles(now: Instant) {
        if local.namedRevision != state.revision {
            local.namedRevision = state.revision
            local.named = state.roles.pairs.filter { $0.1.holder == id }.map(\.0)
        }
        if !local.dropped.isEmpty || !local.held.isEmpty { dropWhatIsNotOurs(now: now) }
        for role in local.named {
            guard let record = state.roles[role] else { continue }
            switch record.phase {
            case .held: hold(role, record, now: now)
            case .releasing: release(role, record, now: now)
            case .vacant: break
            }
        }
        if !local.confirmed.isEmpty { tellReleases(now: now) }
    }

    private mutating func dropWhatIsNotOurs(now: Instant) {
        for (role, dropped) in local.dropped.pairs where dropped.until <= now { local.dropped[role] = nil }
        for (role, held) in local.held.pairs {
            let stillOurs = state.roles[role]?.holder == id && state.roles[role]?.epoch == held.epoch
            // The same addresses on another interface, or with another prefix length. Others are another epoch's.
            let placeChanged =
                specs[role].map {
                    $0.addresses != held.addresses && $0.addressText == VirtualIPSpec.text(of: held.addresses)
                } ?? false
            // At the end of the lease the kernel has fallen silent already; this takes the address away as well.
            guard !stillOurs || placeChanged || now >= leaseUntil else { continue }
            // A release in progress ends by itself, and its drain must not be cut short by being someone else's now.
            if held.releasing && now < leaseUntil { local.held[role] = nil } else { drop(role, held) }
        }
    }

    private mutating func drop(_ role: ResourceKey, _ held: LocalRoles.Held) {
        effects.append(.address(.drop(role: role, addresses: held.addresses)))
        local.held[role] = nil
        local.dropped[role] = held
    }

    private mutating func hold(_ role: ResourceKey, _ record: RoleRecord, now: Instant) {
        guard let addresses = addresses(of: role, record), holdsLease(now: now), !fitness.hasFailed(role) else {
            return
        }
        if let held = local.held[role], held.until == leaseUntil { return }
        local.held[role] = LocalRoles.Held(epoch: record.epoch, addresses: addresses, until: leaseUntil)
        effects.append(.address(.hold(role: role, addresses: addresses, epoch: record.epoch, until: leaseUntil)))
    }

    /// What to answer for under the present epoch. When other addresses were declared meanwhile, the old ones go on
    /// until the leader asks for them; another role may be held with a new one still.
    private func addresses(of role: ResourceKey, _ record: RoleRecord) -> [VirtualAddress]? {
        guard let spec = specs[role] else { return nil }
        return spec.addressText == record.address ? spec.addresses : local.held[role]?.addresses
    }

    private mutating func release(_ role: ResourceKey, _ record: RoleRecord, now: Instant) {
        guard local.confirmed[role]?.epoch != record.epoch else { return }
        guard var last = local.held[role] ?? local.dropped[role], now < last.until else {
            // Nothing the driver was ever told to hold can be acting any more, whether or not it answered: the kernel
            // has ended it. The same goes for a process that has just started, whose driver cleaned up first.
            if let held = local.held[role] { drop(role, held) }
            local.confirmed[role] = LocalRoles.Confirmed(epoch: record.epoch)
            return
        }
        guard !last.releasing || local.held[role] == nil else { return }
        last.epoch = record.epoch
        last.releasing = true
        local.dropped[role] = nil
        local.held[role] = last
        effects.append(
            .address(.release(role: role, addresses: last.addresses, epoch: last.epoch, drain: LocalRoles.drain)))
    }

    /// Tells the cluster of releases until it has taken note.
    private mutating func tellReleases(now: Instant) {
        for (role, confirmed) in local.confirmed.pairs {
            guard let record = state.roles[role], record.epoch == confirmed.epoch, case .releasing(id, _) = record.phase
            else {
                local.confirmed[role] = nil
                continue
            }
            if proposals.isOpen(confirmed.told) { continue }
            let stamp = propose(.released(role: role, epoch: confirmed.epoch), now: now)
            _ = local.confirmed.update(role) { $0.told = stamp }
        }
    }

    mutating func receive(_ report: RoleReport, now: Instant) {
        local.reports += 1
        switch report {
        case .holding(let role, _): fitness.succeeded(role)
        case .released(let role, let epoch):
            guard let held = local.held[role], held.releasing, held.epoch == epoch else { return }
            local.held[role] = nil
            local.confirmed[role] = LocalRoles.Confirmed(epoch: epoch)
        case .failed(let role, let epoch, let reason):
            effects.append(.log("\(role): \(reason)"))
            if let held = local.held[role], held.epoch == epoch { drop(role, held) }
            fitness.failed(role, reason, now: now)
        case .conflict(let role, let address, let hardwareAddress):
            sawConflict(role, address: address, hardwareAddress: hardwareAddress, now: now)
        case .place(let role, let problem): fitness.placed(role, problem: problem)
        case .health(let role, let healthy, let detail): fitness.checked(role, healthy: healthy, detail: detail)
        }
    }
}
