// Reads JSON from a server that may be broken or hostile: bounded depth, no recursion beyond it, nothing trapped on.
// Written by hand because a list of a hundred guests is read every two seconds, and the general decoder takes ten times
// as long for it. Text that is not UTF-8 is repaired, as a guest's description may hold anything. Does not write JSON.

import Consensus
import Cluster

/// Why bytes are no JSON, and where.
struct JSONFault: Error, Hashable, CustomStringConvertible {
    let what: String
    /// In bytes from the beginning.
    let offset: Int
    var description: String { "\(what) at byte \(offset)" }
}

/// A reader of one document.
struct JSONReader {
    /// Objects and arrays inside each other; Proxmox's own answers have at most six.
    static let mostDepth = 64

    private let bytes: [UInt8]
    private var position = 0

    /// Reads one document and nothing after it.
    static func value(_ bytes: [UInt8]) throws(JSONFault) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.position == bytes.count else { throw reader.fault("something after the document") }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func fault(_ what: String) -> JSONFault { JSONFault(what: what, offset: position) }
    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || (0x09...0x0d).contains(byte) { position += 1 }
    }

    private mutating func value(depth: Int) throws(JSONFault) -> JSONValue {
        guard depth < Self.mostDepth else { throw fault("nested deeper than \(Self.mostDepth)") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try text())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case nil: throw fault("the document ends too early")
        default: return try number()
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
        let length = word.utf8CodeUnitCount
        guard bytes.count - position >= length else { throw fault("the document ends too early") }
        for offset in 0..<length where bytes[position + offset] != word.utf8Start[offset] {
            throw fault("an unknown word")
        }
        position += length
        return value
    }

    private mutating func object(depth: Int) throws(JSONFault) -> JSONValue {
        position += 1
        var fields: [(String, JSONValue)] = []
        skipSpace()
        if next == UInt8(ascii: "}") {
            position += 1
            return .object([:])
        }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw fault("a field without a name") }
            let name = try text()
            skipSpace()
            guard next == UInt8(ascii: ":") else { throw fault("a field without a value") }
            position += 1
            fields.append((name, try value(depth: depth + 1)))
            if try ends(with: UInt8(ascii: "}")) { break }
        }
        // In order first: then each insertion is an append. Of equal names the last one stays.
        var map = SortedMap<String, JSONValue>()
        for (_, field) in fields.enumerated().sorted(by: { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }) {
            map[field.0] = field.1
        }
        return .object(map)
    }

    private mutating func array(depth: Int) throws(JSONFault) -> JSONValue {
        position += 1
        var values: [JSONValue] = []
        skipSpace()
        if next == UInt8(ascii: "]") {
            position += 1
            return .array([])
        }
        while true {
            values.append(try value(depth: depth + 1))
            if try ends(with: UInt8(ascii: "]")) { return .array(values) }
        }
    }

    /// After an element: a comma, or the end.
    private mutating func ends(with end: UInt8) throws(JSONFault) -> Bool {
        skipSpace()
        guard let byte = next, byte == end || byte == UInt8(ascii: ",") else { throw fault("no comma and no end") }
        position += 1
        return byte == end
    }

    private mutating func number() throws(JSONFault) -> JSONValue {
        let start = position
        let marks = Array("+-.eE".utf8)
        while let byte = next, (0x30...0x39).contains(byte) || marks.contains(byte) { position += 1 }
        let digits = String(decoding: bytes[start..<position], as: UTF8.self)
        if let whole = Int64(digits) { return .int(whole) }
        guard let fraction = Double(digits), fraction.isFinite else {
            position = start
            throw fault("neither a value nor a number")
        }
        return .double(fraction)
    }

    private mutating func text() throws(JSONFault) -> String {
        position += 1
        var content: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &content)
            default: content.append(byte)
            }
        }
        throw fault("a text without an end")
    }

    private mutating func escape(into content: inout [UInt8]) throws(JSONFault) {
        guard let mark = next else { throw fault("a text without an end") }
        position += 1
        switch mark {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(mark)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0c)
        case UInt8(ascii: "n"): content.append(0x0a)
        case UInt8(ascii: "r"): content.append(0x0d)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            var code = UInt32(try hexadecimal())
            if (0xd800..<0xdc00).contains(code), position + 1 < bytes.count,
                bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
            {
                position += 2
                let low = UInt32(try hexadecimal())
                let isPair = (0xdc00..<0xe000).contains(low)
                code = isPair ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0xfffd
            }
            content += Array(String(Unicode.Scalar(code) ?? "\u{fffd}").utf8)
        default: throw fault("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt16 {
        guard bytes.count - position >= 4 else { throw fault("a text without an end") }
        let digits = bytes[position..<position + 4]
        guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let code = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw fault("an escape without four digits") }
        position += 4
        return code
    }
}
