// The log on this member's disk, from outside: opened once, written in order, never blocking its owner.
//
// Everything queued while the disk is busy leaves together in the next flush (group commit). DESIGN.md beside this file
// has the format and why it holds. Does not: decide what is written, or read the log again while it runs.

import Consensus
import Glibc
import Synchronization

/// What an opened log holds.
public struct RecoveredLog: Hashable, Sendable {
    public var hardState: HardState
    /// The newest one that can be read.
    public var snapshot: Snapshot?
    /// Gapless, from right behind the snapshot; without one, from index 1.
    public var entries: [Entry]
    /// What was repaired or found unusual, each in words for the log.
    public var notes: [String]
    /// Damaged files that are kept beside the log, at this start or an earlier one.
    public var setAside: [String] = []

    public init(hardState: HardState, snapshot: Snapshot? = nil, entries: [Entry], notes: [String]) {
        self.hardState = hardState
        self.snapshot = snapshot
        self.entries = entries
        self.notes = notes
    }
}

/// The durable log of one member. Safe to use from any thread.
public final class LogStore: Sendable {
    /// Bounds of one store.
    public struct Options: Hashable, Sendable {
        /// Size of a new segment file in bytes: a multiple of 4,096, at least 8,192. An entry must fit into one.
        public var segmentBytes = 16 * 1024 * 1024
        /// Writes that may wait for the disk; with one more the store fails with `StorageError.overloaded`.
        public var queuedWrites = 16_384
        /// Bytes that may wait for the disk; beyond them the store fails with `StorageError.overloaded`. A single
        /// larger write is still taken when nothing else waits.
        public var queuedBytes = 64 * 1024 * 1024

        public init() {}
    }

    /// Told of progress on the store's own thread, in order: writes that became durable together, or, as the very
    /// last call, why the store stopped. It must not block.
    public typealias Completion = @Sendable (Result<[LogWrite], StorageError>) -> Void

    private let thread: WritingThread
    private let snapshots: SnapshotThread
    private let scrubber: Scrubber
    private let warnings: Warnings

    private init(thread: WritingThread, snapshots: SnapshotThread, disk: any LogDisk) {
        self.thread = thread
        self.snapshots = snapshots
        let warnings = Warnings()
        self.warnings = warnings
        scrubber = Scrubber(disk: disk) { warnings.tell($0) }
    }

    deinit {
        scrubber.close()
        thread.queue.close()
    }

    /// Where warnings go, once the store has been started.
    private final class Warnings: Sendable {
        private let receiver = Mutex<@Sendable (String) -> Void>({ _ in })
        func tell(_ words: String) { receiver.withLock { $0 }(words) }
        func go(to receiver: @escaping @Sendable (String) -> Void) { self.receiver.withLock { $0 = receiver } }
    }

    /// Opens (or creates) the log in `directory` and recovers what it holds. The directory's parent must exist; one
    /// store at a time has it open. Blocks while it reads. What cannot be read is set aside, and `memory` in the
    /// recovered hard state says what this member may still do.
    /// - Parameter hasLivedBefore: this member has been at work in the cluster; so an empty directory is a loss.
    public static func open(
        directory: String, cluster: ClusterID, member: MemberID, options: Options = Options(),
        hasLivedBefore: Bool = false
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        try open(
            disk: DirectoryDisk(claiming: directory), cluster: cluster, member: member, options: options,
            hasLivedBefore: hasLivedBefore)
    }

    /// The same on any disk.
    static func open(
        disk: any LogDisk, cluster: ClusterID, member: MemberID, options: Options, hasLivedBefore: Bool = false
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        precondition(
            options.segmentBytes % 4_096 == 0 && options.segmentBytes >= 2 * SegmentHeader.bytes,
            "a segment is a multiple of 4,096 bytes, at least two of them")
        do {
            var (writer, snapshots, log) = try recover(
                disk: disk, cluster: cluster, member: member, segmentBytes: options.segmentBytes,
                hasLivedBefore: hasLivedBefore)
            // Without a spare the log still works until its segment is full.
            do { try writer.reserveSpare() } catch { log.notes.append(Self.warning(error)) }
            writer.reserve?.fill()
            let queue = WriteQueue(
                directory: disk.path, mostWrites: options.queuedWrites, mostBytes: options.queuedBytes)
            return (
                LogStore(
                    thread: WritingThread(writer: writer, queue: queue), snapshots: SnapshotThread(files: snapshots),
                    disk: disk),
                log
            )
        } catch {
            disk.release()
            throw error
        }
    }

    /// Begins to write. Called once; what was handed in before is written first. `warning` gets what a person should
    /// know while everything still works.
    public func start(
        warning: @escaping @Sendable (String) -> Void = { _ in }, completion: @escaping Completion
    ) {
        warnings.go(to: warning)
        thread.start(warning: warning, completion: completion)
        scrubber.start()
    }

    /// What the disk has to do and how long it takes, for `/metrics`.
    public func families() -> [MetricFamily] {
        var flushes = MetricFamily(
            .histogram, "holdfast_log_flush_duration_seconds",
            "From handing writes to the disk until they were durable, by groups of writes.")
        flushes.add(thread.flushes.reading)
        let waiting = thread.queue.waiting
        let findings = scrubber.findings
        return [
            flushes,
            MetricFamily(
                .gauge, "holdfast_log_damaged_files", "Old log files and snapshots that can no longer be read.",
                value: Double(findings.damaged.count)),
            MetricFamily(
                .counter, "holdfast_log_verified_bytes_total", "Bytes of old log files that were read again.",
                value: Double(findings.verifiedBytes)),
            MetricFamily(
                .gauge, "holdfast_log_queue_writes", "Writes that wait for the disk.", value: Double(waiting.writes)),
            MetricFamily(
                .gauge, "holdfast_log_queue_bytes", "Bytes that wait for the disk.", value: Double(waiting.bytes)),
        ]
    }

    /// How long groups of writes took to become durable.
    public var flushDurations: DurationHistogram.Reading { thread.flushes.reading }

    /// Queues a write and returns at once. Writes become durable, and complete, in the order they were handed in.
    /// After a failure was reported, or after `close`, further writes are dropped.
    public func write(_ write: LogWrite) { thread.queue.append(write) }

    /// Removes log files of which no entry behind `index` is needed, in its turn among the writes.
    public func drop(through index: LogIndex) { thread.queue.drop(through: index) }

    /// Makes a snapshot durable beside the log, on a thread of its own, and tells what came of it there. `content` is
    /// called on that thread. One that came from another member is written twice: nothing else could take its place.
    public func save(
        _ mark: SnapshotMark, arrived: Bool, content: @escaping @Sendable () -> [UInt8],
        completion: @escaping @Sendable (SnapshotSaved) -> Void
    ) {
        snapshots.save(
            SnapshotThread.Job(mark: mark, copies: arrived ? 2 : 1, content: content, completion: completion))
    }

    static func restarting(behind position: LogPosition) -> LogWrite {
        LogWrite(
            sequence: WriteSequence(rawValue: 0), hardState: nil, restartsBehind: position, entries: [], thenSend: [])
    }

    /// Writes what is queued, then closes the files and gives the directory free. Waits at most `seconds`; false when
    /// the disk did not answer by then. May be called twice, but not from the completion.
    @discardableResult
    public func close(waitingSeconds seconds: Int = 10) -> Bool {
        scrubber.close()
        let saved = snapshots.close(waitingSeconds: seconds)
        return thread.close(waitingSeconds: seconds) && saved
    }

    static func warning(_ error: StorageError) -> String {
        "the next log segment could not be reserved, the log goes on in the present one and then waits: \(error)"
    }
}
