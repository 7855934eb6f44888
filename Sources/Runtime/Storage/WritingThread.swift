// The one thread that touches the log's files while the agent runs: takes what is queued, makes it durable, says so.
//
// The writer is confined: to whoever opened the store until `start`, and to the thread after that.

import Consensus
import Glibc

final class WritingThread: @unchecked Sendable {
    /// Bytes of writes that are reported durable together at most; a longer queue takes several flushes.
    private static let groupBytes = 4 * 1024 * 1024

    let queue: WriteQueue
    let flushes = DurationHistogram()
    private var writer: SegmentWriter
    private var warning: @Sendable (String) -> Void = { _ in }
    private var completion: LogStore.Completion = { _ in }
    private let monitor = Monitor()
    private enum Phase { case opened, running, closed }
    /// Guarded by `monitor`.
    private var phase = Phase.opened
    /// Told already that the log waits for space.
    private var isWaitingForSpace = false
    /// The segment in which the last failure to reserve the next one was told.
    private var warnedInSegment: UInt64 = 0

    init(writer: SegmentWriter, queue: WriteQueue) {
        self.writer = writer
        self.queue = queue
        self.writer.waitForSpace = { [weak self] error in self?.waitForSpace(error) ?? false }
    }

    deinit { writer.close() }

    func start(warning: @escaping @Sendable (String) -> Void, completion: @escaping LogStore.Completion) {
        let before = monitor.locked {
            defer { if phase == .opened { phase = .running } }
            return phase
        }
        precondition(before != .running, "a log store is started once")
        guard before == .opened else { return }
        self.warning = warning
        self.completion = completion
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
                Unmanaged<WritingThread>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard code != 0 else { return }
        context.release()
        queue.refuseFurther()
        writer.close()
        queue.end()
        completion(.failure(.failed(operation: "starting a thread for the log", path: writer.disk.path, code: code)))
    }

    func close(waitingSeconds seconds: Int) -> Bool {
        queue.close()
        let before = monitor.locked {
            defer { phase = .closed }
            return phase
        }
        if before == .opened {
            writer.close()
            queue.end()
        }
        return queue.waitForEnd(seconds: seconds)
    }

    private func run() {
        while true {
            switch queue.next() {
            case .write(let writes):
                do { try write(writes) } catch { fail(error) }
            case .drop(let index):
                // What stays although it could go costs space and nothing else.
                do { try writer.drop(through: index) } catch {
                    warning("old log files could not be removed: \(error)")
                }
            case .fail(let error):
                fail(error)
            case .close:
                writer.close()
                queue.end()
                return
            }
        }
    }

    private func write(_ writes: ArraySlice<LogWrite>) throws(StorageError) {
        var rest = writes
        while let first = rest.first {
            var bytes = first.queuedBytes
            let group =
                rest.prefix(1)
                + rest.dropFirst().prefix {
                    bytes += $0.queuedBytes
                    return bytes <= Self.groupBytes
                }
            rest = rest.dropFirst(group.count)
            let begun = BootClock.now()
            try writer.write(group)
            if isWaitingForSpace {
                isWaitingForSpace = false
                warning("there is space for the log again, it goes on")
            }
            flushes.count(nanoseconds: (BootClock.now() - begun).nanoseconds)
            queue.finished(group)
            completion(.success(Array(group)))
        }
        reserve()
    }

    /// Reserving comes after the answer: nobody waits for it. A failure is told once for each segment.
    private func reserve() {
        guard warnedInSegment != writer.end.segment else { return }
        do {
            try writer.reserveSpare()
            writer.reserve?.fill()
        } catch {
            warnedInSegment = writer.end.segment
            warning(LogStore.warning(error))
        }
    }

    /// The segment is full and there is no space for another. What waits goes on waiting, like behind a disk that hangs:
    /// a leader hands over, nobody is told that something is durable, and reads go on.
    private func waitForSpace(_ error: StorageError) -> Bool {
        if !isWaitingForSpace {
            isWaitingForSpace = true
            warning("the log waits for space: \(error)")
        }
        return queue.pause(seconds: 1)
    }

    private func fail(_ error: StorageError) {
        queue.refuseFurther()
        completion(.failure(error))
    }
}
