// What a leader knows of one other member's log, and how it feeds it.
// Three modes, as in etcd's tracker: `probing` sends one append and waits, because the match point is not known;
// `replicating` keeps a pipeline of appends in flight; `snapshot` sends a snapshot part by part, because the log no longer
// holds what the member lacks.

/// A leader's view of one member.
public struct Progress: Hashable, Sendable {
    public enum Mode: Hashable, Sendable {
        /// The match point is unknown; at most one append is on its way.
        case probing(waiting: Bool)
        /// Appends are sent ahead of their answers.
        case replicating
        /// No appends until the member has the snapshot.
        case snapshot(SnapshotSending)
    }

    /// A loss that a member told of.
    public struct Loss: Hashable, Sendable {
        /// The start of its disk after which it told of it.
        public let start: DiskStart
        /// The round that had been opened last when it arrived.
        public let after: Round
    }

    private struct Stranger: Hashable {
        let start: DiskStart
        let since: Instant
    }

    private struct AskedLease: Hashable {
        let request: LeaseRequest
        let after: Round
    }

    /// The last entry known to be durable on the member and equal to ours.
    public private(set) var match: LogIndex = .zero
    /// The next entry to send. Always greater than `match`.
    public private(set) var next: LogIndex
    public private(set) var mode: Mode = .probing(waiting: false)
    /// The commit index the member was told last, as far as it concerns entries it is known to hold.
    private var commitTold: LogIndex = .zero
    /// The last entry of each append in flight.
    private var flights: [LogIndex] = []
    /// The last time an append was answered, or the first of a pipeline was sent.
    private var lastMovement: Instant
    /// When the member was last heard of in this term; nil when never.
    public private(set) var lastHeard: Instant?
    /// The start of the member's disk that this leader heard from last.
    public private(set) var start: DiskStart?
    /// A start that is over and speaks all the same, and since when.
    private var stranger: Stranger?
    /// What the member acknowledged before its present start, and so must still hold.
    public private(set) var mustHold: LogIndex = .zero
    /// The member said that its disk has lost something.
    public private(set) var loss: Loss?
    /// The last heartbeat round the member answered.
    public private(set) var round: Round = 0
    /// The member has said in this term that a joint configuration would be Greek to it.
    public internal(set) var lacksJointConfigurations = false
    /// The leases the member asked for and was not given yet, oldest first, each with the round that had been opened
    /// last when it arrived.
    private var leasesAsked: [AskedLease] = []

    public init(next: LogIndex, now: Instant) {
        self.next = next
        lastMovement = now
    }

    public func maySend(_ limits: Limits) -> Bool {
        switch mode {
        case .probing(let waiting): !waiting
        case .replicating: flights.count < limits.inFlightAppends
        case .snapshot(let sending): !sending.isWaiting
        }
    }

    /// False when there is certainly nothing to send: everything is sent, its match point is known or on its way, and so
    /// is what is committed.
    func mayBeOwed(logThrough last: LogIndex, commit: LogIndex, _ limits: Limits) -> Bool {
        if commitToTell(commit) != nil { return true }
        guard maySend(limits) else { return false }
        return next <= last || (mode != .replicating && match != last)
    }

    public mutating func heard(_ now: Instant) { lastHeard = now }

    /// The member answered a round while `newest` was the last one opened.
    public mutating func answered(_ answer: Round, asking lease: LeaseRequest?, newest: Round) {
        round = max(round, answer)
        guard let lease else { return }
        if leasesAsked.count == QuorumLease.mostRounds { leasesAsked.removeFirst() }
        leasesAsked.append(AskedLease(request: lease, after: newest))
    }

    /// The newest request that had arrived before `acknowledged` was opened.
    public func leaseAsked(before acknowledged: Round) -> LeaseRequest? {
        leasesAsked.last { $0.after < acknowledged }?.request
    }

    public var asksForLease: Bool { !leasesAsked.isEmpty }

    /// Requests that had arrived before `acknowledged` was opened are answered.
    public mutating func leaseGranted(before acknowledged: Round) { leasesAsked.removeAll { $0.after < acknowledged } }

    public mutating func sent(through last: LogIndex, now: Instant) {
        if flights.isEmpty { lastMovement = now }
        switch mode {
        case .probing: mode = .probing(waiting: true)
        case .replicating:
            flights.append(last)
            next = max(next, last.next)
        case .snapshot: break
        }
    }

    /// What the member may be told of a commit that has reached `commit`; nil when it knows already.
    public func commitToTell(_ commit: LogIndex) -> LogIndex? {
        let known = min(commit, match)
        return known > commitTold ? known : nil
    }

    public mutating func told(commit: LogIndex) { commitTold = max(commitTold, min(commit, match)) }

    /// The member's log matches ours through `index`.
    public mutating func accepted(through index: LogIndex, now: Instant) {
        lastMovement = now
        flights.removeAll { $0 <= index }
        guard index >= match else { return }
        match = index
        switch mode {
        case .replicating: next = max(next, index.next)
        case .snapshot(let sending) where index < sending.snapshot.mark.index: return
        case .probing, .snapshot:
            // It may be a late answer, to what was sent before the match point was lost: nothing is in flight behind it.
            next = index.next
            mode = .replicating
        }
    }

    /// The member refused an append that followed `previous`; `resume` is where it may match. Late refusals of what has
    /// been settled meanwhile change nothing while a pipeline runs. A refusal of the match point itself means that the
    /// member's disk lost what it had acknowledged: it is fed again from where it stands, and no longer counted for more.
    /// (A late one does no harm: the match point is found again with the next answer.)
    public mutating func refused(after previous: LogIndex, resumeAfter resume: LogIndex, now: Instant) -> Bool {
        switch mode {
        case .replicating:
            guard previous > match else { return false }
            next = match.next
        case .probing:
            guard next.previous == previous, previous > .zero else { return false }
            let retreat = min(resume, previous.previous)
            match = min(match, retreat)
            next = retreat.next
        case .snapshot: return false
        }
        flights = []
        lastMovement = now
        mode = .probing(waiting: false)
        return true
    }

    /// Starts over from the match point when appends in flight went unanswered for `patience`: the connection may have
    /// lost the whole pipeline. What was lost is sent again, what was not is recognised as a duplicate.
    public mutating func retryIfStalled(now: Instant, patience: Interval) -> Bool {
        switch mode {
        case .probing(let waiting):
            guard waiting, now - lastMovement > patience else { return false }
        case .replicating:
            guard !flights.isEmpty, now - lastMovement > patience else { return false }
            next = match.next
        case .snapshot(var sending):
            // On a slow link a part takes longer than that, and so does a disk that installs the whole: copies must not
            // fill the link, so each further one waits twice as long.
            guard sending.isWaiting, now - lastMovement > patience * (1 << sending.repeats) else { return false }
            sending.isWaiting = false
            sending.repeats = min(sending.repeats + 1, 5)
            mode = .snapshot(sending)
            return true
        }
        flights = []
        lastMovement = now
        mode = .probing(waiting: false)
        return true
    }

    // MARK: Losses

    /// Whatever the member acknowledged is worth nothing: its log is looked at anew. Told again after the same start it
    /// is no news.
    mutating func lost(_ start: DiskStart, newest: Round, now: Instant) {
        guard loss?.start != start else { return }
        loss = Loss(start: start, after: newest)
        match = .zero
        mustHold = .zero
        round = 0
        leasesAsked = []
        if case .replicating = mode {
            flights = []
            lastMovement = now
            mode = .probing(waiting: false)
        }
    }

    mutating func readmitted() { loss = nil }

    /// A start of the member's disk speaks that is over. Returns since when.
    mutating func besides(_ start: DiskStart, now: Instant) -> Instant {
        if let stranger, stranger.start == start { return stranger.since }
        stranger = Stranger(start: start, since: now)
        return now
    }

    /// The member's disk was started anew: that it still holds what it acknowledged is to be seen again.
    mutating func started(_ start: DiskStart, now: Instant) {
        guard self.start != start else { return }
        defer { self.start = start }
        guard self.start != nil else { return }
        mustHold = max(mustHold, match)
        match = .zero
        // Without an acknowledgement there is nothing to be seen again, and the search for the match point goes on.
        guard mustHold > .zero else { return }
        if case .snapshot = mode { return }
        next = mustHold.next
        flights = []
        lastMovement = now
        mode = .probing(waiting: false)
    }

    // MARK: Snapshots

    /// Goes on with the snapshot under way, or begins with `newest`. One under way is kept to the end whatever newer ones
    /// there are: begun anew with each, it might never arrive.
    public mutating func beginSnapshot(_ newest: Snapshot) -> SnapshotSending {
        if case .snapshot(let sending) = mode { return sending }
        let sending = SnapshotSending(snapshot: newest)
        flights = []
        mode = .snapshot(sending)
        return sending
    }

    public mutating func sentChunk(now: Instant) {
        guard case .snapshot(var sending) = mode else { return }
        sending.isWaiting = true
        lastMovement = now
        mode = .snapshot(sending)
    }

    /// Goes on from where the member says, when it answers the part that is on its way. With all of it there, the disk is
    /// waited for.
    public mutating func received(_ reply: SnapshotReply, now: Instant) {
        guard case .snapshot(var sending) = mode, sending.isWaiting, reply.index == sending.snapshot.mark.index,
            reply.offset == sending.received, reply.received >= 0, reply.received <= sending.snapshot.bytes.count
        else { return }
        if sending.received != reply.received { sending.repeats = 0 }
        sending.received = reply.received
        sending.isWaiting = reply.received == sending.snapshot.bytes.count
        lastMovement = now
        mode = .snapshot(sending)
    }
}

/// A snapshot on its way to one member. It holds the snapshot, so a newer one does not take it away.
public struct SnapshotSending: Hashable, Sendable {
    public let snapshot: Snapshot
    /// Bytes the member is known to hold.
    public internal(set) var received = 0
    /// A part is on its way, or the member's disk is at work.
    public internal(set) var isWaiting = false
    /// How often in a row the same part was sent again.
    var repeats: Int64 = 0
}
