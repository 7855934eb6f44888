// The keeper: first process of the lab's namespaces. It owns every machine, takes one order at a time over the control
// socket, and takes all with it when it ends. Its network namespace is the switch; there is no way out of it.

import ArgumentParser
import CKernel
import Glibc

/// The loop that obeys orders.
final class Keeper {
    private let machines: Machines
    private let listening: Descriptor
    private let signals: Descriptor
    private let lock: Descriptor
    private let userNamespace: Bool
    /// When it can no longer be read, who wanted the lab has gone and the lab ends.
    private let leash: Int32?
    private var isEnding = false

    private let directory: LabDirectory

    /// Builds the lab. - Throws: when another keeper holds the folder, or the network cannot be built.
    init(directory: LabDirectory, userNamespace: Bool, leash: Int32?) throws {
        lock = try directory.appending(directory.marker)
        guard lab_lock(lock.number) == 0 else {
            throw LabError("a lab is up in \(directory.path) already", exitCode: 4)
        }
        signals = try Descriptor(checking: lab_catch_signals(), "watch for signals")
        self.directory = directory
        self.userNamespace = userNamespace
        self.leash = leash
        machines = try Machines(topology: .homelab, directory: directory)
        listening = try LineSocket.listen(at: directory.socket)
    }

    /// Obeys until told to end. Everything in the lab ends with the process.
    func run() {
        let watched = [listening.number, signals.number] + (leash.map { [$0] } ?? [])
        while !isEnding {
            let ready = waitReadable(watched, until: .after(milliseconds: 60_000))
            if let leash, ready.contains(leash), readAvailable(leash) == nil { return leaveNothing() }
            if ready.contains(signals.number) { takeSignals() }
            if ready.contains(listening.number) { answerOne() }
        }
    }

    /// Who held the leash was killed, or interrupted with Ctrl-C, and said nothing about keeping data: the folder goes too.
    /// Everything that writes there is ended first.
    private func leaveNothing() {
        do {
            for node in machines.topology.nodes where machines.isOn(node) { try machines.powerOff(node) }
            try directory.remove()
        } catch {
            note("end the lab: \(error)")
        }
    }

    private func takeSignals() {
        while case let number = lab_next_signal(signals.number), number != 0 {
            if number != SIGCHLD { isEnding = true }
        }
        machines.collectChildren()
    }

    /// Takes one order. A caller that says nothing is given 2 s, so that it cannot hold up the others.
    private func answerOne() {
        do {
            let caller = try LineSocket.accept(from: listening)
            let request = try LineSocket.receive(Request.self, over: caller, until: .after(milliseconds: 2_000))
            var reply: Reply
            do { reply = try obey(request) } catch {
                let failure = error as? LabError ?? LabError("\(error)")
                reply = Reply(error: failure.description, exitCode: failure.exitCode)
            }
            try LineSocket.send(reply, over: caller)
        } catch {
            // The caller has gone or spoke nonsense; the order was carried out or was none.
            note("control socket: \(error)")
        }
        machines.collectChildren()
    }

    private func obey(_ request: Request) throws -> Reply {
        switch request.verb {
        case .status: return Reply(lab: machines.status(userNamespace: userNamespace))
        case .down:
            isEnding = true
            return Reply(note: "the lab is down")
        case .heal:
            try machines.heal(try request.node.map(machines.topology.node))
            return Reply(note: request.node.map { "healed \($0)" } ?? "healed all cuts")
        default: return try obey(request.verb, on: machines.topology.node(request.node ?? ""), request)
        }
    }

    private func obey(_ verb: Request.Verb, on node: Node, _ request: Request) throws -> Reply {
        let name = node.name
        switch verb {
        case .powerOff: return Reply(note: "\(name) is off", at: try machines.powerOff(node))
        case .powerOn:
            guard !machines.isOn(node) else { throw LabError("\(name) has power already", exitCode: 4) }
            try machines.powerOn(node)
            return Reply(note: "\(name) is on")
        case .reset:
            let at = try machines.powerOff(node)
            try machines.powerOn(node)
            note("\(name) was reset")
            return Reply(note: "\(name) was reset", at: at)
        case .cut:
            let other = try machines.topology.node(request.other ?? "")
            let at = lab_wall_clock()
            let cuts = try machines.cut(node, other, oneWay: request.oneWay ?? false)
            return Reply(note: "cut " + cuts.map(\.description).joined(separator: ", "), at: at)
        case .isolate:
            let at = lab_wall_clock()
            try machines.isolate(node)
            return Reply(note: "\(name) is isolated", at: at)
        case .plug, .unplug:
            let at = lab_wall_clock()
            try machines.setPlugged(node, verb == .plug)
            return Reply(note: "\(name) is \(verb == .plug ? "plugged in" : "unplugged")", at: at)
        case .startAgent:
            try machines.startAgent(node, program: request.arguments, keep: false)
            return Reply(note: "the agent of \(name) runs")
        case .memberJoined:
            machines.keep(request.arguments ?? [], for: node)
            return Reply(note: "\(name) starts its agent by itself from now on")
        case .stopAgent: return Reply(note: "the agent of \(name) stopped", at: try machines.stopAgent(node))
        case .killAgent: return Reply(note: "the agent of \(name) is dead", at: try machines.killAgent(node))
        case .pauseAgent: return Reply(note: "the agent of \(name) is paused", at: try machines.pauseAgent(node))
        case .resumeAgent:
            try machines.resumeAgent(node)
            return Reply(note: "the agent of \(name) goes on")
        case .startHypervisor:
            try machines.startHypervisor(node, program: request.arguments)
            return Reply(note: "the emulated Proxmox of \(name) runs")
        case .startWatchdog:
            try machines.startWatchdog(node, program: request.arguments)
            return Reply(note: "the watchdog of \(name) runs")
        case .killHypervisor:
            return Reply(note: "the emulated Proxmox of \(name) is dead", at: try machines.killHypervisor(node))
        case .status, .down, .heal: preconditionFailure("orders without a node are obeyed elsewhere")
        }
    }
}

/// Says something on standard error.
func note(_ text: String) {
    // Nobody is left to be told when standard error itself is closed.
    let line = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// What `up` starts inside the lab's own namespaces. Not for people.
struct KeeperCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "keeper", shouldDisplay: false)

    @OptionGroup var lab: LabOptions
    @Flag var userNamespace = false
    /// Ends when standard input does.
    @Flag var leash = false

    func run() throws {
        let answer = Descriptor(dup(STDOUT_FILENO))
        do {
            let keeper = try Keeper(
                directory: lab.directory, userNamespace: userNamespace, leash: leash ? STDIN_FILENO : nil)
            try answer.write("ready\n")
            dup2(STDERR_FILENO, STDOUT_FILENO)
            keeper.run()
        } catch {
            try answer.write("\(error)\n")
            throw error
        }
    }
}
