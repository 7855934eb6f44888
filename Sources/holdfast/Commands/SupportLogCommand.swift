// `support log`: a look inside the log's directory on this machine. Reads only; the agent may run or not.

import ArgumentParser
import Runtime

struct SupportLogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Shows what the log on this machine holds: segments, records, terms, snapshots, damage. Reads only.",
        discussion: """
            Works beside a running agent; what that is just writing may look cut off at the end of the last segment.
            Exit code 1: something that stands in its place cannot be read. The next start of the agent deals with it.
            """)

    @Argument(help: "The log's directory.") var directory = "/var/lib/holdfast/log"
    @Flag(help: "List every record.") var records = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let found: LogInspection
        do { found = try LogInspection(directory: directory, listingRecords: records) } catch {
            throw CommandFailure(
                ExitStatus.error, "\(error)",
                next: "holdfast support log DIRECTORY, as root: the log is its owner's alone")
        }
        output.show(found, name: { found.segments.map(\.file).joined(separator: "\n") }) { _ in Self.text(found) }
        if found.isDamaged { throw ExitCode(ExitStatus.difference) }
    }

    private static func text(_ found: LogInspection) -> String {
        var lines: [String] = []
        var segments = Table(["SEGMENT", "RECORDS", "SEQUENCE", "ENTRIES", "TERMS", "USED", "HARD STATE"])
        for segment in found.segments {
            segments.add([
                segment.file, "\(segment.records)", range(segment.firstSequence, segment.lastSequence),
                range(segment.firstEntry, segment.lastEntry), range(segment.firstTerm, segment.lastTerm),
                "\(segment.usedBytes) of \(segment.bytes)", segment.hardState,
            ])
        }
        lines += segments.lines()
        var snapshots = Table(["SNAPSHOT", "THROUGH ENTRY", "TERM", "BYTES", "VOTERS"])
        for snapshot in found.snapshots {
            snapshots.add([
                snapshot.file, "\(snapshot.lastEntry)", "\(snapshot.term)", "\(snapshot.bytes)",
                snapshot.voters.joined(separator: ","),
            ])
        }
        if !snapshots.isEmpty { lines += [""] + snapshots.lines() }
        var votes = Table(["COPY OF TERM AND VOTE", "LOG THROUGH", "HARD STATE"])
        for slot in found.votes {
            votes.add(["\(slot.counter)", "record \(slot.logSequence == 0 ? 0 : slot.logSequence - 1)", slot.hardState])
        }
        if !votes.isEmpty { lines += [""] + votes.lines() }
        var records = Table(["SEQUENCE", "FILE", "BYTE", "IN FLUSH", "KIND", "WHAT"])
        for record in found.records {
            records.add([
                "\(record.sequence)", record.file, "\(record.offset)", "\(record.positionInFlush)", record.kind,
                record.what,
            ])
        }
        if !records.isEmpty { lines += [""] + records.lines() }
        let damage =
            found.segments.compactMap { segment in segment.damage.map { "\(segment.file): \($0)" } }
            + found.snapshots.compactMap { snapshot in snapshot.damage.map { "\(snapshot.file): \($0)" } }
        if !damage.isEmpty { lines += ["", "cannot be read:"] + damage.map { "  \($0)" } }
        if !found.setAside.isEmpty {
            lines += ["", "set aside as damaged, kept to be looked at:"] + found.setAside.map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    private static func range(_ first: UInt64, _ last: UInt64) -> String {
        first == 0 || last == 0 ? "-" : first == last ? "\(first)" : "\(first)-\(last)"
    }
}
