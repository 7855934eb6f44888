// Amounts of memory and disk as people write them: 512Mi, 12Gi, 2Ti.
// A bare number is no amount, and there are no decimal units: hypervisors count in powers of two.

/// Reads and writes amounts of bytes.
public enum ByteSize {
    private static let units: [(name: String, bytes: Int64)] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20)]

    /// A whole number with the unit Mi, Gi or Ti, above zero. Nil for anything else, and from 8,192 Ti on.
    public static func parse(_ text: String) -> Int64? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard (1...9).contains(digits.count), let number = Int64(digits), number > 0,
            let unit = units.first(where: { $0.name == text.dropFirst(digits.count) })
        else { return nil }
        let (bytes, overflows) = number.multipliedReportingOverflow(by: unit.bytes)
        return overflows || bytes >= 8_192 << 40 ? nil : bytes
    }

    /// In the largest unit that divides it; whole mebibytes, rounded up.
    public static func text(_ bytes: Int64) -> String {
        precondition(bytes >= 0, "an amount is not negative")
        for unit in units where bytes >= unit.bytes && bytes % unit.bytes == 0 {
            return "\(bytes / unit.bytes)\(unit.name)"
        }
        return "\((bytes + (1 << 20) - 1) >> 20)Mi"
    }
}
