// A leader's heartbeat. It needs no disk on either side, carries the round number the quorum lease is built on, and
// asks for a promise.

public struct Heartbeat: Hashable, Sendable {
    public let round: Round
    /// E: for how long the receiver shall refuse every other candidate.
    public let promise: Interval
    /// Committed, and known to be in the receiver's log.
    public let commit: LogIndex

    public init(round: Round, promise: Interval, commit: LogIndex) {
        self.round = round
        self.promise = promise
        self.commit = commit
    }
}

extension Raft {
    /// The longest promise a heartbeat may ask for; a longer one comes from a broken peer.
    static let longestPromise = Interval.seconds(60)

    mutating func sendHeartbeats(now: Instant) {
        let round = leadership!.quorumLease.open(now, timing: timing)
        promise(timing.promise, now: now)
        // By position: an iteration over the values would hold them, and the first change would copy them all.
        for position in leadership!.progress.storedKeys.indices {
            let match = leadership!.progress.storedValues[position].match
            let heartbeat = Heartbeat(round: round, promise: timing.promise, commit: min(match, commitIndex))
            sendNow(.heartbeat(heartbeat), to: leadership!.progress.storedKeys[position])
            leadership!.progress.storedValues[position].told(commit: commitIndex)
        }
        acknowledgeRounds(now: now)
    }

    /// Extends this member's promise. The longest ever given is made durable before an answer leaves.
    private mutating func promise(_ length: Interval, now: Instant) {
        promiseUntil = max(promiseUntil, now + length)
        if length > hardState.longestPromise {
            hardState.longestPromise = length
            hardStateDirty = true
        }
    }

    mutating func receive(
        _ heartbeat: Heartbeat, from sender: MemberID, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard heartbeat.promise >= .zero, heartbeat.promise <= Self.longestPromise,
            follow(sender, now: now, random: &random)
        else { return }
        promise(heartbeat.promise, now: now)
        // Campaigning within the promise would only be postponed by a whole timeout.
        electionDeadline = max(electionDeadline, promiseUntil)
        giveUpIfOvertaken(now: now, random: &random)
        confessLoss(to: sender)
        guard mayAnswer else { return }
        commitIndex = max(commitIndex, min(heartbeat.commit, log.lastIndex, comparedThrough))
        let reply = HeartbeatReply(
            round: heartbeat.round, leaseAsked: wantsLease ? LeaseRequest(stamp: now, incarnation: incarnation) : nil,
            knowsJointConfigurations: knowsJointConfigurations)
        if hardStateIsDurable {
            sendNow(.heartbeatReply(reply), to: sender)
        } else {
            sendAfterDurable(.heartbeatReply(reply), to: sender)
        }
    }
}
