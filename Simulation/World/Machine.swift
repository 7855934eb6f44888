// One machine of the world: power, a clock, a kernel, a disk, and the agent that runs on it.
// Only what is true of it; what happens to it is in the files that extend World.

import Agent
import Cluster
import Consensus

final class Machine {
    enum Health {
        case unchecked, well, unwell
    }

    /// The agent process.
    final class Process {
        var core: AgentCore
        /// Stopped by SIGSTOP; what arrives waits.
        var isPaused = false
        var backlog: [AgentEvent] = []
        /// Writes that became durable while it stood still; what they let out waits.
        var heldBack: [LogWrite] = []
        /// Driver calls that the stop caught.
        var calls: [KernelCall] = []
        /// What the last turn left, to see what changed.
        var seenTerm: Term = .zero
        var wasLeader = false
        var applied: LogIndex = .zero
        /// It was asked to stop.
        var isStopping = false
        /// What talks to the hypervisor, on a host.
        var driver = GuestDriver()
        /// The roles whose health it checks, and what it was told of each last.
        var health: SortedMap<ResourceKey, Health> = [:]

        init(core: AgentCore) { self.core = core }
    }

    /// Frames that wait for a stopped process; what its sockets hold, roughly. More are lost.
    static let mostBacklog = 4_096

    let index: Int
    let plan: Plan.Member
    let id: MemberID
    /// The machine it lives on now, for a guest.
    var hostIndex: Int?

    var version: String
    /// The feature level that version understands: 1.x the first, 2.x the second; in a lab with workloads, what they need
    /// at least.
    var level: UInt64 { max(UInt64(version.prefix { $0 != "." }) ?? 1, leastLevel) }
    var leastLevel: UInt64 = 1
    var isPowered = true
    /// A guest that its hypervisor holds still.
    var isFrozen: Bool { clock.isStopped }
    var clock: MachineClock
    var kernel = Kernel()
    var disk = LogDiskModel()
    /// An image of the disk, as hypervisors and backups keep them; taken when the plan begins, and by `save-disk`.
    var diskImage = LogDiskModel()
    var diskLatency: ClosedRange<Int64>
    /// True time at which the write in front is durable; nil: none is under way.
    var diskBusyUntil: Int64?
    var process: Process?
    /// Counts processes; what was scheduled for an earlier one does nothing.
    var life: UInt64 = 0
    /// Whether an agent is to run here when the machine runs.
    var wantsAgent = true
    /// Its operating system is stopping.
    var isGoingDown = false
    /// How often its agent had it restarted, and how often it has come back from that.
    var restartsByOrder = 0
    var bootsAfterOrder = 0
    var hasJoined = false
    /// Names the boot that is under way; zero: none is.
    var bootTicket: UInt64 = 0
    /// True time until which a resumed guest may speak beside a new holder (failover.md, "Pause").
    var concededUntil: Int64 = .min
    /// True time until which what health checks look at is down.
    var unwellUntil: Int64 = .min
    /// How long a driver takes from its look at the clock to the kernel.
    var callLatency = Kernel.usualLatency
    var draws: Draws

    init(index: Int, plan: Plan.Member, hostIndex: Int?, clock: MachineClock, latency: ClosedRange<Int64>, draws: Draws)
    {
        self.index = index
        self.plan = plan
        self.hostIndex = hostIndex
        id = plan.id ?? MemberID(rawValue: UInt64(index) + 1)
        version = plan.version
        self.clock = clock
        diskLatency = latency
        self.draws = draws
    }

    var name: String { plan.name }
    func reading(at now: Int64) -> Instant { clock.reading(at: now) }
}
