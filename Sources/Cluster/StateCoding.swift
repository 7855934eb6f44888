// The bytes of a snapshot, in small: numbered fields, each a number, bytes, or a record of further fields.
//
//     field     number × 4 + kind (1 byte), then the value
//     kind 0    a number, seven bits a byte, lowest first, the top bit set on all but the last
//     kind 1    length (as a number), then that many bytes
//     kind 2    length (4 bytes, little-endian), then a record
//
// Fields stand in the order of their numbers; one that may occur several times stands several times. A number of zero, an
// empty text and an absent value are left out. So equal states are equal bytes, and a field that an older version did not
// write reads as zero, empty or absent. A field that this version does not know is refused: dropped, it would be missing
// here and not elsewhere, and the members' states would part.

import Consensus

/// Why bytes are not a state this version understands.
public enum StateDecodingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Written by a later version.
    case newer(what: String)
    case malformed(offset: Int, reason: String)

    public var description: String {
        switch self {
        case .newer(let what):
            "it has \(what), which this version does not know; bring this member to the version of the others"
        case .malformed(let offset, let reason): "byte \(offset) of the state: \(reason)"
        }
    }
}

struct StateWriter {
    private(set) var bytes: [UInt8] = []

    mutating func raw(_ more: [UInt8]) { bytes += more }

    mutating func number(_ value: UInt64) {
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: left))
    }

    mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            number(UInt64(utf8.count))
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func field(_ field: UInt8, _ value: UInt64) { if value != 0 { present(field, value) } }
    mutating func field(_ field: UInt8, _ value: String) { if !value.isEmpty { present(field, value) } }

    /// Writes a value whose absence would mean something else.
    mutating func present(_ field: UInt8, _ value: UInt64) {
        bytes.append(field << 2)
        number(value)
    }

    mutating func present(_ field: UInt8, _ value: String) {
        bytes.append(field << 2 | 1)
        text(value)
    }

    mutating func record(_ field: UInt8, _ body: (inout StateWriter) -> Void) {
        bytes.append(field << 2 | 2)
        let start = bytes.count
        bytes += [0, 0, 0, 0]
        body(&self)
        let length = UInt32(truncatingIfNeeded: bytes.count - start - 4)
        for place in 0..<4 { bytes[start + place] = UInt8(truncatingIfNeeded: length >> (UInt32(place) * 8)) }
    }

    mutating func json(_ value: JSONValue) {
        switch value {
        case .null: bytes.append(0)
        case .bool(let truth): bytes.append(truth ? 2 : 1)
        case .int(let number):
            bytes.append(3)
            self.number(UInt64(bitPattern: number))
        case .double(let number):
            bytes.append(4)
            for place in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number.bitPattern >> (UInt64(place) * 8))) }
        case .string(let text):
            bytes.append(5)
            self.text(text)
        case .array(let values):
            bytes.append(6)
            number(UInt64(values.count))
            for value in values { json(value) }
        case .object(let fields):
            bytes.append(7)
            number(UInt64(fields.count))
            for (key, value) in fields.pairs {
                text(key)
                json(value)
            }
        }
    }
}

/// Reads what `StateWriter` wrote, and throws at anything else. Every length is checked against what is there, so no more
/// memory is used than the bytes account for.
struct StateReader {
    /// Values nested in values; deeper ones come from nobody who wrote a manifest.
    static let deepest = 64
    /// Counts and indices: no cluster gets near it, and counting on from here never overflows.
    static let greatest: UInt64 = 1 << 62

    private let bytes: [UInt8]
    private let end: Int
    private(set) var position: Int
    private var lastField: UInt8 = 0

    init(_ bytes: [UInt8], from position: Int = 0) { self.init(bytes, position: position, end: bytes.count) }

    private init(_ bytes: [UInt8], position: Int, end: Int) {
        self.bytes = bytes
        self.position = position
        self.end = end
    }

    func fault(_ reason: String) -> StateDecodingError { .malformed(offset: position, reason: reason) }

    /// The next field's number; nil at the end of the record. Its value must be read before the next is asked for.
    mutating func next() throws(StateDecodingError) -> UInt8? {
        guard position < end else { return nil }
        let field = bytes[position] >> 2
        guard field >= lastField else { throw fault("field \(field) after field \(lastField)") }
        lastField = field
        return field
    }

    func unknown(_ field: UInt8, of record: String) -> StateDecodingError {
        .newer(what: "a field \(field) of \(record)")
    }

    private mutating func kind(_ wanted: UInt8) throws(StateDecodingError) {
        guard bytes[position] & 3 == wanted else { throw fault("a field of another kind than its number says") }
        position += 1
    }

    mutating func number() throws(StateDecodingError) -> UInt64 {
        try kind(0)
        return try plainNumber()
    }

    /// A number that is counted on from.
    mutating func count() throws(StateDecodingError) -> UInt64 {
        let value = try number()
        guard value <= Self.greatest else { throw fault("a count of \(value)") }
        return value
    }

    mutating func text() throws(StateDecodingError) -> String {
        try kind(1)
        return try plainText()
    }

    /// A record within this one, to be read to its end.
    mutating func record<Value>(
        _ read: (inout StateReader) throws(StateDecodingError) -> Value
    ) throws(StateDecodingError) -> Value {
        try kind(2)
        guard end - position >= 4 else { throw fault("the record's length is cut off") }
        var length = 0
        for place in 0..<4 { length |= Int(bytes[position + place]) << (place * 8) }
        position += 4
        guard length <= end - position else {
            throw fault("a record of \(length) bytes, where \(end - position) are left")
        }
        var inner = StateReader(bytes, position: position, end: position + length)
        let value = try read(&inner)
        guard inner.position == inner.end else { throw inner.fault("the record goes on behind its end") }
        position = inner.end
        return value
    }

    // MARK: Values without a field

    mutating func plainNumber() throws(StateDecodingError) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<10 {
            guard position < end else { throw fault("a number is cut off") }
            let byte = bytes[position]
            position += 1
            guard place < 9 || byte <= 1 else { throw fault("a number of more than 64 bits") }
            value |= UInt64(byte & 0x7F) << UInt64(place * 7)
            if byte & 0x80 == 0 {
                // One form only, or equal states would not be equal bytes.
                guard byte != 0 || place == 0 else { throw fault("a number with leading zeros") }
                return value
            }
        }
        throw fault("a number of more than 64 bits")
    }

    mutating func plainText() throws(StateDecodingError) -> String {
        let length = try plainNumber()
        guard length <= UInt64(end - position) else { throw fault("a text of \(length) bytes is cut off") }
        let part = bytes[position..<position + Int(length)]
        guard let text = String(validating: part, as: UTF8.self) else { throw fault("a text that is not UTF-8") }
        position += Int(length)
        return text
    }

    mutating func json(depth: Int = 0) throws(StateDecodingError) -> JSONValue {
        guard depth < Self.deepest else { throw fault("values nested more than \(Self.deepest) deep") }
        guard position < end else { throw fault("a value is cut off") }
        let kind = bytes[position]
        position += 1
        switch kind {
        case 0: return .null
        case 1: return .bool(false)
        case 2: return .bool(true)
        case 3: return .int(Int64(bitPattern: try plainNumber()))
        case 4:
            guard end - position >= 8 else { throw fault("a number is cut off") }
            var pattern: UInt64 = 0
            for place in 0..<8 { pattern |= UInt64(bytes[position + place]) << UInt64(place * 8) }
            position += 8
            return .double(Double(bitPattern: pattern))
        case 5: return .string(try plainText())
        case 6:
            var values: [JSONValue] = []
            for _ in 0..<(try plainNumber()) { values.append(try json(depth: depth + 1)) }
            return .array(values)
        case 7:
            var fields: SortedMap<String, JSONValue> = [:]
            for _ in 0..<(try plainNumber()) {
                let key = try plainText()
                try ascend(key, after: fields.keys.last)
                fields[key] = try json(depth: depth + 1)
            }
            return .object(fields)
        default: throw fault("a value of kind \(kind)")
        }
    }

    /// Maps are written in the order of their keys, each key once.
    func ascend<Key: Comparable>(_ key: Key, after last: Key?) throws(StateDecodingError) {
        if let last, last >= key { throw fault("keys out of order") }
    }
}
