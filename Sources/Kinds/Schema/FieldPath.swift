// Where in a manifest a value stands, written as people write it: `spec.candidates[1].member`.
// Two places never have the same text: a name that could be mistaken for a path stands in brackets and quotes.

/// A place in a declared document.
public struct FieldPath: Hashable, Sendable, CustomStringConvertible {
    public enum Step: Hashable, Sendable {
        case field(String)
        case index(Int)
    }

    public let steps: [Step]

    public init(_ steps: [Step] = []) { self.steps = steps }

    /// The document itself.
    public static let root = FieldPath()
    public static let spec = FieldPath([.field("spec")])

    public func field(_ name: String) -> FieldPath { FieldPath(steps + [.field(name)]) }
    public func index(_ position: Int) -> FieldPath { FieldPath(steps + [.index(position)]) }

    /// The map or list this place is in; nil for the document itself.
    public var parent: FieldPath? { steps.isEmpty ? nil : FieldPath(Array(steps.dropLast())) }

    /// `spec.candidates[1].member`; empty for the document itself.
    public var description: String {
        var text = ""
        for step in steps {
            switch step {
            case .index(let position): text += "[\(position)]"
            case .field(let name) where Self.isPlain(name): text += text.isEmpty ? name : ".\(name)"
            case .field(let name): text += "[\(Excerpt.quoted(name))]"
            }
        }
        return text
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
                default: false
                }
            }
    }
}
