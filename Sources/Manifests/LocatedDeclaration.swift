// A declaration that knows where each of its fields was written, so that what is found out about it later (a second
// resource with the same address, say) can still point to a line.

import Cluster
import Kinds

/// A declaration and where it stands.
public struct LocatedDeclaration: Sendable {
    /// Checked, and as it was written: no defaults are filled in.
    public let declaration: Declaration
    public let file: String
    /// Where the document begins.
    public let place: TextPlace
    let places: FieldPlaces

    /// The problem with its file, line and column.
    public func error(for problem: Problem) -> ManifestError {
        ManifestError(file: file, place: places.place(of: problem), problem: problem)
    }
}

extension Array where Element == LocatedDeclaration {
    public var declarations: [Declaration] { map(\.declaration) }

    /// The problems with their files, lines and columns, as `KindRegistry.crossCheck` finds them. Problems of
    /// declarations that are not in this list come under the name of their resource instead of a file. Nil when there
    /// are none.
    public func errors(for problems: [Problem]) -> ManifestErrors? {
        guard !problems.isEmpty else { return nil }
        return ManifestErrors(
            problems.map { problem in
                if let located = last(where: { $0.declaration.key == problem.resource }) {
                    return located.error(for: problem)
                }
                return ManifestError(
                    file: problem.resource.description, field: problem.path.description, found: problem.found,
                    expected: problem.expected, suggestion: problem.suggestion)
            })
    }
}

/// Where the fields of one document stand.
struct FieldPlaces: Sendable {
    struct Entry: Sendable {
        /// Where the field's name stands; for an entry of a list, where the entry begins.
        var name: TextPlace
        var value: TextPlace
        /// A number or truth value as it was written.
        var written: String?
    }

    let start: TextPlace
    private var entries: [FieldPath: Entry] = [:]

    init(start: TextPlace) { self.start = start }

    subscript(path: FieldPath) -> Entry? {
        get { entries[path] }
        set { entries[path] = newValue }
    }

    /// Where to point for a problem. For something that is missing: at the name of the map it is missing from.
    func place(of problem: Problem) -> TextPlace {
        if let entry = entries[problem.path] { return problem.subject == .name ? entry.name : entry.value }
        var path = problem.path.parent
        while let present = path {
            if let entry = entries[present] { return entry.name }
            path = present.parent
        }
        return start
    }
}
