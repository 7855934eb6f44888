// What a member does while it leads: heartbeat rounds, replication, the commit rule, and giving up.
// Relies on Progress for what each member holds, and on Durability for how far the own disk is.

/// State that exists only while leading, and only for one term.
public struct Leadership: Hashable, Sendable {
    public let since: Instant
    public internal(set) var progress: SortedMap<MemberID, Progress>
    public internal(set) var quorumLease = QuorumLease()
    public internal(set) var leases = MemberLeases()
    var nextHeartbeat: Instant
    /// The last time a quorum was known to answer; leading ends when that is an election timeout ago.
    var lastQuorum: Instant
    /// The first entry of this term: once it is committed, so is everything before it.
    let firstIndex: LogIndex
    /// Reads waiting for a round that was sent after they arrived to be acknowledged.
    var reads: [PendingRead] = []
    /// The transfer under way.
    public internal(set) var transfer: Transfer?
    /// Whether leases may be granted in this term; false for good once "campaign now" was sent.
    public internal(set) var grants = true
    /// No role may be re-assigned before: the longest grant a predecessor left behind in a transfer.
    public internal(set) var reassignNotBefore: Instant
    /// The voters may not be changed again before: leases that rest on those before them may be out.
    var votersStayUntil: Instant
    var uncommittedBytes = 0

    struct PendingRead: Hashable, Sendable {
        let id: ReadID
        let round: Round
    }

    init(
        others: [MemberID], next: LogIndex, firstIndex: LogIndex, reassignNotBefore: Instant, now: Instant
    ) {
        since = now
        progress = SortedMap(others.map { ($0, Progress(next: next, now: now)) })
        nextHeartbeat = now
        lastQuorum = now
        self.firstIndex = firstIndex
        self.reassignNotBefore = reassignNotBefore
        votersStayUntil = reassignNotBefore
    }

    mutating func members(are configuration: Configuration, except own: MemberID, next: LogIndex) {
        for member in progress.keys where !configuration.contains(member) { progress[member] = nil }
        for member in configuration.members where member != own && progress[member] == nil {
            progress[member] = Progress(next: next, now: since)
        }
    }
}

extension Raft {
    mutating func becomeLeader(now: Instant, random: inout some RandomNumberGenerator) {
        precondition(role == .candidate, "only a candidate becomes leader")
        role = .leader
        leader = id
        let others = configuration.members.filter { $0 != id }
        // Whoever begins an epoch was elected without a majority of those before, so its election is no proof that their
        // promises ended, nor the leases that rest on them.
        let beginsEpoch = epoch > .first && lastConfiguration(through: commitIndex).found.epoch != epoch
        let leases = beginsEpoch ? longestLease : .zero
        let inherited = Interval.max(leases, campaignsByTransfer ? timing.stretched(inheritedGrant) : .zero)
        leadership = Leadership(
            others: others, next: log.lastIndex.next, firstIndex: log.lastIndex.next,
            reassignNotBefore: inherited > .zero ? now + inherited : .distantPast, now: now)
        ballots = [:]
        campaignsByTransfer = false
        inheritedGrant = .zero
        appendAsLeader(.empty)
        tickAsLeader(now: now, random: &random)
    }

    /// Appends entries of this term. Returns the position of the first, or why not.
    public mutating func propose(_ payloads: [[UInt8]], now: Instant) -> Result<LogIndex, ProposalRefusal> {
        guard isLeader, let leadership else { return .failure(.notLeader(leader)) }
        guard leadership.transfer == nil else { return .failure(.transferring) }
        let bytes = payloads.reduce(0) { $0 + $1.count }
        guard leadership.uncommittedBytes + bytes <= limits.uncommittedBytes, !isWaitingForDisk else {
            return .failure(.overloaded)
        }
        let first = log.lastIndex.next
        for payload in payloads { appendAsLeader(.command(payload)) }
        return .success(first)
    }

    mutating func appendAsLeader(_ payload: Entry.Payload) {
        let entry = Entry(index: log.lastIndex.next, term: term, payload: payload)
        leadership!.uncommittedBytes += entry.size
        appendToLog(entry)
    }

    mutating func tickAsLeader(now: Instant, random: inout some RandomNumberGenerator) {
        giveUpIfUseless(now: now, random: &random)
        guard isLeader, now >= leadership!.nextHeartbeat else { return }
        // A late tick does not make up for rounds that were missed: the next one is a full interval away.
        leadership!.nextHeartbeat = now + timing.heartbeat
        leaveJointConfiguration(now: now)
        sendHeartbeats(now: now)
    }

    /// Ends a leadership that can serve nobody: no quorum answers, or the own disk hangs (the disk-stall trap:
    /// heartbeats need no disk, so such a leader would look healthy for ever).
    private mutating func giveUpIfUseless(now: Instant, random: inout some RandomNumberGenerator) {
        if now - leadership!.lastQuorum > timing.electionTimeoutMost {
            becomeFollower(in: term, now: now, random: &random)
            return
        }
        if let transfer = leadership!.transfer, now > transfer.deadline {
            // After "campaign now" the successor may be elected without regard to promises: this leader cannot know,
            // so it must not lead on in this term.
            if transfer.orderSent {
                becomeFollower(in: term, now: now, random: &random)
            } else {
                leadership!.transfer = nil
            }
            return
        }
        guard let oldest = durability.oldestSubmitted, now - oldest > timing.quorumLease,
            configuration.allVoters.contains(where: { $0 != id }), leadership!.transfer == nil
        else { return }
        if let successor = bestSuccessor(now: now) {
            _ = startTransfer(to: successor, now: now)
        } else {
            becomeFollower(in: term, now: now, random: &random)
        }
    }

    // MARK: Replication

    /// Sends every member what it lacks, as far as its pipeline allows.
    mutating func replicate(now: Instant) {
        let last = log.lastIndex
        for position in leadership!.progress.storedKeys.indices {
            // After most events there is nothing to send to anybody: look in place before anything is copied.
            let mayBeOwed = leadership!.progress.storedValues[position].mayBeOwed(
                logThrough: last, commit: commitIndex, limits)
            guard mayBeOwed else { continue }
            let member = leadership!.progress.storedKeys[position]
            while let progress = leadership?.progress[member], progress.maySend(limits),
                sendAppend(to: member, now: now)
            {}
            tellCommit(to: member)
        }
        if leadership?.transfer != nil { continueTransfer(now: now) }
    }

    /// Sends one append; false when the member has everything (or its state was told already).
    private mutating func sendAppend(to member: MemberID, now: Instant) -> Bool {
        let progress = leadership!.progress[member]!
        let previous = progress.next.previous
        if case .snapshot = progress.mode { return sendSnapshot(to: member, now: now) }
        guard let previousTerm = log.term(at: previous) else {
            return previous < log.base && sendSnapshot(to: member, now: now)
        }
        let entries = log.batch(from: progress.next, limits: limits)
        // With nothing to send, a probe is needed only while the match point is unknown.
        if entries.isEmpty && (progress.mode == .replicating || progress.match == log.lastIndex) { return false }
        let request = AppendRequest(
            previousIndex: previous, previousTerm: previousTerm, entries: entries, commit: commitIndex)
        sendNow(.appendRequest(request), to: member)
        let last = entries.last?.index ?? previous
        _ = leadership!.progress.update(member) {
            $0.sent(through: last, now: now)
            $0.told(commit: commitIndex)
        }
        return true
    }

    /// The commit rule: an entry is committed when a majority holds it durably and it is of the leader's own term;
    /// earlier ones follow (Ongaro 3.6.2, Figure 8). The leader counts itself only as far as its own disk is.
    mutating func advanceCommit(now: Instant) {
        let own = durability.durableIndex
        let reached = configuration.reachedByQuorum { member in
            member == id ? own : leadership!.progress.look(member) { $0.match } ?? .zero
        }
        guard let reached, reached > commitIndex, log.term(at: reached) == term else { return }
        for entry in log.slice(commitIndex.next, through: reached) where entry.term == term {
            leadership!.uncommittedBytes -= entry.size
        }
        let wasSettled = hasCommittedInTerm
        commitIndex = reached
        if hasCommittedInTerm { serveReads(now: now) }
        if !wasSettled && hasCommittedInTerm { grantFirstLeases(now: now) }
        leaveJointConfiguration(now: now)
        stepDownIfRemoved()
    }

    /// Leases that were asked for before this leader could know what is committed.
    private mutating func grantFirstLeases(now: Instant) {
        for member in leadership!.progress.keys {
            grantLease(to: member, now: now)
            hastenFirstLease(of: member, now: now)
        }
        renewOwnLease(now: now)
    }

    /// Whether everything committed in earlier terms is known to be committed here.
    public var hasCommittedInTerm: Bool {
        guard let first = leadership?.firstIndex else { return false }
        return commitIndex >= first
    }

    // MARK: What the leader knows of the others

    /// When `member` was last heard of in this term.
    public func lastHeard(_ member: MemberID) -> Instant? {
        leadership?.progress.look(member) { $0.lastHeard } ?? nil
    }

    /// Whether a member's log is within reach of the leader's: it answered lately and lacks at most `entries`.
    public func isCaughtUp(_ member: MemberID, within entries: Int, now: Instant) -> Bool {
        guard let progress = leadership?.progress[member], let heard = progress.lastHeard else { return false }
        return now - heard < timing.electionTimeoutLeast && progress.match + entries >= log.lastIndex
    }

    /// Whether it is certain that `member` holds no lease of this leader or any before it.
    public func leaseIsCertainlyOver(_ member: MemberID, now: Instant) -> Bool {
        guard let notBefore = leadership?.reassignNotBefore, member != id else { return false }
        return leaseOutstandingUntil(member, now: now) == nil && now >= notBefore
    }

    /// When the last lease that may be out to `member` has certainly ended; nil when none is out.
    public func leaseOutstandingUntil(_ member: MemberID, now: Instant) -> Instant? {
        leadership?.leases.outstanding(member, now: now)
    }

    public mutating func withholdLease(from member: MemberID) { leadership?.leases.withhold(from: member) }
    public mutating func restoreLease(to member: MemberID) { leadership?.leases.restore(to: member) }
}

/// Why a proposal was not taken.
public enum ProposalRefusal: Error, Hashable, Sendable {
    case notLeader(MemberID?)
    /// Leadership is being handed over; try the next leader.
    case transferring
    /// Too much waits for a quorum or for the disk.
    case overloaded
}
