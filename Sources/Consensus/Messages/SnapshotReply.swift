// A member's answer to a part of a snapshot: from which byte to go on. That the snapshot is installed it says as of any
// entry, with an append reply.

public struct SnapshotReply: Hashable, Sendable {
    /// The last entry of the snapshot that is answered for.
    public let index: LogIndex
    /// The offset of the part that is answered. Without it a copy of an old answer would set the leader back, and each
    /// copy would start a further train of parts.
    public let offset: Int
    /// How many bytes the member holds.
    public let received: Int

    public init(index: LogIndex, offset: Int, received: Int) {
        self.index = index
        self.offset = offset
        self.received = received
    }
}

extension Raft {
    /// The term was checked: it is ours.
    mutating func receive(_ reply: SnapshotReply, from member: MemberID, now: Instant) {
        guard isLeader, leadership!.progress.contains(member) else { return }
        _ = leadership!.progress.update(member) {
            $0.heard(now)
            $0.received(reply, now: now)
        }
    }
}
