// Reads old segments and snapshots again, slowly, so that damage is found while it can still be made good: what this member
// lost it has in memory, and the next snapshot takes the place of old segments.
//
// A thread of its own at a bounded rate. Reads from the medium and not from memory, as far as the kernel lets it. Does not:
// repair, rename or remove anything; that is the next start's, or the next snapshot's.

import Glibc

final class Scrubber: @unchecked Sendable {
    struct Options: Hashable, Sendable {
        /// Bytes read in a second, on average.
        var bytesPerSecond = 4 * 1024 * 1024
        /// From the end of one round to the beginning of the next.
        var pauseSeconds = 3_600
    }

    private let disk: any LogDisk
    private let options: Options
    private let warning: @Sendable (String) -> Void
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var isClosed = false
    private var isRunning = false
    private var damaged: [String] = []
    private var verifiedBytes: UInt64 = 0

    init(disk: any LogDisk, options: Options = Options(), warning: @escaping @Sendable (String) -> Void) {
        self.disk = disk
        self.options = options
        self.warning = warning
    }

    /// Files found damaged and still there, and bytes verified so far.
    var findings: (damaged: [String], verifiedBytes: UInt64) { monitor.locked { (damaged, verifiedBytes) } }

    /// One round over everything that is not written any more. `afterFile` waits for as long as the bytes just read are to
    /// cost; false ends the round.
    func scrub(afterFile: (_ bytes: Int) -> Bool) {
        guard let names = try? disk.names() else { return }
        let segments = names.filter { SegmentHeader.number(of: $0) != nil }.sorted().dropLast()
        let snapshots = names.filter { SnapshotHeader.place(of: $0) != nil }
        monitor.locked { damaged.removeAll { !names.contains($0) } }
        for name in segments + snapshots {
            let bytes = disk.forget(name)
            if let damage = LogInspection.damage(of: name, on: disk) { found(damage, in: name) }
            monitor.locked { verifiedBytes += UInt64(bytes) }
            guard afterFile(bytes) else { return }
        }
    }

    private func found(_ damage: String, in name: String) {
        let isNews = monitor.locked {
            guard !damaged.contains(name) else { return false }
            damaged.append(name)
            return true
        }
        guard isNews else { return }
        warning(
            "\(disk.path)/\(name) rotted: \(damage). This agent has what was in it and goes on; the next snapshot takes its "
                + "place. Check the disk (dmesg, smartctl)")
    }

    func start() {
        let isNew = monitor.locked {
            defer { isRunning = true }
            return !isRunning && !isClosed
        }
        guard isNew else { return }
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
                Unmanaged<Scrubber>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard code != 0 else { return }
        context.release()
        warning("old log files are not verified in the background: \(String(cString: strerror(code)))")
    }

    func close() {
        monitor.locked {
            isClosed = true
            monitor.wake()
        }
    }

    private func run() {
        while rest(milliseconds: options.pauseSeconds * 1_000) {
            scrub { bytes in rest(milliseconds: bytes / max(options.bytesPerSecond / 1_000, 1)) }
        }
    }

    /// False when the store closes.
    private func rest(milliseconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        deadline.tv_sec += milliseconds / 1_000
        deadline.tv_nsec += milliseconds % 1_000 * 1_000_000
        if deadline.tv_nsec >= 1_000_000_000 {
            deadline.tv_sec += 1
            deadline.tv_nsec -= 1_000_000_000
        }
        return monitor.locked {
            while !isClosed, monitor.wait(until: deadline) {}
            return !isClosed
        }
    }
}
