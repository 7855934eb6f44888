// The form every file has: a header, a bounded size, no shortcuts that turn an error into a crash, no loose ends, and no
// trace of the machine it was written on. Generated code is exempt from all but the last.

enum FormRules {
    static let mostFileLines = 500
    static let guideFileLines = 400
    static let mostFunctionLines = 80

    static func header(_ file: SourceFile) -> [Finding] {
        guard file.isSwift, !file.isGenerated, !file.isPlaceholder else { return [] }
        var lines = file.lines[...]
        if lines.first?.hasPrefix("// swift-tools-version") == true { lines = lines.dropFirst() }
        let header = lines.prefix { $0.hasPrefix("//") }
        guard header.isEmpty else { return [] }
        return [
            file.finding(
                1,
                "opens without a header; write in `//` lines what it is for, what it relies on, what it does not do"
            )
        ]
    }

    /// A placeholder beside real files has done its work.
    static func placeholder(_ file: SourceFile, among files: [SourceFile]) -> [Finding] {
        guard file.isPlaceholder, let slash = file.path.lastIndex(of: "/") else { return [] }
        let folder = String(file.path[..<slash])
        guard files.contains(where: { $0.isSwift && !$0.isPlaceholder && $0.isInside(folder) }) else { return [] }
        return [file.finding(1, "holds no code and \(folder) has other files; delete it")]
    }

    static func size(_ file: SourceFile) -> [Finding] {
        guard file.isSwift, !file.isGenerated else { return [] }
        var findings: [Finding] = []
        let count = file.lines.count
        if count > mostFileLines {
            findings.append(
                file.finding(
                    count,
                    "\(count) lines; a file has at most \(mostFileLines), better \(guideFileLines): name its parts and give each a file"
                ))
        }
        for function in functions(file.tokens) where function.lines > mostFunctionLines {
            findings.append(
                file.finding(
                    function.line,
                    "`\(function.name)` has \(function.lines) lines; a function has at most \(mostFunctionLines): name its steps and make them functions"
                ))
        }
        return findings
    }

    /// Functions and initialisers with a body, and how many lines each takes from its name to its closing brace.
    static func functions(_ tokens: [SwiftToken]) -> [(name: String, line: Int, lines: Int)] {
        var found: [(String, Int, Int)] = []
        for position in tokens.indices.dropLast() where ["func", "init", "subscript"].contains(tokens[position].text) {
            guard position == 0 || ![".", "import"].contains(tokens[position - 1].text),
                let open = body(tokens, from: position + 1)
            else { continue }
            var depth = 0
            var end = open
            while end < tokens.count {
                if tokens[end].text == "{" { depth += 1 }
                if tokens[end].text == "}" { depth -= 1 }
                if depth == 0 { break }
                end += 1
            }
            let last = tokens[min(end, tokens.count - 1)].line
            let name = tokens[position].text == "func" ? tokens[position + 1].text : tokens[position].text
            found.append((name, tokens[position].line, last - tokens[position].line + 1))
        }
        return found
    }

    /// The brace that opens the body of the declaration going on at `start`; nil when it has none.
    private static func body(_ tokens: [SwiftToken], from start: Int) -> Int? {
        var depth = 0
        for position in start..<tokens.count {
            switch tokens[position].text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return position
            case "func", "var", "let", "init", "subscript", "case", "import", "struct", "enum", "}", "=":
                if depth == 0 && position > start + 1 { return nil }
            default: break
            }
        }
        return nil
    }

    // MARK: Shortcuts

    static let shortcuts: [(pattern: String, advice: String)] = [
        ("try!", "turns an error into a crash without words; throw it on, or handle it"),
        ("as!", "turns a wrong type into a crash without words; use `as?` and say what was expected"),
        (
            "fatalError(",
            "is silent about the cause in release; use `precondition` for what must never be, an error for what may happen"
        ),
    ]

    static func crashes(_ file: SourceFile) -> [Finding] {
        PureRules.occurrences(of: shortcuts.map(\.pattern), in: file).map { position, which in
            file.finding(file.tokens[position].line, "`\(shortcuts[which].pattern)` \(shortcuts[which].advice)")
        }
    }

    static let sleeps = [
        "sleep(", "usleep(", "nanosleep(", "Thread.sleep", "Task.sleep", ".sleep(for:", ".sleep(until:",
    ]

    static func sleeping(_ file: SourceFile) -> [Finding] {
        PureRules.occurrences(of: sleeps, in: file).map { position, which in
            file.finding(
                file.tokens[position].line,
                "`\(sleeps[which])` in a test makes it slow on one machine and wrong on another; wait for the event itself, with a deadline"
            )
        }
    }

    // MARK: Words

    static let looseEnds = ["TODO", "FIXME", "XXX"]
    /// Absolute paths of a build machine, and a folder beside the repository.
    static let machinePaths = ["/root/", "/opt/swift", "/work/", "../shared"]

    static func looseEnds(_ file: SourceFile) -> [Finding] {
        words(looseEnds, in: file) {
            "\($0) is a promise without a date; do it, or say in a sentence why it is as it is"
        }
    }

    static func machinePaths(_ file: SourceFile) -> [Finding] {
        words(machinePaths, in: file) {
            "`\($0)` exists on one machine only; use a path relative to the package, a parameter, or the environment"
        }
    }

    /// Lines of the raw text, comments and strings included, that contain a word on its own.
    private static func words(_ words: [String], in file: SourceFile, advice: (String) -> String) -> [Finding] {
        var findings: [Finding] = []
        for word in words where file.text.contains(word) {
            for (index, line) in file.lines.enumerated() where contains(line, word) {
                findings.append(file.finding(index + 1, advice(word)))
            }
        }
        return findings
    }

    private static func contains(_ line: Substring, _ word: String) -> Bool {
        line.ranges(of: word).contains { range in
            let before = range.lowerBound > line.startIndex ? line[line.index(before: range.lowerBound)] : " "
            let after = range.upperBound < line.endIndex ? line[range.upperBound] : " "
            let joinsBefore = isWord(before) && (isWord(word.first!) || word.hasPrefix("/"))
            return !joinsBefore && !(isWord(after) && isWord(word.last!))
        }
    }

    private static func isWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_" || character == "."
    }
}
