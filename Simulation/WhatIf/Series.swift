// Many rehearsals of one cluster: of every loss there is, or of one loss with many seeds.

import Cluster
import Consensus
import SimulationWorld

/// One line of a series.
public struct SeriesRow: Hashable, Sendable, Codable {
    public var supposed: String
    public var down: [Forecast.Down]
    /// Milliseconds, of addresses and workloads that come back; nil: nothing was interrupted.
    public var longestGap: Int64?
    public var isSurvived: Bool
    public var verdict: String

    public init(_ forecast: Forecast) {
        supposed = forecast.supposed
        down = forecast.down
        longestGap = forecast.longestGap
        isSurvived = forecast.isSurvived
        verdict = forecast.verdict
    }
}

/// How the same loss goes with other draws of everything that is left to chance.
public struct Distribution: Hashable, Sendable, Codable {
    /// How often it was rehearsed, and how often nothing stayed down.
    public var runs = 0
    public var survived = 0
    /// For each address and workload that came back in any run: its longest gaps, in milliseconds, in ascending order.
    public var gaps: SortedMap<String, [Int64]> = [:]
    /// What stayed down in any run, with how often.
    public var down: SortedMap<String, Int> = [:]
    /// The first run in which something stayed down.
    public var firstLoss: Forecast?

    public init() {}

    public mutating func add(_ forecast: Forecast) {
        runs += 1
        if forecast.isSurvived { survived += 1 } else if firstLoss == nil { firstLoss = forecast }
        for address in forecast.addresses {
            if let longest = address.gaps.max() { insert(longest, of: "VirtualIP/\(address.name)") }
        }
        for workload in forecast.workloads {
            if let gap = workload.gap { insert(gap, of: workload.name) }
        }
        for each in forecast.down { down[each.subject] = (down[each.subject] ?? 0) + 1 }
    }

    private mutating func insert(_ gap: Int64, of name: String) {
        var sorted = gaps[name] ?? []
        sorted.insert(gap, at: sorted.firstIndex { $0 > gap } ?? sorted.count)
        gaps[name] = sorted
    }

    /// The value that so many in a hundred do not exceed.
    public static func percentile(_ percent: Int, of sorted: [Int64]) -> Int64? {
        guard !sorted.isEmpty else { return nil }
        return sorted[min(sorted.count - 1, (sorted.count * percent + 99) / 100 - 1)]
    }
}
