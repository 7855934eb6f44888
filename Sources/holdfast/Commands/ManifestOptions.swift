// Reading manifests for the commands that take them.

import ArgumentParser
import Cluster
import Kinds
import Manifests

struct ManifestOptions: ParsableArguments {
    @Option(
        name: [.customShort("f"), .customLong("filename")],
        help: ArgumentHelp(
            "A file, a folder with all that is below it, or - for the standard input.", valueName: "path"))
    var files: [String] = []

    func read() throws -> [Declaration] {
        if files.isEmpty { throw ValidationError("Name the manifests: -f FILE, -f FOLDER or -f -") }
        return try Self.read(files)
    }

    /// The declarations in all of `paths`, checked each by itself and with one another.
    /// - Throws: `CommandFailure` with everything that is wrong, each with file and line.
    static func read(_ paths: [String]) throws -> [Declaration] {
        let files = paths.filter { $0 != "-" }
        do throws(ManifestErrors) {
            var located = files.isEmpty ? [] : try ManifestReader.read(paths: files)
            if files.count < paths.count {
                located += try ManifestReader.read(bytes: Terminal.current.standardInput())
            }
            let problems = KindRegistry.crossCheck(located.declarations, against: [])
            if let errors = located.errors(for: problems) { throw errors }
            return located.declarations
        } catch {
            throw CommandFailure(
                ExitStatus.error, "the manifests are not valid",
                next: "see the fields of a kind: holdfast explain KIND",
                details: error.description.split(separator: "\n").map(String.init))
        }
    }
}

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "The fields of a kind: what they mean, what may stand there, an example.")

    @Argument(help: "KIND, or KIND.FIELD for one field and what is below it; without it, all kinds there are.")
    var kind: String?

    func run() async throws {
        guard let kind else {
            var table = Table(["KIND", "ALSO", "WHAT IT IS"])
            for schema in KindRegistry.all {
                let sentence = schema.documentation.split(separator: ".", maxSplits: 1).first.map { "\($0)." } ?? ""
                table.add([schema.kind, schema.otherNames.joined(separator: ", "), sentence])
            }
            return Terminal.current.print(table.lines().joined(separator: "\n"))
        }
        if let dot = kind.firstIndex(of: ".") {
            return try explain(field: String(kind[kind.index(after: dot)...]), of: String(kind[..<dot]))
        }
        guard let text = KindRegistry.explain(kind) else {
            throw CommandFailure(
                ExitStatus.notFound, "there is no kind \(kind)",
                next: KindRegistry.nearest(to: kind).map { "holdfast explain \($0)" } ?? "holdfast explain")
        }
        Terminal.current.print(text)
    }

    private func explain(field: String, of kind: String) throws {
        guard let schema = KindRegistry.schema(called: kind) else {
            throw CommandFailure(
                ExitStatus.notFound, "there is no kind \(kind)",
                next: KindRegistry.nearest(to: kind).map { "holdfast explain \($0)" } ?? "holdfast explain")
        }
        guard let text = schema.explanation(ofField: field) else {
            throw CommandFailure(
                ExitStatus.notFound, "\(schema.kind) has no field \(field)", next: "holdfast explain \(schema.kind)",
                details: schema.fieldPaths)
        }
        Terminal.current.print(text)
    }
}
