// Snapshots in a TestCluster: taken at the same entries everywhere, durable after a moment, two of them kept.

import Consensus

extension TestCluster {
    mutating func takeSnapshot(at index: LogIndex, of number: Int) {
        guard snapshotEvery > 0, index.rawValue % snapshotEvery == 0, self[number].disk.saving == nil,
            let mark = self[number].raft?.snapshotMark(at: index)
        else { return }
        save(Snapshot(mark: mark, bytes: self[number].state.bytes), arrived: false, at: number)
    }

    mutating func save(_ snapshot: Snapshot, arrived: Bool, at number: Int) {
        checks.sawSnapshot(snapshot, by: self[number].id)
        members[number - 1].disk.saving = snapshot
        schedule(
            .saved(number, snapshot, arrived: arrived, incarnation: self[number].incarnation),
            after: random.draw(diskLatency) * 3)
    }

    mutating func saved(_ snapshot: Snapshot, arrived: Bool, at number: Int) {
        let kept = members[number - 1].disk.save(snapshot, arrived: arrived)
        handle(.snapshotStored(snapshot), at: number)
        act(number) { raft, _ in raft.compact(through: kept) }
        if let base = self[number].raft?.log.base { members[number - 1].disk.drop(through: base) }
    }
}
