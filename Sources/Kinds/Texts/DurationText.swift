// Lengths of time as people write them: 250ms, 2s, 5m, 1h30m.
// A bare number is no length: nobody can know its unit.

import Consensus

/// Reads and writes lengths of time.
public enum DurationText {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000),
    ]
    /// No part is longer; nine digits of hours still fit the nanoseconds of an `Interval`, checked below.
    private static let mostDigits = 9

    /// Whole numbers with the units h, m, s, ms and us, the larger unit first and each at most once. Nil for anything
    /// else, a bare number and a negative length included, and beyond 292 years.
    public static func parse(_ text: String) -> Interval? {
        var rest = Substring(text)
        var total: Int64 = 0
        var nextUnit = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            guard !digits.isEmpty, digits.count <= mostDigits, let number = Int64(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let letters = rest.prefix { !("0"..."9").contains($0) }
            rest = rest.dropFirst(letters.count)
            guard let unit = units[nextUnit...].firstIndex(where: { $0.name == letters }) else { return nil }
            nextUnit = unit + 1
            let (part, partOverflows) = number.multipliedReportingOverflow(by: units[unit].nanoseconds)
            let (sum, sumOverflows) = total.addingReportingOverflow(part)
            guard !partOverflows, !sumOverflows else { return nil }
            total = sum
        }
        return Interval(nanoseconds: total)
    }

    /// The shortest text that reads back as the same length, to the microsecond: `1h30m`, `1500ms`, `0s`.
    public static func text(_ length: Interval) -> String {
        precondition(length >= .zero, "only lengths of time are written, not differences")
        if length == .zero { return "0s" }
        // Below a minute one number says more than two: 1500ms rather than 1s500ms.
        if length < .seconds(60), let unit = units.first(where: { length.nanoseconds % $0.nanoseconds == 0 }) {
            return "\(length.nanoseconds / unit.nanoseconds)\(unit.name)"
        }
        var rest = length.nanoseconds
        var text = ""
        for unit in units where rest >= unit.nanoseconds {
            text += "\(rest / unit.nanoseconds)\(unit.name)"
            rest %= unit.nanoseconds
        }
        return text
    }
}
