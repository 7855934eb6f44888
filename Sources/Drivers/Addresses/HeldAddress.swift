// One address this member holds or is just giving up.

import Consensus
import Kinds

struct HeldAddress {
    enum Stage: Equatable {
        /// Answers for the address.
        case holding
        /// Silent in ARP; packets that still arrive are accepted until this instant.
        case draining(until: Instant)
    }

    let declared: VirtualAddress
    let address: IPv4Address
    let link: Link
    var epoch: UInt64
    /// The end of the lease, as last ordered.
    var until: Instant
    var stage = Stage.holding
    /// When the address's lifetime on the interface was set last.
    var lifetimeSetAt: Instant
    /// Announcements that are still due, in order.
    var announcements: [Instant] = []
    /// Another machine was seen with the address; no second word about it before this instant.
    var quietAboutConflictsUntil = Instant.distantPast

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
