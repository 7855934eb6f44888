// Imports point only upward in the layout, and the pure half imports nothing from outside.
// Sees the import lines of Swift files; what a target may link is Package.swift's to say.

enum ImportRules {
    static func check(_ file: SourceFile) -> [Finding] {
        imports(file).compactMap { name, line in
            if name == "FoundationNetworking" {
                return file.finding(
                    line,
                    "FoundationNetworking pulls in libcurl and thirty more libraries; use AsyncHTTPClient in the world half"
                )
            }
            guard let module = Layout.module(of: file), name != module.name else { return nil }
            if Layout.own.contains(name) {
                guard !module.mayImport.contains(name) else { return nil }
                return file.finding(
                    line,
                    "\(module.name) must not import \(name): imports point only upward (Tests/LintTests/Layout.swift); move what is needed up, or pass it in"
                )
            }
            guard module.isPure, !(Layout.foreignImports[file.path] ?? []).contains(name) else { return nil }
            return file.finding(
                line,
                "\(module.name) is pure and imports nothing from outside; `import \(name)` belongs in the world half")
        }
    }

    /// The modules a file imports, with their lines.
    static func imports(_ file: SourceFile) -> [(name: String, line: Int)] {
        let tokens = file.tokens
        let kinds = ["struct", "class", "enum", "protocol", "typealias", "func", "var", "let"]
        var found: [(String, Int)] = []
        for position in tokens.indices.dropLast() where tokens[position].text == "import" {
            guard position == 0 || tokens[position - 1].text != "." else { continue }
            let next = position + 1
            let isOfKind = kinds.contains(tokens[next].text) && next + 1 < tokens.count
            found.append((tokens[isOfKind ? next + 1 : next].text, tokens[position].line))
        }
        return found
    }
}
