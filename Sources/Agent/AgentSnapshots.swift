// Snapshots of this member's state: when one is taken, and what becomes of one that arrives.
//
// Every member takes them at the same entries, because what makes one due is counted along the log. So two members'
// snapshots of one entry are the same bytes, and one that a first leader began to send a second can end.
// Relies on the disk keeping two, and saying through which entry the log may go.

import Cluster
import Consensus

/// When a snapshot is due: after so much of the log since the last one was. A cluster uses one policy everywhere.
public struct SnapshotPolicy: Hashable, Sendable {
    /// Entries. With two snapshots kept, at least this many stay in the log for members that lag.
    public var entries: UInt64 = 10_000
    /// Bytes of entries, as `Entry.size` counts them.
    public var bytes = 8 * 1024 * 1024

    public init() {}

    public init(entries: UInt64, bytes: Int = 8 * 1024 * 1024) {
        self.entries = entries
        self.bytes = bytes
    }

    /// The log is kept whole.
    public static let never = SnapshotPolicy(entries: .max, bytes: .max)
}

/// A snapshot with the state that is in it.
public struct RestoredState: Sendable {
    public let snapshot: Snapshot
    public let state: ClusterState

    /// - Throws: `StateDecodingError` when the bytes are not a state this version understands.
    public init(_ snapshot: Snapshot) throws(StateDecodingError) {
        self.snapshot = snapshot
        state = try ClusterState(encoded: snapshot.bytes)
    }
}

struct SnapshotProgress: Sendable {
    /// Entries and bytes applied since a snapshot was due last.
    var entries: UInt64 = 0
    var bytes = 0
    /// The last entry of the snapshot that is on its way to the disk.
    var taking: LogIndex?
    /// A snapshot that arrived and is on its way to the disk.
    var arriving: RestoredState?
    /// Why the last one was not kept.
    var problem: String?
}

extension AgentCore {
    /// Counts an entry that was just applied, and hands the state out when it is its turn. One at a time: while the disk is
    /// at work on one, the next is left out.
    mutating func takeSnapshotIfDue(after entry: Entry) {
        snapshots.entries += 1
        snapshots.bytes += entry.size
        guard snapshots.entries >= setup.snapshots.entries || snapshots.bytes >= setup.snapshots.bytes else { return }
        snapshots.entries = 0
        snapshots.bytes = 0
        guard snapshots.taking == nil, let mark = raft.snapshotMark(at: entry.index) else { return }
        snapshots.taking = entry.index
        effects.append(.takeSnapshot(mark, state))
    }

    mutating func snapshotStored(
        _ snapshot: Snapshot, dropThrough index: LogIndex, now: Instant, random: inout some RandomNumberGenerator
    ) {
        if snapshots.taking == snapshot.mark.index { snapshots.taking = nil }
        snapshots.problem = nil
        raft.handle(.snapshotStored(snapshot), now: now, random: &random)
        // What followed it came another way meanwhile: nothing is to be restored from it.
        if snapshots.arriving?.snapshot.mark == snapshot.mark, raft.log.base < snapshot.mark.index {
            snapshots.arriving = nil
        }
        let base = raft.log.base
        if raft.compact(through: index) > base { effects.append(.dropLog(through: raft.log.base)) }
    }

    mutating func snapshotFailed(
        _ index: LogIndex, _ reason: String, now: Instant, random: inout some RandomNumberGenerator
    ) {
        effects.append(.log("a snapshot through entry \(index) was not kept, the log goes on without it: \(reason)"))
        if snapshots.taking == index { snapshots.taking = nil }
        snapshots.problem = reason
        guard snapshots.arriving?.snapshot.mark.index == index else { return }
        snapshots.arriving = nil
        raft.handle(.snapshotNotStored(index, forGood: false), now: now, random: &random)
    }

    /// A snapshot has arrived. It goes to the disk only when it is understood.
    mutating func snapshotArrived(_ snapshot: Snapshot, now: Instant, random: inout some RandomNumberGenerator) {
        do {
            snapshots.arriving = try RestoredState(snapshot)
            effects.append(.storeSnapshot(snapshot))
        } catch .newer(let what) {
            halt(
                at: snapshot.mark.index,
                "the leader's state has \(what), which version \(setup.record.version) does not know")
        } catch {
            effects.append(.log("the leader's snapshot through entry \(snapshot.mark.index) is not usable: \(error)"))
            raft.handle(.snapshotNotStored(snapshot.mark.index, forGood: true), now: now, random: &random)
        }
    }

    /// The log now begins behind a snapshot: its state takes the place of what was applied here, which was less.
    mutating func restore(_ mark: SnapshotMark, now: Instant) {
        guard let arriving = snapshots.arriving, arriving.snapshot.mark == mark else {
            preconditionFailure("only a snapshot that was read and stored here is restored")
        }
        snapshots.arriving = nil
        snapshots.entries = 0
        snapshots.bytes = 0
        state = arriving.state
        applied = mark.index
        requireLevel(of: mark.index)
        effects.append(.log("the state is the leader's as of entry \(mark.index)"))
        answerSkippedProposals()
        followState(now: now)
    }

    /// Commands whose entries were among those the snapshot stands for. Their outcomes are in the state's sessions; what is
    /// not there was not carried out, or was forgotten, and is offered again, which is harmless.
    private mutating func answerSkippedProposals() {
        for key in proposals.open.keys {
            guard let outcome = state.outcome(ofSession: key.session, request: key.request) else { continue }
            let stamp = RequestStamp(session: key.session, request: key.request, settled: 0)
            if let request = proposals.finished(stamp) { effects.append(.respond(request, .outcome(outcome))) }
        }
        proposals.retryAll()
    }
}
