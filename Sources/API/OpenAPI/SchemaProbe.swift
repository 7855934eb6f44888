// The JSON Schema of a type, found out by letting the type decode itself from a decoder that knows no data: it answers
// every question with a sample and notes what was asked for. So the published schema cannot differ from what is read and
// written. Meant for the structures of this API: structs with synthesized coding, enums that are their raw texts, and the
// few types below that code themselves by hand.

import Cluster
import Consensus
import FoundationEssentials

enum SchemaProbe {
    /// - Throws: when the type's own decoding refuses a sample; such a type has to be described by hand.
    static func schema<Value: Decodable>(of type: Value.Type) throws -> JSONValue { try probe(type).schema }

    fileprivate static func probe<Value: Decodable>(_ type: Value.Type) throws -> (schema: JSONValue, sample: Value) {
        if let shaped = type as? any SchemaShape.Type {
            let shape = try shaped.shape()
            return (shape.schema, try cast(shape.sample))
        }
        if let words = type as? any (CaseIterable & RawRepresentable).Type {
            let (schema, sample) = cases(words)
            return (schema, try cast(sample))
        }
        let recorder = Recorder()
        let sample = try Value(from: recorder)
        return (recorder.schema, sample)
    }

    private static func cast<Value>(_ sample: Any?) throws -> Value {
        guard let value = sample as? Value else {
            throw DecodingError.typeMismatch(
                Value.self, .init(codingPath: [], debugDescription: "there is no sample of \(Value.self)"))
        }
        return value
    }

    private static func cases<Words: CaseIterable & RawRepresentable>(_ type: Words.Type) -> (JSONValue, Any?) {
        let words = type.allCases.map { JSONValue.string("\($0.rawValue)") }
        return (["type": "string", "enum": .array(words)], type.allCases.first)
    }
}

/// A type whose schema is said instead of asked for.
private protocol SchemaShape: Decodable {
    static func shape() throws -> (schema: JSONValue, sample: Self)
}

extension String: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: String) { (["type": "string"], "") }
}
extension Bool: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: Bool) { (["type": "boolean"], false) }
}
extension Double: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: Double) { (["type": "number"], 0) }
}
extension Int: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: Int) { (["type": "integer"], 0) }
}
extension Int64: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: Int64) {
        (["type": "integer", "format": "int64"], 0)
    }
}
extension UInt64: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: UInt64) {
        (["type": "integer", "format": "int64", "minimum": 0], 0)
    }
}
extension MemberID: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: MemberID) {
        (["type": "string", "pattern": "^[0-9a-f]{16}$"], MemberID(rawValue: 1))
    }
}
extension ClusterID: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: ClusterID) {
        (["type": "string", "pattern": "^[0-9a-f]{16}$"], ClusterID(rawValue: 1))
    }
}
extension Data: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: Data) {
        (["type": "string", "contentEncoding": "base64"], Data())
    }
}
/// Anything at all.
extension JSONValue: SchemaShape {
    fileprivate static func shape() -> (schema: JSONValue, sample: JSONValue) { ([:], .null) }
}
extension Array: SchemaShape where Element: Decodable {
    fileprivate static func shape() throws -> (schema: JSONValue, sample: [Element]) {
        (["type": "array", "items": try SchemaProbe.schema(of: Element.self)], [])
    }
}
extension SortedMap: SchemaShape where Key == String, Value: Codable {
    fileprivate static func shape() throws -> (schema: JSONValue, sample: SortedMap<String, Value>) {
        (["type": "object", "additionalProperties": try SchemaProbe.schema(of: Value.self)], [:])
    }
}

/// Notes which fields are asked for, of what type, and which may be missing.
private final class Recorder: Decoder {
    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]
    private var properties: SortedMap<String, JSONValue> = [:]
    private var required: [String] = []

    var schema: JSONValue {
        var schema: SortedMap<String, JSONValue> = [
            "type": "object", "properties": .object(properties), "additionalProperties": false,
        ]
        if !required.isEmpty { schema["required"] = .array(required.sorted().map(JSONValue.string)) }
        return .object(schema)
    }

    func note<Value: Decodable>(_ type: Value.Type, _ name: String, isRequired: Bool) throws -> Value {
        let (schema, sample) = try SchemaProbe.probe(type)
        properties[name] = schema
        if isRequired { required.append(name) }
        return sample
    }

    func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(Fields<Key>(recorder: self))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw Self.unknown }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { throw Self.unknown }

    static let unknown = DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "a type that is no structure of fields has to be described by hand"))
}

private struct Fields<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let recorder: Recorder
    let codingPath: [any CodingKey] = []
    let allKeys: [Key] = []

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) throws -> Bool { false }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try recorder.note(type, key.stringValue, isRequired: true)
    }
    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try recorder.note(type, key.stringValue, isRequired: false)
    }

    // The protocol asks for these one by one; each is the general case.
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try field(type, key) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try field(type, key) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try field(type, key) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try field(type, key) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try field(type, key) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try field(type, key) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try field(type, key) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try field(type, key) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try field(type, key) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try field(type, key) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try field(type, key) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try field(type, key) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try field(type, key) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try field(type, key) }
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try optional(type, key) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try optional(type, key) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try optional(type, key) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try optional(type, key) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try optional(type, key) }

    private func field<Value: Decodable>(_ type: Value.Type, _ key: Key) throws -> Value {
        try recorder.note(type, key.stringValue, isRequired: true)
    }
    private func optional<Value: Decodable>(_ type: Value.Type, _ key: Key) throws -> Value? {
        try recorder.note(type, key.stringValue, isRequired: false)
    }

    func nestedContainer<NestedKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> { throw Recorder.unknown }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw Recorder.unknown }
    func superDecoder() throws -> any Decoder { throw Recorder.unknown }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw Recorder.unknown }
}
