// The truth about guests: which instances of which guest there are, on which machine, and what each can write. Nothing of
// it is an agent's belief.

import Cluster
import Consensus
import Kinds

/// A process that runs a guest, with its disks open.
struct Instance: Sendable {
    enum Phase: Hashable, Sendable {
        /// Its disks are open, and the guest is not there yet.
        case starting
        case running
        /// It waits for a guest that is being moved here live, and writes nothing before it has it. Whoever sends it can vanish:
        /// it goes on waiting.
        case incoming
        /// It has given the guest away in a live move and was not ended: it has its disks open still, and writes nothing any
        /// more (QEMU: postmigrate).
        case spent
    }

    let id: UInt64
    let machine: Int
    let nonce: UInt64
    var phase: Phase
    /// The storage keeps its client out, for as long as it lives.
    var isFenced = false
    /// It runs and does no work, until it is started again.
    var isHung = false
    /// It has come by a move that failed then, without its configuration: it runs, and belongs elsewhere as far as anybody
    /// has been told.
    var isAstray = false
    /// Held still by hand, true time until which.
    var pausedUntil: Int64 = .min

    /// An instance that is held still can go on at any moment, so it counts.
    var canWrite: Bool { !isFenced && phase != .incoming && phase != .spent }
}

struct GuestTruth: Sendable {
    var workload: Plan.Workload
    let guest: Guest
    /// What people have asked for last.
    var desired: String
    var isDeclared = false
    /// It was declared once, or is to be from the start.
    var isKnown = true
    var memory: Int64
    var cores: Int64
    /// The machine in whose folder of /etc/pve its configuration lies; nil: it was never made.
    var config: Int?
    var lock: String?
    /// The machine, in one of its boots, that has made the backup which last locked it; nil: it lay nowhere.
    var backup: (machine: Int, boot: UInt64)?
    var startsTried: Int64 = 0
    var movesTried: Int64 = 0
    /// How its next live move fails once it runs at its target; nil: it does not.
    var lateFailure: Plan.MoveFailure?
    var instances: [Instance] = []

    /// Since the plan began.
    var starts = 0
    var moves = 0
    /// The machine it ran on last.
    var lastHost: Int?
    /// Since when it has not run although it should, and which machine it was lost with.
    var lostAt: Int64?
    var lostFrom: Int?
    /// When a hypervisor was first asked to start it since then, its configuration being there.
    var issuedAt: Int64?
    /// As `lostAt`, but not counting while no host could have run it.
    var waitsSince: Int64?
    var longestWait: Int64 = 0
    /// How the machine that it was lost with was fenced, as far as an order to start said so.
    var fence: String?

    init(_ workload: Plan.Workload) {
        self.workload = workload
        guest =
            workload.guest
            ?? Guest(
                workload: workload.key, form: workload.isContainer ? .container : .machine, vmid: workload.vmid)
        desired = workload.desired
        memory = workload.memory
        cores = workload.cores
    }

    var name: String { workload.name }
    /// The one that serves, if any.
    var serving: Instance? { instances.first { $0.phase == .running && !$0.isFenced } }
    func instances(on machine: Int) -> [Instance] { instances.filter { $0.machine == machine } }
    /// Those that neither only wait for it nor have given it away.
    func working(on machine: Int) -> [Instance] {
        instances.filter { $0.machine == machine && $0.phase != .incoming && $0.phase != .spent }
    }
}

/// The hypervisor of one machine: what outlives the agent's process, and ends with the power.
struct Hypervisor: Sendable {
    /// Counts the boots; tasks of an earlier one are gone.
    var boot: UInt64 = 1
    /// Proxmox's own quorum, as this machine sees it.
    var isQuorate = true
    /// Somebody ran `pvecm expected 1` here.
    var isLowered = false
    /// Machines with guests that it has heard of last, itself among them.
    var heard: [Int] = []
    /// True time until which nobody can write the configuration of Proxmox's cluster: one of them has fallen silent.
    var pausedUntil: Int64 = 0
    /// Names the change of quorum that is under way.
    var quorumTicket: UInt64 = 0
    var willBeQuorate = true
    /// Members of its part of Proxmox's cluster when votes were lowered.
    var loweredWith = 0
    /// True time until which its interface answers nothing.
    var silentUntil: Int64 = .min
    /// Of the next step it is not told how it went.
    var nextIsUnknown = false
    var watchdog = Watchdog()
    /// It is certain from outside that the machine is off: by its power switch, or by a person who looked.
    var isProvenOff = false
    /// Since when nobody outside hears it.
    var cutSince: Int64?
}

struct Watchdog: Sendable {
    /// On the machine's own clock, from which on it resets the machine; nil: it is not armed.
    var firesAt: Instant?
    /// True time; what a machine without power would have been reset by.
    var firesAtTrue: Int64 = .min
    /// Names the pending look; feeding schedules none.
    var isScheduled = false
    /// How much later than it should it fires.
    var lateness: Int64 = 0
    var fedFor: Interval = .zero
    /// True time until which it can neither be armed nor fed.
    var brokenUntil: Int64 = .min
}

/// The storage cluster: monitors that agree or do not, and whom the storage refuses.
struct CephModel: Sendable {
    let monitors: [Int]
    /// Those that agree with each other now; empty: too few.
    var quorum: [Int] = []
    /// True time from which on the present quorum answers.
    var answersFrom: Int64 = 0
    var blocked: [String] = []
    /// What was ever entered and not taken away by an order: clients of that time stay shut out, whatever expires.
    var shutOut: [String] = []
    /// Of the newest fence that each address was entered for.
    var epochs: SortedMap<String, UInt64> = [:]
    var map: UInt64 = 1

    func refuses(_ address: String) -> Bool { blocked.contains(address) }
}

/// What a driver is doing; ends with the machine's power, and is told to nobody when the process is another one.
struct GuestStepState: Sendable {
    enum Work: Sendable {
        case order(GuestOrder, machine: Int, life: UInt64)
        /// A person moves it by hand.
        case handMove(to: Int)
        case handStart
    }
    let work: Work
    let guest: Int
    let machine: Int
    let boot: UInt64
    var stage = 0
    /// How it ends is told to nobody, or it never began; found out later.
    var isUnknown = false
    /// True time after which a driver gives up asking.
    var deadline: Int64 = .max
    var instance: UInt64?
    /// What waits on the other machine of a live move.
    var incoming: UInt64?
}

/// A fence order on its way.
struct FenceStepState: Sendable {
    let order: FenceOrder
    let machine: Int
    let life: UInt64
    /// True time by which it has its effect or never; the greatest: it is not begun.
    var deadline: Int64 = .max
    /// The cluster has said that it is still wanted.
    var isConfirmed = false
    var isSent = false
}

/// The part of a process that talks to the hypervisor: its memory ends with it.
struct GuestDriver {
    /// What it watches, by the number of the guest.
    var watched: [Int] = []
    var watches = false
    var told: [GuestObservation]?
    var isBlind = false
    var toldFacts: HostFacts?
    /// Orders that wait for the one before them, for each guest.
    var queues: SortedMap<Int, [GuestOrder]> = [:]
    var busy: [Int] = []
    /// What the stop of the process caught.
    var held: [HeldOrder] = []
    /// True time at which the last order comes to the driver: orders of one process come in the order they were given.
    var lastComes: Int64 = .min
}

enum HeldOrder: Sendable {
    case guest(GuestOrder)
    case fence(FenceOrder)
}

/// Everything about workloads in one world. Only worlds with workloads have it, so the others pay nothing.
final class GuestLab {
    private let storage: Plan.Storage
    let conditions: Plan.Hypervisors
    var guests: [GuestTruth]
    /// By the number of the machine; those of witnesses and guests are not used.
    var hosts: [Hypervisor]
    var ceph: CephModel
    var draws: Draws
    var steps: SortedMap<UInt64, GuestStepState> = [:]
    var fences: SortedMap<UInt64, FenceStepState> = [:]
    /// By the number of the step or fence that is asked for.
    var claims: SortedMap<UInt64, ClaimQuestion> = [:]
    var lastNumber: UInt64 = 0
    var recoveries: [RunResult.Recovery] = []
    var resets: [RunResult.Reset] = []
    /// People change what is declared, or move guests by hand: what the cluster knew when it decided is then not what is
    /// true when it is carried out, and is not judged by that.
    let isEdited: Bool
    /// What machines of a present cluster are called by their storage, by their numbers.
    private let addresses: [String?]
    /// All faults have ended: what goes down by plan comes back by itself.
    var isHealing = false
    /// Whether the first start of everything is over, and what happens is of the plan.
    var hasBegun = false

    init(_ plan: Plan) {
        storage = plan.storage
        conditions = plan.hypervisors
        draws = Draws(seed: plan.seed, purpose: 50)
        guests = (plan.workloads + plan.laterWorkloads).map { GuestTruth($0) }
        hosts = plan.members.map { _ in Hypervisor() }
        addresses = plan.members.map { member in
            member.facts.flatMap { $0.storageAddress.isEmpty ? nil : $0.storageAddress }
        }
        isEdited = plan.timeline.contains {
            switch $0.action {
            case .setWorkload, .addWorkload, .deleteWorkload, .load, .handMove, .handStart, .handStop: true
            default: false
            }
        }
        ceph = CephModel(monitors: Self.monitors(of: plan))
        for position in guests.indices {
            guests[position].isKnown = position < plan.workloads.count
            let host = guests[position].workload.host
            guests[position].config = plan.members.firstIndex { $0.name == host }
        }
    }

    private static func monitors(of plan: Plan) -> [Int] {
        let named = plan.hypervisors.monitors.compactMap { name in plan.members.firstIndex { $0.name == name } }
        if !named.isEmpty { return named }
        let hosts = plan.members.indices.filter { plan.members[$0].kind == .host && !plan.members[$0].joinsLater }
        let witnesses = plan.members.indices.filter { plan.members[$0].kind == .witness }
        return Array(hosts.prefix(3 - min(witnesses.count, 1)) + witnesses.prefix(1)).sorted()
    }

    func number() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    /// Where the disks of a guest lie.
    func storage(of guest: Int) -> Plan.Storage { guests[guest].workload.storage ?? storage }
    /// Whether a host is a client of Ceph, for any guest.
    var hasCeph: Bool { storage == .ceph }

    func index(of workload: ResourceKey) -> Int? { guests.firstIndex { $0.guest.workload == workload } }
    func index(named name: String) -> Int? { guests.firstIndex { $0.name == name } }
    /// As Ceph sees the clients of a machine.
    func address(of machine: Int) -> String { addresses[machine] ?? "10.77.0.\(machine + 1)" }
}

extension Plan {
    /// Those that the timeline adds and that are not there from the start, each once.
    var laterWorkloads: [Workload] {
        var later: [Workload] = []
        for moment in timeline {
            guard case .addWorkload(let workload) = moment.action else { continue }
            if !(workloads + later).contains(where: { $0.name == workload.name }) { later.append(workload) }
        }
        return later
    }
}
