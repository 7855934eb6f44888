// Whether this host could hold the addresses it is a candidate for, as far as its interfaces go; and what follows for
// those it holds when an interface goes away or comes back. It gives nothing up by its own decision: the kernel has taken
// an address away with its interface, and what the cluster makes of a problem is the cluster's to say.

import Cluster
import Consensus
import Glibc
import Kinds
import Synchronization

/// What the holder knows of places.
struct PlaceWatch {
    /// After something happened, that is not looked at at once: interfaces change in bursts.
    static let settling = Interval.milliseconds(50)
    /// While a place is not as it should be, it is looked at so often: an address of the host that comes is no news.
    static let again = Interval.seconds(2)

    /// The roles this member is a candidate for.
    var roles: SortedMap<ResourceKey, [VirtualAddress]> = [:]
    /// What was told last of a role that could not be held.
    var problems: SortedMap<ResourceKey, String> = [:]
    /// The interfaces in use that were seen without a carrier or down.
    var silentLinks: Set<Int32> = []
    var due = Instant.distantFuture
    /// The interfaces the addresses go on, for `doctor`.
    let inUse = AddressInterfaces()
}

/// An interface that virtual addresses go on, or would.
public struct AddressInterface: Hashable, Sendable {
    public let name: String
    public internal(set) var takesIPv4 = false
    public internal(set) var takesIPv6 = false
    /// An IPv4 address goes there although the interface has no address of its own in that network.
    public internal(set) var lacksNetwork = false
}

/// What the address thread tells others of interfaces.
final class AddressInterfaces: Sendable {
    private let content = Mutex<[AddressInterface]>([])

    var all: [AddressInterface] {
        get { content.withLock { $0 } }
        set { content.withLock { $0 = newValue } }
    }
}

extension AddressHolder {
    /// From now on these places are watched, and no others.
    func standReady(for roles: SortedMap<ResourceKey, [VirtualAddress]>) {
        watching.roles = roles
        for role in watching.problems.keys where roles[role] == nil { watching.problems[role] = nil }
        watching.due = BootClock.now()
    }

    func heedInterfaces() {
        guard interfaces.hasNews() else { return }
        watching.due = Swift.min(watching.due, BootClock.now() + PlaceWatch.settling)
    }

    /// Looks at all places when that is due.
    func checkPlaces() {
        guard watching.due <= BootClock.now() else { return }
        for (role, present) in held.pairs { follow(role, present) }
        var inUse: SortedMap<String, AddressInterface> = [:]
        for (role, declared) in watching.roles.pairs {
            let problem = problem(with: declared, role, &inUse)
            guard problem != watching.problems[role] else { continue }
            watching.problems[role] = problem
            log.notice("\(role): \(problem ?? "its interface is as it should be again")")
            report(.place(role: role, problem: problem))
        }
        watching.inUse.all = inUse.values
        watching.due = watching.problems.isEmpty ? .distantFuture : BootClock.now() + PlaceWatch.again
    }

    private func problem(
        with declared: [VirtualAddress], _ role: ResourceKey, _ inUse: inout SortedMap<String, AddressInterface>
    ) -> String? {
        let present = held[role].flatMap { $0.declared == declared ? $0 : nil }
        do throws(AddressDriverError) {
            for (position, declared) in declared.enumerated() {
                let checked = try CheckedAddress(declared)
                let attempted = "hold \(checked.address) for \(role)"
                let link: Link
                if let present {
                    link = present.places[position].link
                } else {
                    link = try place(for: checked, attempted: attempted)
                }
                try note(link, checked, &inUse)
                guard announcer.hasCarrier(link) else {
                    throw .unusable(
                        attempted, "interface \(link.name) has no carrier",
                        advice: "see that its cable is plugged in, or its bridge has a port that is up")
                }
                if let kernelGuard, checked.address.isIPv6, let problem = kernelGuard.problemWithIPv6 {
                    throw .unusable(attempted, problem, advice: "boot without ipv6.disable=1")
                }
            }
            return nil
        } catch {
            return error.description
        }
    }

    private func note(
        _ link: Link, _ checked: CheckedAddress, _ inUse: inout SortedMap<String, AddressInterface>
    ) throws(AddressDriverError) {
        var interface = inUse[link.name] ?? AddressInterface(name: link.name)
        if checked.address.isIPv6 {
            interface.takesIPv6 = true
        } else {
            interface.takesIPv4 = true
            let hasNetwork = try addresses.list().contains {
                !$0.isOurs && $0.interface == link.index
                    && $0.address.sharesNetwork(with: checked.address, prefixLength: checked.prefixLength)
            }
            if !hasNetwork { interface.lacksNetwork = true }
        }
        inUse[link.name] = interface
    }

    /// An interface that was removed, or renamed, has taken its addresses along: the next renewal takes the role over
    /// anew, or says why it cannot. One that came back hears an announcement, because the way to it may have changed;
    /// and IPv6 addresses, which the kernel removes when an interface goes down, are put back.
    private func follow(_ role: ResourceKey, _ present: HeldRole) {
        var cameBack = false
        for place in present.places {
            guard announcer.index(named: place.link.name) == place.link.index else {
                log.warning("interface \(place.link.name) of \(role) is gone, and \(place.address) with it")
                return drop(role)
            }
            if !announcer.hasCarrier(place.link) {
                watching.silentLinks.insert(place.link.index)
            } else if watching.silentLinks.remove(place.link.index) != nil {
                cameBack = true
            }
        }
        guard cameBack, present.stage == .holding else { return }
        putBack(role, present)
    }
}
