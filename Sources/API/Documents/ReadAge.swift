// How old an answer is. Every document that shows the state carries it.

import Agent
import Cluster

/// How much a reader wants to be sure of.
public enum ReadConsistency: String, Sendable, Codable, CaseIterable {
    /// Nothing acknowledged before the question is missing from the answer. Needs a quorum.
    case linearizable
    /// What the asked member has, however old. Answers at once, also without a quorum.
    case local
}

public struct ReadAge: Hashable, Sendable, Codable {
    public var consistency: ReadConsistency
    /// The revision of the state that was read.
    public var revision: UInt64
    /// For a local answer: how many committed log entries the member knows of and has not applied yet. A member that is
    /// cut off knows of none, so zero does not mean that the answer is fresh.
    public var behind: UInt64
    /// The member that answered, and whether it knows a leader.
    public var member: String
    public var knowsLeader: Bool

    public init(
        consistency: ReadConsistency, revision: UInt64, behind: UInt64, member: String, knowsLeader: Bool
    ) {
        self.consistency = consistency
        self.revision = revision
        self.behind = behind
        self.member = member
        self.knowsLeader = knowsLeader
    }

    init(_ consistency: ReadConsistency, _ state: ClusterState, _ view: AgentView) {
        let lacking =
            view.commitIndex > view.appliedIndex ? view.commitIndex.rawValue - view.appliedIndex.rawValue : 0
        self.init(
            consistency: consistency, revision: state.revision, behind: lacking,
            member: state.name(of: view.member), knowsLeader: view.leader != nil)
    }
}

extension ReadAge: WrittenPlainly {
    func plainJSON() -> String? {
        PlainJSON.quoted(member).map {
            """
            {"behind":\(behind),"consistency":"\(consistency.rawValue)","knowsLeader":\(knowsLeader),\
            "member":\($0),"revision":\(revision)}
            """
        }
    }
}
