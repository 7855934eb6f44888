// What Proxmox means by a JSON value. Perl knows no types: a number may come as text, a truth as 0, 1, "0", "1", true or
// absent, and an absent list as null. Nothing here fails; what cannot be understood is nil.

import Cluster

extension JSONValue {
    /// A number, however it was written.
    var lenientInt: Int64? {
        switch self {
        case .int(let number): number
        case .double(let number): Int64(exactly: number.rounded(.towardZero))
        case .string(let text): Int64(text) ?? Double(text).flatMap { Int64(exactly: $0.rounded(.towardZero)) }
        case .bool(let truth): truth ? 1 : 0
        case .null, .array, .object: nil
        }
    }

    /// A truth, however it was written.
    var lenientBool: Bool? {
        switch self {
        case .bool(let truth): truth
        case .int(let number): number != 0
        case .double(let number): number != 0
        case .string(let text):
            switch text.lowercased() {
            case "1", "yes", "on", "true": true
            case "0", "no", "off", "false", "": false
            default: nil
            }
        case .null, .array, .object: nil
        }
    }

    /// A text, however it was written.
    var lenientText: String? {
        switch self {
        case .string(let text): text
        case .int(let number): String(number)
        case .double(let number): String(number)
        case .bool(let truth): truth ? "1" : "0"
        case .null, .array, .object: nil
        }
    }

    /// A list; nothing counts as an empty one.
    var lenientList: [JSONValue]? {
        switch self {
        case .array(let values): values
        case .null: []
        default: nil
        }
    }
}
