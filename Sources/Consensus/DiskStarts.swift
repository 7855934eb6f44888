// Whose disk is speaking? Each start of a disk has a number and a nonce, durable before the member's first word and part of
// every message. Everybody remembers, durably, the newest start of every voter it has heard of:
//
//     the disk was set back      shows an earlier number, or the same one with another nonce      refused, by whoever knows
//     set back within one start  shows a new start, and refuses what it acknowledged before       refused, by the leader
//     the disk exists twice      both show the same number, or one of them a start that is over   refused; ends in words
//
// A number alone would be caught up with by starting: so a start shows those before it, and one that was another disk's when
// the known one began is refused, whatever its number. One whose starts do not reach back so far is believed: it may have
// failed to start so often.
//
// A member that is refused has lost its memory (Memory.swift) and comes back as a learner, with a start of its own.
//
// What nobody can know: that a disk was set back, when whoever heard of its later starts and acknowledgements is gone or was
// set back as well. Nor that one was set back together with the memory of its process, until the leader misses something.

extension Raft {
    /// Whether a message comes from the newest start of its sender's disk. A newer one than was known is remembered; an
    /// earlier one is told so.
    mutating func comesFromNewestStart(_ envelope: Envelope, now: Instant) -> Bool {
        let member = envelope.from
        guard let known = hardState.knownStarts[member] else {
            if envelope.start != .none { remember(envelope.start, of: member, now: now) }
            return true
        }
        if envelope.start == known {
            _ = leadership?.progress.update(member) { $0.started(known, now: now) }
            return true
        }
        guard envelope.start.isOver(since: known, after: envelope.earlierStarts) else {
            remember(envelope.start, of: member, now: now)
            return true
        }
        // Two members that each think the other's start is over must not go on telling each other.
        if case .startIsOver = envelope.message { return true }
        if let isAlive = isAlive(member, besides: envelope.start, now: now) {
            sendNow(.startIsOver(StartIsOver(known: known, isAlive: isAlive)), to: member)
        }
        return false
    }

    private mutating func remember(_ start: DiskStart, of member: MemberID, now: Instant) {
        _ = leadership?.progress.update(member) { $0.started(start, now: now) }
        guard configuration.isVoter(member) || hardState.knownStarts.contains(member) else { return }
        for known in hardState.knownStarts.keys where !configuration.contains(known) {
            hardState.knownStarts[known] = nil
        }
        if !hardState.knownStarts.contains(member), hardState.knownStarts.count >= HardState.mostKnownStarts {
            // There are never more voters than that, so somebody who has ceased to be one is among them.
            guard let learner = hardState.knownStarts.keys.first(where: { !configuration.isVoter($0) }) else { return }
            hardState.knownStarts[learner] = nil
        }
        hardState.knownStarts[member] = start
        hardStateDirty = true
    }

    /// Whether the newest start of a disk still speaks beside an earlier one. The leader listens for a second before it
    /// says so: the one may have ended just before the other began. Nil: not yet. Who does not lead cannot know.
    private mutating func isAlive(_ member: MemberID, besides start: DiskStart, now: Instant) -> Bool? {
        let seen = leadership?.progress.update(member) { progress in
            (since: progress.besides(start, now: now), heard: progress.lastHeard)
        }
        guard let seen else { return false }
        guard now - seen.since >= .seconds(1) else { return nil }
        return seen.heard.map { $0 > seen.since } ?? false
    }

    /// Whether a start of this member's disk is over, as far as is known here; it is told so. For what is said outside the
    /// consensus, before a recovery. (Nobody leads then, so nobody can tell whether the newest one is there too.)
    public mutating func tellIfOver(
        _ start: DiskStart, after earlier: [DiskStart], of member: MemberID
    ) -> Bool {
        guard start != .none, let known = hardState.knownStarts[member], start.isOver(since: known, after: earlier)
        else { return false }
        sendNow(.startIsOver(StartIsOver(known: known, isAlive: false)), to: member)
        return true
    }

    /// Ends this process when the disk says that it is not whole: whoever starts it again finds no vote in it.
    mutating func endBesideCopy() {
        guard let copy, durability.durableHardState.memory == .lost else { return }
        self.copy = nil
        notices.append(.diskIsInUse(copy))
    }

    /// A member refuses an entry that it acknowledged before its present start: its disk was set back. Its start counts no
    /// more, which it is told with its next message.
    mutating func noticeForgotten(_ previous: LogIndex, by member: MemberID) {
        guard let present = hardState.knownStarts[member],
            leadership!.progress.look(member, { previous <= $0.mustHold && $0.loss == nil }) == true
        else { return }
        hardState.knownStarts[member] = DiskStart(number: present.number + 1, nonce: present.nonce)
        hardStateDirty = true
    }

    /// A member that others say was overtaken, and whose leader knows nothing of it, gives up what it remembers.
    mutating func giveUpIfOvertaken(now: Instant, random: inout some RandomNumberGenerator) {
        guard let overtaken, now - overtaken.since > timing.electionTimeoutMost else { return }
        loseMemory(since: overtaken.known, now: now, random: &random)
    }
}
