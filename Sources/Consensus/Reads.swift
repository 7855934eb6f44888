// Linearizable reads without a log entry (Ongaro 6.4): a read is answered from a state that has applied everything that
// was committed when the read arrived, by a leader that is known to have led at some moment after it arrived.

extension Raft {
    /// Asks for a read. The answer comes as `readReady` or `readRefused`.
    /// Under a valid quorum lease it comes at once, for a member whose clock does not stop (`mayUseLease`: false inside
    /// a guest, whose clocks stand still while the guest is paused).
    public mutating func read(_ id: ReadID, mayUseLease: Bool, now: Instant) {
        guard isLeader, leadership!.grants, leadership!.reads.count < limits.pendingReads else {
            notices.append(.readRefused(id))
            return
        }
        if mayUseLease, hasCommittedInTerm, holdsQuorumLease(now: now) {
            notices.append(.readReady(id, index: commitIndex))
            return
        }
        // A round that was opened before the read arrived proves nothing for it, so a new one is opened.
        sendHeartbeatsForRead(id, now: now)
    }

    /// Whether this member may act as leader now.
    public func holdsQuorumLease(now: Instant) -> Bool {
        guard let leadership, leadership.grants, let end = leadership.quorumLease.acknowledged?.end else {
            return false
        }
        return now < end
    }

    private mutating func sendHeartbeatsForRead(_ id: ReadID, now: Instant) {
        // The read waits for the round after the present one; many reads of one batch share it.
        let wanted = leadership!.quorumLease.round + 1
        leadership!.reads.append(Leadership.PendingRead(id: id, round: wanted))
        if leadership!.reads.count == 1 { leadership!.nextHeartbeat = now }
    }

    /// Answers the reads whose round is acknowledged.
    mutating func serveReads(now: Instant) {
        guard hasCommittedInTerm, let acknowledged = leadership!.quorumLease.acknowledged else { return }
        let ready = leadership!.reads.prefix { $0.round <= acknowledged.round }
        for read in ready { notices.append(.readReady(read.id, index: commitIndex)) }
        leadership!.reads.removeFirst(ready.count)
    }

    mutating func refuseReads() {
        guard let reads = leadership?.reads, !reads.isEmpty else { return }
        for read in reads { notices.append(.readRefused(read.id)) }
        leadership!.reads = []
    }
}
