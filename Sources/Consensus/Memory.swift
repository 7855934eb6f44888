// What a member may still do whose disk has lost something it answered for, and how it becomes whole again.
//
// A vote or an acknowledgement may hang on what is gone, so the member must not act as if it had never been given:
//
//     memory       votes, campaigns   acknowledges, promises   why
//     whole        yes                yes
//     incomplete   no                 yes                      what it holds it holds, and its term keeps old leaders out
//     lost         no                 no                       it might follow a leader that it had left behind
//
// The way back takes the member out of every majority it may have been counted in:
//
//     member    lost ──► "memory lost" ─────────────────────────► whole (and a learner) ──► … ──► a voter
//     leader                 │  demotes it, commits that,               ▲                    promotes it as any learner
//                            └─ hears a quorum in a later round ────────┘ "readmitted"
//
// That is enough. Say the configuration C without the member was committed, by a majority of C, after the loss. A candidate
// that still counts the member, on a vote it has forgotten, lacks C; a majority of its voters without the member and a
// majority of C have one in common, who holds C and refuses. A candidate that has C has everything committed before it, and
// everything the member acknowledged that ever counted was. So the member may vote for whoever asks, with any log.
//
// Relies on: the storage saying at the start how much is left, and making it durable before the member speaks.
// Does not: choose when a member is demoted or promoted (Decisions).

extension Raft {
    /// Whether this member may vote or campaign.
    public var mayVote: Bool { hardState.memory == .whole && overtaken == nil }

    /// Whether what this member says of its log and its promises may count.
    var mayAnswer: Bool { hardState.memory != .lost }

    /// Asks the leader to be taken out of the majorities. Said again with every heartbeat, until it is answered.
    mutating func confessLoss(to leader: MemberID) {
        guard hardState.memory != .whole, !isReadmitted else { return }
        sendAfterDurable(.memoryLost(MemoryLost(start: hardState.start)), to: leader)
    }

    /// This member learns while it runs that its disk is not the one it was: nothing it remembers counts any more.
    /// - Parameter known: the newest start that others know of; this disk's next one is behind it.
    mutating func loseMemory(
        since known: DiskStart, now: Instant, random: inout some RandomNumberGenerator
    ) {
        if role != .follower { becomeFollower(in: term, now: now, random: &random) }
        hardState.memory = .lost
        hardState.start = DiskStart(number: max(known.number, hardState.start.number) + 1, nonce: random.next())
        hardStateDirty = true
        overtaken = nil
        comparedThrough = commitIndex
        isReadmitted = false
        notices.append(.memoryIsLost)
    }

    /// What has been answered and compared makes the member whole.
    mutating func recollect() {
        guard hardState.memory != .whole, isReadmitted else { return }
        // Entries that were read from the damaged disk may contradict the leader's, until an append has been accepted.
        let isCompared = comparedThrough >= log.lastIndex
        let memory: Memory = isCompared ? .whole : .incomplete
        guard memory != hardState.memory else { return }
        hardState.memory = memory
        hardStateDirty = true
        if memory == .whole { notices.append(.memoryIsWhole) }
    }

    // MARK: On the leader

    /// Whether a member said that its disk has lost something, and was not taken back yet.
    public func hasLostMemory(_ member: MemberID) -> Bool {
        leadership?.progress.look(member) { $0.loss != nil } ?? false
    }

    /// Tells a member that it is out of every majority, when that is certain: a committed configuration does without it,
    /// and a quorum of that answered a round that was opened after the member asked. (A leader that was deposed in the
    /// meantime might not know of a later configuration, and of what the member acknowledged in it.)
    mutating func readmit(_ member: MemberID) {
        guard let loss = leadership!.progress.look(member, { $0.loss }) ?? nil,
            !configuration.isVoter(member), configurationIndex <= commitIndex, hasCommittedInTerm,
            let acknowledged = leadership!.quorumLease.acknowledged, acknowledged.round > loss.after
        else { return }
        _ = leadership!.progress.update(member) { $0.readmitted() }
        sendNow(.readmitted(Readmitted(start: loss.start)), to: member)
    }
}
