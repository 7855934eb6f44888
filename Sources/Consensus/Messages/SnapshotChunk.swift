// A part of a snapshot, for a member whose next entry the leader's log no longer holds (Ongaro 5).
// One part is on its way to a member at a time, and small: heartbeats share its way, and must not wait behind it for a
// noticeable part of a lease.

/// Bytes of a snapshot from `offset` on. Each says which snapshot it is of, so that any may be lost.
public struct SnapshotChunk: Hashable, Sendable {
    public let mark: SnapshotMark
    /// Bytes of the whole snapshot.
    public let size: Int
    /// CRC-32C of the whole snapshot.
    public let checksum: UInt32
    public let offset: Int
    /// Empty at the end of the snapshot: the leader asks whether it has been installed.
    public let bytes: [UInt8]

    public init(mark: SnapshotMark, size: Int, checksum: UInt32, offset: Int, bytes: [UInt8]) {
        self.mark = mark
        self.size = size
        self.checksum = checksum
        self.offset = offset
        self.bytes = bytes
    }

    /// Whether there can be such a snapshot, and such a part of it; anything else comes from a broken peer.
    func isWellFormed(_ limits: Limits) -> Bool {
        mark.index > .zero && mark.index <= .greatest && mark.term > .zero && !mark.configuration.voters.isEmpty
            && size >= 0 && size <= limits.snapshotBytes && offset >= 0 && offset <= size
            && bytes.count <= size - offset && (!bytes.isEmpty || offset == size)
    }
}

extension Raft {
    /// Sends the next part, or begins with the newest snapshot. False when there is none: then there is nothing that the
    /// log could be missing.
    mutating func sendSnapshot(to member: MemberID, now: Instant) -> Bool {
        guard let newest = snapshot else { return false }
        guard let sending = leadership!.progress.update(member, { $0.beginSnapshot(newest) }) else { return false }
        let snapshot = sending.snapshot
        let end = min(sending.received + max(limits.snapshotChunkBytes, 1), snapshot.bytes.count)
        let chunk = SnapshotChunk(
            mark: snapshot.mark, size: snapshot.bytes.count, checksum: snapshot.checksum, offset: sending.received,
            bytes: Array(snapshot.bytes[sending.received..<end]))
        sendNow(.snapshotChunk(chunk), to: member)
        _ = leadership!.progress.update(member) { $0.sentChunk(now: now) }
        return true
    }

    /// The term was checked: it is ours.
    mutating func receive(
        _ chunk: SnapshotChunk, from sender: MemberID, now: Instant, random: inout some RandomNumberGenerator
    ) {
        guard chunk.isWellFormed(limits), chunk.mark.term <= term, follow(sender, now: now, random: &random), mayAnswer
        else { return }
        let mark = chunk.mark
        guard isOfItsEpoch || !contradicts(mark.configuration.epoch),
            isOfItsEpoch || mark.index > commitIndex || log.term(at: mark.index) == mark.term
        else { return notices.append(.epochContradicts) }
        if mark.index > commitIndex, log.term(at: mark.index) == mark.term {
            // A snapshot covers only what is committed, and here it all is.
            commitIndex = mark.index
        }
        guard mark.index > commitIndex else {
            if let incoming, incoming.mark.index <= commitIndex, incoming.phase != .storing { self.incoming = nil }
            return sendAfterDurable(.appendReply(.accepted(through: commitIndex)), to: sender)
        }
        if incoming?.isOf(chunk) != true {
            // What the disk is at work on is finished first; the leader asks again.
            guard incoming?.phase != .storing else { return }
            incoming = IncomingSnapshot(chunk)
        }
        if case .refused(let until) = incoming!.phase {
            guard now >= until else { return }
            incoming = IncomingSnapshot(chunk)
        }
        if incoming!.phase == .receiving {
            incoming!.take(chunk)
            if incoming!.received == incoming!.size { finishReceiving() }
        }
        sendAfterDurable(
            .snapshotReply(
                SnapshotReply(index: mark.index, offset: chunk.offset, received: incoming?.received ?? 0)), to: sender)
    }

    /// Nothing of a snapshot is used before all of it is here and sound.
    private mutating func finishReceiving() {
        if let snapshot = incoming!.complete() {
            incoming!.phase = .storing
            notices.append(.storeSnapshot(snapshot))
        } else {
            notices.append(.snapshotDamaged(incoming!.mark))
            incoming = nil
        }
    }
}
