// A member tells its leader that its disk has lost something it answered for. Memory.swift has the whole way back.
// An older leader drops the message as unknown: the member then stays without a vote until a newer one leads.

public struct MemoryLost: Hashable, Sendable {
    /// Whose memory it is; an answer to an earlier start says nothing about what was lost since.
    public let start: DiskStart

    public init(start: DiskStart) { self.start = start }
}

extension Raft {
    /// The term was checked: it is ours.
    mutating func receive(_ loss: MemoryLost, from member: MemberID, now: Instant) {
        guard isLeader, leadership!.progress.contains(member) else { return }
        let newest = leadership!.quorumLease.round
        _ = leadership!.progress.update(member) {
            $0.heard(now)
            $0.lost(loss.start, newest: newest, now: now)
        }
        readmit(member)
    }
}
