// The kernel of one machine, as far as addresses go: elements with a timeout that say which addresses it speaks for.
// Modelled after Sources/Drivers/Addresses/DESIGN.md: every arming runs under a ticket of 12 ms, so that a process that
// was stopped between computing a timeout and handing it over arms nothing.

import Cluster
import Consensus
import Kinds

struct Kernel: Sendable {
    /// The ticket's life: three ticks at 250 Hz.
    static let ticket = Interval.milliseconds(12)

    /// From the driver's look at the clock to the kernel, true nanoseconds; and on a machine whose processors are busy.
    static let usualLatency: ClosedRange<Int64> = 5_000...80_000
    static let starvedLatency: ClosedRange<Int64> = 5_000...40_000_000

    struct Element: Hashable, Sendable {
        var address: String
        var epoch: UInt64
        /// A reading of this machine's own clock, from which on it is silent.
        var until: Instant
    }

    /// What the machine answers ARP for.
    var speaking: SortedMap<ResourceKey, Element> = [:]
    /// What it falls silent for, but still accepts packets for (the drain of a planned move).
    var draining: SortedMap<ResourceKey, Element> = [:]
    /// Epochs its driver gave up for good; the driver is a part of the process, so a new process knows nothing of it.
    var released: SortedMap<ResourceKey, UInt64> = [:]

    func speaks(for role: ResourceKey, at reading: Instant) -> Bool {
        speaking.look(role) { reading < $0.until } ?? false
    }

    func accepts(_ role: ResourceKey, at reading: Instant) -> Bool {
        if speaks(for: role, at: reading) { return true }
        guard let element = draining[role] else { return false }
        return reading < element.until
    }
}

/// An order on its way from the agent through its driver into the kernel.
struct KernelCall: Sendable {
    let order: AddressOrder
    /// When the driver looked at the clock; nil until it has.
    var ticketAt: Instant?
}
