// What many failovers came to: how long guests were gone by each proof, what stayed down and why, and what was broken.
// Pure; the order in which outcomes are added does not matter to it.

import Cluster
import Consensus

public struct FailoverStatistics: Hashable, Sendable {
    /// Of a sample in ascending order, nanoseconds.
    public struct Figures: Hashable, Sendable {
        public let count: Int
        public let least: Int64
        public let median: Int64
        public let percentile90: Int64
        public let percentile99: Int64
        public let most: Int64

        /// - Returns: nil for an empty sample.
        public init?(_ sample: [Int64]) {
            let sorted = sample.sorted()
            guard let first = sorted.first, let last = sorted.last else { return nil }
            count = sorted.count
            least = first
            most = last
            median = Self.rank(sorted, 50)
            percentile90 = Self.rank(sorted, 90)
            percentile99 = Self.rank(sorted, 99)
        }

        /// Nearest rank: the least value that so many in a hundred do not exceed.
        private static func rank(_ sorted: [Int64], _ percent: Int) -> Int64 {
            sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
        }
    }

    /// A failover in which something was broken.
    public struct Failure: Hashable, Sendable {
        public var seed: UInt64
        public var fence: FailoverFence
        public var words: String
    }

    public private(set) var failovers = 0
    /// By what proved that the old host writes no more.
    public private(set) var issued: SortedMap<String, [Int64]> = [:]
    public private(set) var running: SortedMap<String, [Int64]> = [:]
    public private(set) var backAtHome = 0
    public private(set) var left: SortedMap<String, Int> = [:]
    public private(set) var failures: [Failure] = []

    public init() {}

    /// Guests of lost hosts.
    public var guests: Int {
        running.values.reduce(0) { $0 + $1.count } + backAtHome + left.values.reduce(0, +)
    }

    public mutating func add(_ outcome: FailoverOutcome, seed: UInt64, fence: FailoverFence) {
        failovers += 1
        for each in outcome.returns {
            issued[each.proof] = (issued[each.proof] ?? []) + [each.issued]
            running[each.proof] = (running[each.proof] ?? []) + [each.running]
        }
        backAtHome += outcome.backAtHome
        for reason in outcome.left { left[reason.rawValue] = (left[reason.rawValue] ?? 0) + 1 }
        failures += outcome.violations.map { Failure(seed: seed, fence: fence, words: $0) }
    }

    /// As rows of a table: the proof, the number of guests, what was measured, and five times in seconds.
    public var rows: [[String]] {
        var rows: [[String]] = []
        for proof in running.keys {
            for (what, sample) in [("start issued", issued[proof] ?? []), ("running", running[proof] ?? [])] {
                guard let figures = Figures(sample) else { continue }
                let isFirst = what == "start issued"
                rows.append(
                    [isFirst ? proof : "", isFirst ? "\(figures.count)" : "", what]
                        + [
                            figures.least, figures.median, figures.percentile90, figures.percentile99, figures.most,
                        ].map(Self.seconds))
            }
        }
        return rows
    }

    /// With two digits, rounded: 12.35.
    static func seconds(_ nanoseconds: Int64) -> String {
        let hundredths = (nanoseconds + 5_000_000) / 10_000_000
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
