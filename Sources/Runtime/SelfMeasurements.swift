// What the kernel says of this process and its machine, as `doctor` and `top` want to know it. Reads, changes nothing; what
// cannot be read is left at what counts as fine, or unknown where there is a word for that.

import CKernel
import Consensus
import Decisions
import Glibc

public enum SelfMeasurements {
    /// What a member that holds addresses needs.
    private static let needed: [(bit: Int, name: String)] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW")]

    /// Fills in everything that is this machine's or this process's.
    /// - Parameter dataDirectory: on the file system of the log.
    public static func take(into readings: inout SelfReadings, dataDirectory: String, holdsAddresses: Bool) {
        if let status = ProcessFigures.text("/proc/self/status") {
            let effective = effectiveCapabilities(in: status) ?? .max
            readings.missingCapabilities =
                holdsAddresses ? needed.filter { effective & (1 << UInt64($0.bit)) == 0 }.map(\.name) : []
            let locked = field("VmLck", in: status)?.split(separator: " ").first.flatMap { Int64($0) } ?? 0
            readings.memoryIsLocked = locked > 0
        }
        readings.hasRealTimePriority = RealTime.isClaimed
        var space = statvfs()
        if statvfs(dataDirectory, &space) == 0 {
            readings.diskFreeBytes = Int64(clamping: UInt64(space.f_bavail) * UInt64(space.f_frsize))
            readings.diskTotalBytes = Int64(clamping: UInt64(space.f_blocks) * UInt64(space.f_frsize))
        }
        switch holdfast_clock_is_synchronised() {
        case 0: readings.clockIsSynchronised = false
        case 1: readings.clockIsSynchronised = true
        default: break
        }
        if let figures = ProcessFigures.own {
            readings.residentBytes = Int64(figures.residentBytes)
            readings.cpuMilliseconds = Int64(figures.cpuSeconds * 1000)
            let sinceBoot = Double(BootClock.now().nanoseconds) / 1e6
            readings.uptimeMilliseconds = max(0, Int64(sinceBoot - figures.startSeconds * 1000))
        }
    }

    /// The mean, and the smallest bound of a bucket that 99 of 100 kept; microseconds.
    public static func take(_ flushes: DurationHistogram.Reading, into readings: inout SelfReadings) {
        readings.flushes = flushes.count
        guard flushes.count > 0 else { return }
        readings.flushMeanMicroseconds = Int64(flushes.sumSeconds * 1e6) / Int64(clamping: flushes.count)
        var within: UInt64 = 0
        let longest = DurationHistogram.boundsSeconds.last ?? 0
        var bound = longest
        for (limit, count) in zip(DurationHistogram.boundsSeconds, flushes.counts) {
            within += count
            if within * 100 >= flushes.count * 99 {
                bound = limit
                break
            }
        }
        readings.flushBoundMicroseconds = Int64((bound * 1e6).rounded())
    }

    /// What the kernel lets this process do, a bit each (capabilities(7)); nil when it cannot be read.
    static var effectiveCapabilities: UInt64? {
        ProcessFigures.text("/proc/self/status").flatMap { effectiveCapabilities(in: $0) }
    }

    private static func effectiveCapabilities(in status: String) -> UInt64? {
        field("CapEff", in: status).flatMap { UInt64($0, radix: 16) }
    }

    private static func field(_ name: String, in status: String) -> String? {
        status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            .map { String($0.dropFirst(name.count + 1).drop { $0 == " " || $0 == "\t" }) }
    }
}
