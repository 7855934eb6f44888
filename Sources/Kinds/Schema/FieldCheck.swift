// Checking a value against the type its field has, and finding everything that is wrong with it, not only the first
// thing. Bounded: after so many problems the rest is not looked for.

import Cluster
import Consensus

/// What to do about fields nobody knows.
public enum UnknownFields: Hashable, Sendable {
    /// What people write is checked to the letter.
    case refused
    /// What a newer version has stored is read as far as this version understands it.
    case ignored
}

/// One pass over one document.
struct FieldCheck {
    /// A document with more problems is reported up to here.
    static let mostProblems = 100

    let resource: ResourceKey
    let unknownFields: UnknownFields
    /// How a number stands in the file, when that is known: `1.10`, where the value is 1.1.
    let written: (FieldPath) -> String?
    private(set) var problems: [Problem] = []

    init(
        _ resource: ResourceKey, unknownFields: UnknownFields, written: @escaping (FieldPath) -> String? = { _ in nil }
    ) {
        self.resource = resource
        self.unknownFields = unknownFields
        self.written = written
    }

    mutating func check(_ value: JSONValue, as type: FieldType, at path: FieldPath) {
        switch type {
        case .text(let form): checkText(value, form, type, path)
        case .duration(let least, let most): checkDuration(value, least...most, type, path)
        case .integer(let least, let most):
            if let number = value.int, (least...most).contains(number) { return }
            refuse(value, type, path, suggestion: Self.wholeNumber(in: value, from: least, to: most))
        case .truth:
            if value.bool == nil { refuse(value, type, path, suggestion: Self.truth(in: value)) }
        case .choice(let words):
            if let word = value.string, words.contains(word) { return }
            let written = value.string ?? value.bool.map { $0 ? "true" : "false" } ?? ""
            refuse(value, type, path, suggestion: Nearest.match(written, among: words))
        case .object(let object): checkObject(value, object, type, path)
        case .map(let names, let values, let most): checkMap(value, names, values, most, type, path)
        case .list(let element, let least, let most): checkList(value, element, least, most, type, path)
        }
    }

    private mutating func refuse(
        _ value: JSONValue, _ type: FieldType, _ path: FieldPath, found: String? = nil, expected: String? = nil,
        suggestion: String? = nil
    ) {
        report(
            Problem(
                resource, at: path, found: found ?? Excerpt.phrase(value, written: written(path)),
                expected: expected ?? type.expected, suggestion: suggestion))
    }

    private mutating func report(_ problem: Problem) {
        if problems.count < Self.mostProblems { problems.append(problem) }
    }

    // MARK: Single values

    private mutating func checkText(_ value: JSONValue, _ form: TextForm, _ type: FieldType, _ path: FieldPath) {
        guard let text = value.string else {
            return refuse(value, type, path, suggestion: quotedText(of: value, form, path))
        }
        guard !form.accepts(text) else { return }
        let objection = form.objection(to: text).map { "\($0), \(text)" }
        refuse(value, type, path, found: objection, suggestion: form.suggestion(for: text))
    }

    /// A number or a truth value where a text belongs: what it would be in quotes.
    private func quotedText(of value: JSONValue, _ form: TextForm, _ path: FieldPath) -> String? {
        let text: String
        switch value {
        case .int(let number): text = written(path) ?? String(number)
        case .double(let number): text = written(path) ?? "\(number)"
        case .bool(let truth): text = written(path) ?? (truth ? "true" : "false")
        default: return nil
        }
        return form.accepts(text) ? "\"\(text)\" in quotes" : form.suggestion(for: text)
    }

    private mutating func checkDuration(
        _ value: JSONValue, _ bounds: ClosedRange<Interval>, _ type: FieldType, _ path: FieldPath
    ) {
        if let length = value.string.flatMap(DurationText.parse), bounds.contains(length) { return }
        let text = value.string ?? value.int.map(String.init) ?? ""
        let tidy = String(text.lowercased().filter { !$0.isWhitespace })
        let guess = [tidy, tidy + "ms", tidy + "s"].first { guess in
            guess != value.string && DurationText.parse(guess).map(bounds.contains) ?? false
        }
        refuse(value, type, path, suggestion: guess)
    }

    private static func wholeNumber(in value: JSONValue, from least: Int64, to most: Int64) -> String? {
        guard let number = value.string.flatMap({ Int64($0) }), (least...most).contains(number) else { return nil }
        return String(number)
    }

    /// YAML 1.1 read these words as truth values, and many people still write them.
    private static func truth(in value: JSONValue) -> String? {
        switch value.string?.lowercased() {
        case "yes", "on", "y", "true": "true"
        case "no", "off", "n", "false": "false"
        default: nil
        }
    }

    // MARK: Maps and lists

    private mutating func checkObject(_ value: JSONValue, _ object: ObjectType, _ type: FieldType, _ path: FieldPath) {
        guard let given = value.object else {
            return refuse(value, type, path, suggestion: Self.asMap(value, object))
        }
        if unknownFields == .refused {
            for name in given.keys where object.field(name) == nil && problems.count < Self.mostProblems {
                refuseUnknown(name, object, path)
            }
        }
        // A mistyped field is reported once, under the name it has, and not again under the one it should have.
        func isMistyped(_ names: [String]) -> Bool {
            unknownFields == .refused
                && given.keys.prefix(Self.mostProblems).contains {
                    object.field($0) == nil
                        && Nearest.match($0, among: object.fields.map(\.name)).map(names.contains) ?? false
                }
        }
        for field in object.fields {
            if let inner = given[field.name] {
                check(inner, as: field.type, at: path.field(field.name))
            } else if field.presence == .required, !isMistyped([field.name]) {
                refuseAbsence(field.type.expected, path.field(field.name))
            }
        }
        for group in object.exactlyOneOf {
            let present = group.filter { given.contains($0) }
            if present.isEmpty, !isMistyped(group) {
                refuse(value, type, path, found: "none of them", expected: Excerpt.choices(group))
            } else if present.count > 1 {
                refuse(
                    value, type, path, found: present.joined(separator: " and "),
                    expected: "only \(Excerpt.choices(group))")
            }
        }
    }

    private mutating func refuseUnknown(_ name: String, _ object: ObjectType, _ path: FieldPath) {
        let known = object.fields.map(\.name)
        report(
            Problem(
                resource, at: path.field(name), subject: .name, found: "an unknown field",
                expected: Excerpt.choices(known), suggestion: Nearest.match(name, among: known)))
    }

    private mutating func refuseAbsence(_ expected: String, _ path: FieldPath) {
        report(Problem(resource, at: path, subject: .absence, found: "nothing", expected: expected))
    }

    /// What a bare text where a map is expected was probably meant to be: a field whose colon lacks its space, or the
    /// one text the map must have: `{member: k8s-cp1}`.
    private static func asMap(_ value: JSONValue, _ object: ObjectType) -> String? {
        if let text = value.string, let colon = text.firstIndex(of: ":"), Excerpt.isHarmless(text),
            object.field(String(text[..<colon])) != nil
        {
            return "\(text[..<colon]): \(text[text.index(after: colon)...].drop { $0 == " " })"
        }
        let required = object.fields.filter { $0.presence == .required }
        guard let text = value.string, required.count == 1, case .text(let form) = required[0].type, form.accepts(text)
        else { return nil }
        return "{\(required[0].name): \(text)}"
    }

    private mutating func checkMap(
        _ value: JSONValue, _ names: TextForm, _ values: TextForm, _ most: Int, _ type: FieldType, _ path: FieldPath
    ) {
        guard let given = value.object else { return refuse(value, type, path) }
        if given.count > most {
            refuse(value, type, path, found: "\(given.count) entries", expected: "at most \(most)")
        }
        for (name, inner) in given.pairs where problems.count < Self.mostProblems {
            if !names.accepts(name) {
                report(
                    Problem(
                        resource, at: path.field(name), subject: .name, found: "the name \(Excerpt.quoted(name))",
                        expected: names.expected, suggestion: names.suggestion(for: name)))
            }
            check(inner, as: .text(values), at: path.field(name))
        }
    }

    private mutating func checkList(
        _ value: JSONValue, _ element: FieldType, _ least: Int, _ most: Int, _ type: FieldType, _ path: FieldPath
    ) {
        guard let given = value.array else { return refuse(value, type, path) }
        if given.count < least || given.count > most {
            let found = given.isEmpty ? "an empty list" : "a list of \(given.count)"
            refuse(value, type, path, found: found)
        }
        for (position, inner) in given.prefix(most).enumerated() {
            check(inner, as: element, at: path.index(position))
        }
    }
}
