// Who is a member, who is heard of, and whether there is a quorum: corosync's votequorum as a client of Proxmox sees it.
// A silent node is noticed after a token's time-out; the file system is read-only from then on when votes are missing.
// Hearing of others and the witness's vote come in from outside; nothing here sends.

/// A node of the cluster, from corosync.conf.
public struct Node: Hashable, Sendable, Codable {
    public var name: String
    public var id: Int
    public var address: String
    public var votes: Int

    public init(name: String, id: Int, address: String, votes: Int = 1) {
        self.name = name
        self.id = id
        self.address = address
        self.votes = votes
    }
}

/// The membership of a cluster as one node sees it.
public struct Membership: Sendable {
    /// How long things take, in milliseconds. Measured on real clusters: read-only 6.7 s after the other host was cut,
    /// writable 0.5 to 1.1 s after `pvecm expected 1`.
    public struct Times: Hashable, Sendable, Codable {
        /// From the last word of a node to its being offline.
        public var detection: Int64 = 6_700
        /// A node that has said nothing for so long may be gone: pmxcfs has no answer from it, and holds writes back until the
        /// membership is known. More than two words apart.
        public var silence: Int64 = 1_300
        /// From quorum to a writable /etc/pve.
        public var writable: Int64 = 700
        /// From a writable /etc/pve to daemons that know it.
        public var daemons: Int64 = 500
        /// How long writes say EBUSY after the membership changed.
        public var busy: Int64 = 300

        public init() {}
    }

    public let own: Node
    public let nodes: [Node]
    public let hasQDevice: Bool
    public var times = Times()

    private var lastHeard: [String: Moment] = [:]
    private var online: Set<String>
    private var expectedOverride: Int?
    private var qdeviceVote: (holds: Bool, at: Moment)?
    /// Since when the votes suffice.
    private var quorateSince: Moment?
    private var changed: Moment
    /// pmxcfs was started with `-l`: alone, writable, without cluster.
    public var isLocal = false

    /// - Parameter now: the others count as offline until they are heard of.
    public init(own: Node, nodes: [Node], hasQDevice: Bool, now: Moment) {
        self.own = own
        self.nodes = nodes
        self.hasQDevice = hasQDevice
        online = [own.name]
        changed = now
        update(now: now)
    }

    // MARK: What is heard

    /// - Returns: whether the node has just come online.
    @discardableResult
    mutating func heard(of name: String, now: Moment) -> Bool {
        guard name != own.name, nodes.contains(where: { $0.name == name }) else { return false }
        lastHeard[name] = now
        guard online.insert(name).inserted else { return false }
        // Whoever rejoins brings the expected votes of the configuration along.
        expectedOverride = nil
        changed = now
        update(now: now)
        return true
    }

    /// A node took its leave: corosync was stopped in order.
    mutating func left(_ name: String, now: Moment) {
        guard online.remove(name) != nil else { return }
        lastHeard[name] = nil
        changed = now
        update(now: now)
    }

    mutating func qdevice(votes: Bool, now: Moment) {
        qdeviceVote = (votes, now)
        update(now: now)
    }

    /// `pvecm expected N`.
    /// - Throws: `APIError` for a number that corosync refuses.
    mutating func expect(_ votes: Int, now: Moment) throws(APIError) {
        guard votes >= 1 else { throw .died("400 unable to set expected votes: value out of range") }
        expectedOverride = votes
        update(now: now)
    }

    /// Lets time pass.
    mutating func advance(to now: Moment) {
        for name in online where name != own.name {
            guard let last = lastHeard[name], now - last < times.detection else {
                online.remove(name)
                changed = now
                continue
            }
        }
        update(now: now)
    }

    private mutating func update(now: Moment) {
        if isLocal || totalVotes(now: now) >= quorum {
            if quorateSince == nil { quorateSince = now }
        } else {
            quorateSince = nil
        }
    }

    // MARK: What follows

    public func isOnline(_ name: String) -> Bool { online.contains(name) }

    public var onlineNodes: [Node] { nodes.filter { online.contains($0.name) } }

    func node(_ name: String) -> Node? { nodes.first { $0.name == name } }

    func qdeviceHolds(now: Moment) -> Bool {
        guard hasQDevice, let vote = qdeviceVote else { return false }
        return vote.holds && now - vote.at < times.detection
    }

    /// The votes of the configuration, or what `pvecm expected` said. votequorum never expects fewer than are there.
    public var expectedVotes: Int {
        let present = onlineNodes.reduce(0) { $0 + $1.votes }
        let configured = nodes.reduce(0) { $0 + $1.votes } + (hasQDevice ? 1 : 0)
        return max(expectedOverride ?? configured, present)
    }

    public var quorum: Int { expectedVotes / 2 + 1 }

    public func totalVotes(now: Moment) -> Int {
        onlineNodes.reduce(0) { $0 + $1.votes } + (qdeviceHolds(now: now) ? 1 : 0)
    }

    /// The votes suffice, and /etc/pve has followed.
    public func isWritable(now: Moment) -> Bool {
        guard let quorateSince else { return false }
        return now - quorateSince >= times.writable
    }

    /// The daemons have followed too, and no longer answer "no quorum".
    public func isReady(now: Moment) -> Bool {
        guard let quorateSince else { return false }
        return now - quorateSince >= times.writable + times.daemons
    }

    /// The votes suffice: what corosync says, before anything has followed.
    public var isQuorate: Bool { quorateSince != nil }

    /// Somebody who counts as online has fallen silent.
    func isUncertain(now: Moment) -> Bool {
        !isLocal && online.contains { $0 != own.name && now - (lastHeard[$0] ?? now) > times.silence }
    }

    /// The file system is synchronizing after nodes came or went.
    func isBusy(now: Moment) -> Bool { !isLocal && nodes.count > 1 && now - changed < times.busy }

    /// Makes all nodes online and everything settled: the state a test begins with.
    public mutating func settle(online names: [String], now: Moment) {
        online = Set(names).union([own.name])
        for name in names { lastHeard[name] = now }
        changed = now + -times.busy
        quorateSince = nil
        update(now: now)
        if quorateSince != nil { quorateSince = now + -(times.writable + times.daemons) }
    }
}
