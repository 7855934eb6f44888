// The maps that stand inside a verb: `add vm:103 {host: node1, faults: {startFails: 1}}`. Flow style only, names and plain
// or quoted words; everything else of YAML has no place in a verb.

struct FlowText {
    private let characters: [Character]
    private let line: Int
    private var position = 0

    /// Nil: it is no such map, or something follows it.
    static func map(_ text: String, line: Int) -> ScenarioNode? {
        var reader = FlowText(characters: Array(text), line: line)
        guard case .map(let fields, let line)? = reader.value(depth: 0) else { return nil }
        reader.skipSpaces()
        return reader.position == reader.characters.count ? .map(fields, line: line) : nil
    }

    private init(characters: [Character], line: Int) {
        self.characters = characters
        self.line = line
    }

    private var next: Character? { position < characters.count ? characters[position] : nil }

    private mutating func skipSpaces() { while next == " " { position += 1 } }

    private mutating func take(_ character: Character) -> Bool {
        skipSpaces()
        guard next == character else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) -> ScenarioNode? {
        guard depth < 4 else { return nil }
        if take("{") { return fields(depth) }
        if take("[") { return list(depth) }
        return word().map { .text($0, line: line) }
    }

    private mutating func fields(_ depth: Int) -> ScenarioNode? {
        var fields: [ScenarioField] = []
        if take("}") { return .map([], line: line) }
        while true {
            guard let name = word(isName: true), take(":"), let value = value(depth: depth + 1) else { return nil }
            fields.append(ScenarioField(name: name, line: line, value: value))
            if take("}") { return .map(fields, line: line) }
            guard take(",") else { return nil }
        }
    }

    private mutating func list(_ depth: Int) -> ScenarioNode? {
        var nodes: [ScenarioNode] = []
        if take("]") { return .list([], line: line) }
        while true {
            guard let value = value(depth: depth + 1) else { return nil }
            nodes.append(value)
            if take("]") { return .list(nodes, line: line) }
            guard take(",") else { return nil }
        }
    }

    /// A name ends at its colon; a value may have colons in it, as `vm:101` has.
    private mutating func word(isName: Bool = false) -> String? {
        skipSpaces()
        if next == "\"" { return quoted() }
        var found = ""
        while let character = next, !"{}[],".contains(character), !(isName && character == ":") {
            found.append(character)
            position += 1
        }
        while found.hasSuffix(" ") { found.removeLast() }
        return found.isEmpty ? nil : found
    }

    private mutating func quoted() -> String? {
        position += 1
        var found = ""
        while let character = next {
            position += 1
            if character == "\"" { return found }
            found.append(character)
        }
        return nil
    }
}
