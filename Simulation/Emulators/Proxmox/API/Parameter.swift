// What an endpoint's parameters may be, and the texts a wrong one is answered with. PVE::JSONSchema, as far as the
// emulator's endpoints need it; the tests hold the tables against the API's own description.

/// A parameter of an endpoint.
struct Parameter: Hashable, Sendable {
    enum Format: Hashable, Sendable {
        case vmid
        case node
        /// Names of snapshots, groups and the like: two characters or more.
        case configurationID
        case storage
        case token
        case size
    }

    var name: String
    var type: ValueType
    var isRequired = false
    var minimum: Int?
    var maximum: Int?
    var format: Format?
    /// nil: both releases.
    var only: Release?
    /// Refused to everybody but root with a password.
    var isRootOnly = false

    static func string(_ name: String, _ format: Format? = nil, only: Release? = nil) -> Parameter {
        Parameter(name: name, type: .string, format: format, only: only)
    }

    static func integer(_ name: String, from minimum: Int? = nil, to maximum: Int? = nil, only: Release? = nil)
        -> Parameter
    {
        Parameter(name: name, type: .integer, minimum: minimum, maximum: maximum, only: only)
    }

    static func flag(_ name: String, only: Release? = nil) -> Parameter {
        Parameter(name: name, type: .boolean, only: only)
    }

    static func choice(_ name: String, _ values: [String]) -> Parameter {
        Parameter(name: name, type: .choice(values))
    }

    static let vmid = Parameter(name: "vmid", type: .integer, isRequired: true, format: .vmid)

    var required: Parameter {
        var copy = self
        copy.isRequired = true
        return copy
    }

    func inRelease(_ release: Release) -> Parameter {
        var copy = self
        copy.only = release
        return copy
    }

    var rootOnly: Parameter {
        var copy = self
        copy.isRootOnly = true
        return copy
    }

    // MARK: Checking

    /// What is wrong with a value; nil when nothing is.
    func complaint(about value: String) -> String? {
        if let complaint = Self.complaint(about: value, type: type) { return complaint }
        if let format, let complaint = Self.complaint(about: value, format: format) { return complaint }
        if type == .integer, let number = Int(value) {
            if let minimum, number < minimum { return "value must have a minimum value of \(minimum)" }
            if let maximum, number > maximum { return "value must have a maximum value of \(maximum)" }
        }
        return nil
    }

    static func complaint(about value: String, type: ValueType) -> String? {
        switch type {
        case .string, .list: nil
        case .integer: Int(value) == nil ? "type check ('integer') failed - got '\(value)'" : nil
        case .number: Double(value) == nil ? "type check ('number') failed - got '\(value)'" : nil
        case .boolean: flagValue(value) == nil ? "type check ('boolean') failed - got '\(value)'" : nil
        case .choice(let values):
            values.contains(value)
                ? nil : "value '\(value)' does not have a value in the enumeration '\(values.joined(separator: ", "))'"
        }
    }

    /// PVE::JSONSchema::parse_boolean.
    static func flagValue(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "1", "on", "yes", "true": true
        case "0", "off", "no", "false": false
        default: nil
        }
    }

    private static func complaint(about value: String, format: Format) -> String? {
        switch format {
        case .vmid:
            guard let number = Int(value), (100...999_999_999).contains(number) else {
                return "invalid format - value does not look like a valid VM ID\n"
            }
            return nil
        case .node:
            let isName = !value.isEmpty && value.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" }
            return isName ? nil : "invalid format - value does not look like a valid node name\n"
        case .configurationID:
            return isIdentifier(value, alsoDots: false)
                ? nil : "invalid format - invalid configuration ID '\(value)'\n"
        case .storage:
            return isIdentifier(value, alsoDots: true)
                ? nil : "invalid format - storage ID '\(value)' contains illegal characters\n"
        case .token:
            return isIdentifier(value, alsoDots: true) ? nil : "value does not match the regex pattern"
        case .size:
            var digits = value.drop { $0 == "+" }
            if let last = digits.last, "KMGT".contains(last) { digits = digits.dropLast() }
            return Double(digits) == nil ? "value does not match the regex pattern" : nil
        }
    }

    /// A letter, and at least one more character.
    private static func isIdentifier(_ text: String, alsoDots: Bool) -> Bool {
        guard text.utf8.count >= 2, let first = text.first, first.isASCII, first.isLetter else { return false }
        return text.allSatisfy { character in
            character.isASCII
                && (character.isLetter || character.isNumber || character == "-" || character == "_"
                    || (alsoDots && character == "."))
        }
    }
}
