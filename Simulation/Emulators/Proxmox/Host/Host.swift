// One Proxmox host as a plain value: its files, guests, images and tasks, its view of the cluster. It has no clock and no
// socket; `advance(to:)` lets time pass, `answer` takes a request, `receive` another node's word, and what it has to say
// lies in `outbox` until somebody carries it. Several hosts make a cluster: EmulatedCluster in one process, or one process
// each (HostProcess).
//
// Shared images are the one thing that is not part of the value: storage that survives a host is outside of all hosts.

import FoundationEssentials

/// A Proxmox host.
public struct Host: Sendable {
    public let settings: HostSettings
    public internal(set) var files: ClusterFiles
    public internal(set) var membership: Membership
    /// Images of this host's own storages.
    public internal(set) var volumes: VolumeTable
    public let shared: SharedVolumes
    public internal(set) var running: [GuestID: RunningGuest] = [:]
    public var behaviours: [Int: GuestBehaviour] = [:]
    public var faults = Faults()
    public internal(set) var tasks = TaskStore()
    /// What waits to be carried to other nodes.
    public var outbox: [Outgoing] = []
    /// What waits to be done to guests' processes.
    public var orders: [ProcessOrder] = []
    /// The last word of each node about itself, this one's among them.
    var board: [String: NodeStatus] = [:]
    /// Locks on guests, and the task that holds each.
    var locks: [GuestID: UPID] = [:]
    var haAgent = HAAgent()
    var clusterLog: [ClusterLogLine] = []
    /// "reboot" or "shutdown", asked for over the API; the shell carries it out.
    public var powerRequest: String?
    let decoded = DecodedFiles()
    let booted: Moment
    public internal(set) var now: Moment
    var nextPID = 989
    var draws: UInt64
    /// Finished tasks of before the last restart.
    var formerTasks: [TaskSummary] = []

    public var name: String { settings.node.name }

    /// A host that is switched on.
    /// - Parameter disk: what it kept from before; a new host has nothing.
    public init(settings: HostSettings, disk: HostDisk = HostDisk(), shared: SharedVolumes, now: Moment) {
        self.settings = settings
        self.shared = shared
        self.now = now
        booted = now
        files = disk.files
        volumes = disk.volumes
        formerTasks = disk.tasks
        draws = UInt64(truncatingIfNeeded: now.milliseconds) &+ UInt64(settings.node.id) &* 0x9E37_79B9
        membership = Membership(
            own: settings.node, nodes: settings.nodes, hasQDevice: settings.hasQDevice, now: now)
        membership.times = settings.times
        for (identifier, volume) in volumes.volumes where volume.writer != nil {
            volumes.volumes[identifier]?.writer = nil
        }
        shared.attach(settings.node.name, incarnation: now.milliseconds)
        publishStatus()
        wakeHAAgent()
    }

    /// What survives a loss of power.
    public var disk: HostDisk {
        HostDisk(files: files, volumes: volumes, tasks: Array((tasks.summaries + formerTasks).prefix(500)))
    }

    // MARK: Time

    /// Lets time pass: tasks go on, silent nodes become offline, statuses are told.
    public mutating func advance(to moment: Moment) {
        while let next = nextDue, next <= moment {
            now = max(now, next)
            membership.advance(to: now)
            step()
        }
        now = max(now, moment)
        membership.advance(to: now)
    }

    /// When something happens by itself next.
    public var nextDue: Moment? {
        [tasks.next?.due, nextStatus, haAgent.nextLoop].compactMap { $0 }.min()
    }

    private var nextStatus: Moment? { board[name].map { $0.at + settings.statusInterval } }

    private mutating func step() {
        if let next = tasks.next, next.due <= now { stepTask(next.upid) }
        if let status = nextStatus, status <= now { publishStatus() }
        if let loop = haAgent.nextLoop, loop <= now { runHAAgent() }
    }

    // MARK: Files

    /// Writes a file of /etc/pve, or removes it with nil.
    /// - Throws: what a process of this host is told when it may not.
    mutating func write(_ path: String, _ content: String?) throws(APIError) {
        let denied = "unable to open file '/etc/pve/\(path).tmp.\(nextPID)'"
        guard membership.isWritable(now: now) else { throw .died("\(denied) - Permission denied") }
        guard !membership.isBusy(now: now) else { throw .died("\(denied) - Device or resource busy") }
        tell(files.write(path, content, writer: settings.node.id))
    }

    private mutating func tell(_ change: ClusterFiles.Change) {
        for node in membership.onlineNodes where node.name != name {
            outbox.append(Outgoing(node: node.name, message: .wrote(change)))
        }
    }

    /// Renames a file of /etc/pve, as `mv` does: the way to take a guest from a node that is down.
    /// - Throws: `APIError` with the text `mv` would print behind the names.
    public mutating func rename(_ from: String, to target: String) throws(APIError) {
        guard files.exists(from) else { throw .died("No such file or directory") }
        guard membership.isWritable(now: now) else { throw .died("Permission denied") }
        guard !membership.isBusy(now: now) else { throw .died("Device or resource busy") }
        guard !files.exists(target) else { throw .died("File exists") }
        if let change = files.rename(from, to: target, writer: settings.node.id) { tell(change) }
    }

    /// Writes or removes a file of /etc/pve as an editor does.
    public mutating func writeByHand(_ path: String, _ content: String?) throws(APIError) { try write(path, content) }

    /// What /etc/pve shows of guests, by path.
    public var visibleFiles: [String: String] {
        var found: [String: String] = [:]
        for path in files.paths where path.hasPrefix("nodes/") { found[path] = files.read(path) }
        let nodes = settings.nodes.map { node in
            "  \"\(node.name)\": { \"id\": \(node.id), \"online\": \(membership.isOnline(node.name) ? 1 : 0), "
                + "\"ip\": \"\(node.address)\"}"
        }
        found[".members"] =
            "{\n\"nodename\": \"\(name)\",\n\"version\": \(files.version),\n\"cluster\": "
            + "{ \"name\": \"\(settings.clusterName)\", \"version\": \(settings.nodes.count), "
            + "\"nodes\": \(settings.nodes.count), \"quorate\": \(isFilesWritable ? 1 : 0) },\n\"nodelist\": {\n"
            + nodes.joined(separator: ",\n") + "\n  }\n}\n"
        return found
    }

    public var isFilesWritable: Bool { membership.isWritable(now: now) }

    /// Whether a write by hand would be answered now. While it is not known who is there, pmxcfs lets it wait; the folder
    /// that stands for it can only refuse.
    public var isFolderWritable: Bool {
        isFilesWritable && !membership.isUncertain(now: now) && !membership.isBusy(now: now)
    }

    public mutating func noteRefusedChange(_ text: String) {
        note("refused change of /etc/pve: \(text)", tag: "pmxcfs")
    }

    /// Puts a file in place without asking anybody: a host that is set up.
    public mutating func install(_ path: String, _ content: String) {
        _ = files.write(path, content, writer: settings.node.id)
    }

    /// Takes another host's files as they are: a host that is set up as part of a cluster.
    public mutating func adoptFiles(_ files: ClusterFiles) { self.files = files }

    // MARK: Small things

    mutating func takePID() -> Int {
        nextPID += 1
        return nextPID
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): names and addresses that differ from run to run only with the moment.
    mutating func draw() -> UInt64 {
        draws &+= 0x9E37_79B9_7F4A_7C15
        var mixed = draws
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func drawHex(_ digits: Int) -> String {
        var text = ""
        while text.count < digits {
            let part = String(draw(), radix: 16)
            text += String(repeating: "0", count: 16 - part.count) + part
        }
        return String(text.prefix(digits))
    }

    mutating func drawUUID() -> String {
        let hex = Array(drawHex(32))
        func part(_ range: Range<Int>) -> String { String(hex[range]) }
        return "\(part(0..<8))-\(part(8..<12))-4\(part(13..<16))-a\(part(17..<20))-\(part(20..<32))"
    }

    /// A hardware address with Proxmox's prefix.
    mutating func drawMAC() -> String {
        let hex = Array(drawHex(6).uppercased())
        return "BC:24:11:\(hex[0])\(hex[1]):\(hex[2])\(hex[3]):\(hex[4])\(hex[5])"
    }
}

/// What a host keeps when it loses power.
public struct HostDisk: Hashable, Sendable, Codable {
    public var files = ClusterFiles()
    public var volumes = VolumeTable()
    var tasks: [TaskSummary] = []

    public init() {}

    init(files: ClusterFiles, volumes: VolumeTable, tasks: [TaskSummary]) {
        self.files = files
        self.volumes = volumes
        self.tasks = tasks
    }
}

/// A line of the cluster's log.
struct ClusterLogLine: Hashable, Sendable {
    var number: Int
    var time: Int
    var pid: Int
    var user: String
    var tag: String
    var text: String
}

/// A login's ticket.
struct Ticket: Hashable, Sendable {
    var user: String
    var csrfDigest: String
}
