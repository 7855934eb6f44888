// Carries out the orders for this host's virtual addresses: guard, arm, add, announce; and back.
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
    /// nil: the kernel cannot enforce leases by itself; see AddressLifetime.
    let kernelGuard: KernelGuard?
    var held: SortedMap<ResourceKey, HeldAddress> = [:]
    /// Epochs this member has given up for good, per role; at most `releasedLimit`, then the smallest is forgotten.
    private var released: SortedMap<ResourceKey, UInt64> = [:]
    private static let releasedLimit = 4_096

    init(
        log: Logger, addresses: InterfaceAddresses, announcer: Announcer, kernelGuard: KernelGuard?,
        report: @escaping @Sendable (RoleReport) -> Void
    ) {
        self.log = log
        self.addresses = addresses
        self.announcer = announcer
        self.kernelGuard = kernelGuard
        self.report = report
    }

    func carryOut(_ order: AddressOrder) {
        switch order {
        case .hold(let role, let address, let epoch, let until):
            hold(role, address, epoch: epoch, until: until)
        case .release(let role, _, let epoch, let drain):
            release(role, epoch: epoch, drain: drain)
        case .drop(let role, _):
            drop(role)
        }
    }

    /// When `passTime` is due; nil: nothing is waiting.
    var nextDue: Instant? { held.values.map(\.nextDue).min() }

    /// Does what is due: ends drains and leases, repeats announcements.
    func passTime() {
        for (role, address) in held.pairs where address.nextDue <= BootClock.now() {
            switch address.stage {
            case .draining: drop(role)
            case .holding where address.until <= BootClock.now():
                log.warning("the lease of \(role) ended without renewal: \(address.address) is silent and removed")
                drop(role)
            case .holding: repeatAnnouncement(role, address)
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

    private func hold(_ role: ResourceKey, _ declared: VirtualAddress, epoch: UInt64, until: Instant) {
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

    /// The usual case: the same address, the same epoch, a later end.
    private func renew(_ role: ResourceKey, _ present: HeldAddress, until: Instant) throws(AddressDriverError) {
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
    private func prolong(_ present: HeldAddress, until: Instant) -> KernelGuard.Result {
        do throws(AddressDriverError) {
            return try kernelGuard?.renew(present.address, until: until) ?? .done
        } catch {
            return .impossible(error.description)
        }
    }

    /// An address that is on the interface but silent, or goes on under another epoch.
    private func speakAgain(
        _ role: ResourceKey, _ present: HeldAddress, epoch: UInt64, until: Instant
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
        _ role: ResourceKey, _ declared: VirtualAddress, epoch: UInt64, until: Instant
    ) throws(AddressDriverError) {
        let checked = try CheckedAddress(declared)
        let attempted = "hold \(checked.address) for \(role)"
        if let (other, present) = held.pairs.first(where: { $0.1.address == checked.address }) {
            // A role that has let go waits for nothing but stray packets; this one takes them from now on.
            guard case .draining = present.stage else {
                throw .unusable(
                    attempted, "\(other) has the same address", advice: "give each VirtualIP its own address")
            }
            drop(other)
        }
        let link = try place(for: checked, attempted: attempted)
        var next = HeldAddress(
            declared: declared, address: checked.address, link: link, epoch: epoch, until: until,
            lifetimeSetAt: .distantPast)
        // Under guard before it is on the interface: there is no moment at which it could speak without a lease.
        try kernelGuard?.watch(next.address, on: link, held: held.values)
        // From here on `drop` knows what to take back.
        held[role] = next
        guard try arm(role, next) else { return drop(role) }
        try setLifetime(&next)
        announceAndReport(role, &next)
        try announcer.watch(held.values.map(\.address))
    }

    /// False: the lease is too short, or over; nothing was armed.
    private func arm(_ role: ResourceKey, _ next: HeldAddress) throws(AddressDriverError) -> Bool {
        guard let kernelGuard else { return true }
        guard
            case .impossible(let why) = try kernelGuard.arm(
                next.address, on: next.link, until: next.until, held: held.values)
        else { return true }
        log.notice("\(next.address) stays silent for \(role): \(why)")
        return false
    }

    private func setLifetime(_ next: inout HeldAddress) throws(AddressDriverError) {
        let now = BootClock.now()
        let attempted = "add \(next.address) to \(next.link.name)"
        let seconds: UInt32
        if kernelGuard != nil {
            seconds = AddressLifetime.besideGuard(left: next.until - now)
        } else if let enforceable = AddressLifetime.insteadOfGuard(left: next.until - now) {
            seconds = enforceable
        } else {
            throw .unusable(
                attempted, "without nftables a lease shorter than 3.5 s cannot be enforced",
                advice: "apt install nftables, or give the cluster leases of at least 5 s")
        }
        let code = try addresses.put(next.address, on: next.link.index, lifetimeSeconds: seconds)
        guard code == 0 else {
            throw AddressDriverError(attempted: attempted, code: code, advice: "see `ip addr show \(next.link.name)`")
        }
        next.lifetimeSetAt = now
    }

    private func announceAndReport(_ role: ResourceKey, _ next: inout HeldAddress) {
        let now = BootClock.now()
        announce(next)
        next.announcements = Announcer.repeats.map { now + $0 }
        held[role] = next
        log.info("holding \(next.address) on \(next.link.name) for \(role) under epoch \(next.epoch)")
        report(.holding(role: role, epoch: next.epoch))
    }

    // MARK: Announcements

    private func announce(_ address: HeldAddress) {
        guard BootClock.now() < address.until else { return }
        let code = announcer.announce(address.address, on: address.link)
        if code != 0 {
            log.notice(
                "announcing \(address.address) on \(address.link.name): \(AddressDriverError.text(of: code)); repeated")
        }
    }

    private func repeatAnnouncement(_ role: ResourceKey, _ address: HeldAddress) {
        let isFirst = address.announcements.count == Announcer.repeats.count
        announce(address)
        _ = held.update(role) { $0.announcements.removeFirst() }
        // An answer arrives as a conflict. Taking over did not wait for it: the lease already says whose it is.
        if isFirst { announcer.probe(address.address, on: address.link) }
    }

    /// Reads what others said about our addresses: words go to the log, and the network hears once more where the
    /// address is (RFC 5227 section 2.4 c), at most once a second.
    func heedConflicts() {
        for conflict in announcer.conflicts() {
            for (role, address) in held.pairs where address.address == conflict.address && address.stage == .holding {
                let now = BootClock.now()
                guard now >= address.quietAboutConflictsUntil,
                    announcer.hardwareAddress(of: address.link) != conflict.hardwareAddress
                else { continue }
                let other = conflict.hardwareAddress.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                log.warning(
                    "\(conflict.address) of \(role) is also used by \(other.joined(separator: ":")); find that machine")
                _ = held.update(role) { $0.quietAboutConflictsUntil = now + .seconds(1) }
                announce(address)
            }
        }
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
            try kernelGuard.silence(present.address)
            report(.released(role: role, epoch: epoch))
            present.stage = .draining(until: end)
            present.announcements = []
            held[role] = present
        } catch {
            log.error("cannot silence \(present.address): \(error)")
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
    private func drop(_ role: ResourceKey) {
        guard let present = held[role] else { return }
        held[role] = nil
        do throws(AddressDriverError) {
            try kernelGuard?.disarm(present.address)
        } catch {
            log.error("cannot disarm \(present.address), which falls silent when its lease ends: \(error)")
        }
        guard removeFromInterface(present) else { return }
        do throws(AddressDriverError) {
            try kernelGuard?.unwatch(present.address)
            try announcer.watch(held.values.map(\.address))
        } catch {
            log.notice("after removing \(present.address): \(error)")
        }
    }

    /// Whether the address is gone from the interface. If not, the kernel removes it at the end of its lifetime.
    private func removeFromInterface(_ present: HeldAddress) -> Bool {
        do throws(AddressDriverError) {
            let code = try addresses.remove(present.address, from: present.link.index)
            guard code != 0 else { return true }
            throw AddressDriverError(attempted: "remove \(present.address) from \(present.link.name)", code: code)
        } catch {
            log.error("\(error); the kernel removes it by itself within seconds")
            return false
        }
    }
}
