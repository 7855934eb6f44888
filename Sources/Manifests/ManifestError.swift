// What is wrong with manifests, each with the place to look at: `file:line:column: field: found …, expected …`.
// The words come from whoever found the problem; here they only get their place.

import Kinds

/// One thing that is wrong with a manifest.
public struct ManifestError: Error, Hashable, Sendable, CustomStringConvertible {
    /// As it was given, or below the directory that was given; `-` for standard input.
    public var file: String
    /// Nil when it is about the file as a whole.
    public var place: TextPlace?
    /// `spec.candidates[1].member`; empty when it is about no field.
    public var field: String
    public var found: String
    public var expected: String
    /// What to write instead, verbatim.
    public var suggestion: String?

    public init(
        file: String, place: TextPlace? = nil, field: String = "", found: String, expected: String,
        suggestion: String? = nil
    ) {
        self.file = file
        self.place = place
        self.field = field
        self.found = found
        self.expected = expected
        self.suggestion = suggestion
    }

    init(file: String, place: TextPlace, problem: Problem) {
        self.init(
            file: file, place: place, field: problem.path.description, found: problem.found,
            expected: problem.expected, suggestion: problem.suggestion)
    }

    init(file: String, _ fault: YAMLFault) {
        self.init(
            file: file, place: fault.place, found: fault.found, expected: fault.expected, suggestion: fault.suggestion)
    }

    /// One line, as compilers write it, so that editors can jump there.
    public var description: String {
        let position = place.map { ":\($0.line):\($0.column)" } ?? ""
        let subject = field.isEmpty ? "" : "\(field): "
        let hint = suggestion.map { "; did you mean \($0)?" } ?? ""
        return "\(file)\(position): \(subject)found \(found), expected \(expected)\(hint)"
    }
}

/// Everything that is wrong with what was read: file by file, and within a file from top to bottom. Never empty.
public struct ManifestErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// So many are kept; the rest is counted.
    public static let most = 200

    public let errors: [ManifestError]
    /// How many more there were.
    public let further: Int

    public init(_ errors: [ManifestError]) {
        precondition(!errors.isEmpty, "an error says what is wrong")
        self.errors = Array(errors.prefix(Self.most))
        further = errors.count - self.errors.count
    }

    /// One line for each error.
    public var description: String {
        let lines = errors.map(\.description) + (further > 0 ? ["and \(further) more"] : [])
        return lines.joined(separator: "\n")
    }
}
