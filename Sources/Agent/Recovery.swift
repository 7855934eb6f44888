// A forced recovery as the agent carries it out: it asks everybody first, decides on what came back, and begins a new epoch
// in one write. And what it does with messages of another epoch than its own: nothing, but for one word to their sender.

import Cluster
import Consensus
import Decisions

/// A recovery that was asked for and waits for the others' answers.
struct RecoveryAttempt: Sendable {
    /// How long the others have to answer.
    static let patience = Interval.seconds(2)
    /// Nobody may have led for this long, as far as this member knows, and for as long as a lease may live. Whatever leases
    /// the lost ones gave here are over then, and whatever an agent left in a kernel. (Others may have heard of a leader
    /// later: the first one of the epoch waits once more before it gives a role away.)
    static let silence = Interval.seconds(10)

    let id: UInt64
    let request: RequestID
    let dead: [MemberID]
    let actor: String
    let origin: CommandOrigin?
    /// In which the others were asked.
    let epoch: Epoch
    let decideAt: Instant
    var answers: SortedMap<MemberID, RecoveryStanding> = [:]
}

extension AgentCore {
    /// Asks every member, also those that are said to be dead.
    mutating func acceptRecovery(
        _ request: RequestID, dead: [MemberID], actor: String, origin: CommandOrigin?, now: Instant
    ) {
        guard recovery == nil else {
            return refuseRecovery(request, ["a recovery was asked for already and waits for answers"])
        }
        let silence = Interval.max(RecoveryAttempt.silence, raft.longestLease)
        if raft.isLeader || now - leaderHeard < silence {
            return refuseRecovery(
                request,
                [
                    "a leader was known here within the last \(silence.milliseconds / 1_000) s; wait, and "
                        + "see whether the cluster comes back by itself"
                ])
        }
        let attempt = RecoveryAttempt(
            id: UInt64(bitPattern: now.nanoseconds), request: request, dead: dead, actor: actor, origin: origin,
            epoch: raft.epoch, decideAt: now + RecoveryAttempt.patience)
        recovery = attempt
        var asked = SortedMap(state.members.keys.map { ($0, true) })
        for member in raft.configuration.members + dead { asked[member] = true }
        for member in asked.keys where member != id { sendToPeer(.recoveryProbe(id: attempt.id), member) }
    }

    private mutating func refuseRecovery(_ request: RequestID, _ against: [String]) {
        effects.append(.respond(request, .failed(.refused(against.joined(separator: "; ")))))
    }

    private func standing(now: Instant) -> RecoveryStanding {
        RecoveryStanding(
            epoch: raft.epoch, term: raft.term,
            last: LogPosition(index: raft.log.lastIndex, term: raft.log.lastTerm), leader: livingLeader(now: now),
            isWhole: raft.mayVote)
    }

    mutating func continueRecovery(now: Instant, random: inout some RandomNumberGenerator) {
        guard let attempt = recovery, now >= attempt.decideAt else { return }
        recovery = nil
        guard attempt.epoch == raft.epoch else {
            return refuseRecovery(
                attempt.request,
                [
                    "another recovery has begun epoch \(raft.epoch) meanwhile, and this member belongs to it; see what it does"
                ])
        }
        // Somebody may have been elected meanwhile; then this member knows.
        let decision = RecoveryDecision.decide(
            survivor: id, own: standing(now: now), configuration: raft.configuration, dead: attempt.dead,
            answers: attempt.answers, name: { state.name(of: $0) })
        switch decision {
        case .refuse(let against): refuseRecovery(attempt.request, against)
        case .recover(let plan): begin(attempt, plan, now: now, random: &random)
        }
    }

    private mutating func begin(
        _ attempt: RecoveryAttempt, _ plan: RecoveryPlan, now: Instant, random: inout some RandomNumberGenerator
    ) {
        // What the whole log comes to, because all of it goes on in the new epoch. A state that was restored from a cluster
        // with recoveries of its own may count further than the consensus.
        var future = stateBehindLog()
        let epoch = Epoch(rawValue: max(raft.epoch.rawValue, future.epoch))
            .next(drawn: UInt32(truncatingIfNeeded: random.next()))
        let stamp = proposals.stamp(session: setup.session)
        // Whoever is left out of the configuration without having been named (a guest that did not answer) is left behind
        // too: its epoch is over.
        let belongs = plan.voters + plan.learners
        var dead = SortedMap(attempt.dead.map { ($0, true) })
        for member in state.members.keys where !belongs.contains(member) { dead[member] = true }
        let record = CommandRecord(
            stamp: stamp, milliseconds: wallMilliseconds, actor: attempt.actor, origin: attempt.origin,
            command: .recover(epoch: epoch.rawValue, dead: dead.keys))
        guard let bytes = setup.writeCommand(record) else {
            preconditionFailure("a recovery is made of names and numbers, which are always JSON")
        }
        // An epoch whose record is refused would leave the dead among the members, and be called a failure.
        let outcome = future.apply(record)
        guard outcome.succeeded else { return refuseRecovery(attempt.request, [outcome.message]) }
        let begun = raft.begin(
            epoch, voters: plan.voters, learners: plan.learners, after: plan.term, record: bytes, now: now,
            random: &random)
        guard begun else {
            return refuseRecovery(attempt.request, ["a snapshot is being installed here; ask again in a moment"])
        }
        effects.append(
            .log(
                "epoch \(epoch) begins on the word of \(attempt.actor) without "
                    + dead.keys.map { state.name(of: $0) }.joined(separator: ", ")))
        proposals.add(
            stamp, record: bytes, request: attempt.request, deadline: now + Proposals.ownLifetime, now: now)
    }

    /// The state with everything applied that is in this member's log, committed or not.
    private func stateBehindLog() -> ClusterState {
        var future = state
        for entry in raft.log.slice(applied.next, through: raft.log.lastIndex) {
            guard case .command(let bytes) = entry.payload, let record = setup.readCommand(bytes) else { continue }
            _ = future.apply(record)
        }
        return future
    }

    // MARK: Frames that concern epochs

    /// Whoever asks from a disk that was set back is told so, and then begins nothing.
    mutating func answerProbe(_ probe: UInt64, _ frame: PeerFrame, now: Instant) {
        _ = raft.tellIfOver(frame.start, after: frame.earlierStarts, of: frame.from)
        sendToPeer(.recoveryStatus(id: probe, standing(now: now)), frame.from)
    }

    /// A disk that was set back has forgotten something, whether it knows that or not: it may have been started a moment ago,
    /// or have been a learner when its image was made, to whom nobody speaks without a leader.
    mutating func probeAnswered(_ probe: UInt64, _ standing: RecoveryStanding, _ frame: PeerFrame) {
        guard recovery?.id == probe else { return }
        let isOver = raft.tellIfOver(frame.start, after: frame.earlierStarts, of: frame.from)
        recovery?.answers[frame.from] = RecoveryStanding(
            epoch: standing.epoch, term: standing.term, last: standing.last, leader: standing.leader,
            isWhole: standing.isWhole && !isOver)
    }

    /// Whether a recovery went on without this member. It is let in at the door all the same, to be told so.
    func isLeftBehind(_ member: MemberID) -> Bool {
        // Asked at every frame, and nearly always answered by the first.
        !state.leftBehind.isEmpty && state.leftBehind.contains(member) && !state.members.contains(member)
    }

    /// What a member may still say that was left behind: that it does not know, and that another recovery, apart from this
    /// one, has begun a later epoch without this member. Nothing else counts, whatever epoch it writes on it: its disk may be
    /// in anybody's hands, its certificate is still good, and it has been told the epoch.
    mutating func receiveFromLeftBehind(
        _ frame: PeerFrame, now: Instant, random: inout some RandomNumberGenerator
    ) {
        if frame.body == .epoch(.over) { return receive(.over, in: frame, now: now, random: &random) }
        if frame.epoch < raft.epoch { answerOtherEpoch(frame) }
    }

    /// A message of another epoch changes nothing here. Its sender is told where it stands, if this member knows.
    mutating func answerOtherEpoch(_ frame: PeerFrame) {
        if frame.epoch > raft.epoch { return sendToPeer(.epoch(.asks), frame.from) }
        // One that was told of an epoch and not yet of its members could call the dead back.
        guard raft.knowsItsEpoch else { return }
        sendToPeer(.epoch(belongsToEpoch(frame.from) ? .yours : .over), frame.from)
    }

    /// A newcomer is a member before the configuration follows. Before the record of the recovery is applied the state still
    /// names the dead.
    private func belongsToEpoch(_ member: MemberID) -> Bool {
        raft.configuration.contains(member)
            || state.epoch == raft.epoch.rawValue && state.members.contains(member)
    }

    /// Two recoveries knew nothing of each other until both had committed something: one of the two ends.
    mutating func endContradicted(by newer: Epoch? = nil) {
        end(
            "epoch \(newer ?? raft.epoch) began apart from what this member has committed in epoch "
                + "\(raft.configuration.epoch), and the cluster goes on in the former: two recoveries knew nothing of each "
                + "other. This member cannot follow as it is: keep its data directory until nothing in it is missed, then "
                + "empty it and join anew with: holdfast cluster join --token TOKEN")
    }

    /// A leader tells those left behind, again and again, that their epoch is over: two sides that lead each by themselves
    /// would never speak to each other otherwise.
    mutating func tellThoseLeftBehind(now: Instant) {
        guard nextTelling <= now else { return }
        toldLeftBehind = now
        for member in state.leftBehind.keys { sendToPeer(.epoch(.over), member) }
    }

    var nextTelling: Instant {
        raft.isLeader && !state.leftBehind.isEmpty && raft.knowsItsEpoch
            ? toldLeftBehind + PeerSearch.patience : .distantFuture
    }

    mutating func receive(
        _ word: EpochWord, in frame: PeerFrame, now: Instant, random: inout some RandomNumberGenerator
    ) {
        switch word {
        case .asks: if frame.epoch < raft.epoch { answerOtherEpoch(frame) }
        case .yours:
            guard frame.epoch > raft.epoch else { return }
            guard !raft.contradicts(frame.epoch) else { return endContradicted(by: frame.epoch) }
            raft.adopt(frame.epoch, now: now, random: &random)
            effects.append(
                .log("\(state.name(of: frame.from)) says that epoch \(frame.epoch) has begun; taking it over"))
        case .over:
            guard frame.epoch > raft.epoch else { return }
            end(
                "the cluster was recovered without this member and is in epoch \(frame.epoch); this one is of epoch "
                    + "\(raft.epoch), which is over (\(state.name(of: frame.from)) says so). It never comes back as it was: "
                    + "keep its data directory until nothing in it is missed, then empty it and join anew with: holdfast "
                    + "cluster join --token TOKEN")
        }
    }
}
