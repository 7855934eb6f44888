// Commands that need no cluster: contexts, completion, version, explanations of kinds.

import API
import ArgumentParser
import Kinds

struct ContextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "context", abstract: "Which clusters there are, which one commands go to, and who may use it.",
        subcommands: [List.self, Use.self, Add.self, Renew.self, Revoke.self, Operators.self, Recover.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "The contexts of this person.")

        @OptionGroup var output: OutputOptions

        /// A context without its key.
        private struct Shown: Encodable {
            var name: String
            var current: Bool
            var endpoints: [String]
        }

        func run() async throws {
            let terminal = Terminal.current
            let file = try ContextFile.load(path: ContextFile.path(terminal.environment), note: terminal.note)
            let shown = file.contexts.map { context in
                var context = context
                context.members = KnownMembers.of(context).members
                return Shown(name: context.name, current: context.name == file.current, endpoints: context.places)
            }
            output.show(shown, name: { shown.map(\.name).joined(separator: "\n") }) { _ in
                guard !shown.isEmpty else { return "" }
                var table = Table(["", "NAME", "ENDPOINTS"])
                for context in shown {
                    table.add([context.current ? "*" : "", context.name, context.endpoints.joined(separator: ",")])
                }
                return table.lines().joined(separator: "\n")
            }
            if shown.isEmpty { terminal.note("\(ContextFile.path(terminal.environment)) has no context") }
        }
    }

    struct Use: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "use", abstract: "Chooses the context that commands use when none is named.")

        @Argument var name: String

        func run() async throws {
            let terminal = Terminal.current
            let path = ContextFile.path(terminal.environment)
            var file = try ContextFile.load(path: path, note: terminal.note)
            guard file.contexts.contains(where: { $0.name == name }) else {
                throw CommandFailure(
                    ExitStatus.notFound, "\(path) has no context named \(name)", next: "holdfast context list")
            }
            file.current = name
            try file.save(path: path)
            terminal.print("commands go to \(name) now")
        }
    }
}

struct CompletionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Prints what makes a shell complete commands.",
        discussion: "bash: source <(holdfast completion bash)")

    @Argument(help: "bash, zsh or fish.") var shell: String

    func validate() throws {
        if CompletionShell(rawValue: shell) == nil { throw ValidationError("The shell must be bash, zsh or fish.") }
    }

    func run() async throws {
        guard let shell = CompletionShell(rawValue: shell) else { return }
        Terminal.current.print(Holdfast.completionScript(for: shell))
    }
}

struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Prints the version of this program.")

    @OptionGroup var output: OutputOptions

    private struct Shown: Encodable {
        var version: String
    }

    func run() async throws {
        output.show(Shown(version: Version.current), name: { Version.current }) { _ in "holdfast \(Version.current)" }
    }
}
