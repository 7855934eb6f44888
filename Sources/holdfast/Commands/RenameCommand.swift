// `holdfast cluster rename`: a member's name changes, the member does not.

import API
import ArgumentParser

extension ClusterCommand {
    struct Rename: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rename", abstract: "Gives a member another name.",
            discussion: """
                Identity is the key, so nothing moves and nothing restarts. The old name goes on meaning the member in what is \
                declared, in --host of guests and on the command line, until another member takes it; that is refused as long \
                as a resource says it. The answer names those resources: write the new name there and apply.
                """)

        @Argument(help: "Name or id of the member.") var member: String
        @Argument(help: "Its new name; a-z, 0-9 and hyphen.") var name: String
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            output.show(
                try await connection.withClient(dryRun: rehearsal.dryRun) { client, limit in
                    try await client.renameMember(RenameMemberRequest(member: member, name: name), within: limit)
                })
        }
    }
}
