// What the deciding half tells the address driver, and what it hears back. The driver holds no policy: it never
// prolongs a hold by itself, and an order it was not given it does not carry out.

import Cluster
import Consensus

/// An order to a member's own address driver. Instants are CLOCK_BOOTTIME of this member.
public enum AddressOrder: Hashable, Sendable {
    /// Answer for the address until `until`, and not a moment longer: arm the kernel's guard for the time that is left,
    /// add the address if it is missing, and announce it when the epoch is new. Repeated with a later `until` at every
    /// lease renewal. An order whose `until` has passed is not carried out.
    case hold(role: ResourceKey, address: VirtualAddress, epoch: UInt64, until: Instant)
    /// Planned give-up: fall silent in ARP at once and report `released`; go on accepting packets that still arrive for
    /// `drain` (at most 100 ms, and never beyond the last `until`), then remove the address.
    case release(role: ResourceKey, address: VirtualAddress, epoch: UInt64, drain: Interval)
    /// Fall silent and remove the address at once. Nothing is reported.
    case drop(role: ResourceKey, address: VirtualAddress)
}

/// What a driver reports of a role.
public enum RoleReport: Hashable, Sendable {
    /// The address is up and announced under this epoch.
    case holding(role: ResourceKey, epoch: UInt64)
    /// This member has fallen silent and will not answer for this epoch again.
    case released(role: ResourceKey, epoch: UInt64)
    /// This member cannot hold the address: what was attempted, what the system said, what to do about it.
    case failed(role: ResourceKey, epoch: UInt64, reason: String)
    /// The result of the health check changed, after the declared number of failures or successes in a row.
    case health(role: ResourceKey, healthy: Bool, detail: String)
}
