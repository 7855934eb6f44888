// The bytes of a file before YAML is read from them: their encoding, their characters, and where each document begins.
// Documents are told apart here and not by the YAML parser, so that a mistake in one does not hide those in the next.

import Kinds

enum SourceText {
    /// Bytes of one file.
    static let mostBytes = 1 << 20

    /// A part of a file that begins at its begin or at a line `---`.
    struct Part {
        let bytes: ArraySlice<UInt8>
        let linesBefore: Int
        /// Whether it begins with `---`.
        let isMarked: Bool
        /// Whether there is anything in it besides blank lines and comments.
        let isBlank: Bool
    }

    /// The first thing about the bytes that makes them no text; nil when they are one.
    static func fault(in bytes: [UInt8]) -> YAMLFault? {
        let start = TextPlace(line: 1, column: 1)
        if bytes.count > mostBytes {
            return YAMLFault(
                place: start, found: "a file of \(bytes.count) bytes", expected: "at most \(mostBytes); split it")
        }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            return YAMLFault(place: start, found: "text in UTF-16", expected: "UTF-8")
        }
        var place = start
        var decoder = UTF8()
        var rest = bytes.makeIterator()
        while true {
            switch decoder.decode(&rest) {
            case .emptyInput: return nil
            case .error: return YAMLFault(place: place, found: "bytes that are not UTF-8", expected: "UTF-8")
            case .scalarValue(let scalar):
                if !isAllowed(scalar) {
                    return YAMLFault(
                        place: place, found: "the control character U+\(hexadecimal(scalar))",
                        expected: "printable text, or the character as an escape in double quotes")
                }
                place =
                    scalar == "\n"
                    ? TextPlace(line: place.line + 1, column: 1)
                    : TextPlace(line: place.line, column: place.column + 1)
            }
        }
    }

    /// What YAML 1.1 lets stand in a text.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x85, 0xA0...0xD7FF, 0xE000...0xFFFD, 0x1_0000...0x10_FFFF: true
        default: false
        }
    }

    private static func hexadecimal(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// Parts at lines that begin with `---`; inside quotes and long texts such a line is not allowed either (YAML 1.2,
    /// 9.1.2), so this needs no understanding of what is between.
    static func parts(of bytes: [UInt8]) -> [Part] {
        let hasByteOrderMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        var parts: [Part] = []
        var partStart = hasByteOrderMark ? 3 : 0
        var partLine = 0
        var isMarked = false
        var isBlank = true
        var lineStart = partStart
        var line = 0
        while lineStart < bytes.count {
            let lineEnd = bytes[lineStart...].firstIndex(of: 0x0A) ?? bytes.count
            let text = bytes[lineStart..<lineEnd]
            if isMarker(text) {
                if isMarked || !isBlank {
                    parts.append(
                        Part(
                            bytes: bytes[partStart..<lineStart], linesBefore: partLine, isMarked: isMarked,
                            isBlank: isBlank))
                }
                (partStart, partLine, isMarked, isBlank) = (lineStart, line, true, isBlankLine(text.dropFirst(3)))
            } else if !isBlankLine(text) {
                isBlank = false
            }
            lineStart = lineEnd + 1
            line += 1
        }
        if isMarked || !isBlank {
            parts.append(
                Part(bytes: bytes[partStart...], linesBefore: partLine, isMarked: isMarked, isBlank: isBlank))
        }
        return parts
    }

    private static func isMarker(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.starts(with: "---".utf8) else { return false }
        return line.count == 3 || [0x20, 0x09, 0x0D].contains(line[line.startIndex + 3])
    }

    private static func isBlankLine(_ line: ArraySlice<UInt8>) -> Bool {
        let text = line.drop { [0x20, 0x09, 0x0D].contains($0) }
        return text.isEmpty || text.first == UInt8(ascii: "#") || text.elementsEqual("...".utf8)
    }
}
