// Proxmox's own HA, as far as somebody who must keep away from it can see it: requests that end before anything happens,
// the state that follows some seconds later, and the recovery of a dead node's guests after more than two minutes.

/// The HA manager's and the local agent's state on one node.
struct HAAgent: Hashable, Sendable {
    /// From a round of the manager to the next of the local agents, and from there to the manager's next: as recorded, eleven
    /// seconds from one round of the manager to the next.
    static let localMilliseconds: Int64 = 4_700
    static let managerMilliseconds: Int64 = 6_300
    /// From the first thing to manage to the manager's first round, in milliseconds.
    static let firstLoopMilliseconds: Int64 = 2_700
    /// From a node's going offline to the recovery of its guests: 144.4 s from the power cut on a real cluster, of which
    /// 8.1 s pass until the node is offline.
    static let recoveryMilliseconds: Int64 = 130_400

    var nextLoop: Moment?
    var master: String?
    /// Since when a node is offline, by its name.
    var offlineSince: [String: Moment] = [:]
    /// When each node's agent was last seen at work.
    var lastLoop: Moment?
    var states: [String: String] = [:]
    /// Rounds with something to do, the manager's and the local agents' in turn. In the first the manager takes the lead and
    /// the local agents ask for their locks; in the second they have them and act.
    var rounds = 0
    var hasLock: Bool { rounds > 1 }
    /// What ran when the manager looked last.
    var seenRunning: Set<String> = []
}

/// A guest under Proxmox's HA.
struct HAResource: Hashable, Sendable, Codable {
    var sid: String
    var state: String
    var group: String?
    var maxRestart: Int
    var maxRelocate: Int
    var comment: String?
    var failback: Bool?
    /// The node a migration was asked to.
    var requestedNode: String?

    var type: String { String(sid.prefix { $0 != ":" }) }
    var vmid: Int { Int(sid.drop { $0 != ":" }.dropFirst()) ?? 0 }
    var guest: GuestID { GuestID(type == "ct" ? .lxc : .qemu, vmid) }
}

struct HAGroup: Hashable, Sendable, Codable {
    var group: String
    var nodes: String
    var comment: String?
}

/// What /etc/pve/ha holds.
struct HAConfiguration: Hashable, Sendable, Codable {
    static let path = "ha/resources.cfg"

    var resources: [HAResource] = []
    var groups: [HAGroup] = []
}
