// The replicated state: what every member computes from the same log, byte for byte the same.
// `apply` is the only thing that changes it. It checks what must hold whoever proposed the command; whether a manifest
// makes sense to its kind is checked before a command is proposed.

import Consensus

public struct ClusterState: Hashable, Sendable {
    public static let mostEvents = 2_000
    public static let mostResources = 10_000
    public static let mostTokens = 256
    public static let mostValues = 100_000
    /// Bytes of all keys and values together. A snapshot has room for four times as much, and every member writes and
    /// sends one whole.
    public static let mostStoredBytes = 64 << 20

    /// Counts applied commands, from 1: the index that `plan` prints and `apply --check-index` takes.
    public internal(set) var revision: UInt64 = 0
    /// The revision of the last change of a declaration.
    public internal(set) var declarationsRevision: UInt64 = 0
    /// Empty before the bootstrap command.
    public internal(set) var clusterName = ""
    public internal(set) var resources: SortedMap<ResourceKey, Resource> = [:]
    public internal(set) var members: SortedMap<MemberID, MemberRecord> = [:]
    public internal(set) var roles: SortedMap<ResourceKey, RoleRecord> = [:]
    /// The highest epoch of a role that is not kept any more. A role declared anew goes on from there: whoever held the
    /// earlier one has given up its epochs for good, and would take a lower one for an order that came late.
    var retiredEpoch: UInt64 = 0
    public internal(set) var tokens: SortedMap<String, JoinToken> = [:]
    public internal(set) var values: SortedMap<String, StoredValue> = [:]
    /// The newest events, oldest first.
    public internal(set) var events: [ClusterEvent] = []
    public internal(set) var lastEventID: UInt64 = 0
    /// By name; see Operators.swift.
    public internal(set) var operators: SortedMap<String, OperatorRecord> = [:]
    /// The newest acts of people, oldest first.
    public internal(set) var auditLog: [AuditEntry] = []
    public internal(set) var lastAuditID: UInt64 = 0
    /// The newest changes of the declarations, oldest first.
    public internal(set) var declarationChanges: [DeclarationChange] = []
    /// The revision of the newest change that is not kept any more.
    var forgottenDeclarations: UInt64 = 0
    /// The change that is in force on trial, if one is.
    public internal(set) var trial: Trial?
    /// The epoch that began last by a forced recovery; 0: none has.
    public internal(set) var epoch: UInt64 = 0
    /// Members that recoveries went on without, as they were.
    public internal(set) var leftBehind: SortedMap<MemberID, MemberRecord> = [:]
    /// The authority that signs when no rotation is under way; nil before the first rotation began. See Authorities.swift.
    public internal(set) var authority: AuthorityRecord?
    public internal(set) var rotation: AuthorityRotation?
    /// Names that members had; see MemberNames.swift.
    var formerNames: SortedMap<String, FormerName> = [:]
    var sessions = Sessions()
    /// The feature level in force; see FeatureLevel.swift. Zero before the first that was agreed on.
    public internal(set) var level: UInt64 = 0
    /// What a version applies otherwise than the first one did, all members apply alike: 0 as the first version, 1 with
    /// the rules of Guards.swift. It changes by commands alone.
    var rules: UInt64 = 0
    /// Whether only names in the table of operators may act; see Operators.swift.
    public internal(set) var operatorsAreListed = false
    /// By workload; see Placements.swift.
    public internal(set) var placements: SortedMap<ResourceKey, Placement> = [:]
    /// By the names of their members; see Hosts.swift.
    public internal(set) var hosts: SortedMap<String, HostRecord> = [:]
    public internal(set) var disarmed: Disarmed?
    /// The highest epoch of a fence of a host that went; those of new hosts go on from there.
    var retiredFenceEpoch: UInt64 = 0
    /// By address; see LeftFences.swift.
    public internal(set) var leftFences: SortedMap<String, LeftFence> = [:]
    /// Bytes of all keys and values. Follows from `values`, so a snapshot does not say it.
    public internal(set) var valueBytes = 0

    public init() {}

    /// Takes a role out that is not declared any more and that nobody holds.
    mutating func retire(_ role: ResourceKey) {
        retiredEpoch = max(retiredEpoch, roles[role]?.epoch ?? 0)
        roles[role] = nil
    }

    public func resources(ofKind kind: String) -> [Resource] {
        resources.values.filter { $0.declaration.kind == kind }
    }
    public func event(_ id: UInt64) -> ClusterEvent? {
        guard let first = events.first?.id, id >= first, id <= lastEventID else { return nil }
        return events[Int(id - first)]
    }

    /// The event and its chain of causes, nearest first.
    public func causes(of id: UInt64) -> [ClusterEvent] {
        var chain: [ClusterEvent] = []
        var next = id
        // A cause always has a smaller id than its effect, so the walk ends.
        while let event = event(next), chain.count < 64 {
            chain.append(event)
            guard event.cause < next else { break }
            next = event.cause
        }
        return chain
    }

    /// Applies one command and returns its outcome. A request carried out before is answered again, unchanged.
    public mutating func apply(_ record: CommandRecord) -> Outcome {
        if let earlier = sessions.answer(to: record.stamp, revision: revision) { return earlier }
        revision += 1
        var outcome: Outcome
        if let objection = objection(toLevel: record.level) {
            outcome = refused(.unsafe, objection)
        } else if let origin = record.origin, let objection = objection(to: origin) {
            outcome = refused(.forbidden, objection)
        } else {
            outcome = carryOut(record)
        }
        outcome.revision = revision
        sessions.record(outcome, of: record.stamp)
        audit(record, outcome)
        return outcome
    }

    /// The outcome of a request that was carried out and is remembered; nil otherwise.
    public func outcome(ofSession session: UInt64, request: UInt64) -> Outcome? {
        sessions.outcome(ofSession: session, request: request)
    }

    private mutating func carryOut(_ record: CommandRecord) -> Outcome {
        switch record.command {
        case .bootstrap(let name, let member, let founder): return bootstrap(name, member, founder, record)
        case .apply(let declarations, let check, let trial):
            return declare(declarations, check: check, trialMilliseconds: trial, record)
        case .delete(let keys, let check): return delete(keys, check: check, record)
        case .rollBack(let revision, let check): return rollBack(to: revision, check: check, record)
        case .settleTrial(let revision, let keep): return settleTrial(revision, keep: keep, record)
        case .admitOperator(let newcomer): return admit(newcomer, record)
        case .revokeOperator(let name): return revokeOperator(name, record)
        case .act: return done()
        case .createToken(let token): return create(token, record)
        case .join(let id, let hash, let member): return join(tokenID: id, secretHash: hash, member, record)
        case .announce(let member): return announce(member, record)
        case .removeMember(let id): return remove(member: id, record)
        case .renameMember(let id, let name): return renameMember(id, to: name, record)
        case .recover(let epoch, let dead): return recover(epoch, dead: dead, record)
        case .observeMember(let id, let reachable, let reason):
            return observe(id, reachable: reachable, reason: reason, record)
        case .stopping(let id): return stopping(id, record)
        case .assign(let role, let epoch, let member, let reason, let because):
            return assign(role, epoch: epoch, to: member, reason: reason, because: because, record)
        case .release(let role, let epoch, let successor, let reason):
            return release(role, epoch: epoch, to: successor, reason: reason, record)
        case .released(let role, let epoch): return released(role, epoch: epoch, record)
        case .vacate(let role, let epoch, let reason, let because):
            return vacate(role, epoch: epoch, reason: reason, because: because, record)
        case .reportFitness(let role, let member, let unfit):
            return report(role, of: member, unfit: unfit, record)
        case .raiseLevel(let level, let without): return raiseLevel(to: level, without: without, record)
        case .reportConflict(let role, let epoch, let member, let conflict):
            return report(role, epoch: epoch, by: member, conflict: conflict, record)
        case .rotateAuthority(let plan): return rotateAuthority(plan, record)
        case .advanceRotation(let pin, let step): return advanceRotation(pin, to: step, record)
        case .cancelRotation(let pin): return cancelRotation(pin, record)
        case .put(let key, let value, let expected): return put(key, value, expected: expected)
        case .remove(let key): return removeValue(key)
        case .workload(let command): return carryOut(command, record)
        }
    }

    private mutating func carryOut(_ command: WorkloadCommand, _ record: CommandRecord) -> Outcome {
        switch command {
        case .reportHost(let host, let facts): return reportHost(host, facts, record)
        case .hostLeaves(let host, let leaving): return hostLeaves(host, leaving, record)
        case .orderRestart(let host, let isForced): return orderRestart(host, isForced: isForced, record)
        case .cancelRestart(let host): return cancelRestart(host, record)
        case .beginRestart(let host, let order): return beginRestart(host, order: order, record)
        case .restartFailed(let host, let order, let reason):
            return restartFailed(host, order: order, reason: reason, record)
        case .drain(let host, let isDraining): return drain(host, isDraining, record)
        case .disarm(let milliseconds): return disarm(milliseconds, record)
        case .place(let workload, let epoch, let host, let reason, let because):
            return place(workload, epoch: epoch, on: host, reason: reason, because: because, record)
        case .move(let workload, let epoch, let host, let live, let reason, let because):
            return move(workload, epoch: epoch, to: host, live: live, reason: reason, because: because, record)
        case .moveEnded(let workload, let epoch, let host, let reason):
            return moveEnded(workload, epoch: epoch, at: host, reason: reason, record)
        case .sight(let workload, let host, let sighting): return sight(workload, on: host, sighting, record)
        case .startFailed(let workload, let epoch, let host, let reason, let isFinal):
            return startFailed(workload, epoch: epoch, on: host, reason: reason, isFinal: isFinal, record)
        case .block(let workload, let epoch, let obstacle):
            return block(workload, epoch: epoch, obstacle: obstacle, record)
        case .care(let workload, let epoch, let step, let reason):
            return care(workload, epoch: epoch, step, reason: reason, record)
        case .steer(let workload, let steering): return steer(workload, steering, record)
        case .handBack(let workload, let epoch, let host): return handBack(workload, epoch: epoch, from: host, record)
        case .decline(let workload, let epoch, let host): return decline(workload, epoch: epoch, from: host, record)
        case .dropWish(let workload, let reason): return dropWish(workload, reason: reason, record)
        case .beginFence(let host, let epoch, let method, let member, let reason):
            return beginFence(host, epoch: epoch, method, by: member, reason: reason, record)
        case .fenceProven(let host, let epoch, let method, let barred, let proof):
            return fenceProven(host, epoch: epoch, method, barred: barred ?? [], proof: proof, record)
        case .fenceFailed(let host, let epoch, let reason):
            return fenceFailed(host, epoch: epoch, reason: reason, record)
        case .fenceByWord(let host): return fenceByWord(host, record)
        case .cancelFence(let host, let epoch): return cancelFence(host, epoch: epoch, record)
        case .hostIsClean(let host, let epoch): return hostIsClean(host, epoch: epoch, record)
        case .liftFence(let host, let epoch, let member): return liftFence(host, epoch: epoch, by: member, record)
        case .fenceLifted(let host, let epoch): return fenceLifted(host, epoch: epoch, record)
        case .handLift(let host, let epoch, let member): return handLift(host, epoch: epoch, to: member, record)
        }
    }

    // MARK: Events and outcomes

    /// Records an event and returns its id.
    mutating func note(
        _ type: String, _ subject: String, _ message: String, cause: UInt64 = 0, _ record: CommandRecord
    ) -> UInt64 {
        lastEventID += 1
        events.append(
            ClusterEvent(
                id: lastEventID, revision: revision, milliseconds: record.milliseconds, type: type, subject: subject,
                message: message, cause: cause, actor: record.actor))
        if events.count > Self.mostEvents { events.removeFirst(events.count - Self.mostEvents) }
        return lastEventID
    }

    func done(_ message: String = "") -> Outcome { Outcome(code: .done, message: message, revision: revision) }
    func unchanged(_ message: String = "") -> Outcome {
        Outcome(code: .unchanged, message: message, revision: revision)
    }
    func refused(_ code: Outcome.Code, _ message: String) -> Outcome {
        Outcome(code: code, message: message, revision: revision)
    }

    public func name(of member: MemberID) -> String { members[member]?.name ?? member.description }
}
