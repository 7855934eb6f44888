// The commands that give the keeper one order about one node: power, cables, cuts, agents. Each prints what happened.

import ArgumentParser

/// A command that is one order to the keeper.
protocol NodeOrder: ParsableCommand {
    var lab: LabOptions { get }
    var request: Request { get }
}

extension NodeOrder {
    func run() throws {
        let reply = try KeeperClient(lab.directory).ask(request)
        if let text = reply.note { print(text) }
    }
}

struct PowerOff: NodeOrder {
    static let configuration = CommandConfiguration(
        abstract: "Cut the power of a node: everything in it, and in its guests, is killed at once. Data stays.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.powerOff, node: node) }
}

struct PowerOn: NodeOrder {
    static let configuration = CommandConfiguration(
        abstract: "Give a node its power back, and its guests theirs; agents start.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.powerOn, node: node) }
}

struct Cut: NodeOrder {
    static let configuration = CommandConfiguration(
        abstract: "Let nothing pass between two nodes. Guests share their host's port of the switch.")
    @OptionGroup var lab: LabOptions
    @Argument(help: "The first node; with --one-way the sender.") var from: String
    @Argument(help: "The second node; with --one-way the receiver.") var to: String
    @Flag(help: "Cut one direction only.") var oneWay = false
    var request: Request { Request(.cut, node: from, other: to, oneWay: oneWay) }
}

struct Isolate: NodeOrder {
    static let configuration = CommandConfiguration(
        abstract: "Let nothing pass to or from a node. Its cable stays in, so it does not notice.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.isolate, node: node) }
}

struct Heal: NodeOrder {
    static let configuration = CommandConfiguration(
        abstract: "End the cuts and the isolation of a node, or all of them.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String?
    var request: Request { Request(.heal, node: node) }
}

struct Unplug: NodeOrder {
    static let configuration = CommandConfiguration(abstract: "Pull the cable of a node; it sees its carrier go.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.unplug, node: node) }
}

struct Plug: NodeOrder {
    static let configuration = CommandConfiguration(abstract: "Plug the cable of a node in again.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.plug, node: node) }
}

struct KillAgent: NodeOrder {
    static let configuration = CommandConfiguration(abstract: "Kill a node's agent with SIGKILL; the node lives on.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.killAgent, node: node) }
}

struct PauseAgent: NodeOrder {
    static let configuration = CommandConfiguration(abstract: "Stop a node's agent in its tracks with SIGSTOP.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.pauseAgent, node: node) }
}

struct ResumeAgent: NodeOrder {
    static let configuration = CommandConfiguration(abstract: "Let a paused agent go on.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.resumeAgent, node: node) }
}

struct StopAgent: NodeOrder {
    static let configuration = CommandConfiguration(abstract: "Stop a node's agent gracefully with SIGTERM.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.stopAgent, node: node) }
}

struct StartAgent: NodeOrder {
    static let configuration = CommandConfiguration(abstract: "Start a node's agent again.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String
    var request: Request { Request(.startAgent, node: node) }
}

/// What a FencePolicy's power command runs in the lab: a switched socket that can be asked.
struct FenceByPower: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fence",
        abstract: "Cut the power of a host and make sure that it is off; ends with 0 only then.")
    @OptionGroup var lab: LabOptions
    @Argument var node: String

    func run() throws {
        let client = try KeeperClient(lab.directory)
        if try hasPower(client) {
            // Off already when it is refused as a conflict: somebody else was quicker.
            do { try client.ask(Request(.powerOff, node: node)) } catch let error as LabError {
                guard error.exitCode == 4 else { throw error }
            }
        }
        if try hasPower(client) { throw LabError("\(node) has power still") }
        print("\(node) is off")
    }

    private func hasPower(_ client: KeeperClient) throws -> Bool {
        try client.status().node(node).required("node \(node)").powered
    }
}
