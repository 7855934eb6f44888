// From a YAML tree to a declaration: a JSON value with a table of places beside it, checked by the schema of its kind.
// Does not look for what holds between resources.

import Cluster
import Consensus
import Kinds

/// Reads one document.
struct DocumentReader {
    let file: String
    private(set) var errors: [ManifestError] = []
    private var places: FieldPlaces

    /// Every error found goes to `errors`; nil when there was one.
    static func read(_ document: YAMLNode, file: String, errors: inout [ManifestError]) -> LocatedDeclaration? {
        var reader = DocumentReader(file: file, places: FieldPlaces(start: document.place))
        let located = reader.read(document)
        // From top to bottom, and what concerns one place in the order it was found.
        errors += reader.errors.enumerated().sorted { left, right in
            let start = TextPlace(line: 0, column: 0)
            return (left.element.place ?? start, left.offset) < (right.element.place ?? start, right.offset)
        }.map(\.element)
        return located
    }

    private init(file: String, places: FieldPlaces) {
        self.file = file
        self.places = places
    }

    private mutating func read(_ document: YAMLNode) -> LocatedDeclaration? {
        let value = value(document, .root)
        let places = places
        do throws(InvalidDeclaration) {
            let declaration = try Declaration(document: value, written: { places[$0]?.written })
            guard errors.isEmpty else { return nil }
            return LocatedDeclaration(declaration: declaration, file: file, place: document.place, places: places)
        } catch {
            errors += error.problems.map {
                ManifestError(file: file, place: places.place(of: $0), problem: $0)
            }
            return nil
        }
    }

    private mutating func value(_ node: YAMLNode, _ path: FieldPath) -> JSONValue {
        switch node {
        case .scalar(let text, let plain, _):
            guard plain else { return .string(text) }
            let value = PlainScalar.value(text)
            if value.string == nil, places[path] != nil { places[path]?.written = text }
            return value
        case .list(let nodes, _):
            var values: [JSONValue] = []
            for (position, node) in nodes.enumerated() {
                let inner = path.index(position)
                places[inner] = FieldPlaces.Entry(name: node.place, value: node.place)
                values.append(value(node, inner))
            }
            return .array(values)
        case .map(let entries, _):
            var fields: [(String, JSONValue)] = []
            var lines: [String: Int] = [:]
            for entry in entries {
                let inner = path.field(entry.name)
                if let earlier = lines[entry.name] {
                    errors.append(
                        ManifestError(
                            file: file, place: entry.namePlace, field: inner.description,
                            found: "the field a second time", expected: "it once: it is in line \(earlier) already"))
                    continue
                }
                lines[entry.name] = entry.namePlace.line
                places[inner] = FieldPlaces.Entry(name: entry.namePlace, value: entry.value.place)
                fields.append((entry.name, value(entry.value, inner)))
            }
            // Sorted before it is built: building it entry by entry takes quadratic time in a large map.
            return .object(SortedMap(fields.sorted { $0.0 < $1.0 }))
        }
    }
}
