// The lease in the kernel: which addresses may speak, and until when. Elements of nftables sets are added, renewed and
// deleted by nfnetlink transactions from this process; the rules around the sets come from GuardTables.
//
// The danger is a process that is stopped for any length of time between reading the clock and the kernel acting on
// what was computed from it: the kernel starts counting when it handles the request.
//
//     read clock ── compute timeout ──── stopped ────┬─ kernel: expires = now + timeout   ← too late by the stop
//
// So every arming happens under a ticket, an element that lives a few ticks:
//
//     1. transaction {add ticket, timeout T}         the ticket ends at the latest at a + T, a = when it was added
//     2. c = clock                                   a ≤ c
//     3. transaction {delete ticket, …arm until u}   timeout = u − c − T − lag
//
// Deleting an expired element fails and voids its transaction, also before the kernel has collected the element. So step
// 3 takes effect at b < a + T ≤ c + T, and ends at b + timeout < u. A renewal deletes the old elements in the same
// transaction, so it never revives an expired one either; it has to come back as a fresh arming, with a fresh look at the
// clock. `lag` is for the kernel's tick count, which may trail the clock by a few ticks when the processor that counts
// them is held up.

import CKernel
import Consensus
import Glibc
import Kinds

/// Commands the tables of GuardTables. One thread only.
final class LeaseGuard {
    enum Arming: Equatable {
        /// The kernel lets the address speak, until its elements end shortly before `until`.
        case armed
        /// A renewal found the elements expired. Nothing was changed.
        case expired
        /// Too little is left of the lease to arm anything. Nothing was changed.
        case tooLate
        /// This process was held up between clock and kernel. Nothing was changed.
        case heldUp
        /// The tables are gone: somebody flushed the ruleset. Nothing was changed.
        case tablesMissing
    }

    /// How long a ticket lives: three ticks of the kernel, at least 10 ms.
    static let ticketLife = Interval(nanoseconds: Swift.max(BootClock.tick.nanoseconds * 3, 10_000_000))
    /// How far the kernel's tick count may trail the clock: other processors step in after five ticks.
    static let tickLag = BootClock.tick * 5
    /// Elements shorter than this are not worth arming.
    static let shortestArming = Interval(nanoseconds: Swift.max(BootClock.tick.nanoseconds * 2, 10_000_000))

    /// Whether announcements from our packet socket are under the lease as well.
    var guardsEgress = false
    /// Whether there is a table for IPv6. Without it no IPv6 address may be given here.
    var guardsIPv6 = false
    private let sets: GuardSetTransactions
    private var lastTicket = UInt32.random(in: 0...UInt32.max)
    private let clock: () -> Instant

    /// `clock` reads CLOCK_BOOTTIME; tests let it take its time.
    init(clock: @escaping () -> Instant = BootClock.now) throws(AddressDriverError) {
        self.clock = clock
        sets = try GuardSetTransactions()
    }

    // MARK: Guarding

    /// Puts the addresses under guard: from now on they are silent here unless armed. Repeating is harmless.
    func watch(_ addresses: [IPAddress]) throws(AddressDriverError) -> Arming? {
        let refusal = try sets.commit(
            addresses.flatMap { address in guardedSets(address).map { .add($0, address, milliseconds: nil) } })
        guard let refusal else { return nil }
        if refusal.code == ENOENT { return .tablesMissing }
        throw AddressDriverError(attempted: "guard \(Self.names(addresses))", code: refusal.code)
    }

    /// Takes the addresses out of our hands; only after they have left the interface.
    func unwatch(_ addresses: [IPAddress]) throws(AddressDriverError) {
        try clear(addresses, from: guardedSets, attempted: "take \(Self.names(addresses)) out of the guard")
    }

    /// The addresses that an earlier process left under guard.
    func watched() throws(AddressDriverError) -> [IPAddress] {
        try sets.elements(of: .guardedIP) + sets.elements(of: .guardedIPv6)
    }

    // MARK: Arming

    /// Prolongs armed addresses until shortly before `until`: all of them or none.
    func renew(_ addresses: [IPAddress], until: Instant) throws(AddressDriverError) -> Arming {
        try withTicket(until: until, attempted: "renew the lease of", addresses) { milliseconds in
            addresses.flatMap { address in speakingSets(address).map { .delete($0, address) } }
                + addresses.flatMap { address in
                    speakingSets(address).map { .add($0, address, milliseconds: milliseconds) }
                }
        }
    }

    /// Arms addresses, whatever was armed before: what is there is replaced, without a gap. All of them or none.
    func arm(_ addresses: [IPAddress], until: Instant) throws(AddressDriverError) -> Arming {
        let arming = try withTicket(until: until, attempted: "arm", addresses) { milliseconds in
            addresses.flatMap { address in
                speakingSets(address).flatMap {
                    SetChange.clear($0, address) + [.add($0, address, milliseconds: milliseconds)]
                }
            }
        }
        // Nothing can be missing but a table.
        if arming == .expired { return .tablesMissing }
        // The ticket makes this impossible as long as the tick count keeps up; if it does not, be silent at once.
        if case .armed = arming, clock() >= until {
            try disarm(addresses)
            return .tooLate
        }
        return arming
    }

    /// No ARP or neighbour discovery from now on. Does nothing for addresses that are silent.
    func silence(_ addresses: [IPAddress]) throws(AddressDriverError) {
        try clear(addresses, from: announcedSets, attempted: "silence \(Self.names(addresses))")
    }

    /// Both, at one moment.
    func disarm(_ addresses: [IPAddress]) throws(AddressDriverError) {
        try clear(addresses, from: speakingSets, attempted: "disarm \(Self.names(addresses))")
    }

    /// No IP packet in or out from now on.
    func deafen(_ addresses: [IPAddress]) throws(AddressDriverError) {
        try clear(
            addresses, from: { $0.isIPv6 ? [.acceptedIPv6] : [.acceptedIP] },
            attempted: "close \(Self.names(addresses)) to packets")
    }

    /// Removes our tables. Only when nothing is held any more.
    func removeTables() throws(AddressDriverError) {
        let sets: [GuardSet] =
            [.guardedARP, .guardedIP] + (guardsEgress ? [.guardedEgress] : []) + (guardsIPv6 ? [.guardedIPv6] : [])
        for set in sets { try self.sets.removeTable(of: set) }
    }

    private func guardedSets(_ address: IPAddress) -> [GuardSet] {
        if address.isIPv6 { return [.guardedIPv6] }
        return guardsEgress ? [.guardedARP, .guardedIP, .guardedEgress] : [.guardedARP, .guardedIP]
    }

    private func announcedSets(_ address: IPAddress) -> [GuardSet] {
        if address.isIPv6 { return [.announcedIPv6] }
        return guardsEgress ? [.announcedARP, .announcedEgress] : [.announcedARP]
    }

    private func speakingSets(_ address: IPAddress) -> [GuardSet] {
        announcedSets(address) + (address.isIPv6 ? [.acceptedIPv6] : [.acceptedIP])
    }

    private static func names(_ addresses: [IPAddress]) -> String {
        addresses.map(\.description).joined(separator: " and ")
    }

    /// Carries out `changes(timeout)` under a ticket, so that what it arms ends before `until`.
    private func withTicket(
        until: Instant, attempted verb: String, _ addresses: [IPAddress], _ changes: (Int64) -> [SetChange]
    ) throws(AddressDriverError) -> Arming {
        lastTicket &+= 1
        let ticket = IPAddress.v4(IPv4Address(number: lastTicket))
        if let refusal = try sets.commit([.add(.ticket, ticket, milliseconds: Self.ticketLife.milliseconds)]) {
            if refusal.code == ENOENT { return .tablesMissing }
            throw AddressDriverError(attempted: "\(verb) \(Self.names(addresses))", code: refusal.code)
        }
        let left = until - Self.ticketLife - Self.tickLag - clock()
        guard left >= Self.shortestArming else { return .tooLate }
        let refusal = try sets.commit([.delete(.ticket, ticket)] + changes(left.milliseconds))
        guard let refusal else { return .armed }
        switch refusal.code {
        case ENOENT: return refusal.position == 0 ? .heldUp : .expired
        default: throw AddressDriverError(attempted: "\(verb) \(Self.names(addresses))", code: refusal.code)
        }
    }

    /// Throws when the tables are gone: without their rules, an absent element is the opposite of silence.
    private func clear(
        _ addresses: [IPAddress], from chosen: (IPAddress) -> [GuardSet], attempted: @autoclosure () -> String
    ) throws(AddressDriverError) {
        let changes = addresses.flatMap { address in chosen(address).flatMap { SetChange.clear($0, address) } }
        guard let refusal = try sets.commit(changes) else { return }
        throw AddressDriverError(
            attempted: attempted(), code: refusal.code,
            advice: "if somebody flushed the nftables ruleset: let it spare the tables called \(GuardSet.table)")
    }
}
