// One member as a plain value: consensus, replicated state and decisions together. Events and the time go in, effects
// come out. The daemon and the simulator are two shells around this same value.
//
// Relies on: one owner that feeds events in batches, calls at or after `nextDeadline`, and performs effects in order.
// Does not: read clocks, touch sockets, disks or kernels, or keep anything a restart may not forget outside its log.

import Cluster
import Consensus
import Decisions
import Kinds

/// What a member is when it starts.
public struct AgentSetup: Sendable {
    public var cluster: ClusterID
    /// As the member would announce itself now.
    public var record: MemberRecord
    /// The name of the cluster this member founds; nil for a member that joined.
    public var founds: String?
    /// Whoever founded it, for its table of operators; nil where an older version wrote the founding files.
    public var founder: OperatorRecord?
    /// Drawn at random for each start: names this process's requests and its memory.
    public var session: UInt64
    public var timing: Timing
    public var snapshots = SnapshotPolicy()
    /// False makes it a member of a release before there were joint configurations.
    public var knowsJointConfigurations = true
    public var limits = Limits()
    /// Reads a command from the log; nil for what this version does not know. A simulation of several members hands in
    /// one that remembers, since all of them read the same bytes; it must answer like `Self.read`.
    public var readCommand: @Sendable ([UInt8]) -> CommandRecord?
    /// Writes a command for the log; nil when it has a number that is not finite. Must answer like `Self.write`.
    public var writeCommand: @Sendable (CommandRecord) -> [UInt8]?

    public init(
        cluster: ClusterID, record: MemberRecord, founds: String?, session: UInt64, timing: Timing = Timing(),
        readCommand: @escaping @Sendable ([UInt8]) -> CommandRecord? = Self.read,
        writeCommand: @escaping @Sendable (CommandRecord) -> [UInt8]? = Self.write
    ) {
        self.cluster = cluster
        self.record = record
        self.founds = founds
        self.session = session
        self.timing = timing
        self.readCommand = readCommand
        self.writeCommand = writeCommand
    }

    @Sendable public static func read(_ bytes: [UInt8]) -> CommandRecord? { CommandRecord(encoded: bytes) }

    @Sendable public static func write(_ record: CommandRecord) -> [UInt8]? { record.encoded() }
}

public struct AgentCore: Sendable {
    public internal(set) var setup: AgentSetup
    public internal(set) var raft: Raft
    public internal(set) var state = ClusterState()
    public internal(set) var applied: LogIndex = .zero

    /// This member's lease: until when, and what must have been applied before it counts.
    var leaseUntil: Instant = .distantPast
    var leaseFloor: LogIndex = .zero

    /// The declared addresses, parsed; follows the state.
    var specs: SortedMap<ResourceKey, VirtualIPSpec> = [:]
    var specsRevision: UInt64 = 0
    /// Nil until they have been told.
    var knownPeers: [MemberRecord]?
    /// The members these came from. Until one of them changes it is the state's own storage, which compares at once.
    var followedMembers: [MemberRecord]?
    var followedLeftBehind: [MemberRecord] = []
    /// Whether the state has once been as new as the cluster's since this process started.
    var isCurrent = false
    /// What membership was followed to; nil before the first time.
    var followed: (revision: UInt64, isCurrent: Bool)?
    var publishedEvent: UInt64 = 0
    /// What the member was last told to do about authorities.
    var followedAuthorities: AuthorityBook?
    /// The name the member was last told that it has.
    var toldName: String

    var proposals = Proposals()
    var reads: ReadRequests
    var transfers = LeadershipTransfers()
    var local = LocalRoles()
    var fitness = Fitness()
    var conflicts = AddressConflicts()
    var guests = HostWorkloads()
    /// The declared workloads and what is declared around them; follows the state like `specs`.
    var workloadSpecs = WorkloadSpecs()
    var duties = LeaderDuties()
    var trialSeen: TrialSeen?
    var stop = StopProgress()
    var snapshots = SnapshotProgress()
    /// Why this version cannot go on; nil: it can.
    public internal(set) var halted: String?
    var isHaltTold = false
    var recovery: RecoveryAttempt?
    var search = PeerSearch()
    var toldLeftBehind: Instant = .distantPast
    /// When a leader was last heard of, or this one last led; the start, before that. A learner does not campaign, so to
    /// the consensus its leader is the last one for ever.
    var leaderHeard: Instant
    /// The leader before this one led, and when it was last heard of.
    var formerLeader: (member: MemberID, heard: Instant)?

    /// When `handle` must be called again at the latest.
    public internal(set) var nextDeadline: Instant = .distantPast

    var effects: [AgentEffect] = []
    /// Reused between batches.
    var raftEffects: [Effect] = []
    var wallMilliseconds: Int64 = 0

    /// Starts a member from what its disk holds: the state of its newest snapshot, if there is one, and the entries
    /// behind that.
    public init(
        setup: AgentSetup, hardState: HardState, restored: RestoredState? = nil, entries: [Entry], now: Instant
    ) {
        self.setup = setup
        leaderHeard = now
        toldName = setup.record.name
        // A founder that lost its log must not found the cluster a second time.
        let founders = setup.founds == nil || hardState.memory != .whole ? [] : [setup.record.id]
        reads = ReadRequests(session: setup.session)
        reads.askWhetherCurrent()
        raft = Raft(
            id: setup.record.id, cluster: setup.cluster, timing: setup.timing, limits: setup.limits,
            rank: setup.record.kind == .host ? .preferred : .lastResort, incarnation: setup.session,
            hardState: hardState, snapshot: restored?.snapshot, entries: entries,
            initialConfiguration: Configuration(voters: founders), now: now)
        raft.knowsJointConfigurations = setup.knowsJointConfigurations
        if let restored {
            state = restored.state
            applied = restored.snapshot.mark.index
            // They were published by an earlier process.
            publishedEvent = state.lastEventID
        }
        if let restored { requireLevel(of: restored.snapshot.mark.index) }
    }

    public var id: MemberID { setup.record.id }

    /// Takes a batch of events in and returns what to do, in order.
    /// - Parameter wallMilliseconds: the wall clock, for people to read in events; nothing is decided by it but the
    ///   expiry of join tokens.
    public mutating func handle(
        _ events: [AgentEvent], now: Instant, wallMilliseconds: Int64, random: inout some RandomNumberGenerator
    ) -> [AgentEffect] {
        self.wallMilliseconds = wallMilliseconds
        if halted == nil {
            for event in events { handle(event, now: now, random: &random) }
        }
        finish(now: now, random: &random)
        var done: [AgentEffect] = []
        swap(&done, &effects)
        return done
    }

    /// Takes one event in and adds to `effects`, in order, what to do. Allocates nothing once `effects` has grown to
    /// what an event leads to.
    public mutating func handle(
        _ event: AgentEvent, now: Instant, wallMilliseconds: Int64, random: inout some RandomNumberGenerator,
        into effects: inout [AgentEffect]
    ) {
        self.wallMilliseconds = wallMilliseconds
        swap(&self.effects, &effects)
        if halted == nil { handle(event, now: now, random: &random) }
        finish(now: now, random: &random)
        swap(&self.effects, &effects)
    }

    private mutating func finish(now: Instant, random: inout some RandomNumberGenerator) {
        if halted == nil {
            if raft.nextDeadline <= now { raft.handle(.tick, now: now, random: &random) }
            settle(now: now, random: &random)
        }
        if halted == nil { nextDeadline = findDeadline(now: now) } else { tellHalt() }
    }

    private mutating func findDeadline(now: Instant) -> Instant {
        var next = min(raft.nextDeadline, proposals.nextDeadline, reads.nextDeadline)
        if !local.isEmpty { next = min(next, leaseUntil, local.nextEnd) }
        if mayDecide { next = min(next, duties.nextDecision) }
        if let recovery { next = min(next, recovery.decideAt) }
        next = min(next, nextPeerSearch, nextTelling, transfers.nextDeadline)
        next = min(next, guests.nextDeadline(now: now))
        return min(next, fitness.nextRetry, conflicts.nextEnd, stop.deadline(now: now))
    }

    private mutating func handle(_ event: AgentEvent, now: Instant, random: inout some RandomNumberGenerator) {
        switch event {
        case .frame(let frame): receive(frame, now: now, random: &random)
        case .persisted(let sequence): raft.handle(.persisted(sequence), now: now, random: &random)
        case .snapshotStored(let snapshot, let index):
            snapshotStored(snapshot, dropThrough: index, now: now, random: &random)
        case .snapshotFailed(let index, let reason): snapshotFailed(index, reason, now: now, random: &random)
        case .request(let id, let request): accept(request, id, now: now)
        case .report(let report): receive(report, now: now)
        case .guests(let report): receive(report, now: now)
        case .fence(let report): receive(report, now: now)
        case .watchdog(let report): receive(report)
        case .hostStops(let leaving): hostStops(leaving, now: now)
        case .identityChanged(let news): receive(news)
        case .stop: beginStop(now: now)
        case .tick: break
        }
    }

    private mutating func receive(_ frame: PeerFrame, now: Instant, random: inout some RandomNumberGenerator) {
        guard frame.cluster == setup.cluster, frame.to == id, frame.from != id else { return }
        if isLeftBehind(frame.from) { return receiveFromLeftBehind(frame, now: now, random: &random) }
        switch frame.body {
        case .recoveryProbe(let probe): return answerProbe(probe, frame, now: now)
        case .recoveryStatus(let probe, let standing): return probeAnswered(probe, standing, frame)
        case .epoch(let word): return receive(word, in: frame, now: now, random: &random)
        case .consensus, .proposal, .proposalRefused, .readIndex, .readIndexAnswer, .membersAsked, .members,
            .handOver:
            break
        }
        guard frame.epoch == raft.epoch else { return answerOtherEpoch(frame) }
        switch frame.body {
        case .recoveryProbe, .recoveryStatus, .epoch: break
        case .membersAsked: tellMembers(to: frame.from, now: now)
        case .members(let records): heardOfMembers(records, now: now)
        case .handOver(let member): handOver(to: member, askedBy: frame.from, now: now)
        case .consensus(let term, let message):
            let envelope = Envelope(
                cluster: frame.cluster, from: frame.from, to: frame.to, term: term, message: message,
                start: frame.start, earlierStarts: frame.earlierStarts, epoch: frame.epoch)
            raft.handle(.received(envelope), now: now, random: &random)
            if frame.from == raft.leader {
                leaderHeard = now
                formerLeader = (frame.from, now)
            }
        case .proposal(let proposal, let record): proposeForPeer(record, proposal, from: frame.from, now: now)
        case .proposalRefused(let proposal, _): proposals.refused(proposal, now: now)
        case .readIndex(let read): readForPeer(read, from: frame.from, now: now)
        case .readIndexAnswer(let read, let index): reads.answered(read, index, now: now)
        }
    }

    /// Lets everything follow from what was taken in: the consensus' effects, the applied state, this member's part
    /// in it. What is proposed on the way is flushed in a further round; each round needs a proposal of the one
    /// before, and proposals of one batch are few, so the bound is never reached by a sound member.
    private mutating func settle(now: Instant, random: inout some RandomNumberGenerator) {
        // After a start from a snapshot, which is no entry.
        if state.declarationsRevision != specsRevision { readDeclarations() }
        continueRecovery(now: now, random: &random)
        for _ in 0..<16 {
            let before = raft.log.lastIndex
            flushRaft(now: now, random: &random)
            guard halted == nil else { return }
            reconcile(now: now)
            if raft.log.lastIndex == before && !raft.hasOutput { return }
        }
    }

    private mutating func flushRaft(now: Instant, random: inout some RandomNumberGenerator) {
        raft.flush(now: now, into: &raftEffects)
        for effect in raftEffects {
            switch effect {
            case .send(let envelope): effects.append(.send(PeerFrame(envelope)))
            case .persist(let write): effects.append(.persist(write))
            case .committed(let index): apply(through: index, now: now)
            case .storeSnapshot(let snapshot): snapshotArrived(snapshot, now: now, random: &random)
            case .restored(let mark): restore(mark, now: now)
            case .snapshotDamaged(let mark):
                effects.append(.log("a snapshot through entry \(mark.index) arrived damaged and is fetched again"))
            case .readReady(let read, let index): readReady(read, index, now: now)
            case .readRefused(let read): readRefused(read, now: now)
            case .leaseRenewed(let until, let floor): renewLease(until: until, floor: floor)
            case .memoryIsLost:
                effects.append(
                    .log(
                        "others know of a later start of this member's disk: it was set back to an earlier state (a "
                            + "restored disk or snapshot of this machine?). It does not vote until the leader has taken "
                            + "it back; nothing need be done"))
            case .diskIsInUse(let start):
                end(
                    "another agent runs as \(setup.record.name) from a copy of this disk, and started later (start "
                        + "\(start.number)). Stop one of the two: both have the same identity. If this is the copy, "
                        + "empty its data directory and let it join with a token of its own (holdfast cluster token "
                        + "create)")
            case .epochContradicts: endContradicted()
            case .memoryIsWhole:
                effects.append(.log("what this disk had lost is made good: no majority rests on it any more"))
            case .leaderChanged(let leader):
                leaderHeard = now
                duties.reset(now: now)
                proposals.retryAll()
                reads.retryAll()
                effects.append(.log(leaderWords(leader)))
            }
        }
        if !raftEffects.isEmpty { raftEffects.removeAll(keepingCapacity: true) }
    }

    private mutating func reconcile(now: Instant) {
        followMembership(now: now)
        searchForPeers(now: now)
        tellThoseLeftBehind(now: now)
        reconcileRoles(now: now)
        reconcileFitness(now: now)
        reconcileConflicts(now: now)
        reconcileGuests(now: now)
        performLeaderDuties(now: now)
        announceIfNeeded(now: now)
        continueStop(now: now)
        retryProposals(now: now)
        continueTransfers(now: now)
        retryReads(now: now)
        answerReads(now: now)
    }

    private func leaderWords(_ leader: MemberID?) -> String {
        guard let leader else { return "no leader is known (term \(raft.term))" }
        return leader == id
            ? "leading in term \(raft.term)" : "following \(state.name(of: leader)) in term \(raft.term)"
    }

    private mutating func renewLease(until: Instant, floor: LogIndex) {
        guard until > leaseUntil else { return }
        leaseUntil = until
        leaseFloor = floor
    }

    /// Whether this member may act on its roles now.
    func holdsLease(now: Instant) -> Bool { now < leaseUntil && applied >= leaseFloor }

    // MARK: The applied state

    private mutating func apply(through index: LogIndex, now: Instant) {
        for entry in raft.committedEntries(from: applied.next, through: index) {
            guard apply(entry) else { return }
            takeSnapshotIfDue(after: entry)
        }
        followState(now: now)
    }

    /// - Returns: false when this version cannot go on.
    private mutating func apply(_ entry: Entry) -> Bool {
        guard case .command(let bytes) = entry.payload else {
            applied = entry.index
            return true
        }
        let record = setup.readCommand(bytes)
        // What is not read may be of a later version, which says so, or of none.
        guard mayApply(entry, needing: record.map(\.level) ?? CommandRecord.neededLevel(of: bytes)) else {
            return false
        }
        applied = entry.index
        guard let record else {
            // The same bytes fail the same way in every version.
            effects.append(.log("entry \(entry.index) is not a command; it changes nothing"))
            return true
        }
        let outcome = state.apply(record)
        if let request = proposals.finished(record.stamp) { effects.append(.respond(request, .outcome(outcome))) }
        requireLevel(of: entry.index)
        return halted == nil
    }

    /// What follows from a new state at once.
    mutating func followState(now: Instant) {
        watchTrial(now: now)
        followName()
        publishEvents()
        if state.declarationsRevision != specsRevision { readDeclarations() }
        answerReads(now: now)
    }

    private mutating func publishEvents() {
        guard state.lastEventID > publishedEvent else { return }
        let fresh = state.events.suffix(Int(min(state.lastEventID - publishedEvent, UInt64(state.events.count))))
        publishedEvent = state.lastEventID
        effects.append(.events(Array(fresh)))
    }

    private mutating func readDeclarations() {
        specsRevision = state.declarationsRevision
        specs = [:]
        for resource in state.resources(ofKind: "VirtualIP") {
            do {
                specs[resource.declaration.key] = try VirtualIPSpec(resource.declaration)
            } catch {
                effects.append(
                    .log("\(resource.declaration.key) is not understood here and has no candidates: \(error)"))
            }
        }
        workloadSpecs = WorkloadSpecs(state) { key, fault in
            effects.append(.log("\(key) is not understood here and is left alone: \(fault)"))
        }
        if let declared = state.resources(ofKind: "Cluster").first {
            do {
                raft.timing = try ClusterSpec(declared.declaration).timing
            } catch {
                effects.append(.log("\(declared.declaration.key) is not understood here; timings stay: \(error)"))
            }
        }
        var checks: SortedMap<ResourceKey, HealthCheck> = [:]
        var places: SortedMap<ResourceKey, [VirtualAddress]> = [:]
        for (role, spec) in specs.pairs where isCandidate(spec) {
            checks[role] = spec.follow
            places[role] = spec.addresses
        }
        fitness.keep(checks)
        fitness.keep(only: specs)
        effects.append(.healthChecks(checks))
        effects.append(.standReady(places))
    }

    func isCandidate(_ spec: VirtualIPSpec) -> Bool {
        spec.candidates.contains { $0.member == setup.record.name || state.isName($0.member, of: id) }
    }

    /// The peers follow the applied state, but not while it is being caught up with: an old state does not know members
    /// that came later, and the leader may be one of them. Turned away, it could never send the rest. Until then this
    /// member keeps to those it was told of when it joined, or that it knew last.
    private mutating func followMembership(now: Instant) {
        // Depends on nothing else, so once for each revision is enough.
        if let followed, followed == (state.revision, isCurrent) { return }
        followed = (state.revision, isCurrent)
        if isCurrent, state.members.values != followedMembers || state.leftBehind.values != followedLeftBehind {
            followedMembers = state.members.values
            followedLeftBehind = state.leftBehind.values
            // Those that were left behind are to be told so when they are heard of.
            let peers = state.members.values.filter { $0.id != id } + state.leftBehind.values
            if peers != knownPeers {
                knownPeers = peers
                effects.append(.peers(peers))
            }
        }
        followAuthorities()
        if isCurrent, state.members.contains(id), setup.record.name != toldName {
            toldName = setup.record.name
            effects.append(.named(setup.record.name))
        }
        raft.wantsLease =
            specs.values.contains { isCandidate($0) } || state.roles.values.contains { $0.holder == id }
            || hostName != nil || countedHostName != nil
    }

    /// What this member knows now, for `status`.
    public func view(now: Instant) -> AgentView {
        var silent: [MemberID] = []
        var lacking: SortedMap<MemberID, UInt64> = [:]
        if raft.isLeader {
            let standings = standings(now: now)
            for (member, standing) in standings.pairs where member != id {
                if !standing.reachable { silent.append(member) }
                lacking[member] = self.lacking(member)
            }
        }
        return AgentView(
            member: id, role: raft.role, term: raft.term, leader: raft.leader, commitIndex: raft.commitIndex,
            appliedIndex: applied, configuration: raft.configuration, silent: silent, lacking: lacking,
            hasQuorumLease: raft.holdsQuorumLease(now: now), holdsLease: holdsLease(now: now), isCurrent: isCurrent,
            openProposals: proposals.open.count, openReads: reads.own.count, timing: raft.timing,
            snapshotProblem: snapshots.problem, epoch: raft.epoch)
    }
}
