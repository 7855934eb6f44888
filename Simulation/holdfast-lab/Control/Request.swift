// What the commands say to the keeper and what it answers: one line of JSON each way over the lab's unix socket.

/// One order to the keeper.
struct Request: Codable, Equatable {
    enum Verb: String, Codable {
        case status, down
        case powerOff, powerOn
        case cut, isolate, heal, unplug, plug
        case startAgent, stopAgent, killAgent, pauseAgent, resumeAgent, memberJoined
        case startHypervisor, killHypervisor
        case startWatchdog, reset
    }

    var verb: Verb
    /// The node it is about; for a cut, the sender.
    var node: String?
    /// For a cut, the receiver.
    var other: String?
    /// For a cut: only what `node` sends to `other`.
    var oneWay: Bool?
    /// For `startAgent`, `startHypervisor` and `startWatchdog`: the program with its arguments; without it, what the node ran last.
    var arguments: [String]?

    init(_ verb: Verb, node: String? = nil, other: String? = nil, oneWay: Bool? = nil, arguments: [String]? = nil) {
        self.verb = verb
        self.node = node
        self.other = other
        self.oneWay = oneWay
        self.arguments = arguments
    }
}

/// What came of it.
struct Reply: Codable, Equatable {
    /// Why it was refused or failed; nil when done.
    var error: String?
    var exitCode: Int32?
    var lab: LabStatus?
    /// What happened, in a sentence.
    var note: String?
    /// When the fault took effect, nanoseconds of the wall clock, for measuring from it.
    var at: Int64?
}

/// What the keeper knows of the lab.
struct LabStatus: Codable, Equatable {
    struct NodeStatus: Codable, Equatable {
        var name: String
        var kind: String
        var host: String?
        var address: String
        var powered: Bool
        /// Whether its cable is in.
        var plugged: Bool
        var isolated: Bool
        /// running, paused, stopped, none; or how it ended.
        var agent: String
        /// First process of its namespaces, as the keeper numbers it.
        var process: Int32?
        /// Of its agent, as the keeper numbers it; nil: none runs.
        var agentProcess: Int32?
    }

    var userNamespace: Bool
    var nodes: [NodeStatus]
    /// Each as "a → b".
    var cuts: [String]

    func node(_ name: String) -> NodeStatus? { nodes.first { $0.name == name } }
}
