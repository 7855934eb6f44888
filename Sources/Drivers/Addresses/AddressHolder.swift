// Carries out the orders for this host's virtual addresses: guard, arm, add, announce; and back. All addresses of a role
// take each step together.
// It holds no policy: it never prolongs a lease, and every step that lets an address speak goes through the guard.
// Runs on one thread; AddressDriver feeds it.

import Cluster
import Consensus
import Glibc
import Kinds
import Logging

/// The state of all addresses of this member.
final class AddressHolder {
    let log: Logger
    let report: @Sendable (RoleReport) -> Void
    let addresses: InterfaceAddresses
    let announcer: Announcer
    let interfaces: InterfaceWatch
    var watching = PlaceWatch()
    /// nil: the kernel cannot enforce leases by itself; see AddressLifetime.
    let kernelGuard: KernelGuard?
    var held: SortedMap<ResourceKey, HeldRole> = [:]
    /// Epochs this member has given up for good, per role; at most `releasedLimit`, then the smallest is forgotten.
    private var released: SortedMap<ResourceKey, UInt64> = [:]
    private static let releasedLimit = 4_096

    init(
        log: Logger, addresses: InterfaceAddresses, announcer: Announcer, interfaces: InterfaceWatch,
        kernelGuard: KernelGuard?, report: @escaping @Sendable (RoleReport) -> Void
    ) {
        self.log = log
        self.addresses = addresses
        self.announcer = announcer
        self.interfaces = interfaces
        self.kernelGuard = kernelGuard
        self.report = report
    }

    func carryOut(_ order: AddressOrder) {
        switch order {
        case .hold(let role, let addresses, let epoch, let until):
            hold(role, addresses, epoch: epoch, until: until)
        case .release(let role, _, let epoch, let drain):
            release(role, epoch: epoch, drain: drain)
        case .drop(let role, _):
            drop(role)
        }
    }

    /// When `passTime` is due; nil: nothing is waiting.
    var nextDue: Instant? {
        let next = Swift.min(held.values.map(\.nextDue).min() ?? .distantFuture, watching.due)
        return next == .distantFuture ? nil : next
    }

    /// Does what is due: ends drains and leases, repeats announcements, looks at interfaces.
    func passTime() {
        checkPlaces()
        for (role, present) in held.pairs where present.nextDue <= BootClock.now() {
            switch present.stage {
            case .draining: drop(role)
            case .holding where present.until <= BootClock.now():
                log.warning("the lease of \(role) ended without renewal: \(present.names) silent and removed")
                drop(role)
            case .holding: repeatAnnouncement(role, present)
            }
        }
    }

    func dropEverything() {
        for role in held.keys { drop(role) }
    }

    /// Takes the guard out of the kernel if nothing is left to guard.
    func leaveNoTrace() {
        do throws(AddressDriverError) {
            try kernelGuard?.removeTables()
        } catch {
            log.notice("the nftables tables \(GuardSet.table) stay: \(error)")
        }
    }

    // MARK: Hold

    private func hold(_ role: ResourceKey, _ declared: [VirtualAddress], epoch: UInt64, until: Instant) {
        if let gone = released[role], epoch <= gone {
            log.debug("not holding \(role) under epoch \(epoch): this member has released epoch \(gone)")
            return
        }
        guard until > BootClock.now() else {
            log.notice("not holding \(role) under epoch \(epoch): the lease ended before the order was carried out")
            return
        }
        do throws(AddressDriverError) {
            guard let present = held[role], present.declared == declared else {
                drop(role)
                return try takeOver(role, declared, epoch: epoch, until: until)
            }
            guard present.stage == .holding, epoch == present.epoch else {
                return try speakAgain(role, present, epoch: epoch, until: until)
            }
            try renew(role, present, until: until)
        } catch {
            drop(role)
            log.error("cannot hold \(role): \(error)")
            report(.failed(role: role, epoch: epoch, reason: error.description))
        }
    }

    /// The usual case: the same addresses, the same epoch, a later end.
    private func renew(_ role: ResourceKey, _ present: HeldRole, until: Instant) throws(AddressDriverError) {
        var next = present
        next.until = until
        switch prolong(present, until: until) {
        case .done: break
        case .expired: return try speakAgain(role, present, epoch: present.epoch, until: until)
        case .impossible(let why): return log.notice("lease of \(role) not renewed: \(why)")
        }
        if BootClock.now() - present.lifetimeSetAt >= AddressLifetime.refreshInterval {
            try setLifetime(&next)
        }
        held[role] = next
    }

    /// A renewal that fails is no reason to give up: what is armed goes on to its end, and the next renewal comes soon.
    private func prolong(_ present: HeldRole, until: Instant) -> KernelGuard.Result {
        do throws(AddressDriverError) {
            return try kernelGuard?.renew(present.addresses, until: until) ?? .done
        } catch {
            return .impossible(error.description)
        }
    }

    /// Addresses that are on their interfaces but silent, or go on under another epoch.
    private func speakAgain(
        _ role: ResourceKey, _ present: HeldRole, epoch: UInt64, until: Instant
    ) throws(AddressDriverError) {
        var next = present
        next.epoch = epoch
        next.until = until
        next.stage = .holding
        guard try arm(role, next) else { return drop(role) }
        try setLifetime(&next)
        announceAndReport(role, &next)
    }

    private func takeOver(
        _ role: ResourceKey, _ declared: [VirtualAddress], epoch: UInt64, until: Instant
    ) throws(AddressDriverError) {
        let places = try places(for: declared, role)
        var next = HeldRole(
            declared: declared, places: places, epoch: epoch, until: until, lifetimeSetAt: .distantPast)
        // Under guard before they are on an interface: there is no moment at which one could speak without a lease.
        try kernelGuard?.watch(places, held: held.values)
        // From here on `drop` knows what to take back.
        held[role] = next
        guard try arm(role, next) else { return drop(role) }
        try setLifetime(&next)
        announceAndReport(role, &next)
        try announcer.watch(held.values.flatMap(\.addresses))
    }

    /// Where the addresses go. Another role that is just letting one of them go does so at once.
    private func places(
        for declared: [VirtualAddress], _ role: ResourceKey
    ) throws(AddressDriverError) -> [PlacedAddress] {
        var places: [PlacedAddress] = []
        for declared in declared {
            let checked = try CheckedAddress(declared)
            let attempted = "hold \(checked.address) for \(role)"
            if let (other, present) = held.pairs.first(where: { $0.1.addresses.contains(checked.address) }) {
                // A role that has let go waits for nothing but stray packets; this one takes them from now on.
                guard case .draining = present.stage else {
                    throw .unusable(
                        attempted, "\(other) has the same address", advice: "give each VirtualIP its own address")
                }
                drop(other)
            }
            places.append(
                PlacedAddress(address: checked.address, link: try place(for: checked, attempted: attempted)))
        }
        return places
    }

    /// False: the lease is too short, or over; nothing was armed.
    private func arm(_ role: ResourceKey, _ next: HeldRole) throws(AddressDriverError) -> Bool {
        guard let kernelGuard else { return true }
        guard
            case .impossible(let why) = try kernelGuard.arm(next.addresses, until: next.until, held: held.values)
        else { return true }
        log.notice("\(next.names) silent still for \(role): \(why)")
        return false
    }

    private func setLifetime(_ next: inout HeldRole) throws(AddressDriverError) {
        let now = BootClock.now()
        let seconds: UInt32
        if kernelGuard != nil {
            seconds = AddressLifetime.besideGuard(left: next.until - now)
        } else if let enforceable = AddressLifetime.insteadOfGuard(left: next.until - now) {
            seconds = enforceable
        } else {
            throw .unusable(
                "add \(next.namesWithPlaces)", "without nftables a lease shorter than 3.5 s cannot be enforced",
                advice: "apt install nftables, or give the cluster leases of at least 5 s")
        }
        for place in next.places {
            let code = try addresses.put(place.address, on: place.link.index, lifetimeSeconds: seconds)
            guard code != 0 else { continue }
            let attempted = "add \(place.address) to \(place.link.name)"
            // The kernel says so of an interface without IPv6, whatever the capabilities.
            guard place.address.isIPv6, code == EACCES else {
                throw AddressDriverError(
                    attempted: attempted, code: code, advice: "see `ip addr show \(place.link.name)`")
            }
            throw AddressDriverError(
                .refused(code: code), attempted: attempted, answer: "IPv6 is disabled on \(place.link.name)",
                advice: "sysctl -w net.ipv6.conf.\(place.link.name.replacing(".", with: "/")).disable_ipv6=0")
        }
        next.lifetimeSetAt = now
    }

    /// Its interface was away for a while.
    func putBack(_ role: ResourceKey, _ present: HeldRole) {
        var next = present
        do throws(AddressDriverError) {
            try setLifetime(&next)
        } catch {
            log.error("cannot put \(present.names) back: \(error)")
        }
        let now = BootClock.now()
        announce(next)
        next.announcements = Announcer.repeats.map { now + $0 }
        held[role] = next
    }

    private func announceAndReport(_ role: ResourceKey, _ next: inout HeldRole) {
        let now = BootClock.now()
        announce(next)
        next.announcements = Announcer.repeats.map { now + $0 }
        held[role] = next
        log.info("holding \(next.namesWithPlaces) for \(role) under epoch \(next.epoch)")
        report(.holding(role: role, epoch: next.epoch))
    }

    // MARK: Giving up

    private func release(_ role: ResourceKey, epoch: UInt64, drain: Interval) {
        if let present = held[role], present.epoch > epoch {
            log.notice("not releasing \(role) under epoch \(epoch): held under epoch \(present.epoch)")
            return
        }
        noteReleased(role, epoch: epoch)
        guard var present = held[role], present.stage == .holding else {
            return report(.released(role: role, epoch: epoch))
        }
        let now = BootClock.now()
        let longest = Interval.milliseconds(100)
        let end = now + Interval.min(Interval.min(drain, longest), present.until - now)
        do throws(AddressDriverError) {
            guard let kernelGuard, end > now else {
                // Without the guard, only an address that is gone is silent.
                if removeFromInterface(present) { report(.released(role: role, epoch: epoch)) }
                return drop(role)
            }
            try kernelGuard.silence(present.addresses)
            report(.released(role: role, epoch: epoch))
            present.stage = .draining(until: end)
            present.announcements = []
            held[role] = present
        } catch {
            log.error("cannot silence \(present.names): \(error)")
            if removeFromInterface(present) { report(.released(role: role, epoch: epoch)) }
            drop(role)
        }
    }

    private func noteReleased(_ role: ResourceKey, epoch: UInt64) {
        released[role] = Swift.max(epoch, released[role] ?? 0)
        guard released.count > Self.releasedLimit, let least = released.pairs.min(by: { $0.1 < $1.1 }) else { return }
        released[least.0] = nil
    }

    /// Silent, deaf, removed, and no longer under guard: in this order, so that a failure leaves it silent.
    func drop(_ role: ResourceKey) {
        guard let present = held[role] else { return }
        held[role] = nil
        do throws(AddressDriverError) {
            try kernelGuard?.disarm(present.addresses)
        } catch {
            log.error("cannot disarm \(present.names), silent when the lease ends: \(error)")
        }
        guard removeFromInterface(present) else { return }
        do throws(AddressDriverError) {
            try kernelGuard?.unwatch(present.addresses)
            try announcer.watch(held.values.flatMap(\.addresses))
        } catch {
            log.notice("after removing \(present.names): \(error)")
        }
    }

    /// Whether all addresses are gone from their interfaces. What is not, the kernel removes at the end of its lifetime.
    private func removeFromInterface(_ present: HeldRole) -> Bool {
        var areGone = true
        for place in present.places {
            do throws(AddressDriverError) {
                let code = try addresses.remove(place.address, from: place.link.index)
                if code == 0 { continue }
                throw AddressDriverError(attempted: "remove \(place.address) from \(place.link.name)", code: code)
            } catch {
                log.error("\(error); the kernel removes it by itself within seconds")
                areGone = false
            }
        }
        return areGone
    }
}
