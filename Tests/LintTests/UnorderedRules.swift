// Dictionary and Set in the pure half: their order differs between processes, even between equal values, so one that is
// kept or walked makes two members disagree. A local one that is only asked (`contains`, `insert`) does no harm.
// Knows what a type looks like by its spelling only: a type alias hides from it.

enum UnorderedRules {
    static func check(_ file: SourceFile) -> [Finding] {
        stored(file) + iterated(file)
    }

    // MARK: Stored

    private enum Brace { case type, other }

    private static func stored(_ file: SourceFile) -> [Finding] {
        var findings: [Finding] = []
        var braces: [Brace] = []
        var opensType = false
        let tokens = file.tokens
        for position in tokens.indices {
            switch tokens[position].text {
            case "struct", "enum", "extension", "protocol", "actor", "class":
                let next = position + 1 < tokens.count ? tokens[position + 1] : nil
                let isModifier = ["func", "var", "let", "subscript"].contains(next?.text ?? "")
                if next?.kind == .identifier && !isModifier { opensType = true }
            case "{":
                braces.append(opensType ? .type : .other)
                opensType = false
            case "}": _ = braces.popLast()
            case "var", "let", "case":
                guard braces.last ?? .type == .type, let unordered = declaration(tokens, from: position + 1) else {
                    break
                }
                findings.append(
                    file.finding(
                        tokens[unordered].line,
                        "a stored Dictionary or Set has another order in every process; use SortedMap, a sorted array, or an OptionSet"
                    ))
            default: break
            }
        }
        return findings
    }

    /// Where an unordered type stands in the declaration that begins at `start`: up to its body, or to the first line
    /// that begins outside all brackets.
    private static func declaration(_ tokens: [SwiftToken], from start: Int) -> Int? {
        var depth = 0
        var position = start
        while position < tokens.count {
            let token = tokens[position]
            let before = tokens[position - 1]
            let goesOn = [":", "=", ","].contains(before.text) || token.text == "="
            if depth == 0 && position > start && token.line > before.line && !goesOn { return nil }
            if isUnordered(tokens, at: position) { return position }
            switch token.text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{", "}": return nil
            default: break
            }
            position += 1
        }
        return nil
    }

    // MARK: Walked

    private static let walks = [
        "map", "flatMap", "compactMap", "forEach", "reduce", "first", "keys", "values", "popFirst", "enumerated",
        "joined",
    ]

    private static func iterated(_ file: SourceFile) -> [Finding] {
        let tokens = file.tokens
        let names = unorderedNames(tokens)
        func text(_ position: Int) -> String { tokens.indices.contains(position) ? tokens[position].text : "" }
        var findings: [Finding] = []
        for position in tokens.indices where text(position - 1) != "." {
            let isNamed = names.contains(text(position))
            let isFresh = isUnordered(tokens, at: position) && text(position) != "["
            guard isNamed || isFresh else { continue }
            let end = isNamed ? position : closing(tokens, from: position)
            let follows = text(end + 1) == "." ? text(end + 2) : ""
            let isSorted = follows == "sorted" || (text(end + 3) == "." && text(end + 4) == "sorted")
            let isLoop = text(position - 1) == "in" && (text(end + 1) == "{" || text(end + 1) == "where")
            guard isLoop || (walks.contains(follows) && !isSorted) else { continue }
            findings.append(
                file.finding(
                    tokens[position].line,
                    "walking a Dictionary or Set gives another order in every process; walk `.sorted()` or a SortedMap")
            )
        }
        return findings
    }

    /// Names that this file declares, anywhere, with an unordered type or value.
    private static func unorderedNames(_ tokens: [SwiftToken]) -> [String] {
        var names: [String] = []
        for position in tokens.indices.dropLast(2) where tokens[position].kind == .identifier {
            let mark = tokens[position + 1].text
            let isDeclared =
                mark == ":" || (mark == "=" && position > 0 && ["let", "var"].contains(tokens[position - 1].text))
            if isDeclared && isUnordered(tokens, at: position + 2) { names.append(tokens[position].text) }
        }
        return names
    }

    /// The position of the last token of `Set<T>(...)` or `Set(...)`.
    private static func closing(_ tokens: [SwiftToken], from start: Int) -> Int {
        var depth = 0
        for position in start..<tokens.count {
            switch tokens[position].text {
            case "(", "<": depth += 1
            case ")", ">": depth -= 1
            default: continue
            }
            let opensAgain = position + 1 < tokens.count && tokens[position + 1].text == "("
            if depth == 0 && !opensAgain { return position }
        }
        return start
    }

    // MARK: Spelling

    /// Whether `Set<`, `Set(`, `Dictionary<`, `Dictionary(` or `[Key: Value]` begins here.
    static func isUnordered(_ tokens: [SwiftToken], at position: Int) -> Bool {
        let text = tokens[position].text
        let next = position + 1 < tokens.count ? tokens[position + 1].text : ""
        if text == "Set" || text == "Dictionary" {
            return (next == "<" || next == "(") && (position == 0 || tokens[position - 1].text != ".")
        }
        guard text == "[", let colon = type(tokens, from: position + 1), colon + 1 < tokens.count,
            tokens[colon].text == ":"
        else { return false }
        let value = tokens[colon + 1].text
        return ["[", "(", "any", "some"].contains(value) || isTypeName(value)
    }

    /// The position after a type's spelling: `A`, `A.B`, `A<B, C>`.
    private static func type(_ tokens: [SwiftToken], from start: Int) -> Int? {
        guard start < tokens.count, isTypeName(tokens[start].text) else { return nil }
        var position = start + 1
        while position + 1 < tokens.count, tokens[position].text == ".", isTypeName(tokens[position + 1].text) {
            position += 2
        }
        guard position < tokens.count, tokens[position].text == "<" else { return position }
        var depth = 0
        while position < tokens.count {
            if tokens[position].text == "<" { depth += 1 }
            if tokens[position].text == ">" { depth -= 1 }
            position += 1
            if depth == 0 { return position }
        }
        return nil
    }

    private static func isTypeName(_ text: String) -> Bool { text.first?.isUppercase ?? false }
}
