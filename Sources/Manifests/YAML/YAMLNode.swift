// A YAML document as a tree in which every value and every field's name knows its line and column.
// Only what manifests need: no anchors, no aliases, no tags, and texts as the names of fields.

/// A place in a file. Lines and columns count from 1, columns in Unicode scalars.
public struct TextPlace: Hashable, Comparable, Sendable {
    public let line: Int
    public let column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (left: TextPlace, right: TextPlace) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// A value in a YAML document.
public indirect enum YAMLNode: Sendable {
    /// `plain`: written without quotes, so it may be a number or a truth value.
    case scalar(text: String, plain: Bool, TextPlace)
    case list([YAMLNode], TextPlace)
    case map([YAMLEntry], TextPlace)

    public var place: TextPlace {
        switch self {
        case .scalar(_, _, let place), .list(_, let place), .map(_, let place): place
        }
    }
}

/// A field of a map, in the order they were written; nothing is said yet about the same name twice.
public struct YAMLEntry: Sendable {
    public let name: String
    public let namePlace: TextPlace
    public let value: YAMLNode
}

/// Text that is no YAML, or YAML that manifests do not use.
struct YAMLFault: Error {
    let place: TextPlace
    let found: String
    let expected: String
    var suggestion: String?
}
