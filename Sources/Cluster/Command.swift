// What can change the replicated state. A command is proposed once, applied on every member, and must give the same
// result everywhere: it carries the time it was proposed at, and nothing of it depends on who applies it.

import Consensus

public enum Command: Hashable, Sendable, Codable {
    /// The first command of a cluster. `founder` is whoever ran `cluster init`; absent in clusters of older versions.
    case bootstrap(clusterName: String, member: MemberRecord, founder: OperatorRecord? = nil)
    /// Declares resources. With `checkRevision`, refused when a resource of the cluster was declared or deleted since.
    /// With `trialMilliseconds` they are undone after that time unless the trial is settled before.
    case apply(declarations: [Declaration], checkRevision: UInt64?, trialMilliseconds: Int64? = nil)
    case delete(keys: [ResourceKey], checkRevision: UInt64?)
    /// Declares again exactly what was declared at a revision.
    case rollBack(revision: UInt64, checkRevision: UInt64?)
    /// Keeps what is on trial, or undoes it.
    case settleTrial(revision: UInt64, keep: Bool)

    /// An operator has a certificate; an earlier one of the same name counts no more.
    case admitOperator(OperatorRecord)
    /// Takes an operator's rights away.
    case revokeOperator(name: String)
    /// A person's act that changes nothing in the state, for the audit log.
    case act(what: String)

    case createToken(JoinToken)
    /// Admits a member; `tokenID` is used up.
    case join(tokenID: String, secretHash: String, member: MemberRecord)
    /// A member tells its present endpoints, host, version and when its certificate ends: at every start, and when it has
    /// a new certificate.
    case announce(member: MemberRecord)
    case removeMember(MemberID)
    case renameMember(MemberID, to: String)
    /// A new epoch has begun without these (Recoveries.swift). Stands in the log behind the configuration of that epoch.
    case recover(epoch: UInt64, dead: [MemberID])
    /// The leader hears, or no longer hears, of a member.
    case observeMember(MemberID, reachable: Bool, reason: String)
    /// A member is about to stop and gives its roles away.
    case stopping(MemberID)

    /// Gives a role that nobody can be acting on to a member. Refused unless the role still has `epoch`.
    case assign(role: ResourceKey, epoch: UInt64, to: MemberID, reason: String, because: MemberID?)
    /// Asks the holder to let go, in favour of `to`.
    case release(role: ResourceKey, epoch: UInt64, to: MemberID?, reason: String)
    /// The holder has let go.
    case released(role: ResourceKey, epoch: UInt64)
    /// The role has no holder and nobody to take it.
    case vacate(role: ResourceKey, epoch: UInt64, reason: String, because: MemberID?)
    /// A candidate can, or cannot, serve a role.
    case reportFitness(role: ResourceKey, member: MemberID, unfit: String?)
    /// The holder of a role saw another machine use one of its addresses; empty: it is over. For a holder of this epoch.
    case reportConflict(role: ResourceKey, epoch: UInt64, member: MemberID, conflict: String)

    /// Every member that counts understands a higher feature level; see FeatureLevel.swift.
    case raiseLevel(to: UInt64, without: [MemberID])

    /// A new authority is to take the old one's place: every member is to trust both from here on.
    case rotateAuthority(AuthorityRotation.Plan)
    /// The leader takes the rotation one step on; `pin` names the new authority.
    case advanceRotation(pin: String, to: AuthorityRotation.Step)
    /// Ends a rotation whose new authority has not signed yet.
    case cancelRotation(pin: String)

    case put(key: String, value: String, expected: ExpectedValue?)
    case remove(key: String)

    /// Workloads and the hosts that run them; kept beside, for they are many.
    indirect case workload(WorkloadCommand)
}

/// What can happen to workloads and hosts. All of it needs feature level 2.
public enum WorkloadCommand: Hashable, Sendable, Codable {
    /// A host tells what it is.
    case reportHost(String, HostFacts)
    /// A host goes down by plan; nil: it does not after all.
    case hostLeaves(String, HostRecord.Leaving?)
    /// A person wants a host restarted; forced, whatever else is away.
    case orderRestart(String, isForced: Bool)
    /// A person does not want it restarted any more.
    case cancelRestart(String)
    /// A host that is to be restarted is empty, and goes now. The order is the revision at which it was given.
    case beginRestart(String, order: UInt64)
    /// A host is still up although its restart had begun.
    case restartFailed(String, order: UInt64, reason: String)
    /// A person wants a host empty, or filled again.
    case drain(String, Bool)
    /// For so many milliseconds nothing is fenced or moved; nil: from now on again.
    case disarm(milliseconds: Int64?)

    /// Gives a workload that no other host can be running to a host, or to none.
    case place(ResourceKey, epoch: UInt64, on: String?, reason: String, because: String?)
    /// Asks the host that has a workload to give it to another.
    case move(ResourceKey, epoch: UInt64, to: String, live: Bool, reason: String, because: String?)
    /// The host that was asked has given it away, or has it still.
    case moveEnded(ResourceKey, epoch: UInt64, at: String, reason: String)
    /// A host tells what it has of a workload.
    case sight(ResourceKey, on: String, Sighting)
    /// `isFinal`: trying again there would be in vain.
    case startFailed(ResourceKey, epoch: UInt64, on: String, reason: String, isFinal: Bool)
    /// Why a workload is not what it should be; empty: nothing stands in its way any more.
    case block(ResourceKey, epoch: UInt64, obstacle: String)
    /// The fence of the host that this one was to take a workload over from has ended, and the workload lies there still:
    /// it belongs there again. Said when no order for it is under way.
    case handBack(ResourceKey, epoch: UInt64, from: String)
    /// The host that it was given to cannot look at its guests, and has begun nothing for this one; from here on it does not.
    case decline(ResourceKey, epoch: UInt64, from: String)
    /// What is done about a workload that runs on its host and fails its health check.
    case care(ResourceKey, epoch: UInt64, CareStep, reason: String)
    /// A person's word about one workload.
    case steer(ResourceKey, Steering)
    /// Where a person wanted it, it cannot go.
    case dropWish(ResourceKey, reason: String)

    /// A host is lost, and this member is to prove that it writes no more.
    case beginFence(String, epoch: UInt64, FenceMethod, by: MemberID, reason: String)
    /// `barred`: the addresses that the storage keeps out, for a proof by it; it proves nothing of others.
    case fenceProven(String, epoch: UInt64, FenceMethod, barred: [String]? = nil, proof: String)
    case fenceFailed(String, epoch: UInt64, reason: String)
    /// A person has verified that a host is off.
    case fenceByWord(String)
    case cancelFence(String, epoch: UInt64)
    /// A fenced host is back, and nothing of its old guests is left on it.
    case hostIsClean(String, epoch: UInt64)
    /// This member is to take the fence away.
    case liftFence(String, epoch: UInt64, by: MemberID)
    case fenceLifted(String, epoch: UInt64)
    /// This member is to take the fence away once nothing can come of the orders of the one before it.
    case handLift(String, epoch: UInt64, to: MemberID)
}

/// The condition of a compare-and-set.
public enum ExpectedValue: Hashable, Sendable, Codable {
    case absent
    case value(String)
}

/// Makes a retried command count once (after Lee et al., "Implementing Linearizability at Large Scale and Low
/// Latency", SOSP 2015). A client numbers its requests from 1 and never reuses a number.
public struct RequestStamp: Hashable, Sendable, Codable {
    public var session: UInt64
    public var request: UInt64
    /// All requests up to here have been answered to the client; their outcomes may be forgotten.
    public var settled: UInt64

    public init(session: UInt64, request: UInt64, settled: UInt64) {
        self.session = session
        self.request = request
        self.settled = settled
    }
}

/// A command as it stands in the log.
public struct CommandRecord: Hashable, Sendable, Codable {
    public var stamp: RequestStamp
    /// Wall clock of the member that proposed it, milliseconds since 1970. Only people read it, and token expiry.
    public var milliseconds: Int64
    public var actor: String
    /// The person who asked, when it was one and not a member; may be refused for what he may not do.
    public var origin: CommandOrigin?
    public var command: Command
    /// The feature level it needs; nil for level 1. A version that does not know the command reads this all the same.
    public var level: UInt64?

    public init(
        stamp: RequestStamp, milliseconds: Int64, actor: String, origin: CommandOrigin? = nil, command: Command
    ) {
        self.stamp = stamp
        self.milliseconds = milliseconds
        self.actor = actor
        self.origin = origin
        self.command = command
        level = command.neededLevel
    }
}

/// What a command led to; the same on every member.
public struct Outcome: Hashable, Sendable, Codable {
    public enum Code: String, Hashable, Sendable, Codable, CaseIterable {
        case done
        case unchanged
        case conflict
        case notFound
        case forbidden
        case invalid
        /// Refused because it would endanger something.
        case unsafe
        /// This request was answered and forgotten; it is not carried out again.
        case expired
    }

    public var code: Code
    public var message: String
    /// The revision after the command.
    public var revision: UInt64

    public init(code: Code, message: String, revision: UInt64) {
        self.code = code
        self.message = message
        self.revision = revision
    }

    public var succeeded: Bool { code == .done || code == .unchanged }
}
