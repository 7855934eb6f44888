// Where each workload belongs. A placement says which host may run a guest; only that host starts it, and only under a
// lease. It says nothing of whether the guest runs: that is what the hosts saw, which stands beside it.
//
//     nowhere ──place──▶ on(a) ──move──▶ moving(a, to: b) ──moveEnded──▶ on(b), or on(a) again
//                          │                    │
//                          └──── place (a is fenced) ──▶ on(b) ──handBack──▶ on(a), if b has not taken it over
//
// Every change counts the epoch up. A host that was away compares epochs before it touches anything.

import Consensus

/// What a host has of a guest.
public enum GuestState: String, Hashable, Sendable, Codable, CaseIterable {
    /// Neither its configuration nor anything of it that runs is here.
    case absent
    /// Its configuration is here, and nothing of it runs.
    case stopped
    /// It runs here.
    case running
    /// A process of it is here and does no work: paused after an error of its disk, or left over without a configuration
    /// here. It must not be taken for a guest that serves.
    case stuck
}

/// What a host said last of a guest.
public struct Sighting: Hashable, Sendable, Codable {
    public var state: GuestState
    /// Whether the host's check of it passes; nil: unchecked, or not known yet.
    public var healthy: Bool?
    /// A sentence for people; empty when there is nothing to add.
    public var detail: String
    /// Under which addresses, with nonces, its disks are open there; at most 64.
    public var clients: [String]

    public init(_ state: GuestState, healthy: Bool? = nil, detail: String = "", clients: [String] = []) {
        self.state = state
        self.healthy = healthy
        self.detail = detail
        self.clients = clients
    }
}

/// What was done about a workload that runs and does not do its work, by its health check, since it was last well for a
/// while. What is to be done next is decided in Decisions.
public struct Care: Hashable, Sendable {
    /// How often it was restarted where it was.
    public internal(set) var restarts: UInt64 = 0
    /// Hosts it was taken from because it was not well there; at most `Placement.mostTried`.
    public internal(set) var left: [String] = []
    /// It is to end where it runs, and is started there again. True only while it was seen to run there last.
    public internal(set) var isRestarting = false
    /// Its check has passed since it was started last.
    public internal(set) var wasWell = false

    public init() {}

    /// How much was done.
    public var steps: Int { Int(clamping: restarts) + left.count }

    /// Begins anew; what is known of its present run stays.
    mutating func end() {
        restarts = 0
        left = []
        isRestarting = false
    }

    /// It runs no more, or elsewhere.
    mutating func runEnded() {
        isRestarting = false
        wasWell = false
    }
}

/// One thing that is done about a workload because of its health check.
public enum CareStep: Hashable, Sendable, Codable {
    /// Its host ends it and starts it again.
    case restart
    /// It is stopped, and started on this host.
    case move(to: String)
    /// It has been well for so long that what was done is forgotten.
    case end
}

/// The place of one workload.
public struct Placement: Hashable, Sendable {
    public enum Phase: Hashable, Sendable {
        /// No host may run it.
        case nowhere
        /// This host may run it, by the name of its member.
        case on(String)
        /// The first has it, and is giving it to the second.
        case moving(from: String, to: String, live: Bool)
    }

    public internal(set) var phase: Phase = .nowhere
    public internal(set) var epoch: UInt64 = 0
    /// What the hosts said last, by name. A host that has said nothing is not known to lack it.
    public internal(set) var sightings: SortedMap<String, Sighting> = [:]
    /// Starts that failed on its present host since it ran last.
    public internal(set) var failures: UInt64 = 0
    /// Hosts it was taken from because it would not start there, since it ran last; at most `mostTried`.
    public internal(set) var tried: [String] = []
    /// Hosts it could not be moved to; at most `mostTried`. That it runs again where it was says nothing about them, so
    /// they stay until it has moved, a person wants something new, or the host itself is another one.
    public internal(set) var barredFrom: [String] = []
    /// A person's word: whether it shall run, until its declaration says something new. Nil: as declared.
    public internal(set) var wanted: Bool?
    /// Where a person wants it, and whether it may be moved while it runs; empty: nowhere in particular.
    public internal(set) var wish = ""
    public internal(set) var wishIsLive = false
    /// Why it is not what it should be; empty: it is, or is about to be.
    public internal(set) var obstacle = ""
    /// Another host had it when its own was fenced, and why it is there.
    public internal(set) var reason = ""
    public internal(set) var since: UInt64 = 0
    public internal(set) var sinceMilliseconds: Int64 = 0
    /// The host whose fence had to be proven before it was placed here; its configuration lies there still. Empty: none.
    public internal(set) var takenFrom = ""
    public internal(set) var care = Care()
    public internal(set) var lastEvent: UInt64 = 0

    public static let mostTried = 16
    public static let mostClients = 64

    public init() {}

    /// The host that has it, if any: while it moves, the one it moves from.
    public var host: String? {
        switch phase {
        case .nowhere: nil
        case .on(let host), .moving(let host, _, _): host
        }
    }
    /// Where memory is kept for it: while it moves, on both.
    public var hosts: [String] {
        switch phase {
        case .nowhere: []
        case .on(let host): [host]
        case .moving(let from, let to, _): [from, to]
        }
    }
    /// Hosts that are not tried while there is another.
    public var passedOver: [String] { tried + barredFrom.filter { !tried.contains($0) } }
    public func sighting(on host: String) -> GuestState? { sightings.look(host) { $0.state } }
    /// What its check says of it where it belongs; nil: it does not run there, or nothing is known.
    public var isHealthy: Bool? {
        guard case .on(let host) = phase, let seen = sightings[host], seen.state == .running else { return nil }
        return seen.healthy
    }
    /// It belongs somewhere else, where it may be running already.
    mutating func careForNewPlace() {
        care.runEnded()
        care.wasWell = isHealthy == true
    }
}
