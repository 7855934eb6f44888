// The options every command understands, and what they come down to: a client, a time limit, an output format.

import API
import ArgumentParser
import Cluster
import Consensus
import Runtime

/// Whom to talk to, and for how long.
struct ConnectionOptions: ParsableArguments {
    @Option(name: .customLong("context"), help: "The context to use instead of the current one.")
    var contextName: String?

    @Option(
        help: ArgumentHelp("Members to ask instead of those in the context, address:port.", valueName: "a,b,c"))
    var endpoints: String?

    @Option(help: "How long to wait altogether: 500ms, 10s, 2m. $HOLDFAST_TIMEOUT lengthens what is usual.")
    var timeout: TimeLimit?

    @Option(help: "A sentence for the record of what is changed.")
    var reason: String?

    /// The chosen context, with the endpoints of the command line where some are given.
    func chosenContext() throws -> ClusterContext {
        let terminal = Terminal.current
        let path = ContextFile.path(terminal.environment)
        let file = try ContextFile.load(path: path, note: terminal.note)
        var context = try file.context(named: contextName, path: path)
        if let endpoints {
            context.endpoints = endpoints.split(separator: ",").map { $0.filter { !$0.isWhitespace } }
                .filter { !$0.isEmpty }
            context.members = nil
        } else {
            context.members = KnownMembers.of(context).members
        }
        // Checked here because the HTTP client takes whatever can stand in a URL, and ends the program at a port that
        // no port can be.
        let wrong = context.places.filter { Endpoint($0) == nil }
        guard wrong.isEmpty else {
            throw CommandFailure(
                ExitStatus.error, "\(wrong.map(\.debugDescription).joined(separator: ", ")) is no address:port",
                next: endpoints == nil
                    ? "correct the endpoints of context \(context.name) in \(path)"
                    : "--endpoints 192.168.1.106:7443,192.168.1.107:7443")
        }
        return context
    }

    /// How long to wait when the command line does not say: what is usual for the command, or what the environment
    /// says if that is longer, for slow networks and machines.
    static func limit(usually limit: Duration = Self.defaultLimit) throws -> Duration {
        guard let text = Terminal.current.environment("HOLDFAST_TIMEOUT"), !text.isEmpty else { return limit }
        guard let longer = TimeLimit(argument: text) else {
            throw CommandFailure(
                ExitStatus.error, "HOLDFAST_TIMEOUT is \(text.debugDescription), which is no length of time",
                next: "export HOLDFAST_TIMEOUT=5s")
        }
        return max(limit, longer.duration)
    }

    /// Asks whether there is a quorum at all, and fails as fast as any other command does when there is none. For
    /// commands whose change may take its time: learning that nobody can make it may not.
    func requireQuorum(_ client: HoldfastClient) async throws {
        _ = try await client.tolerance(.linearizable, within: try timeout?.duration ?? Self.limit())
    }

    /// So that a command ends within two seconds, its start and its end included.
    static let defaultLimit: Duration = .milliseconds(1_800)

    /// Runs `work` with a client for the chosen cluster.
    /// - Parameters:
    ///   - limit: how long to wait when the command line does not say.
    ///   - dryRun: changes are rehearsed and not made.
    ///   - keepsUp: the context follows a rotation of the authority.
    func withClient<Result: Sendable>(
        limit: Duration = Self.defaultLimit, dryRun: Bool = false, keepsUp: Bool = true,
        _ work: (HoldfastClient, Duration) async throws -> Result
    ) async throws -> Result {
        let context = try chosenContext()
        let terminal = Terminal.current
        if let warning = ContextCertificate.warning(context, now: terminal.clock.now()) { terminal.note(warning) }
        let client = try HoldfastClient(context, reason: reason, isDryRun: dryRun, keepsUp: keepsUp)
        do {
            let result = try await work(client, try timeout?.duration ?? Self.limit(usually: limit))
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }
}

/// For commands that change something.
struct RehearsalOptions: ParsableArguments {
    @Flag(help: "Say what it would come to, and change nothing.")
    var dryRun = false
}

/// A length of time on the command line.
struct TimeLimit: ExpressibleByArgument, Hashable {
    var duration: Duration

    init(duration: Duration) { self.duration = duration }

    /// `500ms`, `10s`, `2m`, `1h`; from 1 ms to a week.
    init?(argument: String) {
        let units: [(String, Int64)] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        guard let (unit, milliseconds) = units.first(where: { argument.hasSuffix($0.0) }),
            let count = Int64(argument.dropLast(unit.count)), count > 0, count <= 604_800_000 / milliseconds
        else { return nil }
        duration = .milliseconds(count * milliseconds)
    }

    /// As a person would type it, for the help.
    var defaultValueDescription: String {
        let milliseconds = duration / .milliseconds(1)
        let units: [(String, Double)] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        let unit = units.first { milliseconds >= $0.1 && milliseconds.remainder(dividingBy: $0.1) == 0 } ?? ("ms", 1)
        return "\(Int64(milliseconds / unit.1))\(unit.0)"
    }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, wide, json, yaml, name
}

struct OutputOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .long], help: "table, wide, json, yaml or name.")
    var output = OutputFormat.table

    /// Prints a document in the chosen format; tables and names are made only when they are asked for.
    func show(_ document: some Encodable, name: () -> String, table: (_ wide: Bool) -> String) {
        let text =
            switch output {
            case .table: table(false)
            case .wide: table(true)
            case .json: Encoded.json(document)
            case .yaml: Encoded.yaml(document)
            case .name: name()
            }
        if !text.isEmpty { Terminal.current.print(text) }
    }

    /// Prints what came of a change.
    func show(_ outcome: OutcomeDocument) {
        show(outcome, name: { "" }) { _ in
            let message = outcome.message.isEmpty ? (outcome.changed ? "done" : "nothing to change") : outcome.message
            return "\(message) (revision \(outcome.revision))"
        }
    }
}

struct ReadOptions: ParsableArguments {
    @Option(help: "linearizable, or local: what the asked member has, at once, however old.")
    var consistency = ReadConsistency.linearizable

    /// Says on the side how old a local answer is.
    func noteAge(_ read: ReadAge) {
        if read.consistency == .local { Terminal.current.note(StatusText.age(read)) }
    }
}

extension ReadConsistency: ExpressibleByArgument {}

struct WatchOptions: ParsableArguments {
    @Flag(name: [.customShort("w"), .long], help: "Go on, and show what changes.")
    var watch = false

    /// Runs `show` once, or again every second until the person ends it. While watching, an answer that did not come
    /// is told and asked for again.
    func run(_ show: () async throws -> Void) async throws {
        guard watch else { return try await show() }
        while true {
            if Terminal.current.colour { Terminal.current.write("\u{1B}[H\u{1B}[2J") }
            do {
                try await show()
            } catch let failure as CommandFailure where failure.exitCode == ExitStatus.unreachable {
                Terminal.current.note(failure.text)
            }
            try await Task.sleep(for: .seconds(1))
        }
    }
}

extension Terminal {
    var style: Style { Style(colour: colour) }

    /// Asks before something that cannot be undone; where nobody can answer, the command line is the answer.
    func confirm(_ question: String, unless yes: Bool) throws {
        guard !yes, let answer = ask("\(question) [y/N] ") else { return }
        guard ["y", "yes"].contains(answer.lowercased()) else {
            throw CommandFailure(ExitStatus.error, "nothing was changed")
        }
    }
}

/// `KIND/NAME` as people type it.
struct TypedKey: ExpressibleByArgument {
    var key: ResourceKey

    init?(argument: String) {
        let parts = argument.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        key = ResourceKey(kind: KindName.canonical(parts[0]), name: parts[1])
    }
}
