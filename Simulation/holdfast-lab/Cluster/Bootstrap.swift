// From machines to a cluster: the emulated Proxmox of each host, then the first member makes the cluster, and the others
// join with single-use tokens of their kind. A lab whose data was kept goes on from there without tokens.

import Glibc

/// What a lab has beyond what every lab has.
struct LabOutfit {
    /// When corosync takes a silent host for gone.
    var detectionMilliseconds = Hypervisor.usualDetection
    /// Whether the witness gives Proxmox's own cluster a third vote.
    var hasQDevice = false
    /// From the last feeding of the hosts' watchdogs to their reset, at most; nil: they have none.
    var watchdogSeconds: Int?
    /// Guests beside the lab's own.
    var crowd: [LabGuest] = []
}

/// Brings the agents of a lab up.
struct Bootstrap {
    let client: KeeperClient
    let holdfast: HoldfastClient
    private let outfit: LabOutfit

    init(client: KeeperClient, binary: String, outfit: LabOutfit = LabOutfit()) {
        self.client = client
        self.outfit = outfit
        holdfast = HoldfastClient(client: client, binary: binary)
    }

    /// Starts every agent and waits until all are members that reach each other.
    func run(tell: (String) -> Void) throws {
        let members = Topology.homelab.members
        guard let first = members.first else { return }
        let hypervisors = try startHypervisors(tell: tell)
        // All that were members when the lab ended: the first one alone may be no quorum any more.
        let present = try hasJoined(first) ? members.filter(hasJoined) : [initialize(first, tell: tell)]
        for (hypervisor, fingerprint) in hypervisors {
            if let seconds = outfit.watchdogSeconds { try startWatchdog(of: hypervisor.host, seconds: seconds) }
            try hypervisor.tellAgent(fingerprint: fingerprint, watchdogSeconds: outfit.watchdogSeconds)
        }
        try present.forEach(start)
        try holdfast.wait(for: "a leader among \(present.map(\.name).joined(separator: ", "))", seconds: 30) {
            $0.leader != nil
        }
        try present.forEach(remember)
        for member in members where !present.contains(member) { try join(member, tell: tell) }
        try holdfast.wait(for: "every member being reachable", seconds: 60) { status in
            status.leader != nil
                && members.allSatisfy { member in status.members.contains { $0.name == member.name && $0.reachable } }
        }
        try members.forEach(remember)
        tell("\(members.count) agents run: \(members.map(\.name).joined(separator: ", "))")
    }

    /// Starts the emulated Proxmox of every host, with the lab's guests in it when it is new, and answers their fingerprints.
    private func startHypervisors(tell: (String) -> Void) throws -> [(Hypervisor, fingerprint: String)] {
        let program = try Hypervisor.program(beside: holdfast.binary)
        let qdevice = outfit.hasQDevice ? try startQDevice(program) : nil
        let all = Hypervisor.all(
            in: client.directory, program: program, detectionMilliseconds: outfit.detectionMilliseconds,
            qdevice: qdevice)
        let areNew = all.filter { !$0.hasState }
        for hypervisor in all {
            try hypervisor.prepare()
            try client.ask(
                Request(.startHypervisor, node: hypervisor.host.name, arguments: hypervisor.arguments))
        }
        let answering = try all.map { ($0, fingerprint: try $0.waitUntilItAnswers()) }
        try Hypervisor.waitUntilTheySeeEachOther(all)
        for hypervisor in areNew { try hypervisor.furnish(crowd: outfit.crowd) }
        tell(
            "\(all.count) hosts run an emulated Proxmox, with the guests \(LabGuest.all.map(\.name).joined(separator: ", "))"
        )
        return answering
    }

    /// Answers where the vote is given.
    private func startQDevice(_ program: String) throws -> String {
        let witness = try Topology.homelab.nodes.first { $0.kind == .witness }.required("witness")
        try client.ask(
            Request(
                .startHypervisor, node: witness.name, arguments: Hypervisor.qdeviceArguments(program: program)))
        return "\(witness.address):\(Hypervisor.qdevicePort)"
    }

    private func startWatchdog(of host: Node, seconds: Int) throws {
        let program = [
            try Executables.own(), "watchdog", "--dir", client.directory.path, "--seconds", "\(seconds)", host.name,
        ]
        try client.ask(Request(.startWatchdog, node: host.name, arguments: program))
    }

    /// Whether its agent starts without a token. The founder's administrator is written after its identity, so only
    /// with both is it complete.
    private func hasJoined(_ member: Node) -> Bool {
        access(client.directory.identity(of: member.name), F_OK) == 0 && access(client.directory.context, F_OK) == 0
    }

    /// Founds the cluster on `member`, and answers it. What an `up` that was cut off left there is no cluster yet.
    private func initialize(_ member: Node, tell: (String) -> Void) throws -> Node {
        try client.directory.removeData(of: member.name)
        let words = [
            "cluster", "init", "--name", "home", "--data-dir", client.directory.data(of: member.name),
            "--member", member.name, "--kind", member.kind.word, "--address", member.address,
            "--peer-port", "\(HoldfastClient.peerPort)", "--api-port", "\(HoldfastClient.interfacePort)",
        ]
        tell("$ holdfast \(words.joined(separator: " "))")
        var command = Command(try client.inside(member.name, [holdfast.binary] + words))
        command.additionalEnvironment = ["HOLDFAST_CONFIG": client.directory.context]
        command.deadlineMilliseconds = 30_000
        try command.output(of: "holdfast cluster init on \(member.name)")
        return member
    }

    private func plainProgram(_ member: Node) -> [String] {
        [holdfast.binary, "agent", "--data-dir", client.directory.data(of: member.name)]
    }

    private func start(_ member: Node) throws {
        try client.ask(Request(.startAgent, node: member.name, arguments: plainProgram(member)))
    }

    private func join(_ member: Node, tell: (String) -> Void) throws {
        let token = try holdfast.output(["cluster", "token", "create", "--kind", member.kind.word, "--ttl", "1h"])
            .split(whereSeparator: \.isWhitespace).first.map(String.init)
        guard let token else { throw LabError("holdfast cluster token create printed no token") }
        var words = ["--name", member.name, "--kind", member.kind.word, "--address", member.address]
        if case .guest(let host) = member.kind { words += ["--host", host] }
        tell("$ holdfast agent --data-dir … --join TOKEN \(words.joined(separator: " "))")
        try client.ask(
            Request(.startAgent, node: member.name, arguments: plainProgram(member) + ["--join", token] + words))
    }

    /// From now on the agent starts without a token, whenever its node gets power.
    private func remember(_ member: Node) throws {
        try client.ask(Request(.memberJoined, node: member.name, arguments: plainProgram(member)))
    }
}
