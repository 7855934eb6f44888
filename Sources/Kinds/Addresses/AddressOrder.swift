// What the deciding half tells the address driver, and what it hears back. The driver holds no policy: it never
// prolongs a hold by itself, and an order it was not given it does not carry out.

import Cluster
import Consensus

/// An order to a member's own address driver. Instants are CLOCK_BOOTTIME of this member.
public enum AddressOrder: Hashable, Sendable {
    /// Answer for the addresses until `until`, and not a moment longer: arm the kernel's guard for the time that is left,
    /// add the addresses if they are missing, and announce them when the epoch is new. All of them or none. Repeated with
    /// a later `until` at every lease renewal. An order whose `until` has passed is not carried out.
    case hold(role: ResourceKey, addresses: [VirtualAddress], epoch: UInt64, until: Instant)
    /// Planned give-up: fall silent in ARP and neighbour discovery at once and report `released`; go on accepting packets
    /// that still arrive for `drain` (at most 100 ms, and never beyond the last `until`), then remove the addresses.
    case release(role: ResourceKey, addresses: [VirtualAddress], epoch: UInt64, drain: Interval)
    /// Fall silent and remove the addresses at once. Nothing is reported.
    case drop(role: ResourceKey, addresses: [VirtualAddress])
}

/// What a driver reports of a role.
public enum RoleReport: Hashable, Sendable {
    /// The addresses are up and announced under this epoch.
    case holding(role: ResourceKey, epoch: UInt64)
    /// This member has fallen silent and will not answer for this epoch again.
    case released(role: ResourceKey, epoch: UInt64)
    /// This member cannot hold the addresses: what was attempted, what the system said, what to do about it.
    case failed(role: ResourceKey, epoch: UInt64, reason: String)
    /// Another machine on the network uses an address of a role that is held here. While it goes on, told again, at most
    /// once a second for a role.
    case conflict(role: ResourceKey, address: String, hardwareAddress: String)
    /// Why this member could not hold the addresses now as far as its interfaces go; nil: it could. Told when it changes,
    /// of the roles the driver was told to stand ready for.
    case place(role: ResourceKey, problem: String?)
    /// The result of the health check changed, after the declared number of failures or successes in a row.
    case health(role: ResourceKey, healthy: Bool, detail: String)
}
