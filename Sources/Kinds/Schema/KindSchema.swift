// What a kind says about itself, as a value. Checking, defaults and `explain` all come from it, so that they agree.
// What the types of fields cannot express is a function of the kind, run last.

import Cluster
import Consensus

/// The type of a field's value.
public indirect enum FieldType: Sendable {
    case text(TextForm)
    /// Written as text: `250ms`, `1m30s`. Bounds are inclusive.
    case duration(least: Interval, most: Interval)
    case integer(least: Int64, most: Int64)
    case truth
    /// One of these words.
    case choice([String])
    case object(ObjectType)
    /// Names people choose themselves, each with a text.
    case map(names: TextForm, values: TextForm, most: Int)
    case list(of: FieldType, least: Int, most: Int)
}

/// A map with known fields.
public struct ObjectType: Sendable {
    public var fields: [Field]
    /// Exactly one field of each of these groups must be given.
    public var exactlyOneOf: [[String]]

    public init(_ fields: [Field], exactlyOneOf: [[String]] = []) {
        self.fields = fields
        self.exactlyOneOf = exactlyOneOf
    }

    public func field(_ name: String) -> Field? { fields.first { $0.name == name } }
}

/// A field of a spec.
public struct Field: Sendable {
    public enum Presence: Hashable, Sendable {
        case required
        /// What happens without it stands in the field's documentation.
        case optional
        /// Without it, it is as if this had been written.
        case byDefault(JSONValue)
    }

    public let name: String
    public let type: FieldType
    public let presence: Presence
    /// One or two sentences for `explain`.
    public let documentation: String

    public init(_ name: String, _ type: FieldType, _ presence: Presence, _ documentation: String) {
        self.name = name
        self.type = type
        self.presence = presence
        self.documentation = documentation
    }
}

/// A kind of resource.
public struct KindSchema: Sendable {
    /// As manifests write it: `VirtualIP`.
    public let kind: String
    /// What else the command line understands: `vip`.
    public let otherNames: [String]
    /// One or two sentences for `explain`.
    public let documentation: String
    public let spec: ObjectType
    /// A manifest of this kind, in YAML, as `explain` shows it.
    public let example: String
    /// What the types of the fields cannot say, checked on a spec whose fields are all sound and whose defaults are
    /// filled in.
    public let check: @Sendable (ResourceKey, JSONValue) -> [Problem]

    public init(
        kind: String, otherNames: [String] = [], documentation: String, spec: ObjectType, example: String,
        check: @escaping @Sendable (ResourceKey, JSONValue) -> [Problem] = { _, _ in [] }
    ) {
        self.kind = kind
        self.otherNames = otherNames
        self.documentation = documentation
        self.spec = spec
        self.example = example
        self.check = check
    }
}

extension FieldType {
    /// What may stand there, as a noun phrase.
    public var expected: String {
        switch self {
        case .text(let form): form.expected
        case .duration(let least, let most):
            "a duration from \(DurationText.text(least)) to \(DurationText.text(most)), such as 250ms or 1m30s"
        case .integer(let least, let most): "a whole number from \(least) to \(most)"
        case .truth: "true or false"
        case .choice(let words): Excerpt.choices(words)
        case .object(let object): "a map with \(Self.fieldList(object))"
        case .map: "a map from names to texts"
        case .list(let element, let least, let most): "a list of \(least) to \(most) entries, each \(element.expected)"
        }
    }

    /// A few words for the table of a kind's fields.
    public var summary: String {
        switch self {
        case .text(let form): form.summary
        case .duration(let least, let most): "duration, \(DurationText.text(least)) to \(DurationText.text(most))"
        case .integer(let least, let most): "whole number, \(least) to \(most)"
        case .truth: "true or false"
        case .choice(let words): Excerpt.choices(words)
        case .object: "map"
        case .map: "map from names to texts"
        case .list(.object, let least, let most): "list of \(least) to \(most) maps"
        case .list(let element, let least, let most): "list of \(least) to \(most), each \(element.summary)"
        }
    }

    private static func fieldList(_ object: ObjectType) -> String {
        let names = object.fields.map(\.name)
        return names.count == 1 ? "the field \(names[0])" : "the fields \(names.joined(separator: ", "))"
    }
}
