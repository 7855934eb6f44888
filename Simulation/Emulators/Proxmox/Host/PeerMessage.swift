// What the hosts of a cluster tell each other: that they are there, what was written, how their guests fare, and a guest
// that moves. Delivery is the shell's; messages may be late, doubled or lost.

/// A word of one node to another.
public enum PeerMessage: Hashable, Sendable, Codable {
    /// I am here; this is the state of my files.
    case alive(Alive)
    case wrote(ClusterFiles.Change)
    /// Send me all your files.
    case wantsFiles
    case files(ClusterFiles)
    /// I leave in order.
    case leaves
    case handsOver(HandOver)
    case tookOver(UPID)
    case refusesHandOver(UPID, String)

    public struct Alive: Hashable, Sendable, Codable {
        var version: UInt64
        var digest: String
        var status: NodeStatus?
    }

    /// A guest on its way to another node.
    public struct HandOver: Hashable, Sendable, Codable {
        var task: UPID
        var guest: GuestID
        /// nil when it is not running.
        var running: RunningGuest?
        /// Images of local storage that come along, and what they are called at the target.
        var volumes: [String: Volume]
    }
}

/// A message and whom it is for.
public struct Outgoing: Hashable, Sendable {
    public var node: String
    public var message: PeerMessage
}

/// What pvestatd tells the cluster every ten seconds.
public struct NodeStatus: Hashable, Sendable, Codable {
    struct Guest: Hashable, Sendable, Codable {
        var id: GuestID
        var isRunning: Bool
        var uptimeSeconds: Int
        var memory: Int64
        var networkIn: Int
        var networkOut: Int
        var diskSize: Int64
    }

    struct Disk: Hashable, Sendable, Codable {
        var name: String
        var total: Int64
        var used: Int64
        var isActive: Bool
    }

    var node: String
    var at: Moment
    var uptimeSeconds: Int
    var cores: Int
    var memory: Int64
    var memoryUsed: Int64
    var guests: [Guest]
    var storages: [Disk]
    var tasks: [TaskSummary]
    var fingerprint: String
}

/// What a guest's process has to do; a simulated guest has none.
public enum ProcessOrder: Hashable, Sendable {
    /// `isIncoming`: it takes a running guest over from another host, whose process has not ended yet.
    case start(GuestID, pid: Int, isIncoming: Bool)
    case stop(GuestID, pid: Int)
}
