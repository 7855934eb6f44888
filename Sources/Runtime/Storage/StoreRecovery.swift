// A start of the disk as a whole: snapshots, log and the copy of term and vote are read, what one lacks another replaces,
// and what none has is told as a loss.
//
// The order of what is made durable is what a crash in the middle relies on:
//
//     1  the vote file says "incomplete" or "lost", and the new start     only when something is lost
//     2  damaged files get other names
//     3  the log begins its next record; it says the same, with the start
//     4  the vote file says it in both slots
//
// Whoever has the greater start number spoke last, so a crash between 1 and 3 does not forget what 1 said.

import Consensus

extension LogStore {
    /// Reads everything back, repairs what can be, and lets the log go on behind the newest snapshot.
    static func recover(
        disk: any LogDisk, cluster: ClusterID, member: MemberID, segmentBytes: Int, hasLivedBefore: Bool = false
    ) throws(StorageError) -> (SegmentWriter, SnapshotFiles, RecoveredLog) {
        let found = try VoteFile.find(on: disk, cluster: cluster, member: member)
        let (snapshots, unreadable) = try SnapshotFiles.recover(disk: disk, cluster: cluster, member: member)
        var (recovery, file) = try LogRecovery.recover(
            disk: disk, cluster: cluster, member: member, snapshot: snapshots.newest)
        let restart = recovery.connect()
        var log = recovery.log
        var (hardState, losses) = remembered(found, recovery, hasLivedBefore: hasLivedBefore)
        hardState.begin(
            DiskStart(number: hardState.start.number + 1, nonce: .random(in: 1 ... .max)), isLossNew: !losses.isEmpty)
        let reserve = SpaceReserve(disk: disk, bytes: segmentBytes)
        snapshots.reserve = reserve
        var votes = try VoteFile(disk: disk, cluster: cluster, member: member, found: found)
        if !losses.isEmpty {
            try votes.save(hardState, logSequence: recovery.end.sequence, inBoth: true)
        }
        try SetAside.move(snapshots.unreadable + recovery.setAside, on: disk, start: hardState.start.number)
        // The older snapshot rests on the entries that go now.
        if restart != nil || !recovery.setAside.isEmpty { try snapshots.doubleNewest() }
        // A segment of an older format is not gone on with: that version could not read what stands in it.
        if recovery.format < SegmentHeader.version {
            file?.close()
            file = nil
        }
        var writer = try SegmentWriter(
            disk: disk, cluster: cluster, member: member, segmentBytes: segmentBytes, end: recovery.end, file: file,
            votes: votes, reserve: reserve)
        if let restart {
            log.notes.append("the log did not reach the snapshot through entry \(restart.index) and goes on behind it")
            try writer.write([restarting(behind: restart)])
        }
        try writer.begin(with: hardState)
        log.hardState = hardState
        log.notes += unreadable
        log.notes += losses.map { note($0, hardState.memory) }
        log.setAside = try disk.attempt { () throws(DiskFault) in
            try disk.names().filter { SetAside.start(of: $0) != nil }
        }
        return (writer, snapshots, log)
    }

    /// The newest hard state that anything remembers, with what is lost of what this member answered for.
    static func remembered(
        _ found: VoteFile.Found, _ recovery: LogRecovery, hasLivedBefore: Bool
    ) -> (HardState, losses: [String]) {
        let isEmpty = recovery.end.segment == 0 && recovery.losses.isEmpty
        guard case .held(let slot, let alone) = found else {
            return remembered(recovery, isEmpty: isEmpty, wasThere: found != .absent, hasLivedBefore: hasLivedBefore)
        }
        var losses = recovery.losses
        if losses.isEmpty, slot.logSequence > recovery.end.sequence {
            losses.append(
                isEmpty
                    ? "the log is gone, only the copy of term and vote is left"
                    : "the log ends before record \(slot.logSequence), and what stood before that was acknowledged")
        }
        let fromLog = recovery.log.hardState
        // In the log a state is durable first, so an unharmed log has the newest of one start.
        if losses.isEmpty {
            return (slot.hardState.start.number > fromLog.start.number ? slot.hardState : fromLog, [])
        }
        var state = newer(slot.hardState, fromLog)
        // The slot that cannot be read may have been the newer one.
        let isKnown = !alone || (recovery.knowsHardState && !recovery.losses.isEmpty)
        state.memory = isKnown ? worse(state.memory, .incomplete) : .lost
        return (state, losses)
    }

    /// The same when no copy of term and vote can be read.
    private static func remembered(
        _ recovery: LogRecovery, isEmpty: Bool, wasThere: Bool, hasLivedBefore: Bool
    ) -> (HardState, losses: [String]) {
        var state = recovery.log.hardState
        var losses = recovery.losses
        if losses.isEmpty, isEmpty {
            guard wasThere || hasLivedBefore || recovery.log.snapshot != nil else { return (state, []) }
            losses.append("the log is empty, but this member has been at work in the cluster before")
        } else if losses.isEmpty {
            // Versions before the first start that is counted kept no copy.
            let isOlder = !wasThere && state.start == .none
            guard !isOlder, recovery.wasCut else { return (state, []) }
            losses.append("neither the copy of term and vote nor the last flush of the log can be read")
        }
        let isKnown = recovery.knowsHardState && !recovery.losses.isEmpty
        state.memory = isKnown ? worse(state.memory, .incomplete) : .lost
        return (state, losses)
    }

    /// The state of a later start, of a later epoch, of a later term, or with the vote of one; with the longest promise of both.
    private static func newer(_ left: HardState, _ right: HardState) -> HardState {
        let rightIsNewer =
            if left.start.number != right.start.number {
                right.start.number > left.start.number
            } else if left.epoch != right.epoch {
                right.epoch > left.epoch
            } else if left.term != right.term { right.term > left.term } else { left.vote == nil }
        var state = rightIsNewer ? right : left
        state.longestPromise = .max(left.longestPromise, right.longestPromise)
        return state
    }

    private static func worse(_ left: Memory, _ right: Memory) -> Memory {
        left.rawValue > right.rawValue ? left : right
    }

    private static func note(_ loss: String, _ memory: Memory) -> String {
        let consequence =
            memory == .lost
            ? "not even its vote is certain" : "its term and vote are known, entries are fetched again"
        return "\(loss). This member does not vote until the leader has taken it back (\(consequence)). Nothing need "
            + "be done; damaged files are kept under names that begin with \"\(SetAside.prefix)\". Check the disk (dmesg, "
            + "smartctl)"
    }
}
