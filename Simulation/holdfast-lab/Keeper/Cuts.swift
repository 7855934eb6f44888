// Partitions: frames dropped by nftables in the bridge they pass. The switch drops between its ports; a host's bridge
// drops for one guest. Frames of the observer (the switch itself asking who owns an address) always pass, so that
// ownership on both sides of a partition stays visible. Cables that are pulled are not here but in Network.

/// What may not pass from whom to whom.
struct Cuts {
    struct Cut: Hashable, Comparable, CustomStringConvertible {
        let from: String
        let to: String
        var description: String { "\(from) → \(to)" }
        static func < (left: Cut, right: Cut) -> Bool { (left.from, left.to) < (right.from, right.to) }
    }

    private let nft: String
    private let topology: Topology
    private(set) var cuts: Set<Cut> = []
    private(set) var isolated: Set<String> = []

    init(topology: Topology) throws {
        nft = try Executables.require("nft")
        self.topology = topology
    }

    /// The rules of one bridge, with empty sets.
    func install(in namespaces: Namespaces, of bridge: String) throws {
        let observer = Topology.observerHardwareAddress
        try apply(
            """
            table bridge lab {
                set cut {
                    type ifname . ifname
                }
                set isolated {
                    type ifname
                }
                chain forward {
                    type filter hook forward priority 0; policy accept;
                    ether saddr \(observer) accept
                    ether daddr \(observer) accept
                    iifname . oifname @cut drop
                    iifname @isolated drop
                    oifname @isolated drop
                }
            }
            """, in: namespaces, attempted: "prepare cuts in \(bridge)")
    }

    /// Cuts what `sender` sends to `receiver`, and unless `oneWay` the other direction too. Answers what was cut.
    mutating func cut(_ sender: Node, _ receiver: Node, oneWay: Bool, running: (String) -> RunningNode?) throws -> [Cut]
    {
        guard sender != receiver else { throw LabError("cut \(sender.name) from itself: give two different nodes") }
        let (from, to) = (try topology.attached(sender), try topology.attached(receiver))
        var wanted: [Cut]
        if from == to {
            guard from != sender, from != receiver else {
                throw LabError(
                    "\(sender.name) and \(receiver.name) are one machine's bridge and its guest; isolate the guest instead"
                )
            }
            wanted = [Cut(from: sender.name, to: receiver.name)]
        } else {
            wanted = [Cut(from: from.name, to: to.name)]
        }
        if !oneWay { wanted += wanted.map { Cut(from: $0.to, to: $0.from) } }
        let fresh = wanted.filter { !cuts.contains($0) }
        let bridge = from == to ? from : nil
        try change("add", "cut", fresh.map { "\"\($0.from)\" . \"\($0.to)\"" }, in: bridge, running: running)
        cuts.formUnion(fresh)
        return wanted
    }

    mutating func isolate(_ node: Node, running: (String) -> RunningNode?) throws {
        guard !isolated.contains(node.name) else { return }
        try change("add", "isolated", ["\"\(node.name)\""], in: bridge(of: node), running: running)
        isolated.insert(node.name)
    }

    /// Ends the isolation of `node` and every cut it is part of; all of them without a node.
    mutating func heal(_ node: Node?, running: (String) -> RunningNode?) throws {
        for name in isolated.sorted() where node == nil || node?.name == name {
            let member = try topology.node(name)
            try change("delete", "isolated", ["\"\(name)\""], in: bridge(of: member), running: running)
            isolated.remove(name)
        }
        let port = try node.map { try topology.attached($0).name }
        for cut in cuts.sorted() {
            guard node == nil || [cut.from, cut.to].contains(where: { $0 == node?.name || $0 == port }) else {
                continue
            }
            let from = try topology.attached(try topology.node(cut.from))
            let to = try topology.attached(try topology.node(cut.to))
            let element = "\"\(cut.from)\" . \"\(cut.to)\""
            try change("delete", "cut", [element], in: from == to ? from : nil, running: running)
            cuts.remove(cut)
        }
    }

    /// A host's bridge has come back with empty sets: what was cut inside it is cut again.
    func restore(inBridgeOf host: Node, running: (String) -> RunningNode?) throws {
        let guests = Set(topology.guests(of: host).map(\.name))
        let inside = cuts.sorted().filter { guests.contains($0.from) && guests.contains($0.to) }
        try change("add", "cut", inside.map { "\"\($0.from)\" . \"\($0.to)\"" }, in: host, running: running)
        let alone = isolated.sorted().filter(guests.contains)
        try change("add", "isolated", alone.map { "\"\($0)\"" }, in: host, running: running)
    }

    /// The host whose bridge `node` is plugged into; nil for the switch.
    private func bridge(of node: Node) throws -> Node? {
        let attached = try topology.attached(node)
        return attached == node ? nil : attached
    }

    private func change(
        _ verb: String, _ set: String, _ elements: [String], in bridge: Node?, running: (String) -> RunningNode?
    ) throws {
        guard !elements.isEmpty else { return }
        var namespaces = Namespaces.own
        if let bridge {
            // A host without power has no bridge; its rules come back with it.
            guard let host = running(bridge.name) else { return }
            namespaces = .network(of: host.descriptor)
        }
        let text = "\(verb) element bridge lab \(set) {\n\(elements.joined(separator: ",\n"))\n}"
        try apply(text, in: namespaces, attempted: "\(verb) \(elements.joined(separator: ", ")) in the bridge's rules")
    }

    private func apply(_ rules: String, in namespaces: Namespaces, attempted: String) throws {
        var command = Command([nft, "-f", "-"])
        command.namespaces = namespaces
        command.input = rules + "\n"
        try command.output(of: attempted)
    }
}
