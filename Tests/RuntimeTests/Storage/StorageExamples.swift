// Writes to play with, and what a log holds after any part of them.

import Consensus

@testable import Runtime

let exampleCluster = ClusterID(rawValue: 0xC1)
let exampleMember = MemberID(rawValue: 0xA1)

func write(
    _ sequence: UInt64, hardState: HardState? = nil, _ entries: [Entry] = [], thenSend: [Envelope] = []
) -> LogWrite {
    LogWrite(
        sequence: WriteSequence(rawValue: sequence), hardState: hardState, entries: entries, thenSend: thenSend)
}

func entry(_ index: UInt64, term: UInt64, bytes: Int = 20) -> Entry {
    Entry(
        index: LogIndex(rawValue: index), term: Term(rawValue: term),
        payload: .command([UInt8](repeating: UInt8(truncatingIfNeeded: index &* 31 &+ term), count: bytes)))
}

func hardState(_ term: UInt64, vote: UInt64? = nil, promiseMilliseconds: Int64 = 0) -> HardState {
    HardState(
        term: Term(rawValue: term), vote: vote.map { MemberID(rawValue: $0) },
        longestPromise: .milliseconds(promiseMilliseconds))
}

/// What a log holds.
struct LogState: Hashable {
    var hardState = HardState()
    var entries: [Entry] = []

    /// The states this one passes through while `write` is carried out, the last one included.
    func steps(_ write: LogWrite) -> [LogState] {
        var state = self
        var passed: [LogState] = []
        if let hardState = write.hardState {
            state.hardState = hardState
            passed.append(state)
        }
        for entry in write.entries {
            state.entries.removeSubrange(Int(entry.index.rawValue) - 1..<state.entries.count)
            state.entries.append(entry)
            passed.append(state)
        }
        return passed
    }

    mutating func apply(_ writes: [LogWrite]) {
        for write in writes { self = steps(write).last ?? self }
    }
}

extension RecoveredLog {
    /// Without the start, which is another one each time.
    var state: LogState {
        var hardState = hardState
        hardState.start = .none
        hardState.earlierStarts = []
        return LogState(hardState: hardState, entries: entries)
    }
}

/// A life of a small log with everything in it: votes, batches, replaced tails, configurations, writes that only wait,
/// and enough bytes to fill several segments of 8,192.
let exampleGroups: [[LogWrite]] = {
    let configuration = Configuration(
        voters: [MemberID(rawValue: 1), MemberID(rawValue: 2), MemberID(rawValue: 3)],
        learners: [MemberID(rawValue: 9)])
    let joint = Configuration(
        voters: [1, 4, 5].map(MemberID.init), learners: [MemberID(rawValue: 9)],
        outgoingVoters: [1, 2, 3].map(MemberID.init), learnersNext: [MemberID(rawValue: 3)],
        epoch: Epoch(rawValue: 1 << 32 | 9))
    var groups: [[LogWrite]] = [
        [write(1, hardState: hardState(1, vote: 7))],
        [
            write(2, [Entry(index: LogIndex(rawValue: 1), term: Term(rawValue: 1), payload: .empty)]),
            write(3, [entry(2, term: 1), entry(3, term: 1)]),
        ],
        [write(4)],
        [
            write(
                5, hardState: hardState(2, promiseMilliseconds: 320),
                [Entry(index: LogIndex(rawValue: 4), term: Term(rawValue: 2), payload: .configuration(configuration))]),
            write(6), write(7, (5...9).map { entry($0, term: 2, bytes: 30) }),
        ],
        [write(8, hardState: hardState(3, vote: 2, promiseMilliseconds: 320), [entry(6, term: 3), entry(7, term: 3)])],
        [
            write(
                9, [Entry(index: LogIndex(rawValue: 7), term: Term(rawValue: 3), payload: .configuration(joint))]),
            write(10, [entry(8, term: 3)]), write(11, [entry(8, term: 3)]),
        ],
    ]
    var sequence: UInt64 = 12
    var index: UInt64 = 9
    for round in 0..<8 {
        let entries = (index..<index + 3).map { entry($0, term: 4 + UInt64(round / 4), bytes: 260 + round * 7) }
        groups.append([write(sequence, hardState: hardState(4 + UInt64(round / 4), vote: UInt64(round / 4)), entries)])
        sequence += 1
        index += 3
    }
    groups.append([write(sequence, [entry(index - 4, term: 6)]), write(sequence + 1, [entry(index - 3, term: 6)])])
    return groups
}()
