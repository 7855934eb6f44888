// Power is lost at every step of a log's life, with every part of what was not flushed surviving or not. What is read
// back is always what was acknowledged, or more of what was handed in, in order.

import Consensus
import Glibc
import Testing

@testable import Runtime

struct StorageCrashTests {
    /// How far a life got.
    struct Life {
        var acknowledged = LogState()
        /// Handed in and not acknowledged.
        var rest: [LogWrite] = []

        /// Everything a recovery may find.
        var allowed: Set<LogState> {
            var states: Set<LogState> = [acknowledged]
            var state = acknowledged
            for write in rest {
                states.formUnion(state.steps(write))
                state.apply([write])
            }
            return states
        }
    }

    private func open(_ disk: ModelDisk) throws -> (SegmentWriter, RecoveredLog) {
        let (recovery, file) = try LogRecovery.recover(disk: disk, cluster: exampleCluster, member: exampleMember)
        let writer = try SegmentWriter(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: 8_192, end: recovery.end,
            file: file)
        return (writer, recovery.log)
    }

    /// Opens the log and writes `groups` until the disk stops answering.
    private func live(_ disk: ModelDisk, _ groups: [[LogWrite]]) -> Life {
        var life = Life()
        guard let (opened, log) = try? open(disk) else { return life }
        var writer = opened
        life.acknowledged = log.state
        for group in groups {
            life.rest = group
            do {
                try writer.write(group[...])
                life.acknowledged.apply(group)
                life.rest = []
                try writer.reserveSpare()
            } catch { break }
        }
        return life
    }

    private func powerFails(at step: Int) -> (ModelDisk.Operation, Int) -> Int32? {
        { _, count in count >= step ? EIO : nil }
    }

    private func check(_ disk: ModelDisk, _ life: Life, _ allowed: Set<LogState>, _ place: String) {
        do {
            let (_, log) = try open(disk)
            #expect(allowed.contains(log.state), "\(place): \(log.entries.count) entries, \(log.hardState)")
        } catch { Issue.record("\(place): \(error)") }
    }

    private var steps: Int {
        let disk = ModelDisk()
        _ = live(disk, exampleGroups)
        return disk.operations.count
    }

    @Test func everyCrashPointKeepsWhatWasAcknowledged() {
        for step in 0...steps {
            let disk = ModelDisk()
            disk.fault = powerFails(at: step)
            let life = live(disk, exampleGroups)
            let allowed = life.allowed
            for names in [false, true] {
                // Every byte prefix of the write that was on its way; coarser for headers, which nothing reads yet, and
                // where only the names make the difference.
                let longest = disk.longestPending
                let stride = longest == SegmentHeader.bytes || !names ? 241 : 1
                for length in Swift.stride(from: 0, through: longest, by: stride) {
                    let crashed = disk.afterPowerLoss(keepingNames: names) { bytes, isLast in
                        [0..<(isLast ? min(length, bytes.count) : bytes.count)]
                    }
                    check(crashed, life, allowed, "step \(step), \(length) bytes, names \(names)")
                }
            }
        }
    }

    @Test func sectorsMayReachTheDiskInAnyOrder() {
        var random = SeededGenerator(state: 17)
        for step in 0...steps {
            let disk = ModelDisk()
            disk.fault = powerFails(at: step)
            let life = live(disk, exampleGroups)
            let allowed = life.allowed
            for round in 0..<40 {
                let crashed = disk.afterPowerLoss(keepingNames: round % 2 == 0) { bytes, _ in
                    stride(from: 0, to: bytes.count, by: 64).filter { _ in random.uniform(below: 2) == 0 }
                        .map { $0..<min($0 + 64, bytes.count) }
                }
                check(crashed, life, allowed, "step \(step), round \(round)")
            }
        }
    }

    @Test func aCrashDuringRecoveryLosesNothingAndTheLogGoesOn() {
        var random = SeededGenerator(state: 23)
        for step in 0...steps {
            let disk = ModelDisk()
            disk.fault = powerFails(at: step)
            let life = live(disk, exampleGroups)
            let allowed = life.allowed
            // The second life breaks off during its recovery, or soon after, at each of its own first steps.
            for second in 0..<8 {
                let again = disk.afterPowerLoss(keepingNames: true) { bytes, _ in
                    stride(from: 0, to: bytes.count, by: 64).filter { _ in random.uniform(below: 3) > 0 }
                        .map { $0..<min($0 + 64, bytes.count) }
                }
                guard let before = try? open(again.copy()).1.state else {
                    Issue.record("step \(step): not readable")
                    continue
                }
                #expect(allowed.contains(before))
                again.fault = powerFails(at: second)
                let next = UInt64(before.entries.count)
                let term = max(before.hardState.term.rawValue, before.entries.last?.term.rawValue ?? 0) + 1
                var secondLife = live(
                    again, [[write(1, hardState: hardState(term), [entry(max(1, next), term: term)])]])
                if secondLife.acknowledged == LogState() { secondLife.acknowledged = before }
                let third = again.afterPowerLoss(keepingNames: true) { bytes, _ in
                    stride(from: 0, to: bytes.count, by: 64).filter { _ in random.uniform(below: 3) > 0 }
                        .map { $0..<min($0 + 64, bytes.count) }
                }
                check(third, secondLife, secondLife.allowed, "step \(step), second life to \(second)")
            }
        }
    }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
