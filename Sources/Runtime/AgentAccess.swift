// How the API reaches the agent of this member, without knowing how the agent runs.
// A protocol and nothing else, so that the API can be tested against an agent that is not there.

import Agent
import Cluster
import Consensus

/// The agent of this member, from outside its loop. Safe to use from any task.
public protocol AgentAccess: Sendable {
    /// This member's identity.
    var member: MemberID { get }
    /// The time on this member's clock (CLOCK_BOOTTIME); deadlines of requests are built from it.
    func now() -> Instant
    /// Hands a request to the agent and waits for the answer. Always answers by the request's deadline.
    func submit(_ request: AgentRequest) async -> AgentResponse
    /// Events with an id greater than `after`, as far as they are kept, then new ones as they are applied. The stream
    /// keeps at most 10,000 undelivered events; a slower reader loses the oldest and sees a gap in the ids.
    func events(after: UInt64) -> AsyncStream<ClusterEvent>
}
