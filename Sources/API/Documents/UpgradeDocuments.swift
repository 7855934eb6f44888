// What the API says of versions: how far each member is, and what may be restarted now.

import Agent
import Cluster
import Consensus
import Decisions

/// The answer to `GET /v1/upgrade`.
public struct UpgradeDocument: Hashable, Sendable, Codable {
    /// The feature level in force.
    public var level: UInt64
    /// In the order in which they are to be restarted.
    public var steps: [UpgradeStepDocument]
    public var read: ReadAge
}

public struct UpgradeStepDocument: Hashable, Sendable, Codable {
    public var name: String
    public var kind: String
    /// Where its API answers: `address:port`.
    public var endpoint: String
    /// The version that runs, and the newest feature level it understands.
    public var version: String
    public var level: UInt64
    public var leader: Bool
    public var reachable: Bool
    /// Why its agent may not be restarted now; empty: it may.
    public var obstacles: [String]
}

/// The answer to `GET /v1/installed`: the asked member's own word.
public struct InstalledDocument: Hashable, Sendable, Codable {
    public var member: String
    /// Drawn anew by each start of the agent.
    public var run: String
    public var running: String
    /// The version of the program that would run after a restart; nil when it could not be asked.
    public var installed: String?
    /// Why not.
    public var problem: String?
    /// Whether something starts the agent again when it ends.
    public var isSupervised: Bool

    public init(
        member: String, run: String, running: String, installed: String?, problem: String?, isSupervised: Bool
    ) {
        self.member = member
        self.run = run
        self.running = running
        self.installed = installed
        self.problem = problem
        self.isSupervised = isSupervised
    }
}

/// `POST /v1/restart`, to the member that is to be restarted.
public struct RestartRequest: Sendable, Codable {
    /// The member's name, so that no other one is hit by a wrong address.
    public var member: String
    /// Also when something is away meanwhile.
    public var force: Bool?

    public init(member: String, force: Bool? = nil) {
        self.member = member
        self.force = force
    }
}

/// `POST /v1/level`
public struct RaiseLevelRequest: Sendable, Codable {
    /// Names of members that are left behind: each stops until it is upgraded.
    public var without: [String]

    public init(without: [String]) { self.without = without }
}

extension UpgradeDocument {
    init(_ state: ClusterState, _ view: AgentView, _ consistency: ReadConsistency) {
        let steps = UpgradeDecisions.order(state.members.values, leader: view.leader).map { member in
            UpgradeStepDocument(
                name: member.name, kind: member.kind.rawValue, endpoint: member.apiEndpoint, version: member.version,
                level: member.level ?? 0, leader: view.leader == member.id,
                reachable: member.reachable && !member.stopping && !view.silent.contains(member.id),
                obstacles: UpgradeDecisions.obstacles(
                    toRestarting: member.id, state: state, configuration: view.configuration, silent: view.silent))
        }
        self.init(level: state.level, steps: steps, read: ReadAge(consistency, state, view))
    }
}
