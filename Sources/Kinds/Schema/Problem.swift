// What is wrong with a declaration, precisely enough to mend it: where, what stands there, what may stand there, and
// what was probably meant. Line and column are added by whoever read the text.

import Cluster

/// One thing that is wrong with a declaration.
public struct Problem: Hashable, Sendable, CustomStringConvertible {
    /// What of the place is wrong, so that a reader of files knows where to point.
    public enum Subject: Hashable, Sendable {
        /// The value that stands there.
        case value
        /// The name of the field: it is not known.
        case name
        /// Nothing stands there, and something must.
        case absence
    }

    public var resource: ResourceKey
    public var path: FieldPath
    public var subject: Subject
    /// A noun phrase: `the text "abc"`, `the number 80`, `nothing`.
    public var found: String
    /// A noun phrase: `a whole number from 1 to 100`.
    public var expected: String
    /// What to write instead, verbatim.
    public var suggestion: String?

    public init(
        _ resource: ResourceKey, at path: FieldPath, subject: Subject = .value, found: String, expected: String,
        suggestion: String? = nil
    ) {
        self.resource = resource
        self.path = path
        self.subject = subject
        self.found = found
        self.expected = expected
        self.suggestion = suggestion
    }

    /// Without the resource: `spec.adress: found an unknown field, expected address; did you mean address?`
    public var text: String {
        let place = path.description
        let hint = suggestion.map { "; did you mean \($0)?" } ?? ""
        return (place.isEmpty ? "" : "\(place): ") + "found \(found), expected \(expected)\(hint)"
    }

    /// One line, with the resource in front.
    public var description: String { "\(resource): \(text)" }
}

/// A declaration that cannot be accepted, with everything that is wrong with it.
public struct InvalidDeclaration: Error, Hashable, Sendable, CustomStringConvertible {
    public let problems: [Problem]

    public init(_ problems: [Problem]) { self.problems = problems }

    /// One line for each problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
