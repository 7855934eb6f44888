// What goes into the agent and what comes out of it.
// Only the vocabulary: what an event leads to is in the other files of this folder.

import Cluster
import Consensus
import Kinds

/// Something that happened to this member.
public enum AgentEvent: Sendable {
    case frame(PeerFrame)
    /// All log writes up to this one are durable.
    case persisted(WriteSequence)
    /// A snapshot is durable, one that was taken here or one that arrived. The log may be dropped through `dropThrough`:
    /// the older of those on disk can take its place.
    case snapshotStored(Snapshot, dropThrough: LogIndex)
    /// The snapshot that ends at this entry could not be kept, and why.
    case snapshotFailed(LogIndex, String)
    case request(RequestID, AgentRequest)
    case report(RoleReport)
    case guests(GuestReport)
    case fence(FenceReport)
    case watchdog(WatchdogReport)
    /// This machine goes down: its guests leave it or end first, then the agent stops.
    case hostStops(HostRecord.Leaving)
    /// This member has a new certificate, or trusts another authority.
    case identityChanged(IdentityNews)
    /// The user or the system asked this agent to stop; it gives its roles and its leadership away first.
    case stop
    /// Time has passed.
    case tick
}

/// Names a request of the API on this member until it is answered.
public struct RequestID: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (left: RequestID, right: RequestID) -> Bool { left.rawValue < right.rawValue }
}

/// What the API asks of the agent.
public enum AgentRequest: Sendable {
    /// Replicate a command. `stamp` makes a retry count once; nil: the agent stamps it itself.
    /// `origin`: the person who asks, when it is one.
    /// Kept beside, because it would make every event as large as the largest command.
    indirect case propose(
        Command, stamp: RequestStamp?, actor: String, deadline: Instant, origin: CommandOrigin? = nil)
    /// The state as of now, linearizably.
    case read(deadline: Instant)
    /// The state this member has, however old.
    case readLocal
    /// Hand leadership to another voter (nil: the best one).
    case transferLeadership(to: MemberID?, deadline: Instant)
    /// Go on without members that a person has verified to be dead, because no majority is left. Answered with the
    /// outcome when the new epoch has committed it.
    case recover(without: [MemberID], actor: String, origin: CommandOrigin?)
}

/// The answer to a request.
public enum AgentResponse: Sendable {
    case outcome(Outcome)
    /// Kept beside, because it would make every effect as large as the whole state.
    indirect case state(ClusterState, AgentView)
    case failed(AgentFailure)
}

/// Why a request was not answered. Every one is told to the person in words.
public enum AgentFailure: Error, Hashable, Sendable {
    /// No leader with a quorum answered in time. For a proposal: it may still take effect if it reached a leader.
    case noQuorum(detail: String)
    /// Too much is waiting; try again later.
    case overloaded
    /// The request cannot be carried out as asked.
    case refused(String)
    /// The person who asks may not, as far as this member has heard.
    case forbidden(String)
}

/// What this member knows beyond the replicated state. Volatile, and only as true as this member's connections.
public struct AgentView: Sendable {
    public var member: MemberID
    public var role: Role
    public var term: Term
    public var leader: MemberID?
    public var commitIndex: LogIndex
    public var appliedIndex: LogIndex
    public var configuration: Configuration
    /// On the leader: members it has not heard of within the quorum lease.
    public var silent: [MemberID]
    /// On the leader: how many entries each member lacks.
    public var lacking: SortedMap<MemberID, UInt64>
    /// Whether this member, as leader, holds its quorum lease.
    public var hasQuorumLease: Bool
    /// Whether this member may act on the roles it holds.
    public var holdsLease: Bool
    /// Whether its state has once been as new as the cluster's since it started.
    public var isCurrent: Bool
    /// Commands and reads of this member that wait.
    public var openProposals: Int
    public var openReads: Int
    public var timing: Timing
    /// Why this member's last snapshot was not kept; nil: it was, or none was due yet.
    public var snapshotProblem: String?
    public var epoch: Epoch
}

/// Something for the world half to do, in order.
public enum AgentEffect: Sendable {
    case send(PeerFrame)
    /// Write, make durable, send `thenSend` as consensus frames, then report `persisted`.
    case persist(LogWrite)
    /// Encode the state (`ClusterState.encoded`) and make it durable, beside the log and not in its way; then report
    /// `snapshotStored`, or `snapshotFailed`.
    case takeSnapshot(SnapshotMark, ClusterState)
    /// Make a snapshot that arrived durable, twice: nothing else can replace it; then report as above.
    case storeSnapshot(Snapshot)
    /// The log's entries up to here are not needed any more.
    case dropLog(through: LogIndex)
    case respond(RequestID, AgentResponse)
    case address(AddressOrder)
    /// Run exactly these health checks from now on; one that was running unchanged goes on.
    case healthChecks(SortedMap<ResourceKey, HealthCheck>)
    /// Watch whether this member could hold exactly these addresses, as far as its interfaces go.
    case standReady(SortedMap<ResourceKey, [VirtualAddress]>)
    /// For the hypervisor of this host, for the fence driver, for the watchdog.
    case guests(GuestOrder)
    case fence(FenceOrder)
    case watchdog(WatchdogOrder)
    /// Keep connections to exactly these members.
    case peers([MemberRecord])
    /// This member is called so from now on.
    case named(String)
    /// Trust exactly these authorities, have a certificate of the first one, and say so with `identityChanged`.
    case authorities(AuthorityBook)
    /// New events were applied, oldest first.
    case events([ClusterEvent])
    /// The agent can never go on with this disk: why, and what to do about it. What it holds was dropped before.
    case failed(String)
    /// The agent has given everything away and may end.
    case stopped
    /// The agent has given everything away and its guests have left or ended: restart this machine now.
    case restartMachine
    /// The agent cannot follow the others in this version, and has stopped applying what they agree on: end at once, with
    /// these words. It performs nothing and answers nothing any more.
    case halt(String)
    /// Worth a line in the log.
    case log(String)
}
