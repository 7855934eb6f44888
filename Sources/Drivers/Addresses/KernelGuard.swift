// The guard as the holder of addresses uses it: LeaseGuard's transactions plus the tables they need. It puts the tables
// back when somebody flushed the ruleset, covers interfaces that appear later, and tries again when held up.

import CKernel
import Consensus
import Glibc
import Kinds
import Logging

/// Enforces leases in the kernel. One thread only.
final class KernelGuard {
    enum Result: Equatable {
        case done
        /// A renewal came too late: the address is silent.
        case expired
        /// Nothing was armed; what was armed before ends by itself.
        case impossible(String)
    }

    private static let attempts = 3
    private let leases: LeaseGuard
    private let log: Logger
    /// The interfaces whose outgoing ARP is under guard, by index.
    private var coveredInterfaces: Set<Int32> = []
    private var lastRebuild = Instant.distantPast
    /// Why IPv6 addresses cannot be guarded, and so not be held; nil: they can.
    private(set) var problemWithIPv6: String?
    /// Why announcements by ARP are not enforced by the kernel; nil: they are.
    private(set) var problemWithEgress: String?

    /// Puts the tables in place; the addresses an earlier process left under guard stay under guard, and silent.
    /// Announcements on `interfaces` are under guard at once, on others from the first address that goes there.
    init(log: Logger, interfaces: [Link]) throws(AddressDriverError) {
        self.log = log
        leases = try LeaseGuard()
        try build(guarding: try leases.watched())
        coverAtOnce(interfaces)
    }

    /// The addresses under guard, for the cleaning at start.
    func watched() throws(AddressDriverError) -> [IPAddress] { try leases.watched() }

    /// Whether announcements on the interface are under the lease too.
    func guardsAnnouncements(on link: Link) -> Bool { coveredInterfaces.contains(link.index) }

    /// Puts addresses under guard where they go.
    func watch(_ places: [PlacedAddress], held: [HeldRole]) throws(AddressDriverError) {
        if !leases.guardsIPv6, let address = places.map(\.address).first(where: \.isIPv6) {
            throw .unusable(
                "guard \(address)", "this kernel cannot end the lease of an IPv6 address: \(problemWithIPv6 ?? "")",
                advice: "boot without ipv6.disable=1, or take the IPv6 address out of the VirtualIP")
        }
        for place in places where leases.guardsEgress && !place.address.isIPv6 {
            if !coveredInterfaces.contains(place.link.index) { cover(place.link) }
        }
        guard try leases.watch(places.map(\.address)) == .tablesMissing else { return }
        try rebuild(held: held, adding: places.map(\.address))
    }

    func unwatch(_ addresses: [IPAddress]) throws(AddressDriverError) { try leases.unwatch(addresses) }

    func renew(_ addresses: [IPAddress], until: Instant) throws(AddressDriverError) -> Result {
        for _ in 0..<Self.attempts {
            switch try leases.renew(addresses, until: until) {
            case .armed: return .done
            // Missing tables are found again, and put back, by the arming that follows.
            case .expired, .tablesMissing: return .expired
            case .tooLate: return .impossible(Self.tooShort)
            case .heldUp: continue
            }
        }
        return .impossible(Self.heldUp)
    }

    /// Lets addresses speak, whatever was armed before; those that speak already do so without a gap. All or none.
    func arm(_ addresses: [IPAddress], until: Instant, held: [HeldRole]) throws(AddressDriverError) -> Result {
        for _ in 0..<Self.attempts {
            switch try leases.arm(addresses, until: until) {
            case .armed: return .done
            case .tooLate: return .impossible(Self.tooShort)
            case .tablesMissing: try rebuild(held: held, adding: addresses)
            case .expired, .heldUp: continue
            }
        }
        return .impossible(Self.heldUp)
    }

    /// No ARP or neighbour discovery from now on; packets are still accepted.
    func silence(_ addresses: [IPAddress]) throws(AddressDriverError) { try leases.silence(addresses) }

    func disarm(_ addresses: [IPAddress]) throws(AddressDriverError) { try leases.disarm(addresses) }

    /// Leaves no trace in the kernel; only when no address is held and none is left on an interface.
    func removeTables() throws(AddressDriverError) {
        if try leases.watched().isEmpty { try leases.removeTables() }
    }

    private static let tooShort = "what is left of the lease is too short to be enforced"
    private static let heldUp =
        "this process was held up \(attempts) times on the way to the kernel; the host is overloaded"

    // MARK: Tables

    private func build(guarding addresses: [IPAddress]) throws(AddressDriverError) {
        let attempted = "set up the nftables tables of the guard"
        let script = GuardTables.script(guarding: addresses)
        do throws(AddressDriverError) {
            try GuardTables.apply(script + GuardTables.scriptForIPv6(guarding: addresses), attempted: attempted)
            leases.guardsIPv6 = true
            problemWithIPv6 = nil
        } catch {
            try GuardTables.apply(script, attempted: attempted)
            leases.guardsIPv6 = false
            problemWithIPv6 = error.description
        }
        coveredInterfaces = []
        do throws(AddressDriverError) {
            try GuardTables.apply(GuardTables.egressScript(guarding: addresses), attempted: "guard outgoing ARP")
            leases.guardsEgress = true
            problemWithEgress = nil
        } catch {
            leases.guardsEgress = false
            problemWithEgress = error.description
            log.notice("\(Self.unguardedAnnouncements): \(error)")
        }
    }

    /// Somebody removed our tables while addresses are held: put them back, guarding what is held, and arm again.
    private func rebuild(held: [HeldRole], adding addresses: [IPAddress]) throws(AddressDriverError) {
        guard BootClock.now() - lastRebuild >= .seconds(1) else {
            throw AddressDriverError(
                .refused(code: ENOENT), attempted: "guard \(addresses.map(\.description).joined(separator: " and "))",
                answer: "the nftables table \(GuardSet.table) was removed again and again",
                advice: "find what flushes the ruleset, and let it spare the tables called \(GuardSet.table)")
        }
        lastRebuild = BootClock.now()
        log.warning("the nftables table \(GuardSet.table) was removed by somebody: putting it back")
        try build(guarding: Array(Set(held.flatMap(\.addresses) + addresses)).sorted())
        coverAtOnce(Array(Set(held.flatMap(\.places).map(\.link))))
        for other in held where other.stage == .holding && other.addresses != addresses {
            _ = try leases.arm(other.addresses, until: other.until)
        }
    }

    /// Linux before 5.16 has no egress hook.
    private static let unguardedAnnouncements =
        "announcements are not enforced by the kernel, they rely on a look at the clock right before each"

    /// One program for all; one that vanished meanwhile spoils it for the others, which are then covered one by one.
    private func coverAtOnce(_ links: [Link]) {
        let usable = links.filter { GuardTables.canName($0.name) }
        guard leases.guardsEgress, !usable.isEmpty else { return }
        let script = usable.map { GuardTables.egressAddition(index: $0.index, name: $0.name) }.joined()
        do throws(AddressDriverError) {
            try GuardTables.apply(script, attempted: "guard outgoing ARP")
            coveredInterfaces.formUnion(usable.map(\.index))
        } catch {
            log.debug("covering \(usable.map(\.name)) one by one: \(error)")
        }
    }

    private func cover(_ link: Link) {
        do throws(AddressDriverError) {
            guard GuardTables.canName(link.name) else {
                throw .unusable("guard outgoing ARP", "nft cannot name '\(link.name)'", advice: "rename it")
            }
            try GuardTables.apply(
                GuardTables.egressAddition(index: link.index, name: link.name),
                attempted: "guard outgoing ARP on \(link.name)")
            coveredInterfaces.insert(link.index)
        } catch {
            log.notice("\(link.name): \(Self.unguardedAnnouncements): \(error)")
        }
    }

    static func interfaceName(_ index: Int32) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(UInt32(index), &buffer) != nil else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
