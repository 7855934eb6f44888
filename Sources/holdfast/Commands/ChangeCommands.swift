// Commands that declare, change and delete resources.

import API
import ArgumentParser
import Cluster
import Consensus

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "What apply would change, and the index to check against. Exit code 1: something.")

    @OptionGroup var manifests: ManifestOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let declarations = try manifests.read()
        let judged = try await connection.withClient { client, limit in
            let plan = try await client.plan(PlanRequest(declarations: declarations.map(\.document)), within: limit)
            // What changes nothing needs no verdict.
            guard !plan.changes.isEmpty else { return JudgedPlan(plan: plan) }
            return JudgedPlan(
                plan: plan, verdict: await ChangeRehearsal(declarations: declarations).verdict(client, limit))
        }
        let plan = judged.plan
        let names = plan.changes.map { "\($0.kind.lowercased())/\($0.name)" }.joined(separator: "\n")
        output.show(judged, name: { names }) { _ in
            PlanText.plan(judged.plan, verdict: judged.verdict, style: Terminal.current.style)
        }
        if !plan.changes.isEmpty { throw ExitCode(ExitStatus.difference) }
    }
}

struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "What apply would change, as lines of the manifests. Exit code 1: something.")

    @OptionGroup var manifests: ManifestOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let declarations = try manifests.read()
        let plan = try await connection.withClient { client, limit in
            try await client.plan(PlanRequest(declarations: declarations.map(\.document)), within: limit)
        }
        guard !plan.changes.isEmpty else { return }
        Terminal.current.print(PlanText.difference(plan, style: Terminal.current.style))
        throw ExitCode(ExitStatus.difference)
    }
}

struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Declares what manifests say.",
        discussion: """
            With --mode try what is declared holds at once and is undone after --timeout (2m), unless you say
            holdfast apply --confirm before. The cluster keeps that deadline itself: it does not need you, this command
            or the member that took it any more. holdfast apply --rollback ends a trial at once. Both settle your own
            trial; another's takes its --revision.
            """)

    enum Mode: String, ExpressibleByArgument, CaseIterable {
        case normal = "apply"
        case trial = "try"
    }

    @OptionGroup var manifests: ManifestOptions
    @Option(help: "The index plan printed; refused (exit code 4) when resources changed since.") var checkIndex: UInt64?
    @Flag(help: "Only show what would change.") var dryRun = false
    @Option(help: "apply, or try: undone after --timeout unless it is confirmed.") var mode = Mode.normal
    @Flag(help: "Keep what is on trial.") var confirm = false
    @Flag(help: "Undo what is on trial, now.") var rollback = false
    @Option(help: "With --confirm or --rollback: the revision that is on trial, as --mode try printed it.")
    var revision: UInt64?
    @Flag(help: "Also when something could not be recovered any more afterwards.") var force = false
    @Flag(help: "Wait until everything declared is healthy, at most --timeout (60s).") var wait = false
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if confirm && rollback { throw ValidationError("--confirm and --rollback are two ends of a trial; name one.") }
        if (confirm || rollback) && !manifests.files.isEmpty {
            throw ValidationError("--confirm and --rollback settle the trial that is under way and take no manifests.")
        }
        if revision != nil && !confirm && !rollback {
            throw ValidationError("--revision names the trial to --confirm or to --rollback.")
        }
        if mode == .trial && wait { throw ValidationError("--mode try takes its time as --timeout; it cannot --wait.") }
    }

    func run() async throws {
        if confirm || rollback {
            return output.show(
                try await connection.withClient { client, limit in
                    try await client.settleTrial(TrialRequest(keep: confirm, revision: revision), within: limit)
                })
        }
        let declarations = try manifests.read()
        let documents = declarations.map(\.document)
        if mode == .trial && !dryRun { return try await tryOut(declarations) }
        try await connection.withClient(limit: wait ? .seconds(60) : ConnectionOptions.defaultLimit) { client, limit in
            let deadline = ContinuousClock.now + limit
            if dryRun {
                let plan = try await client.plan(PlanRequest(declarations: documents), within: limit)
                let rehearsal = ChangeRehearsal(declarations: declarations)
                let judged = JudgedPlan(
                    plan: plan, verdict: plan.changes.isEmpty ? nil : await rehearsal.verdict(client, limit))
                return output.show(judged, name: { "" }) { _ in
                    PlanText.plan(judged.plan, verdict: judged.verdict, style: Terminal.current.style)
                }
            }
            if wait { try await connection.requireQuorum(client) }
            try await ChangeRehearsal(declarations: declarations).holdScenarios(client, limit, force: force)
            let request = ApplyRequest(
                declarations: documents, checkRevision: checkIndex, force: force ? true : nil)
            output.show(try await client.apply(request, within: limit))
            if wait { try await Waiting.untilHealthy(declarations.map(\.key), client, deadline) }
        }
    }

    private func tryOut(_ declarations: [Declaration]) async throws {
        let documents = declarations.map(\.document)
        let seconds = connection.timeout?.duration.components.seconds ?? 120
        guard (1...86_400).contains(seconds) else {
            throw CommandFailure(ExitStatus.error, "a trial takes from a second to a day", next: "--timeout 2m")
        }
        // The time is the trial's; asking for it takes as long as any change.
        var connection = connection
        connection.timeout = nil
        let request = ApplyRequest(
            declarations: documents, checkRevision: checkIndex, trialSeconds: seconds, force: force ? true : nil)
        let outcome = try await connection.withClient { client, limit in
            try await ChangeRehearsal(declarations: declarations).holdScenarios(client, limit, force: force)
            return try await client.apply(request, within: limit)
        }
        output.show(outcome)
        guard outcome.changed else { return }
        Terminal.current.note(
            "It is undone in \(seconds) s unless you say: holdfast apply --confirm --revision \(outcome.revision)")
    }
}

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Deletes resources, by name or as manifests name them.")

    @Argument(help: "KIND/NAME") var keys: [TypedKey] = []
    @Option(name: [.customShort("f"), .customLong("filename")], help: "A file, a folder, or - for the standard input.")
    var files: [String] = []
    @Option(help: "The index plan printed; refused (exit code 4) when resources changed since.") var checkIndex: UInt64?
    @Flag(help: "Only show what would be deleted.") var dryRun = false
    @Flag(help: "Also when something could not be recovered any more afterwards.") var force = false
    @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
    @Flag(help: "Wait until what they held is let go of, at most --timeout (60s).") var wait = false
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if keys.isEmpty && files.isEmpty { throw ValidationError("Name what to delete: KIND/NAME, or -f FILE.") }
    }

    func run() async throws {
        let terminal = Terminal.current
        let wanted = keys.map(\.key) + (files.isEmpty ? [] : try ManifestOptions.read(files).map(\.key))
        try await connection.withClient(limit: wait ? .seconds(60) : ConnectionOptions.defaultLimit) { client, limit in
            let deadline = ContinuousClock.now + limit
            if dryRun {
                let plan = try await client.plan(PlanRequest(declarations: [], deletions: wanted), within: limit)
                let judged = JudgedPlan(
                    plan: plan, verdict: await ChangeRehearsal(deletions: wanted).verdict(client, limit))
                return output.show(judged, name: { "" }) { _ in
                    PlanText.plan(judged.plan, verdict: judged.verdict, style: terminal.style)
                }
            }
            let list = wanted.map(\.description).joined(separator: ", ")
            try terminal.confirm("Delete \(list)?", unless: yes)
            if wait { try await connection.requireQuorum(client) }
            try await ChangeRehearsal(deletions: wanted).holdScenarios(client, limit, force: force)
            let request = DeleteRequest(keys: wanted, checkRevision: checkIndex, force: force ? true : nil)
            output.show(try await client.delete(request, within: limit))
            guard wait else { return }
            try await Waiting.until(deadline, "what was deleted is let go of") { left in
                let status = try await client.status(.linearizable, within: left)
                return status.addresses.filter { address in
                    wanted.contains { $0.kind == "VirtualIP" && $0.name == address.name }
                }.map { "\($0.holder ?? "nobody") holds \($0.name)" }
            }
        }
    }
}

/// Asking again until nothing is left to wait for.
enum Waiting {
    /// - Parameter missing: what is not there yet, each in a few words; empty when the waiting is over.
    /// - Throws: `CommandFailure` with the exit code for timeouts.
    static func until(
        _ deadline: ContinuousClock.Instant, _ what: String, missing: (_ left: Duration) async throws -> [String]
    ) async throws {
        while true {
            let left = deadline - .now
            let rest = try await missing(max(left, .milliseconds(500)))
            if rest.isEmpty { return }
            guard left > .milliseconds(300) else {
                throw CommandFailure(
                    ExitStatus.timedOut, "the time was up before \(what)", next: "holdfast status", details: rest)
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// Until resources that are declared are as they should be.
    static func untilHealthy(
        _ keys: [ResourceKey], _ client: HoldfastClient, _ deadline: ContinuousClock.Instant
    ) async throws {
        try await until(deadline, "everything declared is healthy") { left in
            let answer = try await client.resources(ofKind: nil, .linearizable, within: left)
            return answer.resources
                .filter { resource in
                    keys.contains { $0.kind == resource.kind && $0.name == resource.metadata.name }
                        && [.missing, .progressing, .degraded].contains(resource.status?.health)
                }
                .map { "\($0.shortName) is \($0.status?.health.rawValue ?? "Unknown")" }
        }
    }
}
