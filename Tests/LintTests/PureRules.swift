// What the pure half must not contain: anything whose result depends on more than its arguments.
// Relies on names alone; a type of ours that shares a banned name must be renamed or declared inside another type.

enum PureRules {
    /// Source patterns as one would write them, and what to do instead.
    static let bannedCalls: [(pattern: String, advice: String)] = [
        ("Date()", "reads a clock; take the time as a parameter"),
        ("Date.now", "reads a clock; take the time as a parameter"),
        ("ContinuousClock", "reads a clock; take `now: Instant` as a parameter"),
        ("SuspendingClock", "reads a clock; take `now: Instant` as a parameter"),
        ("clock_gettime(", "reads a clock; take `now: Instant` as a parameter"),
        ("UUID()", "draws randomness; take an identifier that the caller drew"),
        ("SystemRandomNumberGenerator", "draws randomness; take `random: inout some RandomNumberGenerator`"),
        (".random(", "may change with the standard library; use `random.uniform(below:)`"),
        (".shuffled(", "may change with the standard library; draw positions with `random.uniform(below:)`"),
        (".shuffle(", "may change with the standard library; draw positions with `random.uniform(below:)`"),
        (".randomElement(", "may change with the standard library; use `random.uniform(below:)`"),
        (".hashValue", "differs between processes; compute a digest of your own"),
        ("Hasher()", "differs between processes; compute a digest of your own"),
        ("Task {", "starts concurrent work; return an effect and let the world half do it"),
        ("Task.", "belongs to concurrency; return an effect and let the world half do it"),
        ("await", "waits; return an effect and take its result as an event"),
        ("DispatchQueue", "belongs to concurrency; return an effect and let the world half do it"),
        ("FileManager", "touches the disk; return an effect and let the world half do it"),
        ("ProcessInfo", "looks at the process; take what you need as a parameter"),
        ("print(", "writes to the outside; return an effect that carries the line"),
    ]

    static func calls(_ file: SourceFile) -> [Finding] {
        occurrences(of: bannedCalls.map(\.pattern), in: file).map { position, which in
            let (pattern, advice) = bannedCalls[which]
            return file.finding(file.tokens[position].line, "`\(pattern)` \(advice)")
        }
    }

    /// Where patterns begin. A word after a dot or a declaring keyword is somebody else's of that name.
    static func occurrences(of patterns: [String], in file: SourceFile) -> [(position: Int, pattern: Int)] {
        let wanted = patterns.map { SwiftTokens.read($0).map(\.text) }
        let tokens = file.tokens
        var found: [(Int, Int)] = []
        for position in tokens.indices {
            for (which, pattern) in wanted.enumerated()
            where tokens[position].text == pattern[0] && position + pattern.count <= tokens.count {
                let matches = pattern.indices.allSatisfy { tokens[position + $0].text == pattern[$0] }
                let before = position > 0 ? tokens[position - 1].text : ""
                let isOther = pattern[0] != "." && [".", "struct", "enum", "class", "func", "case"].contains(before)
                if matches && !isOther { found.append((position, which)) }
            }
        }
        return found
    }
}
