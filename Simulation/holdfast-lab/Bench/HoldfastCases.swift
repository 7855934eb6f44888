// The bench's cases for Holdfast: what is done to the holder of the Kubernetes API's address, or to the leader, how one
// knows that it is over, and how it is put right. Between repetitions the lab is whole again.

import CKernel

/// Something that is done to the lab, and its undoing.
enum Disturbance: String, CaseIterable {
    case hostPowerOffHolder = "host power-off, holder"
    case hostPowerOffLeader = "host power-off, leader"
    case hostPowerOffBoth = "host power-off, both in one"
    case agentKilled = "agent kill -9"
    case agentPaused = "agent SIGSTOP"
    case linkCut = "link cut"
    case partition = "partition that isolates the holder"
    case plannedMove = "planned move"
    case agentStopped = "agent stop"

    var aim: Aim {
        switch self {
        case .plannedMove, .agentStopped: .planned
        default: .fault
        }
    }

    var returnAim: Aim? { self == .partition || self == .linkCut ? .heal : nil }

    /// Whether the leader is to sit on the machine that is hit in repetition `number`.
    func wantsLeader(inRepetition number: Int) -> Bool {
        switch self {
        case .hostPowerOffHolder: false
        case .hostPowerOffLeader, .hostPowerOffBoth: true
        default: !number.isMultiple(of: 2)
        }
    }
}

/// Runs the cases against a lab of agents.
struct HoldfastBench {
    let client: KeeperClient
    let holdfast: HoldfastClient
    static let address = "192.168.1.99"

    /// What a repetition is about.
    private struct Scene {
        var holder: Node
        var machine: Node
        var leader: Node
        var name: String
        /// Another candidate, on the other host.
        var other: Node
    }

    func repeatOnce(_ disturbance: Disturbance, number: Int) throws -> Repetition {
        let scene = try arrange(disturbance, number: number)
        let observation = try Observation(client, address: Self.address)
        try observation.wait(for: "\(scene.holder.name) answering", seconds: 20) {
            !$0.isSilent && $0.owner == scene.holder.name
        }
        let target = disturbance == .hostPowerOffLeader ? scene.leader.name : scene.machine.name
        let disturbed = try begin(disturbance, scene)
        try awaitEnd(of: disturbance, scene, observation)
        let restored = lab_wall_clock()
        try putRight(disturbance, scene)
        try holdfast.waitUntilWhole()
        return try observation.finish(
            disturbed: disturbed, restored: restored, target: target, leaderHit: scene.leader.name == target)
    }

    /// After a failed repetition: everything back, whatever it was.
    func recover() throws {
        try client.ask(Request(.heal))
        for node in try client.status().nodes {
            if !node.plugged { try client.ask(Request(.plug, node: node.name)) }
        }
        for node in try client.status().nodes where !node.powered && node.host == nil {
            try client.ask(Request(.powerOn, node: node.name))
        }
        for node in try client.status().nodes where node.kind != "client" {
            if node.agent == "paused" { try client.ask(Request(.resumeAgent, node: node.name)) }
            if !["running", "paused"].contains(node.agent) { try client.ask(Request(.startAgent, node: node.name)) }
        }
        try holdfast.waitUntilWhole()
    }

    /// Puts the address where the case wants it, in relation to the leader.
    private func arrange(_ disturbance: Disturbance, number: Int) throws -> Scene {
        let topology = Topology.homelab
        var status = try holdfast.wait(for: "a whole lab with a host as leader", seconds: 90) { status in
            status.isWhole && status.holds(HoldfastClient.addresses)
                && topology.nodes.contains { $0.kind == .host && $0.name == status.leader }
        }
        let leader = try topology.node(status.leader ?? "")
        let together = disturbance.wantsLeader(inRepetition: number) && disturbance != .hostPowerOffLeader
        let machine = try topology.nodes.first { $0.kind == .host && ($0 == leader) == together }.required("a host")
        let name = try status.address(Self.address).required(Self.address).name
        if try holdfast.holder(of: Self.address, in: status).machine != machine {
            try move(name, to: try topology.guests(of: machine).first.required("a guest of \(machine.name)"))
            status = try holdfast.waitUntilWhole()
        }
        let holder = try holdfast.holder(of: Self.address, in: status)
        let elsewhere = try topology.nodes.first { $0.kind == .host && $0 != holder.machine }.required("another host")
        return Scene(
            holder: holder.member, machine: holder.machine, leader: leader, name: name,
            other: try topology.guests(of: elsewhere).first.required("a guest of \(elsewhere.name)"))
    }

    private func move(_ name: String, to member: Node) throws {
        try holdfast.output(["vip", "move", name, "--to", member.name])
        try holdfast.wait(for: "\(member.name) holding \(name)", seconds: 20) {
            $0.address(Self.address)?.holder == member.name
        }
    }

    /// Answers when it began.
    private func begin(_ disturbance: Disturbance, _ scene: Scene) throws -> Int64 {
        let now = lab_wall_clock()
        let request: Request
        switch disturbance {
        case .hostPowerOffHolder, .hostPowerOffBoth: request = Request(.powerOff, node: scene.machine.name)
        case .hostPowerOffLeader: request = Request(.powerOff, node: scene.leader.name)
        case .agentKilled: request = Request(.killAgent, node: scene.holder.name)
        case .agentPaused: request = Request(.pauseAgent, node: scene.holder.name)
        case .linkCut: request = Request(.unplug, node: scene.machine.name)
        case .partition: request = Request(.isolate, node: scene.machine.name)
        case .agentStopped: request = Request(.stopAgent, node: scene.holder.name)
        case .plannedMove:
            try move(scene.name, to: scene.other)
            return now
        }
        return try client.ask(request).at ?? now
    }

    private func awaitEnd(of disturbance: Disturbance, _ scene: Scene, _ observation: Observation) throws {
        if disturbance == .hostPowerOffLeader {
            try holdfast.wait(for: "another leader", seconds: 30) { $0.leader != nil && $0.leader != scene.leader.name }
        } else {
            try observation.wait(for: "another owner that answers", seconds: 30) {
                !$0.isSilent && $0.owner != nil && $0.owner != scene.holder.name
            }
        }
    }

    private func putRight(_ disturbance: Disturbance, _ scene: Scene) throws {
        switch disturbance {
        case .hostPowerOffHolder, .hostPowerOffBoth: try client.ask(Request(.powerOn, node: scene.machine.name))
        case .hostPowerOffLeader: try client.ask(Request(.powerOn, node: scene.leader.name))
        case .agentKilled, .agentStopped: try client.ask(Request(.startAgent, node: scene.holder.name))
        case .agentPaused: try client.ask(Request(.resumeAgent, node: scene.holder.name))
        case .linkCut: try client.ask(Request(.plug, node: scene.machine.name))
        case .partition: try client.ask(Request(.heal, node: scene.machine.name))
        case .plannedMove: break
        }
    }
}

extension Optional {
    /// The value. - Throws: that the lab lacks `what`.
    func required(_ what: String) throws -> Wrapped {
        guard let self else { throw LabError("the lab has no \(what)", exitCode: 3) }
        return self
    }
}
