// Virtual addresses: where they are, and moving them.

import API
import ArgumentParser
import Cluster

struct AddressCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vip", abstract: "Virtual addresses: where they are, and moving them.",
        subcommands: [List.self, Move.self, Release.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Who holds which address.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var read: ReadOptions
        @OptionGroup var watching: WatchOptions

        func run() async throws {
            try await connection.withClient { client, limit in
                try await watching.run {
                    let status = try await client.status(read.consistency, within: limit)
                    read.noteAge(status.read)
                    let names = status.addresses.map { "virtualip/\($0.name)" }.joined(separator: "\n")
                    output.show(status.addresses, name: { names }) { wide in
                        StatusText.addresses(status.addresses, Terminal.current.clock, wide: wide).lines()
                            .joined(separator: "\n")
                    }
                }
            }
        }
    }

    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "move", abstract: "Moves an address to a candidate, and waits until it is there.")

        @Argument(help: "The name of the VirtualIP.") var name: String
        @Argument(help: "The member that shall hold it.") var member: String?
        @Option(help: "The same, as an option.") var to: String?
        @Flag(help: "Waiting is what this command does anyway.") var wait = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if (member == nil) == (to == nil) {
                throw ValidationError("Name the member once: holdfast vip move NAME MEMBER")
            }
        }

        func run() async throws {
            let target = member ?? to ?? ""
            let bare = TypedKey(argument: name)?.key.name ?? name
            let outcome = try await connection.withClient(limit: .seconds(10), dryRun: rehearsal.dryRun) {
                client, limit in
                try await connection.requireQuorum(client)
                return try await client.move(MoveRequest(name: bare, to: target), within: limit)
            }
            output.show(outcome)
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "release",
            abstract: "Moves an address away from its holder, to the first other candidate that can, and waits.")

        @Argument(help: "The name of the VirtualIP.") var name: String
        @Flag(help: "Waiting is what this command does anyway.") var wait = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let bare = TypedKey(argument: name)?.key.name ?? name
            let outcome = try await connection.withClient(limit: .seconds(10), dryRun: rehearsal.dryRun) {
                client, limit in
                try await connection.requireQuorum(client)
                return try await client.release(ReleaseRequest(name: bare), within: limit)
            }
            output.show(outcome)
        }
    }
}
