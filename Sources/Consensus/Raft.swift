// One member's part in the consensus, as a plain value: inputs and the time go in, effects come out.
//
// Relies on: its owner calling `handle` for every input, `flush` after every batch of inputs, `tick` at or after
// `nextDeadline`, writing LogWrites in order, and handing in instants of one clock that never goes back.
// Does not: keep the replicated state, decide who should be a member, read a clock, or draw its own randomness.
//
// The protocol is Raft (Ongaro 2014) with pre-vote and check-quorum always on, a log written asynchronously, and the
// chain of leases. DESIGN.md beside this file explains where it differs from the paper and why.

/// Something that happened to a member.
public enum Input: Hashable, Sendable {
    case received(Envelope)
    /// All writes up to this one are durable, and their messages sent.
    case persisted(WriteSequence)
    /// A snapshot is durable: one that was taken here, or one that `storeSnapshot` handed out.
    case snapshotStored(Snapshot)
    /// The one that `storeSnapshot` handed out, ending at this index, is not kept; `forGood`: it is not understood here.
    case snapshotNotStored(LogIndex, forGood: Bool)
    /// Time has passed; also safe to call more often than needed.
    case tick
}

/// What a member is to the others.
public enum Role: Hashable, Sendable {
    case follower
    /// Asking whether an election could be won, without touching anyone's term (Ongaro 9.6).
    case preCandidate
    case candidate
    case leader
}

/// One member's consensus state.
public struct Raft: Sendable {
    public let id: MemberID
    public let cluster: ClusterID
    public var timing: Timing
    public let limits: Limits
    /// Whether this member should lead; decides how early it campaigns.
    public var rank: LeadershipRank
    /// Members that should lead only when nobody else can, as the owner knows them: a hanging disk hands over to them
    /// last.
    public var membersOfLastResort: [MemberID] = []
    /// Whether this member asks for a lease with each heartbeat answer.
    public var wantsLease = false
    /// Whether this member takes part in joint configurations. False makes it one of a release before there were any.
    public var knowsJointConfigurations = true
    /// Drawn anew at every start: tells the leader that what it knew of this member's memory is gone.
    public let incarnation: UInt64

    // Hard state. Changes mark `hardStateDirty`, and leave with the next LogWrite.
    public internal(set) var hardState: HardState
    var hardStateDirty = false

    public internal(set) var log: RaftLog
    public internal(set) var durability: Durability
    /// Entries from here on are in memory and not yet handed to the disk.
    var unwrittenFrom: LogIndex
    /// Where the log begins anew, when the disk does not know yet.
    var restartsBehind: LogPosition?
    /// The newest durable snapshot: what a member gets that lacks more than the log holds.
    public internal(set) var snapshot: Snapshot?
    /// The one that is arriving.
    var incoming: IncomingSnapshot?
    /// Through where the log certainly is as some leader has it, as this process saw. What a disk holds may be a tail that
    /// was replaced in the part it has lost since; the leader may still believe in what the disk acknowledged before.
    var comparedThrough: LogIndex
    /// The epoch in which it was compared last.
    var comparedEpoch: Epoch?
    /// Others know of a later start of this member's disk, and since when they say so.
    var overtaken: (known: DiskStart, since: Instant)?
    /// The newest start of a copy of this disk that is alive: this process ends when it is durable that it is not whole.
    var copy: DiskStart?
    /// The leader has said that no majority counts this member (Memory.swift).
    var readmission: Readmission?

    public internal(set) var commitIndex: LogIndex = .zero
    public internal(set) var role: Role = .follower
    /// The leader of the current term, when known.
    public internal(set) var leader: MemberID?
    /// The leader this member gave up on before it campaigned last: it has been silent for an election timeout.
    public internal(set) var deserter: MemberID?
    /// The configuration that applies now: the last one in the log, committed or not.
    public internal(set) var configuration: Configuration
    /// Where that configuration stands in the log; the log's base for the one from before it.
    public internal(set) var configurationIndex: LogIndex = .zero
    /// The configuration in force at the log's base.
    var baseConfiguration: Configuration

    /// Until when this member refuses every vote and pre-vote (point 1 of the chain of leases).
    public internal(set) var promiseUntil: Instant
    var electionDeadline: Instant
    /// Votes or pre-votes received, by voter.
    var ballots: SortedMap<MemberID, Bool> = [:]
    /// Set while campaigning at a leader's request: voters then disregard their promise to it.
    var campaignsByTransfer = false
    /// The longest grant of the predecessor that asked us to campaign; kept until the election is won.
    var inheritedGrant: Interval = .zero

    /// The lease this member holds; it may have run out.
    public internal(set) var heldLease: HeldLease?

    /// What only a leader keeps; nil otherwise.
    public internal(set) var leadership: Leadership?

    // Collected while handling a batch, handed out by `flush`.
    var outbox: [Envelope] = []
    var afterDurable: [Envelope] = []
    var notices: [Effect] = []
    var announcedCommit: LogIndex = .zero
    var announcedLeader: MemberID?

    /// Starts a member from what its disk holds. A member of a new cluster is given the first configuration and
    /// nothing else; a member that joins is given an empty one and learns the rest from the log. With a snapshot, the
    /// entries begin right behind it.
    public init(
        id: MemberID, cluster: ClusterID, timing: Timing, limits: Limits = Limits(), rank: LeadershipRank,
        incarnation: UInt64, hardState: HardState, snapshot: Snapshot? = nil, entries: [Entry],
        initialConfiguration: Configuration, now: Instant
    ) {
        self.id = id
        self.cluster = cluster
        self.timing = timing
        self.limits = limits
        self.rank = rank
        self.incarnation = incarnation
        self.hardState = hardState
        self.snapshot = snapshot
        log = RaftLog(base: snapshot?.mark.position, entries: entries)
        commitIndex = log.base
        announcedCommit = log.base
        durability = Durability(durableIndex: log.lastIndex, hardState: hardState)
        unwrittenFrom = log.lastIndex.next
        // A leader compares a disk anew when it shows another start. Without one (in a member of old) it may not.
        comparedThrough = hardState.memory == .whole && hardState.start == .none ? log.lastIndex : log.base
        baseConfiguration = snapshot?.mark.configuration ?? initialConfiguration
        configuration = baseConfiguration
        if log.lastTerm > hardState.term {
            // A torn write may have left entries of a term without the term itself. It was never answered for, so
            // nobody counts on a vote in it.
            self.hardState.term = log.lastTerm
            self.hardState.vote = nil
            hardStateDirty = true
        }
        // The restart trap: promises were in memory only, so the longest one that may have been given is kept now.
        // One that cannot be read is taken to have been as long as they are now.
        let promise =
            hardState.memory == .lost
            ? Interval.max(hardState.longestPromise, timing.promise) : hardState.longestPromise
        promiseUntil = now + timing.stretched(promise)
        let window = timing.electionTimeoutMost - timing.electionTimeoutLeast
        electionDeadline = rank == .preferred ? promiseUntil : promiseUntil + window
        findConfiguration()
        if configuration.epoch > self.hardState.epoch {
            // Whoever holds a configuration of an epoch was in it; a disk that forgot so much shows it all the same.
            self.hardState.epoch = configuration.epoch
            hardStateDirty = true
        }
    }

    public var term: Term { hardState.term }
    public var epoch: Epoch { hardState.epoch }
    public var isLeader: Bool { role == .leader }
    public var isVoter: Bool { configuration.isVoter(id) }

    /// When `tick` must be called at the latest.
    public var nextDeadline: Instant {
        leadership?.nextHeartbeat ?? electionDeadline
    }

    /// Takes one input in. Effects are collected until `flush`.
    public mutating func handle(_ input: Input, now: Instant, random: inout some RandomNumberGenerator) {
        switch input {
        case .received(let envelope): receive(envelope, now: now, random: &random)
        case .persisted(let sequence): persisted(sequence, now: now, random: &random)
        case .snapshotStored(let snapshot): stored(snapshot)
        case .snapshotNotStored(let index, let forGood): didNotStore(index, forGood: forGood, now: now)
        case .tick: tick(now: now, random: &random)
        }
    }

    /// Whether a flush would hand anything out. What waits for a full disk queue does not count: no flush moves it before
    /// a write completes.
    public var hasOutput: Bool {
        let toWrite = !afterDurable.isEmpty || hardStateDirty || unwrittenFrom <= log.lastIndex || restartsBehind != nil
        return !outbox.isEmpty || !notices.isEmpty || commitIndex > announcedCommit || leader != announcedLeader
            || (toWrite && !isWaitingForDisk)
    }

    /// Hands out everything the inputs since the last flush ask for: messages that may leave at once, then at most
    /// one write with the messages that wait for it, then what became known.
    public mutating func flush(now: Instant, into effects: inout [Effect]) {
        if isLeader { replicate(now: now) }
        if !outbox.isEmpty {
            for envelope in outbox { effects.append(.send(envelope)) }
            outbox.removeAll(keepingCapacity: true)
        }
        if hardStateDirty || !afterDurable.isEmpty || unwrittenFrom <= log.lastIndex || restartsBehind != nil {
            flushWrite(now: now, into: &effects)
        }
        if !notices.isEmpty {
            effects.append(contentsOf: notices)
            notices.removeAll(keepingCapacity: true)
        }
        if leader != announcedLeader {
            announcedLeader = leader
            effects.append(.leaderChanged(leader))
        }
        if commitIndex > announcedCommit {
            announcedCommit = commitIndex
            effects.append(.committed(through: commitIndex))
        }
    }

    private mutating func flushWrite(now: Instant, into effects: inout [Effect]) {
        if isWaitingForDisk {
            // What is new stays in memory; messages that would have to wait count as lost on the way.
            afterDurable.removeAll(keepingCapacity: true)
            return
        }
        let entries = log.slice(unwrittenFrom, through: log.lastIndex)
        let isNew = hardStateDirty || !entries.isEmpty || restartsBehind != nil
        if !isNew && durability.isIdle {
            // Nothing to wait for: what would follow the write may leave now.
            for envelope in afterDurable { effects.append(.send(envelope)) }
        } else if isNew || !afterDurable.isEmpty {
            let sequence = durability.submit(reach: log.lastIndex, hardState: hardState, now: now)
            effects.append(
                .persist(
                    LogWrite(
                        sequence: sequence, hardState: hardStateDirty ? hardState : nil,
                        restartsBehind: restartsBehind, entries: Array(entries), thenSend: afterDurable)))
            hardStateDirty = false
            restartsBehind = nil
            unwrittenFrom = log.lastIndex.next
        }
        afterDurable.removeAll(keepingCapacity: true)
    }

    private mutating func receive(_ envelope: Envelope, now: Instant, random: inout some RandomNumberGenerator) {
        guard envelope.cluster == cluster, envelope.to == id, envelope.from != id, envelope.term <= .greatest,
            envelope.start.number < DiskStart.greatestNumber, envelope.epoch == epoch
        else { return }
        guard comesFromNewestStart(envelope, now: now) else { return }
        switch envelope.message {
        case .startIsOver(let notice): receive(notice, in: envelope, now: now, random: &random)
        // These four carry terms that must not be taken over unseen; they look at the term themselves.
        case .preVoteRequest(let request): receive(request, in: envelope, now: now)
        case .preVoteReply(let reply): receive(reply, in: envelope, now: now, random: &random)
        case .voteRequest(let request): receive(request, in: envelope, now: now, random: &random)
        case .campaignNow(let order): receive(order, in: envelope, now: now, random: &random)
        case .voteReply(let reply):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(reply, from: envelope.from, now: now, random: &random)
        case .appendRequest(let request):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(request, from: envelope.from, now: now, random: &random)
        case .appendReply(let reply):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(reply, from: envelope.from, now: now)
        case .heartbeat(let heartbeat):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(heartbeat, from: envelope.from, now: now, random: &random)
        case .heartbeatReply(let reply):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(reply, from: envelope.from, now: now)
        case .commitNotice(let notice):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(notice, from: envelope.from, now: now, random: &random)
        case .leaseGrant(let grant):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(grant, from: envelope.from, now: now)
        case .snapshotChunk(let chunk):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(chunk, from: envelope.from, now: now, random: &random)
        case .snapshotReply(let reply):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(reply, from: envelope.from, now: now)
        case .memoryLost(let loss):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(loss, from: envelope.from, now: now)
        case .readmitted(let answer):
            guard observe(envelope, now: now, random: &random) else { return }
            receive(answer, from: envelope.from)
        }
    }

    /// Takes over a newer term. False for a message of an older one, whose sender is told ours when it claims to lead,
    /// so that a leader the others have left behind finds out.
    private mutating func observe(
        _ envelope: Envelope, now: Instant, random: inout some RandomNumberGenerator
    ) -> Bool {
        if envelope.term > term {
            becomeFollower(in: envelope.term, now: now, random: &random)
        } else if envelope.term < term {
            switch envelope.message {
            case .appendRequest, .heartbeat, .snapshotChunk:
                sendAfterDurable(.heartbeatReply(.outdated), to: envelope.from)
            default: break
            }
            return false
        }
        return true
    }

    /// Whether as many writes wait for the disk as may.
    var isWaitingForDisk: Bool { durability.waiting >= limits.waitingWrites }

    // MARK: Sending

    /// Queues a message that depends on nothing unwritten.
    mutating func sendNow(_ message: Message, to member: MemberID, term: Term? = nil) {
        outbox.append(
            Envelope(
                cluster: cluster, from: id, to: member, term: term ?? hardState.term, message: message,
                start: hardState.start, earlierStarts: hardState.earlierStarts, epoch: epoch))
    }

    /// Queues a message that may leave only when everything this member knows now is durable.
    mutating func sendAfterDurable(_ message: Message, to member: MemberID) {
        afterDurable.append(
            Envelope(
                cluster: cluster, from: id, to: member, term: hardState.term, message: message,
                start: hardState.start, earlierStarts: hardState.earlierStarts, epoch: epoch))
    }

    /// Whether term, vote and longest promise are on disk, so that answers resting on them may leave without waiting.
    var hardStateIsDurable: Bool { !hardStateDirty && durability.durableHardState == hardState }

    /// Whether the promises a leader gave itself with its rounds would survive a restart. All of them: after the timings
    /// shrank, an older round may still rest on a longer promise than the present one.
    var promiseIsDurable: Bool { durability.durableHardState.longestPromise >= hardState.longestPromise }

    // MARK: Roles

    mutating func becomeFollower(in newTerm: Term, now: Instant, random: inout some RandomNumberGenerator) {
        precondition(newTerm >= term, "terms never go back")
        if newTerm > term {
            hardState.term = newTerm
            hardState.vote = nil
            hardStateDirty = true
            leader = nil
        }
        if role == .leader { leader = nil }
        refuseReads()
        role = .follower
        leadership = nil
        ballots = [:]
        campaignsByTransfer = false
        resetElectionTimer(now: now, random: &random)
    }

    mutating func resetElectionTimer(now: Instant, random: inout some RandomNumberGenerator) {
        let window = timing.electionTimeoutMost - timing.electionTimeoutLeast
        let share = window.nanoseconds / 5 * 2
        let start =
            rank == .preferred
            ? timing.electionTimeoutLeast : timing.electionTimeoutMost - Interval(nanoseconds: share)
        let draw = Interval(nanoseconds: Int64(random.uniform(below: UInt64(max(share, 1)))))
        electionDeadline = max(now + start + draw, promiseUntil)
    }

    private mutating func tick(now: Instant, random: inout some RandomNumberGenerator) {
        if isLeader {
            tickAsLeader(now: now, random: &random)
        } else if now >= electionDeadline {
            startPreVote(now: now, random: &random)
        }
    }

    // MARK: Log and disk

    private mutating func persisted(
        _ sequence: WriteSequence, now: Instant, random: inout some RandomNumberGenerator
    ) {
        durability.complete(sequence)
        recollect()
        endBesideCopy()
        countOwnVote(now: now, random: &random)
        if isLeader { advanceCommit(now: now) }
        if isLeader { acknowledgeRounds(now: now) }
    }

    mutating func appendToLog(_ entry: Entry) {
        log.append(entry)
        if case .configuration(let newer) = entry.payload { adopt(newer, at: entry.index) }
    }

    /// Replaces the tail of the log from `index` on; the configuration falls back if it stood there.
    mutating func truncateLog(from index: LogIndex) {
        precondition(index > commitIndex, "a committed entry is never replaced")
        log.truncate(from: index)
        durability.cut(from: index)
        unwrittenFrom = min(unwrittenFrom, index)
        comparedThrough = min(comparedThrough, index.previous)
        if configurationIndex >= index { findConfiguration() }
    }

    /// Finds the last configuration in the log.
    mutating func findConfiguration() {
        let (found, index) = lastConfiguration(through: log.lastIndex)
        adopt(found, at: index)
    }

    /// The configuration that was in force before the entry at `index`.
    func configurationBefore(_ index: LogIndex) -> Configuration { lastConfiguration(through: index.previous).found }

    func lastConfiguration(through last: LogIndex) -> (found: Configuration, at: LogIndex) {
        var index = last
        while index > log.base {
            if case .configuration(let found)? = log.entry(at: index)?.payload { return (found, index) }
            index = index.previous
        }
        return (baseConfiguration, log.base)
    }

    private mutating func adopt(_ newer: Configuration, at index: LogIndex) {
        configuration = newer
        configurationIndex = index
        leadership?.members(are: newer, except: id, next: log.lastIndex.next)
    }

    /// The entries that are committed and lie in a closed range.
    public func committedEntries(from first: LogIndex, through last: LogIndex) -> ArraySlice<Entry> {
        precondition(last <= commitIndex, "only committed entries are handed out")
        return log.slice(first, through: last)
    }
}
