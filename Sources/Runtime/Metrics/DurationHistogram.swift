// How long something took, counted in fixed buckets: cheap enough for every flush of the disk and every request.

import Synchronization

/// Counts durations. Safe to use from any thread.
public final class DurationHistogram: Sendable {
    /// Upper bounds of the buckets in seconds: from a flush that the drive's cache takes to a disk that hangs.
    public static let boundsSeconds: [Double] = [
        0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    /// What was counted at one moment.
    public struct Reading: Hashable, Sendable {
        /// One for each bound, not accumulated; longer ones are in `count` alone.
        public var counts: [UInt64]
        public var count: UInt64
        public var sumSeconds: Double
    }

    private let state: Mutex<Reading>

    public init() {
        state = Mutex(
            Reading(counts: [UInt64](repeating: 0, count: Self.boundsSeconds.count), count: 0, sumSeconds: 0))
    }

    public func count(nanoseconds: Int64) {
        let seconds = Double(max(nanoseconds, 0)) / 1e9
        let bucket = Self.boundsSeconds.firstIndex { seconds <= $0 }
        state.withLock { reading in
            if let bucket { reading.counts[bucket] += 1 }
            reading.count += 1
            reading.sumSeconds += seconds
        }
    }

    public var reading: Reading { state.withLock { $0 } }
}
