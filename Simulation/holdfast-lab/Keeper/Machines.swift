// Power: switching the lab's machines on and off, and the agents inside them. A power cut takes a host and its guests
// together: ports down, then SIGKILL for everything, within a fraction of a millisecond; what is on disk stays.

import CKernel
import Glibc

/// The machines of a lab and what runs in them.
final class Machines {
    let topology: Topology
    let directory: LabDirectory
    private let network: Network
    private(set) var cuts: Cuts
    private var running: [String: RunningNode] = [:]
    private var unplugged: Set<String> = []
    /// What each node last ran as its agent, without tokens; it starts again with the power.
    private var programs: [String: [String]] = [:]
    /// The same for the emulated Proxmox of a host.
    private var hypervisors: [String: [String]] = [:]
    /// The same for the watchdog of a host.
    private var watchdogs: [String: [String]] = [:]

    init(topology: Topology, directory: LabDirectory) throws {
        self.topology = topology
        self.directory = directory
        network = try Network()
        cuts = try Cuts(topology: topology)
        try network.buildSwitch()
        try cuts.install(in: .own, of: "the switch")
        for node in topology.nodes where node.kind == .host { try powerOn(node) }
        for node in topology.nodes where !isOn(node) { try powerOn(node) }
    }

    func isOn(_ node: Node) -> Bool { running[node.name] != nil }

    private func host(of node: Node) throws -> RunningNode? {
        guard case .guest(let host) = node.kind else { return nil }
        guard let running = running[host] else {
            throw LabError("\(node.name) is a guest of \(host), which has no power; power-on \(host) first")
        }
        return running
    }

    // MARK: Power

    /// Switches `node` on, with the guests inside it, and starts what ran in them.
    func powerOn(_ node: Node) throws {
        for member in topology.domain(of: node) where !isOn(member) {
            let host = try host(of: member)
            let machine = try RunningNode(name: member.name)
            running[member.name] = machine
            do {
                try network.plug(member, machine: machine, host: host)
                if member.kind == .host {
                    try cuts.install(in: .network(of: machine.descriptor), of: member.name)
                    try cuts.restore(inBridgeOf: member) { running[$0] }
                }
                if unplugged.contains(member.name) { try network.setPort(of: member, host: host, up: false) }
                if hypervisors[member.name] != nil { try startHypervisor(member, program: nil) }
                if watchdogs[member.name] != nil { try startWatchdog(member, program: nil) }
                if let program = programs[member.name] { try startAgent(member, program: program, keep: true) }
            } catch {
                _ = try? powerOff(member)
                throw error
            }
        }
    }

    /// Cuts the power of `node` and its guests. Answers when it happened, nanoseconds of the wall clock.
    @discardableResult
    func powerOff(_ node: Node) throws -> Int64 {
        let lost = topology.domain(of: node).compactMap { member in running[member.name].map { (member, $0) } }
        guard !lost.isEmpty else { throw LabError("\(node.name) has no power already", exitCode: 4) }
        let host = try host(of: node)
        let at = lab_wall_clock()
        // Ports and cables may have gone already, with a namespace or by hand.
        try? network.setPort(of: node, host: host, up: false)
        for (_, machine) in lost { machine.kill() }
        for (member, machine) in lost {
            try collect(machine, named: member.name)
            running[member.name] = nil
        }
        // The cable vanishes with the namespace sooner or later; it must be gone before the power returns.
        try? network.removeCable(of: node, host: host)
        return at
    }

    /// Waits until the kernel has killed everything inside `machine`. Whatever was adopted by the keeper must be
    /// collected meanwhile: the kernel waits for it.
    private func collect(_ machine: RunningNode, named name: String) throws {
        let deadline = Deadline.after(milliseconds: 10_000)
        while waitReadable([machine.descriptor.number], until: .after(milliseconds: 20)).isEmpty {
            collectChildren()
            guard !deadline.hasPassed else {
                throw LabError.timedOut("\(name) did not die of the power cut within 10 s")
            }
        }
        collectChildren()
    }

    /// Collects every child that has ended: agents, first processes, and orphans of commands run by `exec`.
    func collectChildren() {
        var status: Int32 = 0
        while true {
            let process = waitpid(-1, &status, WNOHANG)
            guard process > 0 else { return }
            for machine in running.values {
                for program in [machine.agent, machine.hypervisor, machine.watchdog]
                where program?.child.identifier == process {
                    program?.child.collected(Ending(status: status))
                }
            }
        }
    }

    // MARK: Cables and partitions

    func setPlugged(_ node: Node, _ plugged: Bool) throws {
        if plugged { unplugged.remove(node.name) } else { unplugged.insert(node.name) }
        guard isOn(node) else { return }
        try network.setPort(of: node, host: try host(of: node), up: plugged)
    }

    func cut(_ sender: Node, _ receiver: Node, oneWay: Bool) throws -> [Cuts.Cut] {
        try cuts.cut(sender, receiver, oneWay: oneWay) { running[$0] }
    }

    func isolate(_ node: Node) throws { try cuts.isolate(node) { running[$0] } }

    func heal(_ node: Node?) throws { try cuts.heal(node) { running[$0] } }

    // MARK: Agents

    /// Starts `program`, or what the node ran last. With `keep` it starts again whenever the power returns.
    func startAgent(_ node: Node, program: [String]?, keep: Bool) throws {
        let machine = try powered(node)
        if let agent = machine.agent, agent.child.poll() == nil {
            throw LabError("the agent of \(node.name) is \(agent.state) already", exitCode: 4)
        }
        guard let program = program ?? programs[node.name] else {
            throw LabError("\(node.name) is no member yet; `holdfast-lab up` makes it one")
        }
        let log = try directory.appending(directory.agentLog(of: node.name))
        let child = try ChildProcess(
            program, in: .of(machine.descriptor), output: .descriptor(log), errors: .descriptor(log),
            additionalEnvironment: ["HOLDFAST_CONFIG": directory.context], ownSession: true)
        machine.agent = AgentProcess(child)
        if keep { programs[node.name] = program }
    }

    /// Starts the emulated Proxmox of a host, or the QDevice of the witness, now and whenever the power returns.
    func startHypervisor(_ node: Node, program: [String]?) throws {
        let machine = try powered(node)
        guard node.kind == .host || node.kind == .witness else {
            throw LabError("\(node.name) is neither a host nor the witness", exitCode: 3)
        }
        if let emulator = machine.hypervisor, emulator.child.poll() == nil {
            throw LabError("the emulated Proxmox of \(node.name) runs already", exitCode: 4)
        }
        guard let program = program ?? hypervisors[node.name] else {
            throw LabError("\(node.name) has no emulated Proxmox; `holdfast-lab up` gives it one")
        }
        let log = try directory.appending(directory.emulatorLog(of: node.name))
        machine.hypervisor = AgentProcess(
            try ChildProcess(
                program, in: .of(machine.descriptor), output: .descriptor(log), errors: .descriptor(log),
                ownSession: true))
        hypervisors[node.name] = program
    }

    /// Starts what takes the part of a host's watchdog, now and whenever the power returns.
    func startWatchdog(_ node: Node, program: [String]?) throws {
        let machine = try powered(node)
        if let watchdog = machine.watchdog, watchdog.child.poll() == nil {
            throw LabError("the watchdog of \(node.name) runs already", exitCode: 4)
        }
        guard let program = program ?? watchdogs[node.name] else { throw LabError("\(node.name) has no watchdog") }
        let log = try directory.appending(directory.watchdogLog(of: node.name))
        machine.watchdog = AgentProcess(
            try ChildProcess(
                program, in: .of(machine.descriptor), output: .descriptor(log), errors: .descriptor(log),
                ownSession: true))
        watchdogs[node.name] = program
    }

    /// Kills the emulated Proxmox of a host, and with it its guests, while the host goes on. Answers when.
    func killHypervisor(_ node: Node) throws -> Int64 {
        guard let emulator = try powered(node).hypervisor, emulator.child.poll() == nil else {
            throw LabError("no emulated Proxmox runs on \(node.name)", exitCode: 4)
        }
        let at = lab_wall_clock()
        emulator.child.signalGroup(SIGKILL)
        guard emulator.child.wait(until: .after(milliseconds: 10_000)) != nil else {
            throw LabError.timedOut("the emulated Proxmox of \(node.name) did not die of SIGKILL within 10 s")
        }
        return at
    }

    /// From now on `node` starts `program` whenever it gets power.
    func keep(_ program: [String], for node: Node) { programs[node.name] = program }

    /// Asks the agent to stop and waits for it, at most 15 s. Answers when it was asked.
    func stopAgent(_ node: Node) throws -> Int64 {
        let agent = try liveAgent(of: node)
        let at = lab_wall_clock()
        agent.child.signal(SIGTERM)
        if agent.state == .paused { agent.resume() }
        guard agent.child.wait(until: .after(milliseconds: 15_000)) != nil else {
            throw LabError.timedOut("the agent of \(node.name) did not stop within 15 s of SIGTERM")
        }
        return at
    }

    func killAgent(_ node: Node) throws -> Int64 {
        let agent = try liveAgent(of: node)
        let at = lab_wall_clock()
        agent.child.signalGroup(SIGKILL)
        guard agent.child.wait(until: .after(milliseconds: 10_000)) != nil else {
            throw LabError.timedOut("the agent of \(node.name) did not die of SIGKILL within 10 s")
        }
        return at
    }

    func pauseAgent(_ node: Node) throws -> Int64 {
        let agent = try liveAgent(of: node)
        let at = lab_wall_clock()
        agent.pause()
        return at
    }

    func resumeAgent(_ node: Node) throws { try liveAgent(of: node).resume() }

    private func powered(_ node: Node) throws -> RunningNode {
        guard let machine = running[node.name] else {
            throw LabError("\(node.name) has no power; holdfast-lab power-on \(node.name)")
        }
        return machine
    }

    private func liveAgent(of node: Node) throws -> AgentProcess {
        guard let agent = try powered(node).agent, agent.child.poll() == nil else {
            throw LabError("no agent runs on \(node.name); holdfast-lab start-agent \(node.name)", exitCode: 4)
        }
        return agent
    }

    // MARK: Status

    /// - Parameter userNamespace: whether the lab belongs to an ordinary user.
    func status(userNamespace: Bool) -> LabStatus {
        let nodes = topology.nodes.map { node in
            let machine = running[node.name]
            var host: String?
            if case .guest(let name) = node.kind { host = name }
            return LabStatus.NodeStatus(
                name: node.name, kind: node.kind.word, host: host, address: node.address, powered: machine != nil,
                plugged: !unplugged.contains(node.name), isolated: cuts.isolated.contains(node.name),
                agent: machine?.agent.map { "\($0.state)" } ?? "none", process: machine?.firstProcess,
                agentProcess: machine?.agent.flatMap { $0.child.poll() == nil ? $0.child.identifier : nil })
        }
        return LabStatus(userNamespace: userNamespace, nodes: nodes, cuts: cuts.cuts.sorted().map(\.description))
    }
}
