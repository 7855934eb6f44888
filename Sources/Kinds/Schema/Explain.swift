// What `holdfast explain KIND` prints: every field with its type, whether it must be given, its default, and a sentence.
// Says nothing that the schema does not say.

import Cluster

extension KindSchema {
    /// Plain text of lines of at most 120 characters.
    public var explanation: String {
        var lines = ["\(kind) (\(DocumentSchema.apiVersion))"]
        if !otherNames.isEmpty { lines[0] += ", also called \(otherNames.joined(separator: ", "))" }
        lines += Self.wrapped(documentation, indent: 0) + ["", "Fields"]
        lines += Self.rows(DocumentSchema.metadata, under: "metadata")
        lines += Self.rows(spec, under: "spec")
        lines += ["", "Example"]
        lines += example.split(separator: "\n", omittingEmptySubsequences: false).map { $0.isEmpty ? "" : "    \($0)" }
        while lines.last == "" { lines.removeLast() }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func rows(_ object: ObjectType, under prefix: String) -> [String] {
        var lines: [String] = []
        for field in object.fields {
            let path = "\(prefix).\(field.name)"
            lines.append("    \(path)    \(field.type.summary), \(note(field, in: object))")
            lines += wrapped(field.documentation, indent: 8)
            switch field.type {
            case .object(let inner): lines += rows(inner, under: path)
            case .list(.object(let inner), _, _): lines += rows(inner, under: path + "[]")
            default: break
            }
        }
        return lines
    }

    private static func note(_ field: Field, in object: ObjectType) -> String {
        if let group = object.exactlyOneOf.first(where: { $0.contains(field.name) }) {
            return "exactly one of \(group.joined(separator: ", "))"
        }
        switch field.presence {
        case .required: return "required"
        case .optional: return "optional"
        case .byDefault(let value):
            if let text = value.string { return "default \(text)" }
            if let number = value.int { return "default \(number)" }
            if let truth = value.bool { return "default \(truth)" }
            return "optional"
        }
    }

    private static func wrapped(_ text: String, indent: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, indent + line.count + 1 + word.count > 110 {
                lines.append(String(repeating: " ", count: indent) + line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " \(word)"
        }
        if !line.isEmpty { lines.append(String(repeating: " ", count: indent) + line) }
        return lines
    }
}

extension KindSchema {
    /// The rows of one field and of what is below it: `spec.candidates`, or `candidates` for short. Nil when there is none.
    public func explanation(ofField path: String) -> String? {
        let wanted = path.replacing("[]", with: "")
        for (object, prefix) in [(DocumentSchema.metadata, "metadata"), (spec, "spec")] {
            for name in [wanted, "\(prefix).\(wanted)"] {
                let lines = Self.rows(object, under: prefix, only: name)
                guard !lines.isEmpty else { continue }
                return (["\(kind) (\(DocumentSchema.apiVersion))"] + lines).joined(separator: "\n") + "\n"
            }
        }
        return nil
    }

    /// The full paths of all fields.
    public var fieldPaths: [String] {
        (Self.rows(DocumentSchema.metadata, under: "metadata") + Self.rows(spec, under: "spec")).compactMap { line in
            line.hasPrefix("    ") && !line.hasPrefix("        ")
                ? line.dropFirst(4).split(separator: " ").first.map(String.init) : nil
        }
    }

    private static func rows(_ object: ObjectType, under prefix: String, only wanted: String) -> [String] {
        var found: [String] = []
        var isWithin = false
        for line in rows(object, under: prefix) {
            if !line.hasPrefix("        ") {
                let path = line.dropFirst(4).prefix { $0 != " " }.replacing("[]", with: "")
                isWithin = path == wanted || path.hasPrefix(wanted + ".")
            }
            if isWithin { found.append(line) }
        }
        return found
    }
}

extension KindRegistry {
    /// The text of `explain` for a kind by any of its names; nil for a kind nobody knows.
    public static func explain(_ name: String) -> String? { schema(called: name)?.explanation }
}
