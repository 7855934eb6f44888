// libyaml's complaints in words that say what to mend. libyaml speaks of tokens and of what it "did not find"; the
// person sees a line.

internal import CYaml
import Kinds

/// What a parser that has just failed has to say.
struct YAMLComplaint {
    private let problem: String
    /// What libyaml was about, and where that begins.
    private let context: String
    private let problemPlace: TextPlace
    private let contextPlace: TextPlace
    /// The character where it gave up; nil at the end of the text.
    private let character: Unicode.Scalar?
    /// Where a directive stands with which the text begins.
    private let directivePlace: TextPlace?

    init(_ parser: yaml_parser_t, text: UnsafeBufferPointer<UInt8>, linesBefore: Int) {
        problem = parser.problem.map { String(cString: $0) } ?? "out of memory"
        context = parser.context.map { String(cString: $0) } ?? ""
        problemPlace = Self.place(parser.problem_mark, linesBefore)
        contextPlace = Self.place(parser.context_mark, linesBefore)
        character = String(decoding: text, as: UTF8.self).unicodeScalars.dropFirst(Int(parser.problem_mark.index)).first
        let blank = text.prefix { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        let beginsWithDirective = blank.count < text.count && text[blank.count] == UInt8(ascii: "%")
        let line = linesBefore + blank.filter { $0 == 0x0A }.count + 1
        directivePlace = beginsWithDirective ? TextPlace(line: line, column: 1) : nil
    }

    private static func place(_ mark: yaml_mark_t, _ linesBefore: Int) -> TextPlace {
        TextPlace(line: linesBefore + Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    var fault: YAMLFault {
        if let directivePlace {
            return at(directivePlace, "a line that begins with %", "documents without YAML directives")
        }
        return indentationFault ?? quotingFault ?? bracketFault ?? otherFault
    }

    private func at(_ place: TextPlace, _ found: String, _ expected: String) -> YAMLFault {
        YAMLFault(place: place, found: found, expected: expected)
    }

    private var indentationFault: YAMLFault? {
        switch problem {
        case "found character that cannot start any token" where character == "\t",
            "found a tab character that violates indentation",
            "found a tab character where an indentation space is expected":
            at(problemPlace, "a tab", "spaces for indentation")
        case "mapping values are not allowed in this context":
            at(
                problemPlace, "a colon where no field can begin",
                "one field on a line, indented like its neighbours; a text with \": \" in it in quotes")
        case "did not find expected key":
            at(problemPlace, "a line that fits no field of the map it is in", "a field, indented like its neighbours")
        case "could not find expected ':'": at(contextPlace, "a line without a colon", "name: value")
        case "did not find expected '-' indicator":
            at(
                problemPlace, "a line that fits no entry of the list it is in",
                "\"- \" and an entry, indented like its neighbours")
        case "block sequence entries are not allowed in this context":
            at(
                problemPlace, "an entry of a list where none can begin",
                "the list on lines of its own, each with \"- \"")
        case _ where context.contains("block scalar"):
            at(
                problemPlace, "a text of several lines that goes wrong here",
                "| or > at the end of a line, and the text indented below")
        default: nil
        }
    }

    private var quotingFault: YAMLFault? {
        switch problem {
        case "found character that cannot start any token":
            at(
                problemPlace,
                "the character \(Excerpt.quoted(character.map(String.init) ?? "")) at the beginning of a value",
                "the text in quotes")
        case "found unexpected end of stream" where context.contains("quoted scalar"):
            at(contextPlace, "a quotation mark without its partner", "a closing one")
        case "found unknown escape character", "did not find expected hexdecimal number",
            "found invalid Unicode character escape code":
            at(
                problemPlace, "a backslash with what cannot follow it",
                "\\\\ for a backslash, or single quotes, in which a backslash is just that")
        default: nil
        }
    }

    private var bracketFault: YAMLFault? {
        switch problem {
        case "did not find expected ',' or ']'":
            at(problemPlace, "no comma and no ] in the list that begins in line \(contextPlace.line)", "one of them")
        case "did not find expected ',' or '}'":
            at(problemPlace, "no comma and no } in the map that begins in line \(contextPlace.line)", "one of them")
        default: nil
        }
    }

    private var otherFault: YAMLFault {
        switch problem {
        case "did not find expected <document start>":
            at(
                problemPlace, "something after the end of a document",
                "--- on a line of its own before the next document")
        case _ where problem.hasPrefix("Maximum nesting level reached"):
            YAMLComposer.tooDeep(at: contextPlace)
        case "did not find expected node content": at(problemPlace, "nothing where a value belongs", "a value")
        default: at(problemPlace, "YAML that cannot be read (\(problem))", "valid YAML")
        }
    }
}
