// The program: every subcommand is registered here, and every way it can end is turned into an exit code here.

import ArgumentParser
import Glibc

@main
struct Holdfast: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Keeps a home lab running: one cluster of hosts, their guests and a witness.",
        discussion: """
            Exit codes: 0 fine or no difference, 1 difference found (plan, diff) or something
            would stay down (what-if), 2 error, 3 not found, 4 conflict,
            5 no quorum or unreachable, 6 forbidden, 7 timed out waiting, 8 refused as unsafe.
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(
                name: "Look",
                subcommands: [
                    StatusCommand.self, GetCommand.self, DescribeCommand.self, ExplainCommand.self, WhyCommand.self,
                    WhatIfCommand.self,
                    EventsCommand.self, AuditCommand.self, RevisionsCommand.self,
                    TopCommand.self, DoctorCommand.self, SupportCommand.self,
                ]),
            CommandGroup(
                name: "Change",
                subcommands: [
                    PlanCommand.self, DiffCommand.self, ApplyCommand.self, DeleteCommand.self, RollbackCommand.self,
                    AddressCommand.self, MachineCommand.self, ContainerCommand.self, HostCommand.self,
                    FenceCommand.self, ValueCommand.self, BackupCommand.self,
                ]),
            CommandGroup(
                name: "Run",
                subcommands: [
                    AgentCommand.self, ClusterCommand.self, ContextCommand.self, CompletionCommand.self,
                    VersionCommand.self,
                ]),
        ])

    static func main() async {
        Glibc.exit(await run(Array(CommandLine.arguments.dropFirst())))
    }

    /// Runs one command line and gives its exit code. What it prints goes through `Terminal.current`.
    static func run(_ arguments: [String]) async -> Int32 {
        let terminal = Terminal.current
        do {
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            return ExitStatus.fine
        } catch let failure as CommandFailure {
            terminal.note(failure.text)
            return failure.exitCode
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            // What is left is ArgumentParser's: a request for help (which is no error), or a command line it refuses.
            let text = fullMessage(for: error)
            guard exitCode(for: error).isSuccess else {
                terminal.note(text)
                return ExitStatus.error
            }
            terminal.print(text)
            return ExitStatus.fine
        }
    }
}

/// Exit codes that no server's answer decides.
enum ExitStatus {
    static let fine: Int32 = 0
    static let difference: Int32 = 1
    static let error: Int32 = 2
    static let notFound: Int32 = 3
    static let unreachable: Int32 = 5
    static let forbidden: Int32 = 6
    static let timedOut: Int32 = 7
    static let unsafe: Int32 = 8
}

/// Why a command ends without what it was asked for.
struct CommandFailure: Error, Hashable, Sendable {
    var exitCode: Int32
    var message: String
    /// What to try next; empty when there is nothing to say.
    var next: String
    /// Further lines, for an error that has several parts.
    var details: [String]

    init(_ exitCode: Int32, _ message: String, next: String = "", details: [String] = []) {
        self.exitCode = exitCode
        self.message = message
        self.next = next
        self.details = details
    }

    /// As it is shown: the sentence, its parts, the next thing to try.
    var text: String {
        (["holdfast: \(message)"] + details.map { "  \($0)" } + (next.isEmpty ? [] : ["  try: \(next)"]))
            .joined(separator: "\n")
    }
}
