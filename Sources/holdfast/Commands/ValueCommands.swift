// The small store of values.

import API
import ArgumentParser
import Cluster

struct ValueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kv", abstract: "A small store of values for scripts, kept like everything else.",
        subcommands: [Get.self, Put.self, Delete.self, List.self])

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "get", abstract: "Prints a value.")

        @Argument var key: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var read: ReadOptions

        func run() async throws {
            let answer = try await connection.withClient { client, limit in
                try await client.value(key, read.consistency, within: limit)
            }
            read.noteAge(answer.read)
            output.show(answer, name: { answer.key }) { _ in answer.value }
        }
    }

    struct Put: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "put",
            abstract: "Writes a value; with a condition, only when it holds (exit code 4 otherwise).")

        @Argument var key: String
        @Argument var value: String
        @Flag(help: "Only when there is no value yet.") var ifAbsent = false
        @Option(help: "Only when this is the present value.") var ifValue: String?
        @Flag(help: "Seal it, so that it is in the clear on no disk; only operators read it.") var secret = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if ifAbsent && ifValue != nil { throw ValidationError("Give --if-absent or --if-value, not both.") }
        }

        func run() async throws {
            let expected: ExpectedValue? = ifAbsent ? .absent : ifValue.map { .value($0) }
            let outcome = try await connection.withClient(dryRun: rehearsal.dryRun) { client, limit in
                try await client.put(value, at: key, expecting: expected, secret: secret, within: limit)
            }
            output.show(outcome)
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "delete", abstract: "Removes a value.")

        @Argument var key: String
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let outcome = try await connection.withClient(dryRun: rehearsal.dryRun) { client, limit in
                try await client.removeValue(at: key, within: limit)
            }
            output.show(outcome)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Keys and values.")

        @Argument(help: "Only keys that begin with this.") var prefix: String = ""
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var read: ReadOptions

        func run() async throws {
            let items = try await connection.withClient { client, limit in
                var items: [ValuesDocument.Item] = []
                var page = try await client.values(prefix: prefix, after: nil, read.consistency, within: limit)
                read.noteAge(page.read)
                items += page.values
                while page.more, let last = items.last?.key {
                    page = try await client.values(prefix: prefix, after: last, read.consistency, within: limit)
                    items += page.values
                }
                return items
            }
            output.show(items, name: { items.map(\.key).joined(separator: "\n") }) { wide in
                guard !items.isEmpty else { return "" }
                var table = Table(["KEY", "VALUE"] + (wide ? ["MODIFIED"] : []))
                for item in items {
                    let shown = item.secret == true ? "(secret)" : item.value
                    table.add([item.key, shown] + (wide ? [String(item.modified)] : []))
                }
                return table.lines().joined(separator: "\n")
            }
        }
    }
}
