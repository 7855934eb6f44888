// Swift source as tokens: what the rules look at, so that neither a comment nor a string nor a line break can fool them.
//
// Relies on: source that compiles. Does not: parse. It knows comments (nested), strings of every form with the code
// inside their interpolations, identifiers, numbers, and single punctuation marks. A regex literal is read as
// punctuation and code; none of ours holds a quotation mark.

/// One token and the line it stands on, counted from 1.
struct SwiftToken: Equatable {
    enum Kind { case identifier, number, string, mark }
    let kind: Kind
    let text: String
    let line: Int
}

/// Reads tokens from source text.
struct SwiftTokens {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var tokens: [SwiftToken] = []

    /// The tokens of `source`, comments left out, each string literal as one token without its text.
    static func read(_ source: String) -> [SwiftToken] {
        var reader = SwiftTokens(bytes: Array(source.utf8))
        reader.readCode(untilParenthesis: false)
        return reader.tokens
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func at(_ offset: Int = 0) -> UInt8 {
        position + offset < bytes.count ? bytes[position + offset] : 0
    }

    private func starts(_ text: StaticString) -> Bool {
        for offset in 0..<text.utf8CodeUnitCount where at(offset) != text.utf8Start[offset] { return false }
        return true
    }

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where position < bytes.count {
            if bytes[position] == UInt8(ascii: "\n") { line += 1 }
            position += 1
        }
    }

    /// Reads to the end, or to the parenthesis that closes an interpolation.
    private mutating func readCode(untilParenthesis: Bool) {
        var depth = 0
        while position < bytes.count {
            let byte = at()
            if starts("//") {
                while position < bytes.count && at() != UInt8(ascii: "\n") { advance() }
            } else if starts("/*") {
                skipBlockComment()
            } else if byte == UInt8(ascii: "\"") || isRawString() {
                readString()
            } else if Self.isWordByte(byte) || byte == UInt8(ascii: "`") {
                readWord()
            } else if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\t") {
                advance()
            } else {
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") {
                    if depth == 0 && untilParenthesis { return }
                    depth -= 1
                }
                tokens.append(SwiftToken(kind: .mark, text: String(UnicodeScalar(byte)), line: line))
                advance()
            }
        }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                advance(2)
            } else if starts("*/") {
                depth -= 1
                advance(2)
            } else {
                advance()
            }
        } while depth > 0 && position < bytes.count
    }

    private func isRawString() -> Bool {
        var offset = 0
        while at(offset) == UInt8(ascii: "#") { offset += 1 }
        return offset > 0 && at(offset) == UInt8(ascii: "\"")
    }

    private mutating func readString() {
        tokens.append(SwiftToken(kind: .string, text: "\"\"", line: line))
        var hashes = 0
        while at() == UInt8(ascii: "#") {
            hashes += 1
            advance()
        }
        let isMultiline = starts("\"\"\"")
        let quotes = isMultiline ? 3 : 1
        advance(quotes)
        while position < bytes.count {
            if at() == UInt8(ascii: "\n") && !isMultiline { return }
            if (isMultiline ? starts("\"\"\"") : starts("\"")) && hasHashes(hashes, after: quotes) {
                advance(quotes + hashes)
                return
            }
            if at() == UInt8(ascii: "\\") && hasHashes(hashes, after: 1) {
                if at(1 + hashes) == UInt8(ascii: "(") {
                    advance(2 + hashes)
                    readCode(untilParenthesis: true)
                } else {
                    advance(1 + hashes)
                }
            }
            advance()
        }
    }

    private func hasHashes(_ count: Int, after offset: Int) -> Bool {
        for index in 0..<count where at(offset + index) != UInt8(ascii: "#") { return false }
        return true
    }

    private mutating func readWord() {
        let first = at()
        let start = position
        let startLine = line
        if first == UInt8(ascii: "`") {
            advance()
            while position < bytes.count && at() != UInt8(ascii: "`") { advance() }
            advance()
        } else {
            while Self.isWordByte(at()) { advance() }
        }
        let isNumber = first >= UInt8(ascii: "0") && first <= UInt8(ascii: "9")
        tokens.append(
            SwiftToken(
                kind: isNumber ? .number : .identifier, text: String(decoding: bytes[start..<position], as: UTF8.self),
                line: startLine))
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...0xff:
            true
        default: false
        }
    }
}
