// `holdfast cluster join`: makes this machine a member and starts nothing, for machines whose service manager runs the agent.

import ArgumentParser
import Cluster
import NIOPosix
import Runtime

struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Make this machine a member of a cluster, with a token.",
        discussion: """
            Asks the member that the token names for a certificate and writes this machine's identity to the data
            directory. Then start the agent: systemctl start holdfast, or holdfast agent. `holdfast agent --join TOKEN`
            does both.
            """)

    @Argument(help: "What `holdfast cluster token create` printed.")
    var token: String

    @OptionGroup var place: DataDirectoryOption

    @Option(help: "This member's name; a-z, 0-9 and hyphen.")
    var name: String

    @Option(help: "Checked against the token's kind.")
    var kind: MemberKindOption?

    @Option(help: "The host this guest runs on now.")
    var host: String = ""

    @Option(help: "This machine's own address, where the others reach it.")
    var address: String

    @Option(help: "Port for the other members.")
    var peerPort: Int = 7_400

    @Option(help: "Port for the CLI.")
    var apiPort: Int = 7_443

    func run() async throws {
        let terminal = Terminal.current
        let folder = IdentityFolder(dataDirectory: place.dataDir)
        guard !folder.isComplete else {
            throw CommandFailure(
                ExitStatus.error, "this machine is a member already: \(place.dataDir) holds an identity",
                next: "systemctl start holdfast, or holdfast agent --data-dir \(place.dataDir)")
        }
        let newcomer = Newcomer(
            name: name, kind: kind?.kind, host: host, address: address, peerPort: peerPort, apiPort: apiPort)
        do {
            try await newcomer.join(with: token, into: folder) { terminal.note($0) }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(ExitStatus.error, "this machine did not join: \(error)")
        }
        terminal.note("next: systemctl start holdfast, or holdfast agent --data-dir \(place.dataDir)")
    }
}

/// A machine that wants to become a member, and how it does.
struct Newcomer {
    let name: String
    /// Nil: whatever the token says.
    let kind: MemberKind?
    let host: String
    let address: String
    let peerPort: Int
    let apiPort: Int

    /// - Throws: `CommandFailure` for a token of another kind, and what the token's text, the member that was asked or the
    ///   folder objects to. Nothing is written then but the key, which a second attempt uses again.
    func join(with text: String, into folder: IdentityFolder, note: (String) -> Void) async throws {
        let token = try JoinTokenText(text)
        if let kind, kind != token.kind {
            throw CommandFailure(
                ExitStatus.error, "the token is for a \(token.kind.rawValue), not for a \(kind.rawValue)",
                next: "holdfast cluster token create --kind \(kind.rawValue)")
        }
        var applicant = JoinApplicant(
            name: name, host: host, address: address, peerPort: peerPort, apiPort: apiPort, version: Version.current)
        applicant.place = .here()
        note("joining cluster \(token.cluster) as \(token.kind.rawValue) \(name)")
        let identity = try await JoinClient.join(
            token: token, applicant: applicant, key: try folder.keyForJoining(),
            group: MultiThreadedEventLoopGroup.singleton)
        try folder.create(identity)
        note("joined: \(identity)")
    }
}
