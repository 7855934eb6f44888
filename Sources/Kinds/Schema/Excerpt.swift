// Values as error messages show them: on one line, short, and with nothing in them that a terminal would act on.
// Every text that came from outside passes through here before it stands in an error.

import Cluster

/// How values are shown to people.
public enum Excerpt {
    /// Characters of a text that are shown.
    public static let mostCharacters = 60

    /// The text in quotes, shortened, with control characters spelled out.
    public static func quoted(_ text: String) -> String {
        var shown = "\""
        var count = 0
        for scalar in text.unicodeScalars {
            if count == mostCharacters { return shown + "…\"" }
            count += 1
            switch scalar {
            case "\"", "\\": shown += "\\\(scalar)"
            case "\n": shown += "\\n"
            case "\t": shown += "\\t"
            case "\r": shown += "\\r"
            case _ where isUnprintable(scalar): shown += "\\u{\(String(scalar.value, radix: 16))}"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return shown + "\""
    }

    /// Whether the text can be shown as it is.
    static func isHarmless(_ text: String) -> Bool { quoted(text) == "\"\(text)\"" }

    /// A noun phrase for a value. `written` is how a number stands in the file, when that is known.
    public static func phrase(_ value: JSONValue, written: String? = nil) -> String {
        switch value {
        case .null: "nothing"
        case .bool(let truth): truth ? "true" : "false"
        case .int(let number): "the number \(written ?? String(number))"
        case .double(let number): "the number \(written ?? "\(number)")"
        case .string(let text): text.isEmpty ? "an empty text" : "the text \(quoted(text))"
        case .array(let values): values.isEmpty ? "an empty list" : "a list"
        case .object(let fields): fields.isEmpty ? "an empty map" : "a map"
        }
    }

    /// `a`, `a or b`, `one of a, b, c`.
    public static func choices(_ names: [String]) -> String {
        switch names.count {
        case 0: "nothing"
        case 1: names[0]
        case 2: "\(names[0]) or \(names[1])"
        default: "one of \(names.joined(separator: ", "))"
        }
    }

    /// Control and format characters, which hide text or move the cursor.
    private static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}
