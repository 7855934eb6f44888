// What waits for the disk: a bounded queue between the agent's loop and the thread that writes.
//
// Invariant: writes leave in the order they came, and none after one that was refused. Never blocks who appends.

import Consensus
import Glibc

/// A condition that threads wait on, with a bound. Confined use: `lock`, look, `wait` or `wake`, `unlock`.
final class Monitor: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Wakes every waiting thread. Within `locked`.
    func wake() { pthread_cond_broadcast(condition) }

    /// Waits until woken. Within `locked`; the caller looks again at what it waits for.
    func wait() { pthread_cond_wait(condition, mutex) }

    /// Waits until woken or `deadline` (CLOCK_MONOTONIC); false then. Within `locked`.
    func wait(until deadline: timespec) -> Bool {
        var deadline = deadline
        return pthread_cond_timedwait(condition, mutex, &deadline) == 0
    }
}

final class WriteQueue: @unchecked Sendable {
    /// What the writing thread does next.
    enum Work {
        case write(ArraySlice<LogWrite>)
        /// The writes before it are done; log files through an entry may go.
        case drop(LogIndex)
        /// The writes before it are done; nothing further is accepted.
        case fail(StorageError)
        case close
    }

    private let directory: String
    private let mostWrites: Int
    private let mostBytes: Int
    private let monitor = Monitor()

    // Guarded by `monitor`.
    private var queued: [LogWrite] = []
    /// Queued, or taken and not yet written.
    private var waitingWrites = 0
    private var waitingBytes = 0
    private var refusal: StorageError?
    private var mayDrop: LogIndex?
    /// How many times writes were taken while files may be dropped. Writes go first, because somebody waits for them; but
    /// under a steady load there is always one.
    private var passedOver = 0
    static let mostPassedOver = 64
    private var isClosing = false
    private var isRefusing = false
    private var hasEnded = false

    init(directory: String, mostWrites: Int, mostBytes: Int) {
        self.directory = directory
        self.mostWrites = mostWrites
        self.mostBytes = mostBytes
    }

    /// Takes a write, unless the queue is full (then the store fails once the writes before are done), was refused
    /// before, or is closing.
    func append(_ write: LogWrite) {
        let bytes = write.queuedBytes
        monitor.locked {
            guard !isClosing, !isRefusing else { return }
            if waitingWrites == mostWrites || (waitingBytes + bytes > mostBytes && waitingBytes > 0) {
                isRefusing = true
                refusal = .overloaded(directory: directory, writes: waitingWrites + 1, bytes: waitingBytes + bytes)
            } else {
                queued.append(write)
                waitingWrites += 1
                waitingBytes += bytes
            }
            monitor.wake()
        }
    }

    /// Log files through an entry may go: all of them is durable, and covered by something that is. Nobody waits for it.
    func drop(through index: LogIndex) {
        monitor.locked {
            guard !isClosing, !isRefusing else { return }
            mayDrop = index
            monitor.wake()
        }
    }

    /// Waits for something to do.
    func next() -> Work {
        monitor.locked {
            while true {
                if !queued.isEmpty, mayDrop == nil || passedOver < Self.mostPassedOver {
                    if mayDrop != nil { passedOver += 1 }
                    let taken = queued[...]
                    queued = []
                    return .write(taken)
                }
                if let mayDrop {
                    self.mayDrop = nil
                    passedOver = 0
                    return .drop(mayDrop)
                }
                if let refusal {
                    self.refusal = nil
                    return .fail(refusal)
                }
                if isClosing { return .close }
                monitor.wait()
            }
        }
    }

    /// These were written and need no room any more.
    func finished(_ writes: ArraySlice<LogWrite>) {
        let bytes = writes.reduce(0) { $0 + $1.queuedBytes }
        monitor.locked {
            waitingWrites -= writes.count
            waitingBytes -= bytes
        }
    }

    /// What waits for the disk, or is being written.
    var waiting: (writes: Int, bytes: Int) { monitor.locked { (waitingWrites, waitingBytes) } }

    /// Drops what waits and whatever comes, because the disk failed.
    func refuseFurther() {
        monitor.locked {
            isRefusing = true
            refusal = nil
            queued = []
        }
    }

    /// Accepts nothing more; the writing thread ends when it has written what waits.
    func close() {
        monitor.locked {
            isClosing = true
            monitor.wake()
        }
    }

    /// Lets the writing thread wait for something that is not in the queue; false when the store is closing.
    func pause(seconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        deadline.tv_sec += max(0, seconds)
        return monitor.locked {
            while !isClosing, monitor.wait(until: deadline) {}
            return !isClosing
        }
    }

    /// The writing thread's last word.
    func end() {
        monitor.locked {
            hasEnded = true
            monitor.wake()
        }
    }

    /// Waits for the writing thread to end; false when it did not in time.
    func waitForEnd(seconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        deadline.tv_sec += max(0, seconds)
        return monitor.locked {
            while !hasEnded {
                if !monitor.wait(until: deadline) { return hasEnded }
            }
            return true
        }
    }
}

extension LogWrite {
    /// What the write counts for in the queue.
    var queuedBytes: Int { entries.reduce(32) { $0 + $1.storedBytes } }
}
