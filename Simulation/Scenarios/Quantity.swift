// Numbers with units as scenarios write them: 90s, -30s, 20ns, 80us..250us, 10%, 0.5%, 300ppm. A bare number has no
// unit, and is refused where one belongs. The inverse is `TimeText`.

import Consensus
import Kinds
import SimulationWorld

enum Quantity {
    /// Nanoseconds; not negative.
    static func length(_ text: String) -> Int64? {
        if let length = DurationText.parse(text) { return length.nanoseconds }
        guard text.hasSuffix("ns") else { return nil }
        return digits(text.dropLast(2))
    }

    /// Nanoseconds, with a sign if one is written.
    static func signedLength(_ text: String) -> Int64? {
        if text.hasPrefix("-") { return length(String(text.dropFirst())).map { -$0 } }
        return length(text.hasPrefix("+") ? String(text.dropFirst()) : text)
    }

    /// `80us..250us`, or one length for a range of no width.
    static func lengths(_ text: String) -> ClosedRange<Int64>? {
        guard let dots = text.firstRange(of: "..") else { return length(text).map { $0...$0 } }
        guard let least = length(String(text[..<dots.lowerBound])), let most = length(String(text[dots.upperBound...])),
            least <= most
        else { return nil }
        return least...most
    }

    static func text(_ range: ClosedRange<Int64>) -> String {
        range.lowerBound == range.upperBound
            ? TimeText.length(range.lowerBound)
            : "\(TimeText.length(range.lowerBound))..\(TimeText.length(range.upperBound))"
    }

    /// Chances in a million.
    static func share(_ text: String) -> Int? {
        guard text.hasSuffix("%") else { return nil }
        let parts = text.dropLast().split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ digits($0) }), parts.count <= 2, whole <= 100 else { return nil }
        var fraction: Int64 = 0
        if parts.count == 2 {
            guard (1...4).contains(parts[1].count), let number = digits(parts[1]) else { return nil }
            fraction = number
            for _ in parts[1].count..<4 { fraction *= 10 }
        }
        let share = whole * 10_000 + fraction
        return share <= 1_000_000 ? Int(share) : nil
    }

    static func partsPerMillion(_ text: String) -> Int64? {
        guard text.hasSuffix("ppm") else { return nil }
        let number = text.dropLast(3)
        if number.hasPrefix("-") { return digits(number.dropFirst()).map { -$0 } }
        return digits(number)
    }

    static func digits(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.count <= 18, text.allSatisfy({ ("0"..."9").contains($0) }) else { return nil }
        return Int64(text)
    }
}
