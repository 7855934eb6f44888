// The answer to `GET /v1/what-if`: the cluster as a rehearsal begins with it. The rehearsal itself is held by whoever asks,
// so that no member spends its time or its memory on it.

import Agent
import Cluster
import Consensus
import FoundationEssentials

public struct PresentDocument: Hashable, Sendable, Codable {
    public var clusterName: String
    public var revision: UInt64
    /// Of the member that answered: the rehearsal is held with the rules of the version that asks.
    public var version: String
    /// The replicated state as in a snapshot, in base64: who belongs to it, what is declared, who holds what, where
    /// workloads are. Without values, tokens, history and the people who may use the cluster.
    public var state: String
    /// Who votes, and who receives the log.
    public var voters: [MemberID]
    public var learners: [MemberID]
    /// The voters before a change that is under way.
    public var outgoingVoters: [MemberID]
    public var learnersNext: [MemberID]
    /// Absent when the answering member knows none.
    public var leader: MemberID?
    /// Members that the leader has not heard of lately; empty from a member that does not lead.
    public var silent: [MemberID]
    public var read: ReadAge

    init(_ state: ClusterState, _ view: AgentView, _ read: ReadAge) {
        let configuration = view.configuration
        clusterName = state.clusterName
        revision = state.revision
        version = state.members[view.member]?.version ?? ""
        self.state = Data(state.forRehearsal().encoded).base64EncodedString()
        voters = configuration.voters
        learners = configuration.learners
        outgoingVoters = configuration.outgoingVoters
        learnersNext = configuration.learnersNext
        leader = view.leader
        silent = view.silent
        self.read = read
    }
}
