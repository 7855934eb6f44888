// Writes snapshots beside the log: on a thread that lives as long as there is one to write, so that neither the agent nor
// the log waits for it.

import Consensus
import Glibc

/// What became of a snapshot that was handed in.
public enum SnapshotSaved: Sendable {
    /// It is durable, and the log may be dropped through this entry.
    case stored(Snapshot, dropThrough: LogIndex)
    /// It is not kept; the log is as it was.
    case failed(LogIndex, String)
}

final class SnapshotThread: @unchecked Sendable {
    struct Job: Sendable {
        let mark: SnapshotMark
        let copies: Int
        let content: @Sendable () -> [UInt8]
        let completion: @Sendable (SnapshotSaved) -> Void
    }

    /// Snapshots that may wait; the agent hands in one of its own and one that arrived.
    private static let mostWaiting = 4

    /// Confined to the thread while it runs.
    private let files: SnapshotFiles
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var waiting: [Job] = []
    private var isRunning = false
    private var isClosed = false

    init(files: SnapshotFiles) {
        self.files = files
        files.forgetNewest()
    }

    func save(_ job: Job) {
        enum Next { case start, wait, refuse }
        let next: Next = monitor.locked {
            guard !isClosed, waiting.count < Self.mostWaiting else { return .refuse }
            waiting.append(job)
            defer { isRunning = true }
            return isRunning ? .wait : .start
        }
        switch next {
        case .start: start()
        case .wait: break
        case .refuse: job.completion(.failed(job.mark.index, "too many snapshots wait for the disk, or it is closed"))
        }
    }

    /// Takes nothing more and waits for what is under way; false when it did not end in time.
    func close(waitingSeconds seconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        deadline.tv_sec += max(0, seconds)
        return monitor.locked {
            isClosed = true
            waiting = []
            while isRunning {
                if !monitor.wait(until: deadline) { return !isRunning }
            }
            return true
        }
    }

    private func start() {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<SnapshotThread>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard code != 0 else { return }
        context.release()
        let failed = monitor.locked {
            defer { (waiting, isRunning) = ([], false) }
            return waiting
        }
        for job in failed {
            job.completion(.failed(job.mark.index, "no thread could be started: \(String(cString: strerror(code)))"))
        }
    }

    private func run() {
        while true {
            let job: Job? = monitor.locked {
                if !waiting.isEmpty { return waiting.removeFirst() }
                isRunning = false
                monitor.wake()
                return nil
            }
            guard let job else { return }
            job.completion(carryOut(job))
        }
    }

    private func carryOut(_ job: Job) -> SnapshotSaved {
        let bytes = job.content()
        guard bytes.count <= Limits().snapshotBytes else {
            return .failed(
                job.mark.index,
                "the state takes \(bytes.count) bytes, a snapshot at most \(Limits().snapshotBytes); remove values")
        }
        let snapshot = Snapshot(
            mark: job.mark, bytes: bytes, checksum: bytes.withUnsafeBytes { crc32c($0) })
        do {
            return .stored(snapshot, dropThrough: try files.save(snapshot, copies: job.copies))
        } catch {
            return .failed(job.mark.index, "\(error)")
        }
    }
}
