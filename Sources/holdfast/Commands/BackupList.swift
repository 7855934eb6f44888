// The backups that lie in a folder: which there are, of what cluster, how old, and whether they open.

import API
import ArgumentParser
import FoundationEssentials
import Runtime

extension BackupCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "The backups in a folder, newest first. Asks no cluster.",
            discussion: """
                With a key each is opened, which shows that it is whole; with a passphrase that takes about half a second for
                each. Without one only what is in the clear is shown: how the key comes. What is no backup is left out.
                """)

        @Argument(help: "The folder.") var folder = "."
        @OptionGroup var secret: BackupKeyOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let key = secret.isGiven ? try secret.key() : nil
            let found = try BackupText.failing { try BackupFile.list(in: folder, with: key) }
            let lines = found.map(Line.init)
            output.show(lines, name: { lines.map(\.file).joined(separator: "\n") }) { _ in
                guard !lines.isEmpty else { return "no backup lies in \(folder)" }
                var table = Table(["FILE", "BYTES", "TAKEN", "CLUSTER", "REVISION", "STATE"])
                for line in lines {
                    table.add([
                        line.file, "\(line.bytes)", line.taken ?? "", line.clusterName ?? "",
                        line.revision.map { "\($0)" } ?? "", line.problem ?? (key == nil ? "not opened" : "whole"),
                    ])
                }
                return table.lines().joined(separator: "\n")
            }
            // Somebody counts on them: one that does not open is a difference, as in plan.
            if lines.contains(where: { $0.problem != nil }), key != nil { throw ExitCode(ExitStatus.difference) }
        }
    }

    /// One file, as people and programs see it.
    private struct Line: Encodable {
        var file: String
        var bytes: Int
        /// passphrase or keyFile.
        var key: String?
        var taken: String?
        var cluster: String?
        var clusterName: String?
        var revision: UInt64?
        var problem: String?

        init(_ found: FoundBackup) {
            file = found.path
            bytes = found.bytes
            key = found.isOfPassphrase.map { $0 ? "passphrase" : "keyFile" }
            taken = found.manifest.map { timestamp(milliseconds: $0.takenMilliseconds) }
            cluster = found.manifest?.cluster
            clusterName = found.manifest?.clusterName
            revision = found.manifest?.revision
            problem = found.problem?.description
        }
    }
}
