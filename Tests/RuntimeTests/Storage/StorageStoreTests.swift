// The store as the agent's loop uses it: writes go in without waiting, completions come back in order, and a disk that
// fails is told once and for good.

import Consensus
import Glibc
import Synchronization
import Testing

@testable import Runtime

/// The completions of a store, one after the other.
private final class Completions: Sendable {
    let stream: AsyncStream<Result<[LogWrite], StorageError>>
    private let continuation: AsyncStream<Result<[LogWrite], StorageError>>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    var callback: LogStore.Completion { { [continuation] in continuation.yield($0) } }

    /// Waits until writes through `sequence` completed; their sequences in order.
    func completed(through sequence: UInt64) async throws -> [UInt64] {
        var found: [UInt64] = []
        for await result in stream {
            found += try result.get().map(\.sequence.rawValue)
            if found.last == sequence { break }
        }
        return found
    }

    /// Waits for the failure; the sequences that completed before it, too.
    func failure() async -> (completed: [UInt64], error: StorageError?) {
        var found: [UInt64] = []
        for await result in stream {
            switch result {
            case .success(let writes): found += writes.map(\.sequence.rawValue)
            case .failure(let error): return (found, error)
            }
        }
        return (found, nil)
    }
}

@Suite(.timeLimit(.minutes(2)))
struct StorageStoreTests {
    private func open(
        _ disk: ModelDisk, configure: (inout LogStore.Options) -> Void = { _ in }
    ) throws -> (LogStore, RecoveredLog) {
        var options = LogStore.Options()
        options.segmentBytes = 8_192
        configure(&options)
        return try LogStore.open(disk: disk, cluster: exampleCluster, member: exampleMember, options: options)
    }

    @Test func whatWasCompletedIsReadBack() async throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        let completions = Completions()
        store.start(completion: completions.callback)
        for write in exampleGroups.joined() { store.write(write) }
        let last = exampleGroups.joined().reduce(0) { max($0, $1.sequence.rawValue) }
        #expect(try await completions.completed(through: last) == Array(1...last))
        #expect(store.close())
        var expected = LogState()
        expected.apply(Array(exampleGroups.joined()))
        #expect(try open(disk).1.state == expected)
    }

    @Test func writesWithNothingToWriteKeepTheirPlace() async throws {
        let (store, _) = try open(ModelDisk())
        let completions = Completions()
        store.start(completion: completions.callback)
        store.write(write(1))
        for sequence in UInt64(2)...50 {
            store.write(sequence % 2 == 0 ? write(sequence, [entry(sequence / 2, term: 1)]) : write(sequence))
        }
        #expect(try await completions.completed(through: 50) == Array(1...50))
        store.close()
    }

    @Test func whatWaitsIsFlushedTogether() async throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        let before = disk.operations.count
        for sequence in UInt64(1)...20 { store.write(write(sequence, [entry(sequence, term: 1)])) }
        let completions = Completions()
        store.start(completion: completions.callback)
        _ = try await completions.completed(through: 20)
        store.close()
        #expect(Array(disk.operations[before...]) == [.write, .synchronize])
    }

    @Test func closingWritesWhatWaits() throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        store.start { _ in }
        for sequence in UInt64(1)...100 { store.write(write(sequence, [entry(sequence, term: 1)])) }
        #expect(store.close())
        #expect(store.close())
        #expect(disk.isReleased)
        #expect(try open(disk).1.entries.count == 100)
    }

    @Test func aStoreThatNeverStartedGivesItsDirectoryFree() throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        #expect(store.close())
        #expect(disk.isReleased)
    }

    @Test func aFailedFlushEndsTheStore() async throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        store.write(write(1, [entry(1, term: 1)]))
        let first = Completions()
        store.start(completion: first.callback)
        _ = try await first.completed(through: 1)
        disk.fault = { operation, _ in operation == .synchronize ? EIO : nil }
        store.write(write(2, [entry(2, term: 1)]))
        let (completed, error) = await first.failure()
        #expect(completed == [])
        #expect(error == .failed(operation: "synchronize", path: SegmentHeader.name(1), code: EIO))
        // The disk answers again, but what it answers is worth nothing: nothing more is accepted.
        disk.fault = { _, _ in nil }
        let operations = disk.operations.count
        store.write(write(3, [entry(3, term: 1)]))
        #expect(store.close())
        #expect(disk.operations.count == operations)
    }

    /// A disk that is full until the test says otherwise; asked by the store's threads.
    private final class Fullness: Sendable {
        private let state = Mutex(true)
        var isFull: Bool { state.withLock { $0 } }
        func end() { state.withLock { $0 = false } }
    }

    @Test("30 a full disk is waited for, and nothing is lost or told too early")
    func aFullDiskIsWaitedForAndTheLogGoesOn() async throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        let (warnings, warn) = AsyncStream<String>.makeStream()
        let completions = Completions()
        let fullness = Fullness()
        disk.fault = { operation, _ in operation == .create && fullness.isFull ? ENOSPC : nil }
        store.start(warning: { warn.yield($0) }, completion: completions.callback)
        for sequence in UInt64(1)...60 { store.write(write(sequence, [entry(sequence, term: 1, bytes: 900)])) }
        for await warning in warnings where warning.hasPrefix("the log waits for space") { break }
        fullness.end()
        #expect(try await completions.completed(through: 60) == Array(1...60))
        for await warning in warnings where warning.hasPrefix("there is space for the log again") { break }
        store.close()
        #expect(try open(disk).1.entries == (1...60).map { entry($0, term: 1, bytes: 900) })
    }

    /// What was put by is enough for one more segment; without it a start on a full disk would fail.
    @Test func whatWasPutByIsGivenUpOnAFullDisk() throws {
        let disk = ModelDisk()
        var (writer, _, _) = try LogStore.recover(
            disk: disk, cluster: exampleCluster, member: exampleMember, segmentBytes: 8_192)
        let isPutBy = try #require(writer.reserve).fill()
        #expect(isPutBy && disk.contents.keys.contains(SpaceReserve.name))
        disk.fault = { [unowned disk] operation, _ in
            operation == .create && disk.contents.keys.contains(SpaceReserve.name) ? ENOSPC : nil
        }
        for index in UInt64(1)...8 { try writer.write([write(index, [entry(index, term: 1, bytes: 900)])]) }
        #expect(!disk.contents.keys.contains(SpaceReserve.name))
        #expect(writer.end.segment == 2)
        disk.fault = { operation, _ in operation == .create ? ENOSPC : nil }
        #expect(throws: StorageError.self) {
            for index in UInt64(9)...30 { try writer.write([write(index, [entry(index, term: 1, bytes: 900)])]) }
        }
    }

    @Test func aStoreThatWaitsForSpaceCanBeClosed() async throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        let (warnings, warn) = AsyncStream<String>.makeStream()
        let completions = Completions()
        disk.fault = { operation, _ in operation == .create ? ENOSPC : nil }
        store.start(warning: { warn.yield($0) }, completion: completions.callback)
        for sequence in UInt64(1)...60 { store.write(write(sequence, [entry(sequence, term: 1, bytes: 900)])) }
        for await warning in warnings where warning.hasPrefix("the log waits for space") { break }
        #expect(store.close())
        let (completed, error) = await completions.failure()
        #expect(error?.isDiskFull == true)
        disk.fault = { _, _ in nil }
        #expect(try open(disk).1.entries.count >= completed.count)
    }

    @Test func withoutSpaceForASpareTheLogWarnsAndGoesOn() async throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        let (warnings, warn) = AsyncStream<String>.makeStream()
        let completions = Completions()
        disk.fault = { operation, _ in operation == .create ? ENOSPC : nil }
        store.start(warning: { warn.yield($0) }, completion: completions.callback)
        // The first segment holds four of these; the fifth takes the spare, and no further one can be reserved.
        for sequence in UInt64(1)...5 {
            store.write(write(sequence, [entry(sequence, term: 1, bytes: 900)]))
            _ = try await completions.completed(through: sequence)
        }
        var told: String?
        for await warning in warnings {
            told = warning
            break
        }
        #expect(told?.contains("no space for the next log segment in /model: 8192 bytes needed, 0 free") == true)
        store.close()
    }

    @Test func aFailedWriteEndsTheStoreAndRecoveryCutsWhatItLeft() async throws {
        let disk = ModelDisk()
        let (store, _) = try open(disk)
        let completions = Completions()
        store.start(completion: completions.callback)
        store.write(write(1, [entry(1, term: 1)]))
        _ = try await completions.completed(through: 1)
        disk.tornBytes = 45
        disk.fault = { operation, _ in operation == .write ? EIO : nil }
        store.write(write(2, [entry(2, term: 1)]))
        #expect(
            await completions.failure().error == .failed(operation: "write", path: SegmentHeader.name(1), code: EIO))
        store.close()
        disk.fault = { _, _ in nil }
        let (_, log) = try open(disk)
        #expect(log.entries == [entry(1, term: 1)])
        #expect(log.notes.count == 1)
    }

    @Test func moreThanTheQueueHoldsEndsTheStore() async throws {
        let (store, _) = try open(ModelDisk()) { $0.queuedWrites = 3 }
        for sequence in UInt64(1)...10 { store.write(write(sequence, [entry(sequence, term: 1)])) }
        let completions = Completions()
        store.start(completion: completions.callback)
        let (completed, error) = await completions.failure()
        #expect(completed == [1, 2, 3])
        guard case .overloaded(_, let writes, _) = error else {
            Issue.record("failed with \(String(describing: error))")
            return
        }
        #expect(writes == 4)
        store.close()
    }

    @Test func filesGoThoughThereIsAlwaysSomethingToWrite() {
        let queue = WriteQueue(directory: "log", mostWrites: 8, mostBytes: 1 << 20)
        queue.drop(through: LogIndex(rawValue: 5))
        for round in 1...WriteQueue.mostPassedOver + 1 {
            let write = LogWrite(
                sequence: WriteSequence(rawValue: UInt64(round)), hardState: hardState(1), entries: [], thenSend: [])
            queue.append(write)
            switch queue.next() {
            case .write(let taken): queue.finished(taken)
            case .drop(let index):
                #expect(index == LogIndex(rawValue: 5) && round == WriteQueue.mostPassedOver + 1)
                return
            default: break
            }
        }
        Issue.record("the drop was passed over \(WriteQueue.mostPassedOver + 1) times")
    }
}
