// Writing declarations as YAML, for `get -o yaml`. What is written reads back as the same declaration, here and with
// every other YAML reader: a text that any version of YAML could take for something else stands in quotes.

import Cluster
import Consensus
import Kinds

/// Writes YAML.
public enum ManifestWriter {
    /// A document, fields in the order of the kind's schema. Ends with a line break.
    public static func yaml(_ declaration: Declaration) -> String {
        var lines: [String] = ["apiVersion: \(DocumentSchema.apiVersion)", "kind: \(scalar(declaration.kind))"]
        var metadata: [(String, JSONValue)] = [("name", .string(declaration.name))]
        let document = declaration.document["metadata"]
        if let labels = document?["labels"] { metadata.append(("labels", labels)) }
        if let environment = document?["environment"] { metadata.append(("environment", environment)) }
        lines.append("metadata:")
        lines += fields(metadata, indent: 2, object: nil)
        lines += fields([("spec", declaration.spec)], indent: 0, object: frame(declaration.kind))
        return lines.joined(separator: "\n") + "\n"
    }

    /// Several documents in one text.
    public static func yaml(_ declarations: [Declaration]) -> String {
        declarations.map { yaml($0) }.joined(separator: "---\n")
    }

    /// Any value, fields in the order of their names: for what is no manifest, such as a status.
    public static func yaml(_ value: JSONValue) -> String {
        switch value {
        case .object(let map) where !map.isEmpty:
            fields(Array(map.pairs), indent: 0, object: nil).joined(separator: "\n") + "\n"
        case .array(let values) where !values.isEmpty:
            list(values, indent: 0, element: nil).joined(separator: "\n") + "\n"
        default: inline(value) + "\n"
        }
    }

    private static func frame(_ kind: String) -> ObjectType? {
        KindRegistry.schema(of: kind).map { ObjectType([Field("spec", .object($0.spec), .required, "")]) }
    }

    // MARK: Maps and lists

    private static func fields(_ pairs: [(String, JSONValue)], indent: Int, object: ObjectType?) -> [String] {
        var lines: [String] = []
        let margin = String(repeating: " ", count: indent)
        for (name, value) in ordered(pairs, as: object) {
            let type = object?.field(name)?.type
            switch value {
            case .object(let inner) where !inner.isEmpty:
                lines.append("\(margin)\(scalar(name)):")
                lines += fields(Array(inner.pairs), indent: indent + 2, object: type?.object)
            case .array(let values) where !values.isEmpty:
                lines.append("\(margin)\(scalar(name)):")
                lines += list(values, indent: indent + 2, element: type?.element)
            default: lines.append("\(margin)\(scalar(name)): \(inline(value))")
            }
        }
        return lines
    }

    private static func list(_ values: [JSONValue], indent: Int, element: FieldType?) -> [String] {
        var lines: [String] = []
        let margin = String(repeating: " ", count: indent)
        for value in values {
            var inner: [String]
            switch value {
            case .object(let map) where !map.isEmpty:
                inner = fields(Array(map.pairs), indent: indent + 2, object: element?.object)
            case .array(let values) where !values.isEmpty:
                inner = list(values, indent: indent + 2, element: element?.element)
            default: inner = ["\(margin)  \(inline(value))"]
            }
            // The first line of the entry gets the dash instead of its last two spaces of indentation.
            inner[0] = "\(margin)- \(inner[0].dropFirst(indent + 2))"
            lines += inner
        }
        return lines
    }

    /// Known fields in the order of the schema, then the others by name.
    private static func ordered(_ pairs: [(String, JSONValue)], as object: ObjectType?) -> [(String, JSONValue)] {
        guard let object else { return pairs }
        let known = object.fields.compactMap { field in pairs.first { $0.0 == field.name } }
        return known + pairs.filter { pair in object.field(pair.0) == nil }
    }

    // MARK: Scalars

    private static func inline(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let truth): truth ? "true" : "false"
        case .int(let number): String(number)
        case .double(let number): number.isFinite ? "\(number)" : "null"
        case .string(let text): scalar(text)
        case .array: "[]"
        case .object: "{}"
        }
    }

    static func scalar(_ text: String) -> String { isSafePlain(text) ? text : quoted(text) }

    /// Words that YAML 1.1 takes for truth values or nothing; compared in lower case.
    private static let words: Set<String> = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]

    /// Whether every YAML reader takes it for this very text without quotes.
    private static func isSafePlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        guard isLetter(first) || isDigit(first) || first == UInt8(ascii: "/") || first == UInt8(ascii: "_") else {
            return false
        }
        guard !words.contains(text.lowercased()), last != UInt8(ascii: ":"), last != UInt8(ascii: " ") else {
            return false
        }
        guard text.utf8.allSatisfy({ isLetter($0) || isDigit($0) || " _-./:@+=".utf8.contains($0) }) else {
            return false
        }
        guard !text.contains(": ") else { return false }
        return !isDigit(first) || !looksLikeNumber(text) || IPv4Address(text) != nil
    }

    /// Numbers in any base, times of day, dates: nothing but digits and what can stand among them.
    private static func looksLikeNumber(_ text: String) -> Bool {
        text.utf8.allSatisfy { isDigit($0) || "abcdefABCDEFxXoOTZtz_.:+- ".utf8.contains($0) }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func quoted(_ text: String) -> String {
        var written = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: written += "\\\""
            case 0x5C: written += "\\\\"
            case 0x0A: written += "\\n"
            case 0x0D: written += "\\r"
            case 0x09: written += "\\t"
            // Control characters, line separators, the byte order mark and what is no character.
            case 0..<0x20, 0x7F...0xA0, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF:
                let digits = String(scalar.value, radix: 16)
                written += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: written.unicodeScalars.append(scalar)
            }
        }
        return written + "\""
    }
}

extension FieldType {
    fileprivate var object: ObjectType? { if case .object(let object) = self { object } else { nil } }
    fileprivate var element: FieldType? { if case .list(let element, _, _) = self { element } else { nil } }
}
