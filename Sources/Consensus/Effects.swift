// What a Raft value asks of its owner. Effects are typed by durability: what may leave at once is `send`; what depends
// on the disk travels inside a LogWrite and cannot be sent before it by mistake.

/// One thing for the owner to do, in order.
public enum Effect: Hashable, Sendable {
    /// Send now.
    case send(Envelope)
    /// Make durable, then send `thenSend`, then report `persisted` with its sequence.
    case persist(LogWrite)
    /// Entries up to here are committed and may be applied, in order.
    case committed(through: LogIndex)
    /// A snapshot has arrived, whole and sound. Make it durable, then report `snapshotStored`; or `snapshotNotStored`.
    case storeSnapshot(Snapshot)
    /// The log now begins behind this mark, whose snapshot was reported stored: the state is to be the snapshot's. What is
    /// committed later follows from there.
    case restored(SnapshotMark)
    /// A snapshot arrived that is not what its checksum says; it is fetched anew.
    case snapshotDamaged(SnapshotMark)
    /// A read that asked before may be answered from a state that has applied `index`.
    case readReady(ReadID, index: LogIndex)
    /// A read could not be served here; ask the leader, if one is known.
    case readRefused(ReadID)
    /// This member's lease now ends at `until`, and may be used once the state has applied `floor`. Both replace what
    /// was said before.
    case leaseRenewed(until: Instant, floor: LogIndex)
    /// Others know of a later start of this member's disk: it was set back. What it remembers counts no more.
    case memoryIsLost
    /// Another process speaks from this disk, or from a copy of it, and started later. This one must end.
    case diskIsInUse(DiskStart)
    /// What this member's disk had lost binds it no longer: it is a member like any other.
    case memoryIsWhole
    /// The epoch that this member took over does not hold what it has committed: it can never follow there.
    case epochContradicts
    /// This member became leader, ceased to be it, or learned of another one.
    case leaderChanged(MemberID?)
}
