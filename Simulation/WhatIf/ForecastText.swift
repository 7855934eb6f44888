// Forecasts as people read them: plain lines, the same on every terminal.

import Cluster
import Consensus

extension Forecast {
    /// The story, what stays down, the gaps, and the verdict last.
    /// - Parameter everything: also what was taken for granted, and steps that only matter when something goes wrong.
    public func lines(everything: Bool) -> [String] {
        var lines = ["Suppose: \(supposed)", ""]
        lines += told(everything)
        if !alreadyDown.isEmpty {
            lines += ["", "Down before it:"] + alreadyDown.map { "  \($0.subject): \($0.why)" }
        }
        if !down.isEmpty { lines += ["", "Stays down:"] + down.map { "  \($0.subject): \($0.why)" } }
        let gaps = gapLines
        if !gaps.isEmpty { lines += ["", "Gone for a while:"] + gaps }
        if !resets.isEmpty { lines += ["", "Reset by a watchdog:"] + resets.map { "  \($0)" } }
        if !violations.isEmpty { lines += ["", "Broken promises:"] + violations.map { "  \($0)" } }
        if everything { lines += ["", "Taken for granted:"] + assumptions.map { "  \($0)" } }
        return lines + ["", verdict]
    }

    private func told(_ everything: Bool) -> [String] {
        let shown = everything ? steps : steps.filter { $0.what != "ordered" && $0.what != "told" }
        let times = shown.map { Self.moment($0.at) }
        let width = times.map(\.count).max() ?? 0
        return zip(times, shown).map { time, step in
            String(repeating: " ", count: width - time.count) + "\(time)  \(step.words)"
        }
    }

    private var gapLines: [String] {
        let addresses = addresses.compactMap { address in
            address.gaps.max().map {
                "  VirtualIP/\(address.name): \(Self.length($0)), then on \(address.after ?? "nobody")"
            }
        }
        let workloads = workloads.compactMap { guest in
            guest.gap.map {
                "  \(guest.name): \(Self.length($0)), then on \(guest.after ?? "no host")"
                    + (guest.fence.map { " (fenced by \($0))" } ?? "")
            }
        }
        return addresses + workloads
    }

    /// `+0.640 s`
    private static func moment(_ milliseconds: Int64) -> String {
        "+\(milliseconds / 1_000)." + String(String(milliseconds % 1_000 + 1_000).dropFirst()) + " s"
    }
}

extension SeriesRow {
    /// Cells of a table: what is lost, what stays down, the longest gap, the verdict.
    public static let header = ["LOST", "STAYS DOWN", "LONGEST GAP", "VERDICT"]

    public var cells: [String] {
        let names = down.map { Forecast.short($0.subject) }
        let shown = names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", \(names.count - 3) more" : "")
        return [
            supposed, names.isEmpty ? "-" : shown, longestGap.map(Forecast.length) ?? "-",
            isSurvived ? "survived" : down.isEmpty ? verdict : "NOT survived",
        ]
    }
}

extension Distribution {
    public static let header = ["WHAT", "RUNS", "MEDIAN", "P99", "LONGEST"]

    public var rows: [[String]] {
        gaps.pairs.map { name, sorted in
            [name, "\(sorted.count)"]
                + [50, 99, 100].map { Self.percentile($0, of: sorted).map(Forecast.length) ?? "-" }
        }
    }
}
