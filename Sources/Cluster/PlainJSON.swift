// JSON of a fixed shape by hand, where it is written or read with every request: the general coders take ten to twenty
// microseconds each. What is not plain text goes through them as ever.
//
// Relies on: tests that hold each shape against the general coder, byte for byte.

public enum PlainJSON {
    /// A JSON string, if it needs no escape in any encoder: printable ASCII without quotes and backslashes.
    public static func quoted(_ text: String) -> String? {
        let isPlain = text.utf8.allSatisfy {
            $0 >= UInt8(ascii: " ") && $0 <= UInt8(ascii: "~") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        return isPlain ? "\"\(text)\"" : nil
    }

    /// The text of an object with this one field: `{"value":"text"}`. Nil for what only a general decoder reads.
    public static func text(of field: StaticString, in bytes: [UInt8]) -> String? {
        bytes.withUnsafeBufferPointer { bytes in
            var reader = PlainReader(bytes: bytes)
            guard reader.take("{\""), reader.take(field), reader.take("\":"), let text = reader.text(),
                reader.take("}"),
                reader.isAtEnd
            else { return nil }
            return text
        }
    }
}

/// Reads one form and no other. Every function returns nil, or false, at the first byte that differs.
struct PlainReader {
    let bytes: UnsafeBufferPointer<UInt8>
    private var place = 0

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool { place == bytes.count }

    /// Goes behind exactly this, or stays.
    mutating func take(_ expected: StaticString) -> Bool {
        expected.withUTF8Buffer { expected in
            guard bytes.count - place >= expected.count else { return false }
            for offset in 0..<expected.count where bytes[place + offset] != expected[offset] { return false }
            place += expected.count
            return true
        }
    }

    /// A string without an escape, of printable ASCII.
    mutating func text() -> String? {
        guard take("\"") else { return nil }
        let start = place
        while place < bytes.count, bytes[place] != UInt8(ascii: "\"") {
            guard bytes[place] >= UInt8(ascii: " "), bytes[place] <= UInt8(ascii: "~"),
                bytes[place] != UInt8(ascii: "\\")
            else { return nil }
            place += 1
        }
        guard place < bytes.count else { return nil }
        defer { place += 1 }
        return String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<place]), as: UTF8.self)
    }

    /// A whole number as it is printed: no sign but a minus, no leading zero.
    mutating func number<Number: FixedWidthInteger>() -> Number? {
        let isNegative = Number.isSigned && take("-")
        let start = place
        var value: Number = 0
        while place < bytes.count, case let digit = bytes[place] &- UInt8(ascii: "0"), digit <= 9 {
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, exceeds) =
                isNegative
                ? product.subtractingReportingOverflow(Number(digit)) : product.addingReportingOverflow(Number(digit))
            guard !overflows, !exceeds else { return nil }
            value = sum
            place += 1
        }
        guard place > start, bytes[start] != UInt8(ascii: "0") || (place == start + 1 && !isNegative) else {
            return nil
        }
        return value
    }
}
