// Virtual machines and system containers: where they run, and what a person wants of them.

import API
import ArgumentParser
import Cluster
import Consensus

struct MachineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vm", abstract: "Virtual machines: where they run; start, stop, move and import them.",
        subcommands: [List.self, Start.self, Stop.self, Restore.self, Move.self, ImportCommand.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Where each one runs.")
        @OptionGroup var listing: WorkloadListing
        func run() async throws { try await listing.show(kind: "VirtualMachine") }
    }
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "start", abstract: "It shall run, whatever is declared, until the declaration changes.")
        @OptionGroup var steering: WorkloadSteering
        func run() async throws { try await steering.go("VirtualMachine", .start) }
    }
    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "stop", abstract: "It shall not run, whatever is declared, until the declaration changes.")
        @OptionGroup var steering: WorkloadSteering
        func run() async throws { try await steering.go("VirtualMachine", .stop) }
    }
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "as-declared", abstract: "It shall be what is declared again.")
        @OptionGroup var steering: WorkloadSteering
        func run() async throws { try await steering.go("VirtualMachine", .declared) }
    }
    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "move", abstract: "Moves it to another host, while it runs if it may.")
        @Argument(help: "The name of the VirtualMachine.") var name: String
        @Argument(help: "The host it shall go to.") var host: String
        @Flag(help: "Stop it here and start it there.") var offline = false
        @OptionGroup var rest: SteeringOptions
        func run() async throws {
            try await rest.send(
                SteerRequest(kind: "VirtualMachine", name: name, action: .move, to: host, live: !offline))
        }
    }
}

struct ContainerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct", abstract: "System containers: where they run; start, stop and move them.",
        subcommands: [List.self, Start.self, Stop.self, Restore.self, Move.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Where each one runs.")
        @OptionGroup var listing: WorkloadListing
        func run() async throws { try await listing.show(kind: "SystemContainer") }
    }
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "start", abstract: "It shall run, whatever is declared, until the declaration changes.")
        @OptionGroup var steering: WorkloadSteering
        func run() async throws { try await steering.go("SystemContainer", .start) }
    }
    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "stop", abstract: "It shall not run, whatever is declared, until the declaration changes.")
        @OptionGroup var steering: WorkloadSteering
        func run() async throws { try await steering.go("SystemContainer", .stop) }
    }
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "as-declared", abstract: "It shall be what is declared again.")
        @OptionGroup var steering: WorkloadSteering
        func run() async throws { try await steering.go("SystemContainer", .declared) }
    }
    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "move", abstract: "Stops it on its host and starts it on another.")
        @Argument(help: "The name of the SystemContainer.") var name: String
        @Argument(help: "The host it shall go to.") var host: String
        @OptionGroup var rest: SteeringOptions
        func run() async throws {
            try await rest.send(SteerRequest(kind: "SystemContainer", name: name, action: .move, to: host, live: false))
        }
    }
}

/// How every change of one workload is sent.
struct SteeringOptions: ParsableArguments {
    @OptionGroup var rehearsal: RehearsalOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func send(_ request: SteerRequest) async throws {
        var request = request
        request.name = TypedKey(argument: request.name)?.key.name ?? request.name
        let outcome = try await connection.withClient(limit: .seconds(10), dryRun: rehearsal.dryRun) { client, limit in
            try await connection.requireQuorum(client)
            return try await client.steer(request, within: limit)
        }
        output.show(outcome)
    }
}

struct WorkloadSteering: ParsableArguments {
    @Argument(help: "Its name.") var name: String
    @OptionGroup var rest: SteeringOptions

    func go(_ kind: String, _ action: SteerRequest.Action) async throws {
        try await rest.send(SteerRequest(kind: kind, name: name, action: action))
    }
}

struct WorkloadListing: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var read: ReadOptions
    @OptionGroup var watching: WatchOptions

    func show(kind: String) async throws {
        try await connection.withClient { client, limit in
            try await watching.run {
                let document = try await client.workloads(read.consistency, within: limit)
                read.noteAge(document.read)
                let shown = document.workloads.filter { $0.kind == kind }
                let names = shown.map { "\($0.kind.lowercased())/\($0.name)" }.joined(separator: "\n")
                output.show(shown, name: { names }) { wide in
                    WorkloadText.workloads(shown, document.hosts, Terminal.current.clock, wide: wide).lines()
                        .joined(separator: "\n")
                }
            }
        }
    }
}

enum WorkloadText {
    static func workloads(
        _ workloads: [WorkloadDocument], _ hosts: [HostDocument], _ clock: WallClock, wide: Bool
    ) -> Table {
        var table = Table(
            ["NAME", "VMID", "STATE", "HOST", "SINCE"]
                + (wide ? ["EPOCH", "FENCE", "HEALTH", "STORAGE", "MEMORY", "CORES"] : []) + ["REASON"])
        for workload in workloads {
            let host = workload.target.map { "\(workload.host ?? "-") → \($0)" } ?? workload.host ?? "-"
            let fence = hosts.first { $0.name == workload.host }?.fence ?? "-"
            let health = workload.healthy.map { $0 ? "healthy" : "FAILING" } ?? "unchecked"
            let state = workload.state?.rawValue ?? "unknown"
            table.add(
                [
                    workload.name, String(workload.vmid),
                    state == workload.desired ? state : "\(state) (shall be \(workload.desired))", host,
                    clock.text(workload.sinceMilliseconds),
                ]
                    + (wide
                        ? [
                            String(workload.epoch), fence, health, workload.storage, size(workload.memoryBytes),
                            String(workload.cores),
                        ] : []) + [workload.obstacle ?? workload.reason])
        }
        return table
    }

    static func hosts(_ hosts: [HostDocument], wide: Bool) -> Table {
        var table = Table(
            ["NAME", "REACHABLE", "GUESTS", "MEMORY", "FENCE"]
                + (wide ? ["EPOCH", "QUORATE", "WATCHDOG", "STORAGE ADDRESS"] : []) + ["STATE"])
        for host in hosts {
            let fence = host.fence == "none" ? "none" : "\(host.fence) (\(host.fenceMethod?.rawValue ?? ""))"
            let watchdog =
                host.watchdogMilliseconds == 0
                ? "none" : "\(host.watchdogMilliseconds / 1_000) s\(host.guarded ? ", armed" : "")"
            let state =
                host.leaving.map { $0 == "reboot" ? "restarting" : "going down" } ?? (host.draining ? "drained" : "")
            table.add(
                [
                    host.name, host.reachable ? "yes" : "NO", String(host.guests),
                    "\(size(host.memoryUsedBytes)) of \(size(host.memoryBytes))", fence,
                ]
                    + (wide
                        ? [
                            String(host.fenceEpoch), host.quorate ? "yes" : "NO", watchdog,
                            host.storageAddress.isEmpty ? "-" : host.storageAddress,
                        ] : []) + [host.proof ?? host.attempts.last ?? state])
        }
        return table
    }

    private static func size(_ bytes: Int64) -> String {
        let mebibytes = bytes >> 20
        return mebibytes >= 10_240 ? "\(mebibytes >> 10) GiB" : "\(mebibytes) MiB"
    }
}
