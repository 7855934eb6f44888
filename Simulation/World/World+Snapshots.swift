// Snapshots on the machines' disks, and what must be true of them: members' snapshots of one entry are the same bytes, what
// they cover is committed, and a log never begins behind what no readable snapshot covers.

import Agent
import Cluster
import Consensus

extension World {
    func takeSnapshot(_ mark: SnapshotMark, _ state: ClusterState, of machine: Machine) {
        marks.reach(.snapshotTaken)
        save(LogDiskModel.Saving(snapshot: Snapshot(mark: mark, bytes: state.encoded), arrived: false), on: machine)
    }

    func storeSnapshot(_ snapshot: Snapshot, of machine: Machine) {
        tell("\(machine.name): a snapshot through entry \(snapshot.mark.index) has arrived")
        save(LogDiskModel.Saving(snapshot: snapshot, arrived: true), on: machine)
    }

    private func save(_ job: LogDiskModel.Saving, on machine: Machine) {
        if let finding = truth.sawSnapshot(job.snapshot, of: machine.name) { violate(finding.0, finding.1) }
        machine.disk.begin(job)
        // More bytes than a write of the log, and beside it.
        let time = machine.draws.number(machine.diskLatency) * 4
        schedule(job, on: machine, after: time)
    }

    private func schedule(_ job: LogDiskModel.Saving, on machine: Machine, after time: Int64) {
        queue.push(
            .snapshotDurable(machine: machine.index, life: machine.life, job.snapshot.mark.index), at: now + time)
    }

    func snapshotIsDurable(_ index: LogIndex, on machine: Machine, life: UInt64) {
        guard machine.life == life, machine.process != nil,
            let job = machine.disk.saving.first(where: { $0.snapshot.mark.index == index })
        else { return }
        // A disk that stands still, or a guest that does, is looked at again.
        guard machine.disk.condition != .stalled, !machine.isFrozen else {
            return schedule(job, on: machine, after: 200_000_000)
        }
        note(18, machine.index, index.rawValue)
        _ = machine.disk.endSaving(index)
        guard machine.disk.condition == .well else {
            return turn(machine, .snapshotFailed(index, "the disk did not take it"))
        }
        let dropThrough = machine.disk.keep(job, copies: job.arrived ? 2 : 1)
        turn(machine, .snapshotStored(job.snapshot, dropThrough: dropThrough))
    }

    func dropLog(through index: LogIndex, of machine: Machine) {
        marks.reach(.logDropped)
        machine.disk.drop(through: index, &machine.draws)
    }

    /// What a process begins with; nil, and a violation, when its log has a gap.
    func recover(_ machine: Machine) -> (restored: RestoredState?, entries: [Entry])? {
        guard let recovered = machine.disk.recover() else {
            violate("logGap", "\(machine.name) lacks entries between its newest snapshot and its log")
            return nil
        }
        if recovered.wasUnreadable {
            marks.reach(.snapshotUnreadable)
            tell("\(machine.name): the newest snapshot cannot be read; the one before it is taken")
        }
        guard let snapshot = recovered.snapshot else { return (nil, recovered.entries) }
        do {
            return (try RestoredState(snapshot), recovered.entries)
        } catch {
            violate("snapshotsDiffer", "\(machine.name) cannot read its own snapshot: \(error)")
            return nil
        }
    }

    /// A member whose log begins behind what it had applied has restored a snapshot.
    func sawRestored(_ machine: Machine, _ process: Machine.Process) {
        let log = process.core.raft.log
        guard log.base > process.applied else { return }
        marks.reach(.snapshotInstalled)
        tell("\(machine.name) goes on from the snapshot through entry \(log.base)")
        if let finding = truth.sawPosition(LogPosition(index: log.base, term: log.baseTerm), of: machine.name) {
            violate(finding.0, finding.1)
        }
        process.applied = log.base
    }
}

extension Truth {
    /// Snapshots of one entry are equal, byte for byte, and cover what is committed.
    mutating func sawSnapshot(_ snapshot: Snapshot, of name: String) -> (String, String)? {
        if let finding = sawPosition(snapshot.mark.position, of: name) { return finding }
        let index = snapshot.mark.index
        if let known = snapshots[index] {
            return known == snapshot
                ? nil : ("snapshotsDiffer", "\(name) has another snapshot of the first \(index) entries")
        }
        snapshots[index] = snapshot
        if snapshots.count > 32, let oldest = snapshots.keys.first { snapshots[oldest] = nil }
        return nil
    }

    /// The last entry of a snapshot is the committed one.
    func sawPosition(_ position: LogPosition, of name: String) -> (String, String)? {
        let place = Int(position.index.rawValue) - 1
        // A member applies its batch before the world looks at it, so one batch may be ahead.
        guard place >= committed.count || committed[place].term == position.term else {
            return ("stateMachineSafety", "\(name) has a snapshot of another entry \(position.index)")
        }
        return nil
    }
}
