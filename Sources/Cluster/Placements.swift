// Where each workload belongs. A placement says which host may run a guest; only that host starts it, and only under a
// lease. It says nothing of whether the guest runs: that is what the hosts saw, which stands beside it.
//
//     nowhere ──place──▶ on(a) ──move──▶ moving(a, to: b) ──moveEnded──▶ on(b), or on(a) again
//                          │                    │
//                          └──── place (a is fenced) ──▶ on(b) ──handBack──▶ on(a), if b has not taken it over
//
// Every change counts the epoch up. A host that was away compares epochs before it touches anything.
//
// A move is carried out by the hypervisors, and goes on while the host it leads to is lost, reset, and up again without its
// agent. So who has arrived by the word of its old host alone is `isUnseen`, and a proof about its new host need not be
// about it.

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

    /// A process of it is here, which may be at its disks.
    public var mayWrite: Bool { self == .running || self == .stuck }
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
    /// The hosts whose fences had to be proven before it was placed here, until it was seen to run here: its configuration
    /// lies with one of them, or here. The newest first; more than one where a host was lost before it had taken it over, or
    /// where a move had failed that may have got further than was said. At most `mostTried`.
    public internal(set) var sources: [String] = [] {
        didSet { if sources.count > Self.mostTried { sources.removeLast(sources.count - Self.mostTried) } }
    }
    /// It was sent to its present host, or to the one that it is moved to, and that one has not said since that it has it.
    /// A word that is given while a fence of it is open does not count: what that fence proves may be older.
    public internal(set) var isUnseen = false
    /// Hosts that it could not be moved to while it ran, and that have not said since that nothing of it runs there: the
    /// process that was to take it over may run all the same. It is started nowhere else meanwhile.
    public internal(set) var leftovers: [String] = []
    /// Its host cannot look at its guests and has begun nothing for it; it does not before it is placed there anew.
    public internal(set) var isDeclined = false
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

    /// Whether it may have come to a host without that one having said so.
    public func isUnseen(on host: String) -> Bool {
        switch phase {
        case .on(host), .moving(_, to: host, _): isUnseen
        default: false
        }
    }
}

extension ClusterState {
    /// Hosts that may have a workload of which they have said nothing, in order: also those that have not said yet what they
    /// are. Who is no member any more says nothing, and what it had is lost with it.
    public var hostsToHear: [String] {
        members.values.filter { $0.kind == .host && ($0.runsGuests != false || hosts.contains($0.name)) }
            .map(\.name).sorted()
    }

    /// What proves that a host no longer writes to the disks of a workload that was placed there, or may have come there.
    /// Empty while there is no proof. Whether one of them suffices hangs on where the disks lie; that is known in Decisions.
    public func proofs(that host: String, lostItsHoldOn placement: Placement) -> [FenceMethod] {
        guard let record = hosts[host], record.fence.isProven else { return [] }
        return record.proofs.filter { isAbout(placement, on: host, record, $0) }.map(\.method)
    }

    /// Whether a proof of a host is about a workload.
    private func isAbout(_ placement: Placement, on host: String, _ record: HostRecord, _ proof: FenceProof) -> Bool {
        guard placement.isUnseen(on: host) || placement.leftovers.contains(host) else { return true }
        switch proof.method {
        // It resets a machine once, at a moment that nobody knows. Whatever comes there later, it says nothing of it.
        case .watchdog: return false
        // While the entry stands, also who comes later is kept out.
        case .cephBlocklist:
            if case .proven = record.fence { return true }
        case .power, .word: break
        }
        return arrivedBy(placement).map { proof.ordered >= $0 } ?? false
    }

    /// Hosts besides one on which a workload may run as far as is known: one to which a move of it failed and that has neither
    /// said since that nothing of it is there nor is proven to be away, and one that has said that it runs there, or that a
    /// process of it is there (also one without a configuration works, where the end of a move has failed), until that host is
    /// proven to write to its disks no more: it may be fenced for others, whose disks are elsewhere.
    /// - Parameter suffices: whether a proof keeps a host from the disks of the workload.
    public func holders(of placement: Placement, besides host: String, suffices: (FenceMethod) -> Bool) -> [String] {
        let left = placement.leftovers.filter { left in
            left != host && hosts.contains(left)
                && !proofs(that: left, lostItsHoldOn: placement).contains(where: suffices)
        }
        let seen = placement.sightings.pairs.filter { name, sighting in
            name != host && sighting.state.mayWrite && hosts.contains(name) && !left.contains(name)
                && !isKeptOut(name, placement, suffices)
        }
        return left + seen.map(\.0)
    }

    /// Whether what was seen on a host does not count any more. One that is back says what is there now: it may have started
    /// anew what lies there, and only the storage keeps it out while it is there.
    private func isKeptOut(_ name: String, _ placement: Placement, _ suffices: (FenceMethod) -> Bool) -> Bool {
        let proofs = proofs(that: name, lostItsHoldOn: placement).filter(suffices)
        if member(named: name)?.reachable != true { return !proofs.isEmpty }
        guard case .proven = hosts[name]?.fence else { return false }
        return proofs.contains(.cephBlocklist)
    }

    /// Hosts that the configuration of a workload may be taken from, if it does not lie where the workload belongs: those that
    /// it was placed anew because of, those to which a move of it failed (one that fails may have taken it there), and every
    /// other one that the storage keeps out and that has not said that it has nothing of it: it may have been moved there by
    /// hand. Of the other proofs none says anything of what came there after it: such a host may be up again.
    /// - Parameter suffices: whether a proof keeps a host from the disks of the workload.
    public func hostsToTakeFrom(_ placement: Placement, suffices: (FenceMethod) -> Bool) -> [String] {
        let known =
            placement.sources.filter { hosts[$0]?.fence.isProven ?? true }
            + placement.leftovers.filter { hosts[$0]?.fence.isProven == true && !placement.sources.contains($0) }
        return known
            + hosts.keys.filter { name in
                !known.contains(name) && placement.host != name && placement.sighting(on: name) != .absent
                    && isProvenAway(name) && suffices(.cephBlocklist)
                    && hosts[name]?.proofs.contains { $0.method == .cephBlocklist } == true
            }
    }

    /// By the word of a person nothing runs on a host. What a failed move has taken there lies there still.
    mutating func settleLeftovers(on name: String) {
        for (workload, placement) in placements.pairs where placement.leftovers.contains(name) {
            _ = placements.update(workload) {
                $0.leftovers.removeAll { $0 == name }
                if case .on(let host) = $0.phase, $0.sighting(on: host) != .running, !$0.sources.contains(name) {
                    $0.sources.insert(name, at: 0)
                }
            }
        }
    }

    /// A host has nothing of any guest, or is no host of the cluster any more.
    mutating func forgetLeftovers(on host: String) {
        for (workload, placement) in placements.pairs where placement.leftovers.contains(host) {
            _ = placements.update(workload) { $0.leftovers.removeAll { $0 == host } }
        }
    }

    /// What a machine said that is no host any more says nothing of one that comes later under its name.
    mutating func forgetSightings(on host: String) {
        for (workload, placement) in placements.pairs where placement.sightings.contains(host) {
            _ = placements.update(workload) { $0.sightings[host] = nil }
        }
    }

    /// The revision by which a workload that is unseen had come to its host, or would never come there. Nil: it may come yet.
    private func arrivedBy(_ placement: Placement) -> UInt64? {
        switch placement.phase {
        case .nowhere: 0
        case .on: placement.since
        // The move ends with the machine that it begins at; that its storage keeps it out does not end it.
        case .moving(let from, _, _):
            hosts[from]?.proofs.filter { $0.method != .cephBlocklist }.map(\.since).min()
        }
    }
}
