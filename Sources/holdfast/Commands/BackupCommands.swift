// Backups of the cluster's state: taking one, looking whether it is good, declaring again what is in it. A whole new cluster
// begins from one with `holdfast cluster init --from-backup`.

import API
import ArgumentParser
import Cluster
import Consensus
import FoundationEssentials
import Runtime

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Encrypted copies of the cluster's state.",
        discussion: """
            In it: what is declared, what is stored, revisions, events and the audit log. Not in it: keys and certificates,
            of members and of people. A new cluster begins from it with holdfast cluster init --from-backup FILE, under an
            identity of its own; members join and people are admitted anew.
            """,
        subcommands: [Create.self, List.self, Verify.self, Restore.self, Key.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Takes a backup, writes it encrypted, and reads it back. Needs an admin.")

        @Argument(help: "The new file.") var file: String
        @OptionGroup var secret: BackupKeyOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let key = try secret.key()
            let answer = try await connection.withClient(limit: .seconds(30)) { client, limit in
                try await client.backup(within: limit)
            }
            guard let bytes = Data(base64Encoded: answer.state) else {
                throw CommandFailure(ExitStatus.error, "the member's answer is not understood: the state is no base64")
            }
            let backup = Backup(
                manifest: BackupManifest(
                    cluster: answer.cluster, clusterName: answer.clusterName, revision: answer.revision,
                    level: answer.level, version: answer.version, takenMilliseconds: Terminal.current.clock.now(),
                    secretsKey: answer.secretsKey.flatMap { Data(base64Encoded: $0) }),
                encodedState: Array(bytes))
            let shown = try BackupText.failing {
                // Before it is written, so that nothing is that cannot be restored.
                _ = try backup.state()
                try BackupFile.write(try BackupFile.seal(backup, with: key), to: file)
                let again = try BackupFile.open(try BackupFile.read(file), with: key)
                return try BackupText(again, file: file)
            }
            shown.show(output)
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Opens a backup and says what is in it. Asks no cluster.")

        @Argument(help: "The file.") var file: String
        @OptionGroup var secret: BackupKeyOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let key = try secret.key()
            try BackupText.failing { try BackupText(BackupFile.open(BackupFile.read(file), with: key), file: file) }
                .show(output)
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "restore",
            abstract: "Declares in a running cluster what was declared in a backup.",
            discussion: """
                What is declared in the cluster and not in the backup stays; stored values are not touched. For a cluster
                that is lost, holdfast cluster init --from-backup FILE founds a new one instead.
                """)

        @Argument(help: "The file.") var file: String
        @Flag(help: "Only show what would change.") var dryRun = false
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @Flag(help: "Wait until everything declared is healthy, at most --timeout (60s).") var wait = false
        @OptionGroup var secret: BackupKeyOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let key = try secret.key()
            let state = try BackupText.failing { try BackupFile.open(BackupFile.read(file), with: key).state() }
            let documents = state.resources.values.map { $0.declaration.document }
            let terminal = Terminal.current
            try await connection.withClient(limit: wait ? .seconds(60) : .seconds(10)) { client, limit in
                let deadline = ContinuousClock.now + limit
                let plan = try await client.plan(PlanRequest(declarations: documents), within: limit)
                if dryRun {
                    output.show(plan, name: { "" }) { _ in PlanText.plan(plan, style: terminal.style) }
                    if !plan.changes.isEmpty { throw ExitCode(ExitStatus.difference) }
                    return
                }
                if !plan.changes.isEmpty && !yes {
                    terminal.note(PlanText.plan(plan, style: terminal.style))
                    try terminal.confirm("Declare what the backup says?", unless: yes)
                }
                output.show(
                    try await client.apply(
                        ApplyRequest(declarations: documents, checkRevision: plan.index), within: limit))
                guard wait else { return }
                try await Waiting.untilHealthy(state.resources.keys, client, deadline)
            }
        }
    }

    struct Key: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "key", abstract: "Makes a key file for backups: 32 random bytes.",
            discussion: "Keep it where the backups are not. Whoever has both has everything; a backup alone is noise.")

        @Argument(help: "The new file.") var file: String

        func run() async throws {
            try BackupText.failing { try BackupFile.makeKeyFile(at: file) }
            Terminal.current.note("\(file) opens the backups that are made with --key-file \(file)")
        }
    }
}

/// What a backup is opened with.
struct BackupKeyOptions: ParsableArguments {
    @Option(help: "A file whose first line is the passphrase, 12 characters or more; mode 0600.")
    var passphraseFile: String?
    @Option(help: "A file that holdfast backup key made; mode 0600.")
    var keyFile: String?

    var isGiven: Bool { passphraseFile != nil || keyFile != nil }

    func key() throws -> BackupKey {
        try BackupText.failing {
            switch (passphraseFile, keyFile) {
            case (let path?, nil): return try BackupFile.passphrase(at: path)
            case (nil, let path?): return try BackupFile.keyFile(at: path)
            default:
                throw CommandFailure(
                    ExitStatus.error, "a backup has one key", next: "--passphrase-file FILE or --key-file FILE")
            }
        }
    }
}

/// A backup that was opened, as people see it.
struct BackupText {
    private struct Shown: Encodable {
        var file: String
        var cluster: String
        var clusterName: String
        var revision: UInt64
        var level: UInt64
        var version: String
        var taken: String
        var resources: Int
        var values: Int
        var members: [String]
        var operators: [String]
    }

    private let shown: Shown

    init(_ backup: Backup, file: String) throws(BackupError) {
        let state = try backup.state()
        shown = Shown(
            file: file, cluster: backup.manifest.cluster, clusterName: backup.manifest.clusterName,
            revision: backup.manifest.revision, level: backup.manifest.level, version: backup.manifest.version,
            taken: timestamp(milliseconds: backup.manifest.takenMilliseconds), resources: state.resources.count,
            values: state.values.count, members: state.members.values.map(\.name).sorted(),
            operators: state.operators.values.filter { !$0.isRevoked }.map(\.name))
    }

    func show(_ output: OutputOptions) {
        output.show(shown, name: { shown.file }) { _ in
            """
            \(shown.file): cluster \(shown.clusterName) (\(shown.cluster)) at revision \(shown.revision), \
            taken \(shown.taken)
            \(shown.resources) resources, \(shown.values) values; members then: \(shown.members.joined(separator: ", "))
            """
        }
    }

    /// Errors of backups and their files as a command's.
    static func failing<Result>(_ work: () throws -> Result) throws -> Result {
        do {
            return try work()
        } catch let error as BackupError {
            throw CommandFailure(ExitStatus.error, error.description)
        } catch let error as IdentityError {
            throw CommandFailure(ExitStatus.error, error.description)
        }
    }
}
