// One look at this host: what it has of the watched guests, put together from the API's lists and from the processes that
// run. Decides nothing; where the two disagree, the more dangerous reading is told.

import Cluster
import Consensus
import Kinds

/// What was found.
struct HostLook: Sendable {
    var summaries: [GuestSummary] = []
    var machines: [MachineProcess] = []
    /// What is being done here.
    var tasks: [TaskIdentifier] = []
    var runningContainers: [GuestNumber] = []
    var isQuorate = false
    /// Whether it was also asked for what is asked seldom.
    var isThorough = false
    /// QEMU's own words by guest, as last told.
    var standstills: SortedMap<Int, String> = [:]
    /// `vm:120`, ...
    var managed: [String] = []

    /// What there is of a guest.
    func observation(of guest: Guest, notes: GuestNotes) -> GuestObservation {
        guard let number = GuestNumber(guest) else {
            return GuestObservation(guest, .absent, detail: "\(guest.vmid) is no number of a guest")
        }
        let isProcess =
            machines.contains { $0.guest == number } || runningContainers.contains(number)
        guard let summary = summaries.first(where: { $0.guest.number == number.number }), summary.guest == number else {
            var observation = GuestObservation(
                guest, isProcess ? .stuck : .absent, isStarting: ProxmoxHost.isStarting(number, by: tasks))
            if isProcess {
                observation.detail = "it runs here, and its configuration does not lie here"
                observation.note(notes.clients[number.number])
            } else if let other = summaries.first(where: { $0.guest.number == number.number }) {
                observation.detail = "the number is in use by \(other.guest) (\(other.name))"
            }
            return observation
        }
        var observation = GuestObservation(
            guest, summary.isRunning || isProcess ? .running : .stopped, lock: summary.lock,
            isWorkedOn: summary.lock.map { ProxmoxHost.isWorkedOn(number, lock: $0, by: tasks) } ?? false,
            isStarting: ProxmoxHost.isStarting(number, by: tasks),
            isManagedElsewhere: managed.contains(number.serviceName))
        var details: [String] = []
        if summary.isTemplate { details.append("it is a template") }
        if observation.state == .running, let standstill = standstills[number.number] {
            observation.state = .stuck
            details.append("it stands still: \(standstill)")
        }
        if observation.isManagedElsewhere { details.append("Proxmox's own high availability manages it") }
        if let note = notes.words[number.number] { details.append(note) }
        if observation.state == .running {
            observation.healthy = notes.health[guest.workload]
        }
        // Also of one that stands still: it has its disks open, and may go on.
        if observation.state == .running || observation.state == .stuck {
            observation.note(notes.clients[number.number])
        }
        observation.detail = details.joined(separator: "; ")
        return observation
    }
}

extension GuestObservation {
    /// - Parameter clients: nil: the storage was not asked yet.
    fileprivate mutating func note(_ clients: [String]?) {
        (self.clients, clientsAreKnown) = (clients ?? [], clients != nil)
    }
}

/// What is known of guests from other sources than a look.
struct GuestNotes: Sendable {
    /// How it differs from its declaration, what waits for a restart.
    var words: SortedMap<Int, String> = [:]
    var health: SortedMap<ResourceKey, Bool> = [:]
    /// The clients under which its disks are open.
    var clients: SortedMap<Int, [String]> = [:]
}

/// Looks. Remembers what is asked for less often than the lists.
struct HostLooker: Sendable {
    let host: ProxmoxHost
    let settings: ProxmoxSettings
    private var looks = 0
    private var last = HostLook()

    /// Proxmox's HA is asked for at every this many looks, and so is QEMU's own state.
    static let seldom = 4

    init(host: ProxmoxHost, settings: ProxmoxSettings) {
        self.host = host
        self.settings = settings
    }

    /// - Parameter isReportDue: a step has ended, or it is asked what is true now: then QEMU's own state is looked at too, for
    ///   a machine that a failed move has handed over still counts as running to Proxmox.
    /// - Throws: what could not be asked; then nothing is known of any guest.
    mutating func look(at watched: [Guest], isReportDue: Bool) async throws(ProxmoxError) -> HostLook {
        if let blindness = settings.machines.blindness() {
            throw ProxmoxError(
                .unsafe, attempted: "look at the machines of \(settings.node)",
                reason: "\(blindness); as root: \(ProxmoxSettings.reachAdvice)")
        }
        var look = HostLook()
        look.isQuorate = try await host.quorum().isQuorate
        let isThorough = looks % Self.seldom == 0
        look.isThorough = isThorough
        look.managed = try await isThorough ? host.managedByProxmox() : last.managed
        // Before the lists: what has ended by then is in them.
        look.tasks = try await host.activeTasks()
        let (summaries, standstills) = try await host.guests(thoroughly: isThorough || isReportDue)
        look.summaries = summaries
        // What stood still does so until it is seen to do something else, or has been stopped.
        look.standstills = standstills ?? last.standstills
        // After the lists: what was started in between is seen by one of both.
        look.machines = settings.machines.running()
        // What has begun in between has locked what is in the lists.
        if summaries.contains(where: { $0.lock != nil }) { look.tasks += try await host.activeTasks() }
        look.runningContainers = watched.compactMap(GuestNumber.init).filter(settings.containers.isRunning)
        looks += 1
        last = look
        return look
    }
}

extension ProxmoxHost {
    /// All guests of this node; thoroughly with the states of machines that do no work although they run (which makes
    /// Proxmox ask each of them).
    func guests(
        thoroughly: Bool
    ) async throws(ProxmoxError) -> (guests: [GuestSummary], standstills: SortedMap<Int, String>?) {
        var found: [GuestSummary] = []
        var standstills: SortedMap<Int, String> = [:]
        for kind in GuestNumber.Kind.allCases {
            let attempted = "list the guests (\(kind.rawValue)) on \(node)"
            let isFull = thoroughly && kind == .machine
            let data = try await client.get(
                "/nodes/\(node)/\(kind.rawValue)", isFull ? [("full", "1")] : [], attempted: attempted)
            guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
            for entry in entries {
                guard let summary = GuestSummary(entry, kind) else { throw unreadable(attempted, "a guest") }
                found.append(summary)
                if let word = entry["qmpstatus"]?.lenientText, GuestStatus.isStandstill(word) {
                    standstills[summary.guest.number] = word
                }
            }
        }
        return (found.sorted { $0.guest < $1.guest }, thoroughly ? standstills : nil)
    }
}
