// The addresses of one role that this member holds or is just giving up. They share everything: the lease, the epoch,
// and each step.

import Consensus
import Kinds

/// An address and where it is.
struct PlacedAddress: Hashable {
    let address: IPAddress
    let link: Link
}

struct HeldRole {
    enum Stage: Equatable {
        /// Answers for the addresses.
        case holding
        /// Silent in ARP and neighbour discovery; packets that still arrive are accepted until this instant.
        case draining(until: Instant)
    }

    let declared: [VirtualAddress]
    let places: [PlacedAddress]
    var epoch: UInt64
    /// The end of the lease, as last ordered.
    var until: Instant
    var stage = Stage.holding
    /// When the lifetime of the addresses on their interfaces was set last.
    var lifetimeSetAt: Instant
    /// Announcements that are still due, in order.
    var announcements: [Instant] = []
    /// Another machine was seen with one of the addresses; no second word about it before this instant.
    var quietAboutConflictsUntil = Instant.distantPast

    var addresses: [IPAddress] { places.map(\.address) }
    /// For words: `192.168.1.99 and fd00::99`.
    var names: String { addresses.map(\.description).joined(separator: " and ") }
    /// `192.168.1.99 on vmbr0 and fd00::99 on vmbr0`.
    var namesWithPlaces: String { places.map { "\($0.address) on \($0.link.name)" }.joined(separator: " and ") }

    /// When something has to be done next, whether or not an order comes.
    var nextDue: Instant {
        switch stage {
        case .draining(let end): end
        case .holding: announcements.first.map { $0 < until ? $0 : until } ?? until
        }
    }
}

/// Lifetimes of an address on its interface: the second belt, in whole seconds (kernel: IFA_CACHEINFO).
enum AddressLifetime {
    /// How often it is set anew while the lease is renewed.
    static let refreshInterval = Interval.milliseconds(900)
    /// With the kernel's guard: a little more than the lease, so that it never ends first; at least 3 s.
    static func besideGuard(left: Interval) -> UInt32 {
        UInt32(clamping: Swift.max(3, left.secondsRoundedUp + 1))
    }

    /// Without the guard, this is the only thing that ends the lease. The kernel looks at lifetimes once a second and
    /// rounds, so an address goes up to 1.5 s after its lifetime, and it has to be at least
    /// 2 s, twice the time between two settings. nil: the lease is too short to be enforced.
    static func insteadOfGuard(left: Interval) -> UInt32? {
        let seconds = (left - .milliseconds(1_500)).nanoseconds / 1_000_000_000
        return seconds < 2 ? nil : UInt32(clamping: seconds)
    }
}
