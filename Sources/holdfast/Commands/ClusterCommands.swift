// The cluster itself: its members, what it can lose, who leads, who may join.

import API
import ArgumentParser
import Cluster
import Consensus
import Runtime
import X509

struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "The cluster itself: members, tokens, leadership.",
        subcommands: [
            ClusterInit.self, JoinCommand.self, Members.self, ToleranceCommand.self, Token.self, TransferLeader.self,
            Remove.self, Rename.self, Recover.self, RotateAuthority.self, Upgrade.self, Disarm.self, Arm.self,
        ])

    struct Members: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "members", abstract: "Who belongs to it.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var read: ReadOptions
        @OptionGroup var watching: WatchOptions

        func run() async throws {
            try await connection.withClient { client, limit in
                try await watching.run {
                    let answer = try await client.members(read.consistency, within: limit)
                    read.noteAge(answer.read)
                    Self.show(answer, output)
                }
            }
        }

        static func show(_ answer: MembersDocument, _ output: OutputOptions) {
            let names = answer.members.map { "member/\($0.name)" }.joined(separator: "\n")
            output.show(answer.members, name: { names }) { wide in
                StatusText.members(answer.members, Terminal.current.style, wide: wide).lines().joined(separator: "\n")
            }
        }
    }

    struct ToleranceCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "tolerance", abstract: "What can be lost now, and what not, and why.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var read: ReadOptions

        func run() async throws {
            let report = try await connection.withClient { client, limit in
                try await client.tolerance(read.consistency, within: limit)
            }
            read.noteAge(report.read)
            let names = report.tolerance.filter(\.canBeLost).map(\.domain).joined(separator: "\n")
            output.show(report.tolerance, name: { names }) { _ in
                StatusText.tolerance(report.tolerance, Terminal.current.style)
            }
        }
    }

    struct TransferLeader: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "transfer-leader", abstract: "Hands leadership to another voter.")

        @Argument(help: "Its name; without it, the best one.") var member: String?
        @Option(help: "The same, as an option.") var to: String?
        @Flag(help: "Wait until it leads, at most --timeout (5s).") var wait = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let wanted = member ?? to
            let outcome = try await connection.withClient(limit: .seconds(5), dryRun: rehearsal.dryRun) {
                client, limit in
                let deadline = ContinuousClock.now + limit
                try await connection.requireQuorum(client)
                let before = try await client.status(.linearizable, within: limit).leader
                let outcome = try await client.transferLeader(TransferRequest(to: wanted), within: limit)
                guard wait, outcome.changed, !rehearsal.dryRun else { return outcome }
                try await Waiting.until(deadline, "another member leads") { left in
                    let leader = try await client.status(.linearizable, within: left).leader
                    let isDone = wanted.map { leader == $0 } ?? (leader != nil && leader != before)
                    return isDone ? [] : ["\(leader ?? "nobody") leads"]
                }
                return outcome
            }
            output.show(outcome)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Removes a member for good; its certificate is worth nothing from then on."
        )

        @Argument(help: "Name or id of the member.") var member: String
        @Flag(help: "Also when the cluster can then lose less than now.") var force = false
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @Flag(help: "Wait until the others vote without it, at most --timeout (30s).") var wait = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try Terminal.current.confirm("Remove \(member) from the cluster?", unless: yes || rehearsal.dryRun)
            let outcome = try await connection.withClient(
                limit: wait ? .seconds(30) : ConnectionOptions.defaultLimit, dryRun: rehearsal.dryRun
            ) { client, limit in
                let deadline = ContinuousClock.now + limit
                let outcome = try await client.removeMember(
                    RemoveMemberRequest(member: member, force: force ? true : nil), within: limit)
                guard wait, !rehearsal.dryRun else { return outcome }
                // A voter that is not a member any more still counts until the configuration has followed.
                try await Waiting.until(deadline, "\(member) votes no more") { left in
                    let departing = try await client.tolerance(.linearizable, within: left).departing ?? []
                    return departing.map { "\($0) still counts" }
                }
                return outcome
            }
            output.show(outcome)
        }
    }

    struct Recover: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "recover",
            abstract: "Goes on without a majority that is gone for good. What only the lost members had is lost.",
            discussion: """
                For one case: so many voters are gone for ever that no majority can come back. Ask a surviving voter, with \
                --endpoints. It asks everybody else first, and refuses when a majority can still decide, when a member \
                that is named answers, when a voter neither answers nor is named, or when another survivor has more of \
                the log. Then a new epoch begins, in which the survivors are the cluster. Members of the old one are not \
                listened to any more and stop when they hear of it; they join anew with a token.
                """)

        @Option(
            name: .customLong("i-verified-dead"), parsing: .upToNextOption,
            help: ArgumentHelp(
                "Members that you have verified to be off, and that stay off.", valueName: "member"))
        var dead: [String]
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let names = dead.joined(separator: ", ")
            try Terminal.current.confirm(
                "Whatever was acknowledged and only \(names) had is lost, and they never come back as they were. "
                    + "Go on without them?", unless: yes)
            let outcome = try await connection.withClient(limit: .seconds(10)) { client, limit in
                try await client.recover(RecoverRequest(verifiedDead: dead), within: limit)
            }
            output.show(outcome)
        }
    }
}
