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
//     member    lost ──► "memory lost" ────────────► incomplete ── has all that is committed ──► whole ──► a voter
//     leader                 │  demotes it, commits that,      ▲                                  promotes it as any learner
//                            └─ hears a quorum in a later round ┘ "readmitted, and so much is committed"
//
// Two things may hang on what it forgot. *Votes*: say the configuration C without the member was committed, by a majority of
// C, after the loss. A candidate that counts a vote of before lacks C; a majority of its voters without the member and a
// majority of C have one in common, who holds C and refuses. So a second vote in the same term makes no second leader.
//
// *Acknowledgements*: whatever of them ever counted is committed, and so no later than what the leader said with its answer.
// Until all of that is durable here again, the member gives no vote: a candidate that is two configurations behind C, or on
// the other side of an exchange, needs nobody who holds C, and an empty log would vote it into office. With it the member is
// as good as one that was never harmed. (And a founder without its log would found the cluster again.)
//
// Relies on: the storage saying at the start how much is left, and making it durable before the member speaks.
// Does not: choose when a member is demoted or promoted (Decisions).

/// A leader's word that no majority counts what this member forgot.
struct Readmission: Hashable, Sendable {
    let term: Term
    /// Through where the member must have the log again before it votes. Nil from a leader of an older version, until an
    /// append of its term says so.
    var through: LogIndex?
}

extension Raft {
    /// Whether this member may vote or campaign.
    public var mayVote: Bool { hardState.memory == .whole && overtaken == nil }

    /// Whether what this member says of its log and its promises may count.
    var mayAnswer: Bool { hardState.memory != .lost }

    /// Asks the leader to be taken out of the majorities. Said again with every heartbeat, until it is answered.
    mutating func confessLoss(to leader: MemberID) {
        guard hardState.memory != .whole, readmission == nil else { return }
        sendAfterDurable(.memoryLost(MemoryLost(start: hardState.start)), to: leader)
    }

    /// This member learns while it runs that its disk is not the one it was: nothing it remembers counts any more.
    /// - Parameter known: the newest start that others know of; this disk's next one is behind it.
    mutating func loseMemory(
        since known: DiskStart, now: Instant, random: inout some RandomNumberGenerator
    ) {
        if role != .follower { becomeFollower(in: term, now: now, random: &random) }
        hardState.memory = .lost
        // It goes on from what is known of it, and holds nothing against that.
        hardState.earlierStarts = Array(
            ([known, hardState.start] + hardState.earlierStarts).prefix(HardState.mostEarlierStarts))
        hardState.start = DiskStart(number: max(known.number, hardState.start.number) + 1, nonce: random.next())
        hardStateDirty = true
        overtaken = nil
        comparedThrough = commitIndex
        readmission = nil
        notices.append(.memoryIsLost)
    }

    /// What has been answered, compared and made durable makes the member whole.
    mutating func recollect() {
        guard hardState.memory != .whole, let readmission else { return }
        // Entries that were read from the damaged disk may contradict the leader's, until an append has been accepted. And
        // the disk has the word "whole" before the entries that are written with it, so they come first.
        let isThere = readmission.through.map { $0 <= comparedThrough && $0 <= durability.durableIndex } ?? false
        let memory: Memory = isThere && comparedThrough >= log.lastIndex ? .whole : .incomplete
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
        sendNow(.readmitted(Readmitted(start: loss.start, committed: commitIndex)), to: member)
    }
}
