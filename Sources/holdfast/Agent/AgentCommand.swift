// `holdfast agent`: runs this machine's member, after joining a cluster if it is told to.

import Agent
import ArgumentParser
import Cluster
import Logging
import NIOPosix
import Runtime
import ServiceLifecycle

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Run this machine's agent.",
        discussion: """
            The first time on a new member: holdfast agent --join TOKEN --name pve2 --address 192.168.1.107
            (a guest also says --host, the host it runs on). Afterwards: holdfast agent. What kind of member joins is
            written in the token. SIGTERM gives addresses and leadership away before the agent ends.
            """)

    @OptionGroup var place: DataDirectoryOption

    @Option(help: "Join with this token first. Ignored by a member that has joined already.")
    var join: String?

    @Option(help: "With --join: this member's name; a-z, 0-9 and hyphen.")
    var name: String?

    @Option(help: "With --join: checked against the token's kind.")
    var kind: MemberKindOption?

    @Option(help: "The host this guest runs on now.")
    var host: String?

    @Option(help: "With --join: this machine's own address, where the others reach it.")
    var address: String?

    @Option(help: "With --join: port for the other members.")
    var peerPort: Int = 7_400

    @Option(help: "With --join: port for the CLI.")
    var apiPort: Int = 7_443

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel: String = "info"

    @Option(help: "text, or json: one object to a line.")
    var logFormat = LogFormat.text

    @Flag(help: "Something else than systemd starts this agent again when it ends; restarts may be asked for.")
    var supervised = false

    /// All members of a cluster must be given the same, or they have no snapshots in common.
    @Option(
        help: ArgumentHelp("Take a snapshot after so many entries, however long (for tests).", visibility: .hidden))
    var snapshotEvery: UInt64?

    func run() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw CommandFailure(
                ExitStatus.error, "\(logLevel.debugDescription) is not a log level",
                next: "--log-level info (or trace, debug, notice, warning, error)")
        }
        let format = logFormat
        LoggingSystem.bootstrap { label in
            switch format {
            case .text: StreamLogHandler.standardError(label: label)
            case .json: JSONLog(label: label)
            }
        }
        var log = Logger(label: "holdfast")
        log.logLevel = level

        let folder = IdentityFolder(dataDirectory: place.dataDir)
        do {
            if !folder.isComplete { try await joinCluster(folder, log) }
            let identity = try folder.load()
            let member = try RunningMember(
                identity: identity, dataDirectory: place.dataDir, host: host,
                snapshots: snapshotEvery.map { SnapshotPolicy(entries: max($0, 2), bytes: .max) } ?? SnapshotPolicy(),
                isSupervised: supervised, log: log)
            try await member.run()
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(ExitStatus.error, "the agent cannot run: \(error)")
        }
    }

    private func joinCluster(_ folder: IdentityFolder, _ log: Logger) async throws {
        guard let join else {
            throw CommandFailure(
                ExitStatus.error, "this machine belongs to no cluster (\(place.dataDir) holds no identity)",
                next:
                    "found one with holdfast cluster init, or join one with holdfast agent --join TOKEN --name NAME --address ADDRESS"
            )
        }
        guard let name, let address else {
            throw CommandFailure(
                ExitStatus.error, "to join, this machine's --name and --address are needed",
                next: "holdfast agent --join TOKEN --name pve2 --address 192.168.1.107")
        }
        let newcomer = Newcomer(
            name: name, kind: kind?.kind, host: host ?? "", address: address, peerPort: peerPort, apiPort: apiPort)
        try await newcomer.join(with: join, into: folder) { log.notice("\($0)") }
    }
}

enum LogFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

/// A member kind on the command line.
struct MemberKindOption: ExpressibleByArgument {
    let kind: MemberKind

    init?(argument: String) {
        guard let kind = MemberKind(rawValue: argument) else { return nil }
        self.kind = kind
    }

    static var allValueStrings: [String] { MemberKind.allCases.map(\.rawValue) }
}
