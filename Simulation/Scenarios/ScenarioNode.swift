// A scenario as it was written: values with the lines they stand in. Whoever reads files makes these trees; this module
// reads no files itself.

/// A value of a scenario file. Texts, numbers and truth values are all texts here: what they mean depends on the field.
public indirect enum ScenarioNode: Hashable, Sendable {
    case text(String, line: Int)
    case list([ScenarioNode], line: Int)
    case map([ScenarioField], line: Int)

    public var line: Int {
        switch self {
        case .text(_, let line), .list(_, let line), .map(_, let line): line
        }
    }

    /// A noun phrase for errors.
    var phrase: String {
        switch self {
        case .text(let text, _): text.isEmpty ? "nothing" : "\"\(text.prefix(60))\""
        case .list(let nodes, _): nodes.isEmpty ? "an empty list" : "a list"
        case .map(let fields, _): fields.isEmpty ? "an empty map" : "a map"
        }
    }
}

/// A field of a map, in the order they were written.
public struct ScenarioField: Hashable, Sendable {
    public let name: String
    public let line: Int
    public let value: ScenarioNode

    public init(name: String, line: Int, value: ScenarioNode) {
        self.name = name
        self.line = line
        self.value = value
    }
}

/// One thing that is wrong with a scenario: `file:line: field: found …, expected …`.
public struct ScenarioError: Error, Hashable, Sendable, CustomStringConvertible {
    public let file: String
    public let line: Int
    /// `timeline[2].do`; empty when it is about no field.
    public let field: String
    public let words: String

    /// - Parameter suggestion: what was probably meant, verbatim.
    public init(
        file: String, line: Int, field: String, found: String, expected: String, suggestion: String? = nil
    ) {
        self.file = file
        self.line = line
        self.field = field
        words = "found \(found), expected \(expected)" + (suggestion.map { "; did you mean \($0)?" } ?? "")
    }

    /// What was asked for is known, and waits for a part that is not there.
    init(file: String, line: Int, field: String, _ name: String, waitsFor part: MissingPart) {
        self.file = file
        self.line = line
        self.field = field
        words = "`\(name)` waits for a part that is not there: \(part.sentence) (part: \(part.rawValue))"
    }

    public var description: String { "\(file):\(line): \(field.isEmpty ? "" : "\(field): ")\(words)" }
}

/// Everything that is wrong with a scenario, from top to bottom. Never empty.
public struct ScenarioErrors: Error, Hashable, Sendable, CustomStringConvertible {
    public let errors: [ScenarioError]

    init(_ errors: [ScenarioError]) {
        precondition(!errors.isEmpty, "an error says what is wrong")
        self.errors = errors
    }

    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
