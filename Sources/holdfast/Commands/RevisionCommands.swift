// Earlier declarations: which there are, what going back would change, going back.

import API
import ArgumentParser
import Cluster
import Consensus

struct RevisionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revisions", abstract: "The changes of what is declared, newest first.",
        discussion: "Kept in the replicated state: the newest hundred, as long as they changed 2,000 resources in all.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions

    func run() async throws {
        let answer = try await connection.withClient { client, limit in
            try await client.revisions(read.consistency, within: limit)
        }
        read.noteAge(answer.read)
        let names = answer.revisions.map { String($0.revision) }.joined(separator: "\n")
        output.show(answer, name: { names }) { wide in RevisionText.render(answer, Terminal.current.clock, wide: wide) }
    }
}

struct RollbackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Declares again exactly what was declared at a revision.",
        discussion: "Itself a change with a revision, so it can be rolled back too. See holdfast revisions.")

    @Argument(help: "A revision that holdfast revisions shows, or any later one.") var revision: UInt64
    @Flag(help: "Only show what would change. Exit code 1: something.") var dryRun = false
    @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
    @Flag(help: "Wait until everything that changes is healthy, at most --timeout (60s).") var wait = false
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let terminal = Terminal.current
        try await connection.withClient(limit: wait ? .seconds(60) : ConnectionOptions.defaultLimit) { client, limit in
            let deadline = ContinuousClock.now + limit
            if wait { try await connection.requireQuorum(client) }
            let plan = try await client.planOfRollBack(to: revision, within: limit)
            if dryRun {
                output.show(plan, name: { "" }) { _ in PlanText.plan(plan, style: terminal.style) }
                if !plan.changes.isEmpty { throw ExitCode(ExitStatus.difference) }
                return
            }
            if !plan.changes.isEmpty && !yes {
                terminal.note(PlanText.plan(plan, style: terminal.style))
                try terminal.confirm("Go back to revision \(revision)?", unless: yes)
            }
            output.show(
                try await client.rollBack(
                    RollBackRequest(revision: revision, checkRevision: plan.index), within: limit))
            guard wait else { return }
            let keys = plan.changes.map { ResourceKey(kind: $0.kind, name: $0.name) }
            try await Waiting.untilHealthy(keys, client, deadline)
        }
    }
}

enum RevisionText {
    static func render(_ answer: RevisionsDocument, _ clock: WallClock, wide: Bool) -> String {
        var table = Table(["REVISION", "TIME", "BY", "WHAT", "RESOURCES"])
        for item in answer.revisions {
            table.add([
                String(item.revision), clock.text(item.milliseconds), item.actor,
                item.what + (answer.trial?.revision == item.revision ? " (on trial)" : ""),
                resources(item, most: wide ? .max : 3),
            ])
        }
        let oldest = "Rolling back goes as far as revision \(answer.oldest)."
        return (table.lines() + ["", oldest]).joined(separator: "\n")
    }

    /// `+dns ~kube-api -old`
    private static func resources(_ item: RevisionsDocument.Item, most: Int) -> String {
        let all = item.created.map { "+\($0)" } + item.changed.map { "~\($0)" } + item.deleted.map { "-\($0)" }
        let shown = all.prefix(most).joined(separator: " ")
        return all.count > most ? "\(shown) and \(all.count - most) more" : shown
    }
}
