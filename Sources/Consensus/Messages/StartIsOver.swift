// "The disk behind you was started again since": a member that speaks from a disk that was set back to an earlier state, or
// from a copy of one, must not vote or be counted. DiskStarts.swift says how that is noticed.
// An older member drops the message as unknown; it sends no starts either, so nobody says it to one.

public struct StartIsOver: Hashable, Sendable {
    /// The newest start that is known.
    public let known: DiskStart
    /// Whether the leader went on hearing from that one: then the same disk exists twice.
    public let isAlive: Bool

    public init(known: DiskStart, isAlive: Bool) {
        self.known = known
        self.isAlive = isAlive
    }
}

extension Raft {
    /// Carries no term to be taken over: whoever says it may be behind.
    mutating func receive(
        _ notice: StartIsOver, in envelope: Envelope, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard hardState.start.isOver(since: notice.known, after: hardState.earlierStarts),
            notice.known.number < DiskStart.greatestNumber
        else { return }
        if role != .follower { becomeFollower(in: term, now: now, random: &random) }
        if (overtaken?.known.number ?? 0) <= notice.known.number {
            overtaken = (notice.known, overtaken?.since ?? now)
        }
        // Only the leader knows whether the other one is there, and takes a member back.
        guard envelope.from == leader, envelope.term == term else { return }
        if notice.isAlive {
            // Durable before it ends: whoever starts it again, and however often, must not make it whole.
            if hardState.memory != .lost {
                hardState.memory = .lost
                readmission = nil
                hardStateDirty = true
            }
            copy = notice.known
            endBesideCopy()
        } else {
            loseMemory(since: notice.known, now: now, random: &random)
        }
    }
}
