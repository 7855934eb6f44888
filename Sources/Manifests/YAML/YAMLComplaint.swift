// libyaml's complaints in words that say what to mend. libyaml speaks of tokens and of what it "did not find"; the
// person sees a line.

internal import CYaml

enum YAMLComplaint {
    /// - Parameter parser: one that has just failed.
    static func fault(of parser: yaml_parser_t, linesBefore: Int) -> YAMLFault {
        let problem = parser.problem.map { String(cString: $0) } ?? "out of memory"
        let context = parser.context.map { String(cString: $0) } ?? ""
        let place = place(parser.problem_mark, linesBefore)
        let begin =
            place == TextPlace(line: linesBefore + 1, column: 1) && parser.context != nil
            ? self.place(parser.context_mark, linesBefore) : place
        switch problem {
        case "found unexpected end of stream" where context.contains("quoted scalar"):
            return YAMLFault(
                place: self.place(parser.context_mark, linesBefore), found: "a quotation mark without its partner",
                expected: "a closing one")
        default:
            let (found, expected) = words(problem, context)
            return YAMLFault(place: begin, found: found, expected: expected)
        }
    }

    private static func place(_ mark: yaml_mark_t, _ linesBefore: Int) -> TextPlace {
        TextPlace(line: linesBefore + Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    private static func words(_ problem: String, _ context: String) -> (found: String, expected: String) {
        switch problem {
        case "found character that cannot start any token":
            return (
                "a tab, or one of the characters @ ` %, at the beginning of a value",
                "spaces for indentation, and a text that begins with such a character in quotes"
            )
        case "mapping values are not allowed in this context":
            return (
                "a colon where no field can begin",
                "one field on a line, indented like its neighbours; a text with \": \" in it in quotes"
            )
        case "did not find expected key":
            return ("a line that fits no field of the map it is in", "a field, indented like its neighbours")
        case "could not find expected ':'": return ("a line without a colon", "name: value")
        case "did not find expected '-' indicator":
            return (
                "a line that fits no entry of the list it is in", "\"- \" and an entry, indented like its neighbours"
            )
        case "did not find expected ',' or ']'": return ("a list in brackets that goes wrong here", "a comma or ]")
        case "did not find expected ',' or '}'": return ("a map in braces that goes wrong here", "a comma or }")
        case "block sequence entries are not allowed in this context":
            return ("an entry of a list where none can begin", "the list on lines of its own, each with \"- \"")
        case "found unknown escape character", "did not find expected hexdecimal number",
            "found invalid Unicode character escape code":
            return (
                "a backslash with what cannot follow it",
                "\\\\ for a backslash, or single quotes, in which a backslash is just that"
            )
        case "did not find expected <document start>":
            return ("something after the end of a document", "--- on a line of its own before the next document")
        case "did not find expected node content": return ("nothing where a value belongs", "a value")
        case _ where context.contains("directive"):
            return ("a line that begins with %", "documents without YAML directives")
        case _ where context.contains("block scalar"):
            return (
                "a text of several lines that goes wrong here", "| or > at the end of a line, the text indented below"
            )
        default: return ("YAML that cannot be read (\(problem))", "valid YAML")
        }
    }
}
