// When a snapshot takes the place of log entries.
//
// Invariant: at every moment, on disk as in memory, the newest durable snapshot and the log have no gap between them. So
// nothing is dropped before the disk has what covers it, and what arrives is durable before the log begins behind it.
// Relies on: the owner saying when a snapshot is durable, and how far the entries may go (older snapshots may still need
// theirs). Does not: decide when to take one, or know what is inside.

extension Raft {
    /// What a snapshot of a state that has applied the log through `applied` stands for. Nil when there can be none: not
    /// all of that is committed, or this member joined and has not come to an entry yet that says who belongs to the
    /// cluster. (The one that founded it knows from before the log, and its snapshot of the same entry would say so.)
    public func snapshotMark(at applied: LogIndex) -> SnapshotMark? {
        let configuration = lastConfiguration(through: applied).found
        guard applied <= commitIndex, let term = log.term(at: applied), term > .zero, !configuration.voters.isEmpty
        else { return nil }
        return SnapshotMark(index: applied, term: term, configuration: configuration)
    }

    /// A snapshot is durable: one that was taken here, or one that arrived.
    mutating func stored(_ stored: Snapshot) {
        if let incoming, incoming.mark.index <= stored.mark.index { self.incoming = nil }
        if snapshot.map({ $0.mark.index < stored.mark.index }) ?? true { snapshot = stored }
        let mark = stored.mark
        guard mark.index > commitIndex, !isLeader else { return }
        if log.term(at: mark.index) == mark.term {
            // The entry came another way while the disk was at work: what follows it may be acknowledged, so it stays.
            commitIndex = mark.index
        } else {
            restartLog(behind: mark)
            notices.append(.restored(mark))
        }
        if let leader { sendAfterDurable(.appendReply(.accepted(through: mark.index)), to: leader) }
    }

    /// The log held nothing of the snapshot's last entry, or something else in its place: all of it is covered or
    /// contradicted, and goes (Ongaro 5, "InstallSnapshot", steps 6 to 8).
    private mutating func restartLog(behind mark: SnapshotMark) {
        log = RaftLog(base: mark.position)
        durability.restart(at: mark.index)
        unwrittenFrom = mark.index.next
        comparedThrough = mark.index
        restartsBehind = mark.position
        baseConfiguration = mark.configuration
        commitIndex = mark.index
        announcedCommit = mark.index
        findConfiguration()
    }

    /// A snapshot that arrived cannot be kept. `forGood`: the same one is not fetched again, because it is not understood
    /// here; otherwise it is, after a while.
    mutating func didNotStore(_ index: LogIndex, forGood: Bool, now: Instant) {
        guard incoming?.mark.index == index else { return }
        incoming?.phase = .refused(until: forGood ? .distantFuture : now + Self.snapshotPause)
    }

    /// How long a member whose disk could not take a snapshot lets the leader wait before it fetches it again.
    private static let snapshotPause = Interval.seconds(5)

    /// Drops entries through `index`, as far as a durable snapshot covers them, the disk has them, and the owner was told
    /// that they are committed: until then it has not taken them out.
    /// Returns what the log now begins behind.
    @discardableResult
    public mutating func compact(through index: LogIndex) -> LogIndex {
        guard let snapshot else { return log.base }
        let last = min(index, snapshot.mark.index, announcedCommit, durability.durableIndex, unwrittenFrom.previous)
        guard last > log.base else { return log.base }
        baseConfiguration = lastConfiguration(through: last).found
        log.compact(through: last)
        return last
    }
}

/// A snapshot on its way in. Kept across leaders: whoever has a snapshot of the same mark, size and checksum has the same
/// bytes, and goes on where the one before stopped.
struct IncomingSnapshot: Hashable, Sendable {
    enum Phase: Hashable, Sendable {
        case receiving
        /// Handed to the owner, who makes it durable.
        case storing
        /// Not understood here, or the disk did not take it. A later one may be.
        case refused(until: Instant)
    }

    let mark: SnapshotMark
    let size: Int
    let checksum: UInt32
    var phase = Phase.receiving
    private(set) var received = 0
    private var bytes: [UInt8] = []
    private var sum = Checksum()

    init(_ chunk: SnapshotChunk) {
        mark = chunk.mark
        size = chunk.size
        checksum = chunk.checksum
    }

    func isOf(_ chunk: SnapshotChunk) -> Bool {
        mark == chunk.mark && size == chunk.size && checksum == chunk.checksum
    }

    /// Takes what follows on what is here; anything else was here already, or comes too early.
    mutating func take(_ chunk: SnapshotChunk) {
        guard chunk.offset == received else { return }
        bytes += chunk.bytes
        sum.add(chunk.bytes)
        received += chunk.bytes.count
    }

    /// The whole of it, once it is here; nil when it is not what it was said to be.
    mutating func complete() -> Snapshot? {
        guard received == size, sum.value == checksum else { return nil }
        defer { bytes = [] }
        return Snapshot(mark: mark, bytes: bytes, checksum: checksum)
    }
}
