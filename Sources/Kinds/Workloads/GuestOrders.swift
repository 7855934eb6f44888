// What the deciding half tells a host's hypervisor driver, and what it hears back. The driver holds no policy: it starts
// nothing by itself, repeats nothing that it was not told to repeat, and says what it saw.
//
// Relies on: one driver for each host, which carries out the orders for one guest in the order they come.
// Does not: know why. An order names the epoch it was given under, and a report names the epoch of its order.

import Cluster
import Consensus

/// A guest as the hypervisor names it.
public struct Guest: Hashable, Sendable, Comparable {
    public enum Form: String, Hashable, Sendable, CaseIterable {
        /// A virtual machine (QEMU).
        case machine
        /// A system container (LXC).
        case container
    }

    /// The declared resource: `VirtualMachine/gitlab`.
    public var workload: ResourceKey
    public var form: Form
    /// The number Proxmox knows it by, 100 to 999,999,999.
    public var vmid: Int64

    public init(workload: ResourceKey, form: Form, vmid: Int64) {
        self.workload = workload
        self.form = form
        self.vmid = vmid
    }

    public static func < (left: Guest, right: Guest) -> Bool { left.workload < right.workload }
}

/// An order to the driver of the host this agent runs on.
public enum GuestOrder: Hashable, Sendable {
    /// Observe exactly these from now on, and report what changes of them; guests that run here and are none of them are
    /// of no concern.
    case watch([Guest])
    /// Bring the guest up here: take its configuration over from one of `takeFrom`, when it lies there still, bring it in line
    /// with what is declared, start it. Does nothing and reports `done` when it runs here already.
    /// `takeFrom` are hosts whose fences are committed; none: the configuration must lie here, or the guest is new.
    /// `provenAway` are hosts that are fenced and not back. When the hypervisor's own cluster has lost its quorum this host may
    /// go on alone only if they are all that it has besides: a host that joined that cluster and not this one, or was removed
    /// from this one alone, may be at work. That they are away is asked for once more before it goes on without them.
    case start(Guest, epoch: UInt64, takeFrom: [String], provenAway: [String])
    /// Let the guest end by itself, and end it when it has not within `grace`.
    case stop(Guest, epoch: UInt64, grace: Interval)
    /// Give the guest to another host: `live`, while it runs, else stopped. One that runs and is not to be moved live is
    /// stopped here only when nothing is known to stand in the way of the move. Afterwards it is there, or still here, and
    /// never lost.
    case migrate(Guest, epoch: UInt64, to: String, live: Bool)
    /// End what runs of the guest here, whatever it takes: it was placed elsewhere while this host was away, or must not be
    /// run under the present fence. Its disks and its configuration are left alone.
    case destroy(Guest, epoch: UInt64)
}

/// What a step was, in a report.
public enum GuestStep: String, Hashable, Sendable, Codable, CaseIterable {
    case start, stop, migrate, destroy
}

/// What the driver reports.
public enum GuestReport: Hashable, Sendable {
    /// What there is of the watched guests now: all of them, in their order. Told when it changed, and after every step: the
    /// first after a step's report was looked for after the step had ended.
    case observed([GuestObservation])
    /// The driver could not look: what was asked, what the system said, what to do about it. Nothing is known of any guest.
    case blind(reason: String)
    /// The driver may not take part: what it said would not be so. It looks again by itself, and what it reports next of the
    /// host ends it.
    /// - `boot`: as of the host's facts, which are not told.
    /// - `watchdogMilliseconds`: as of the host's facts; 0: it is not known whether there is one.
    case refused(boot: String, watchdogMilliseconds: Int64, reason: String)
    /// The step was carried out, by the hypervisor's own word.
    case done(Guest, epoch: UInt64, GuestStep)
    /// The step was not carried out, and is not under way any more.
    case failed(Guest, epoch: UInt64, GuestStep, GuestFailure)
    /// What this host is, as its driver found it; told at the start and when it changes.
    case host(HostFacts)
}

/// Why a step was not carried out.
public struct GuestFailure: Hashable, Sendable {
    /// What was attempted, what the other side said, and what to do about it, on one line.
    public var reason: String
    /// The same step will not succeed here before a person or another host has done something: a missing privilege, a
    /// guest that is not there, a name in use.
    public var isPermanent: Bool
    /// Nothing was changed, nor asked to be, that could bring the guest here or make it run: what was seen of it before the step
    /// holds on. False: it may have been.
    public var hasBegunNothing: Bool
    /// Only a person can say whether it may go on. It is told until then, looked at again now and then, and uses up no try.
    public var awaitsPerson: Bool

    public init(
        _ reason: String, isPermanent: Bool = false, hasBegunNothing: Bool = false, awaitsPerson: Bool = false
    ) {
        self.reason = reason
        self.isPermanent = isPermanent
        self.hasBegunNothing = hasBegunNothing
        self.awaitsPerson = awaitsPerson
    }
}

/// What a host's hypervisor has of one guest.
public struct GuestObservation: Hashable, Sendable {
    public var guest: Guest
    public var state: GuestState
    /// What locks it: `migrate`, `backup` … It outlives its holder when that is killed, or its host reset. Nil: nothing.
    public var lock: String?
    /// Something on this host may hold that lock still.
    public var isWorkedOn: Bool
    /// A task brings it up here, or in from another host, whoever gave it that: a person, or an agent's process that has ended
    /// since. It may run at any moment.
    public var isStarting: Bool
    /// Why it must be left alone: Proxmox's own HA runs it.
    public var isManagedElsewhere: Bool
    /// What its health check says; nil inside `healthy` is unknown or unchecked.
    public var healthy: Bool?
    /// The addresses, with nonces, under which its disks are open: `192.168.1.106:0/2816435123`.
    public var clients: [String]
    /// The storage was asked for them since it runs here.
    public var clientsAreKnown = true
    /// A step of it ended after this look had begun: what was seen may be what was there before.
    public var isStale = false

    /// It runs here, or may before anybody has looked again.
    public var mayRun: Bool { isStarting || state == .running || state == .stuck }
    /// A sentence for people; empty when there is nothing to add.
    public var detail: String

    public init(
        _ guest: Guest, _ state: GuestState, lock: String? = nil, isWorkedOn: Bool = false,
        isStarting: Bool = false, isManagedElsewhere: Bool = false, healthy: Bool? = nil,
        clients: [String] = [], detail: String = ""
    ) {
        self.guest = guest
        self.state = state
        self.lock = lock
        self.isWorkedOn = isWorkedOn
        self.isStarting = isStarting
        self.isManagedElsewhere = isManagedElsewhere
        self.healthy = healthy
        self.clients = clients
        self.detail = detail
    }
}
