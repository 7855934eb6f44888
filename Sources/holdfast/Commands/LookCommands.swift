// Commands that only look.

import API
import ArgumentParser
import Cluster
import Consensus

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "One screen: what can be lost now, who leads, who holds what, what is degraded.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions
    @OptionGroup var watching: WatchOptions

    func run() async throws {
        let terminal = Terminal.current
        try await connection.withClient { client, limit in
            try await watching.run {
                let status = try await client.status(read.consistency, within: limit)
                output.show(status, name: { status.cluster }) { wide in
                    StatusText.render(status, clock: terminal.clock, style: terminal.style, wide: wide)
                }
            }
        }
    }
}

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "What is declared and how it is.",
        discussion:
            "holdfast get, holdfast get virtualip, holdfast get virtualip/kube-api -o yaml, holdfast get members")

    @Argument(help: "KIND or KIND/NAME; without it, everything.") var what: String?
    @Argument(help: "The name, when it does not follow the kind with a slash.") var name: String?
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions
    @OptionGroup var watching: WatchOptions

    func run() async throws {
        let typed = (what ?? "") + (name.map { "/\($0)" } ?? "")
        try await connection.withClient { client, limit in
            try await watching.run {
                if let key = TypedKey(argument: typed)?.key {
                    try await showOne(key, client, limit)
                } else if let what, KindName.canonical(what) == "member" {
                    let answer = try await client.members(read.consistency, within: limit)
                    read.noteAge(answer.read)
                    ClusterCommand.Members.show(answer, output)
                } else {
                    try await showAll(client, limit)
                }
            }
        }
    }

    private func showOne(_ key: ResourceKey, _ client: HoldfastClient, _ limit: Duration) async throws {
        let answer = try await client.resource(key, read.consistency, within: limit)
        read.noteAge(answer.read)
        output.show(answer.resource, name: { answer.resource.shortName }) { wide in
            ResourceText.table([answer.resource], clock: Terminal.current.clock, wide: wide)
        }
    }

    private func showAll(_ client: HoldfastClient, _ limit: Duration) async throws {
        let answer = try await client.resources(
            ofKind: what.map { KindName.canonical($0) }, read.consistency, within: limit)
        read.noteAge(answer.read)
        if answer.resources.isEmpty { Terminal.current.note("nothing of that kind is declared") }
        if output.output == .yaml {
            // Documents one after the other, as a manifest has them.
            Terminal.current.write(answer.resources.map { "---\n" + Encoded.yaml($0) }.joined())
            return
        }
        let names = answer.resources.map(\.shortName).joined(separator: "\n")
        output.show(answer.resources, name: { names }) { wide in
            ResourceText.table(answer.resources, clock: Terminal.current.clock, wide: wide)
        }
    }
}

extension ResourceDocument {
    /// `virtualip/kube-api`, as commands take it.
    var shortName: String { "\(kind.lowercased())/\(metadata.name)" }
}

struct DescribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe", abstract: "A resource: its spec, its state, why it is there, its last events.")

    @Argument(help: "KIND/NAME") var key: TypedKey
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var read: ReadOptions

    func run() async throws {
        let terminal = Terminal.current
        try await connection.withClient { client, limit in
            let answer = try await client.resource(key.key, read.consistency, within: limit)
            let why = try await client.why(key.key, read.consistency, within: limit)
            let events = try await client.events(after: 0, read.consistency, within: limit)
            read.noteAge(answer.read)
            let own = events.events.filter { $0.subject == key.key.description }
            terminal.print(
                ResourceText.description(
                    answer.resource, why: why, events: Array(own.suffix(10)), clock: terminal.clock,
                    style: terminal.style))
        }
    }
}

struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "The chain of causes behind the present place or state.",
        discussion: "holdfast why virtualip/kube-api, holdfast why member/pve1")

    @Argument(help: "KIND/NAME") var key: TypedKey
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions

    func run() async throws {
        let terminal = Terminal.current
        try await connection.withClient { client, limit in
            let why = try await client.why(key.key, read.consistency, within: limit)
            read.noteAge(why.read)
            output.show(why, name: { why.subject }) { _ in
                WhyText.render(why, clock: terminal.clock, style: terminal.style)
            }
        }
    }
}

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "What happened, oldest first; with -w, what happens from now on.")

    @Argument(help: "Only those about this: KIND/NAME.") var about: TypedKey?
    @Option(help: "Only those after the event with this id.") var after: UInt64?
    @Option(help: "Show the last so many.") var last: Int = 100
    @Flag(name: [.customShort("w"), .long], help: "Go on as they happen.") var watch = false
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions

    func run() async throws {
        try await connection.withClient { client, limit in
            // While watching, a stated time limits the watching, not the first answer.
            let answer = try await client.events(
                after: after ?? 0, read.consistency, within: watch ? try ConnectionOptions.limit() : limit)
            read.noteAge(answer.read)
            let wanted = Array(answer.events.filter(isWanted).suffix(max(0, last)))
            if output.output == .json || output.output == .yaml, !watch {
                return output.show(wanted, name: { "" }) { _ in "" }
            }
            for event in wanted { show(event) }
            guard watch else { return }
            // A stated limit ends the watching; without one the person does.
            let end = connection.timeout.map { ContinuousClock.now + $0.duration }
            try await withDeadlineIfAny(end) {
                try await client.follow(after: answer.last, until: end) { event in
                    if isWanted(event) { show(event) }
                    return true
                }
            }
        }
    }

    private func withDeadlineIfAny(
        _ end: ContinuousClock.Instant?, _ work: @escaping @Sendable () async throws -> Void
    ) async throws {
        guard let end else { return try await work() }
        struct Over: Error {}
        do {
            try await withDeadline(end - .now, orThrow: Over(), work)
        } catch is Over {}
    }

    private func isWanted(_ event: ClusterEvent) -> Bool {
        about.map { event.subject.lowercased() == $0.key.description.lowercased() } ?? true
    }

    private func show(_ event: ClusterEvent) {
        let terminal = Terminal.current
        switch output.output {
        case .json, .yaml: terminal.print(Encoded.json(event, pretty: false))
        case .name: terminal.print(String(event.id))
        case .table: terminal.write(WhyText.event(event, clock: terminal.clock, wide: false))
        case .wide: terminal.write(WhyText.event(event, clock: terminal.clock, wide: true))
        }
    }
}
