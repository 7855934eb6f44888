// Hosts that run guests: what they have, emptying them, and the word that one of them is off.

import API
import ArgumentParser
import Cluster

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host",
        abstract: "Hosts that run guests: what they have; drain and restart them, and say that one is off.",
        subcommands: [List.self, Drain.self, Undrain.self, Reboot.self, FenceCommand.self], defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "What each host has, and whether it is fenced.")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var read: ReadOptions
        @OptionGroup var watching: WatchOptions

        func run() async throws {
            try await connection.withClient { client, limit in
                try await watching.run {
                    let document = try await client.workloads(read.consistency, within: limit)
                    read.noteAge(document.read)
                    let names = document.hosts.map { "host/\($0.name)" }.joined(separator: "\n")
                    output.show(document.hosts, name: { names }) { wide in
                        WorkloadText.hosts(document.hosts, wide: wide).lines().joined(separator: "\n")
                    }
                }
            }
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "drain", abstract: "Moves all guests off a host, and keeps others from coming.")
        @OptionGroup var change: HostChange
        @Flag(help: "Wait until no guest is left there, at most --timeout (10m).") var wait = false

        func run() async throws {
            try await change.send(.drain)
            if wait { try await waitUntilEmpty() }
        }

        /// Asks again and again; what stands in the way of a guest is said as soon as it does.
        private func waitUntilEmpty() async throws {
            let name = change.bareName
            let limit = change.connection.timeout?.duration ?? .seconds(600)
            let clock = ContinuousClock()
            let end = clock.now + limit
            var told: Set<String> = []
            while true {
                let document = try await change.connection.withClient { client, limit in
                    try await client.workloads(.linearizable, within: limit)
                }
                let left = document.workloads.filter { $0.host == name && ($0.state == .running || $0.target != nil) }
                if left.isEmpty { return Terminal.current.note("no guest runs on \(name) any more") }
                for workload in left {
                    guard let obstacle = workload.obstacle, told.insert("\(workload.name) \(obstacle)").inserted else {
                        continue
                    }
                    Terminal.current.note("\(workload.name): \(obstacle)")
                }
                guard clock.now < end else {
                    throw CommandFailure(
                        ExitStatus.timedOut,
                        "\(left.map(\.name).joined(separator: ", ")) still on \(name) after \(limit)",
                        next: "holdfast vm list -o wide")
                }
                try await clock.sleep(until: min(clock.now + .milliseconds(500), end))
            }
        }
    }

    struct Undrain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "undrain", abstract: "Lets a host take guests again.")
        @OptionGroup var change: HostChange
        func run() async throws { try await change.send(.undrain) }
    }
}

/// `holdfast fence HOST --i-verified-it-is-off`
struct FenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fence", abstract: "Says that a host is off, so that its guests are started elsewhere.",
        discussion: """
            The cluster fences a lost host by itself where it can (holdfast host list -o wide). Where it cannot, a person's \
            word is the proof. If the machine still runs, two guests will write to one disk and destroy it: go and look.
            """)
    @OptionGroup var change: HostChange
    @Flag(help: "You have seen with your own eyes that the machine has no power.") var iVerifiedItIsOff = false

    func run() async throws {
        guard iVerifiedItIsOff else {
            throw CommandFailure(
                ExitStatus.unsafe, "a host that is not off and is fenced by word destroys the disks of its guests",
                next: "look at the machine, then: holdfast fence \(change.name) --i-verified-it-is-off")
        }
        try await change.send(.fence, verifiedOff: true)
    }
}

struct HostChange: ParsableArguments {
    @Argument(help: "The name of the host.") var name: String
    @OptionGroup var rehearsal: RehearsalOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    var bareName: String { TypedKey(argument: name)?.key.name ?? name }

    func send(_ action: HostRequest.Action, verifiedOff: Bool? = nil) async throws {
        let request = HostRequest(name: bareName, action: action, verifiedOff: verifiedOff)
        let outcome = try await connection.withClient(limit: .seconds(10), dryRun: rehearsal.dryRun) { client, limit in
            try await connection.requireQuorum(client)
            return try await client.steerHost(request, within: limit)
        }
        output.show(outcome)
    }
}

extension ClusterCommand {
    struct Disarm: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "disarm", abstract: "For a while, fence no host and move no guest (work on the network).")
        @Option(name: .customLong("for"), help: "For how long: 30m. At most a day.") var length: TimeLimit
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let seconds = length.duration.components.seconds
            output.show(
                try await connection.withClient { client, limit in
                    try await connection.requireQuorum(client)
                    return try await client.disarm(DisarmRequest(seconds: max(seconds, 1)), within: limit)
                })
        }
    }

    struct Arm: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "arm", abstract: "Fence lost hosts and recover their guests again.")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            output.show(
                try await connection.withClient { client, limit in
                    try await connection.requireQuorum(client)
                    return try await client.disarm(DisarmRequest(seconds: nil), within: limit)
                })
        }
    }
}
