// The log on this member's disk, from outside: opened once, written in order, never blocking its owner.

import Agent
import Consensus

/// What an opened log holds.
public struct RecoveredLog: Hashable, Sendable {
    public var hardState: HardState
    /// Gapless from index 1.
    public var entries: [Entry]
    /// What was repaired or found unusual, each in words for the log.
    public var notes: [String]
}

/// The durable log of one member.
public final class LogStore: Sendable {
    /// Bounds of one store.
    public struct Options: Hashable, Sendable {
        /// Size of a new segment file in bytes: a multiple of 4,096, at least 8,192. An entry must fit into one.
        public var segmentBytes = 16 * 1024 * 1024
        /// Writes that may wait for the disk; with one more the store fails with `StorageError.overloaded`.
        public var queuedWrites = 16_384
        /// Bytes of entries that may wait for the disk; beyond them the store fails with `StorageError.overloaded`.
        public var queuedBytes = 64 * 1024 * 1024

        public init() {}
    }

    /// Told of progress on the store's own thread, in order: writes that became durable together, or, as the very
    /// last call, why the store stopped. It must not block.
    public typealias Completion = @Sendable (Result<[LogWrite], StorageError>) -> Void

    private init() {}

    /// Opens (or creates) the log in `directory` and recovers what it holds. Blocks while it reads.
    public static func open(
        directory: String, cluster: ClusterID, member: MemberID, options: Options = Options()
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        throw .closed(directory: directory)
    }

    /// Begins to write. Called once; what was handed in before is written first. `warning` gets what a person should
    /// know while everything still works.
    public func start(warning: @escaping @Sendable (String) -> Void, completion: @escaping Completion) {}

    /// Queues a write and returns at once. Writes become durable, and complete, in the order they were handed in. After
    /// a failure was reported further writes are dropped.
    public func write(_ write: LogWrite) {}

    /// Writes what is queued, then closes the files and gives the directory free. Waits at most `seconds`; false when
    /// the disk did not answer by then. May be called twice, but not from the completion.
    @discardableResult
    public func close(waitingSeconds seconds: Int = 10) -> Bool { true }
}
