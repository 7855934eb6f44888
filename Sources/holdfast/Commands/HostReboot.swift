// `holdfast host reboot`: has a host emptied and restarted, and follows it until it is back. The host itself does all of it, by
// an order in the replicated state: breaking this command off changes nothing, and giving it again goes on waiting.

import API
import ArgumentParser
import Cluster

extension HostCommand {
    struct Reboot: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reboot",
            abstract: "Empties a host, restarts its machine, and lets it take guests again when it is back.",
            discussion: """
                Guests leave the host or end, each as its onHostShutdown says; those whose disks hold them there end and are \
                started again afterwards. Then the host gives its addresses and the leadership away and has Proxmox restart \
                the machine. Refused (exit code 8) when the rest would not decide without it or could not hold an address, \
                and while another host goes down. With --wait: until it runs anew, takes guests, and every guest and \
                address that it had is served again, there or elsewhere. Given again while it goes on, it waits on.
                """)
        @Argument(help: "The name of the host.") var name: String
        @Flag(help: "Wait until all is back, at most --timeout (30m), and say how far it is.") var wait = false
        @Flag(help: "Also when the rest would not decide, or not hold an address, without it.") var force = false
        @Flag(help: "Do not restart it after all. Too late once its machine goes.") var cancel = false
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard !cancel || !(wait || force) else {
                throw ValidationError("--cancel takes neither --wait nor --force")
            }
        }

        func run() async throws {
            let host = TypedKey(argument: name)?.key.name ?? name
            if cancel {
                let request = RebootRequest(name: host, cancel: true)
                let outcome = try await connection.withClient(limit: .seconds(10), dryRun: rehearsal.dryRun) {
                    client, limit in
                    try await connection.requireQuorum(client)
                    return try await client.reboot(request, within: limit)
                }
                return output.show(outcome)
            }
            let before = try await connection.withClient { client, limit in
                try await RebootWatch.Snapshot(of: host, client, within: limit)
            }
            if before.host.restart != nil, !force, !rehearsal.dryRun {
                Terminal.current.note("\(host) is being restarted already")
            } else {
                if !rehearsal.dryRun {
                    try Terminal.current.confirm("Empty \(host) and restart the machine?", unless: yes)
                }
                output.show(try await order(host))
            }
            guard wait, !rehearsal.dryRun else { return }
            try await RebootWatch(before: before, connection: connection).untilBack()
        }

        /// At the host itself, which finds out whether its machine could be restarted.
        private func order(_ host: String) async throws -> OutcomeDocument {
            try await connection.withClient(limit: .seconds(10), dryRun: rehearsal.dryRun) { client, limit in
                try await connection.requireQuorum(client)
                let plan = try await client.upgrade(within: limit)
                guard let step = plan.steps.first(where: { $0.name == host }), step.reachable else {
                    throw CommandFailure(ExitStatus.unreachable, "\(host) is away", next: "holdfast status")
                }
                let request = RebootRequest(name: host, force: force ? true : nil)
                return try await client.withEndpoint(step.endpoint, reason: connection.reason) {
                    try await $0.reboot(request, within: limit)
                }
            }
        }
    }
}

/// Follows a host that is to be restarted.
struct RebootWatch {
    /// A host and what it serves, or served.
    struct Snapshot: Sendable {
        var host: HostDocument
        /// All there are, not only its own.
        var guests: [WorkloadDocument]
        var addresses: [AddressDocument]

        init(host: HostDocument, guests: [WorkloadDocument], addresses: [AddressDocument]) {
            self.host = host
            self.guests = guests
            self.addresses = addresses
        }

        init(of name: String, _ client: HoldfastClient, within limit: Duration) async throws {
            let workloads = try await client.workloads(.linearizable, within: limit)
            guard let host = workloads.hosts.first(where: { $0.name == name }) else {
                throw CommandFailure(
                    ExitStatus.notFound, "\(name) is no host that runs guests", next: "holdfast host list")
            }
            let status = try await client.status(.linearizable, within: limit)
            self.init(host: host, guests: workloads.workloads, addresses: status.addresses)
        }
    }

    private static let pause: Duration = .milliseconds(500)
    /// How long everything has to stand before it counts: what goes back to the host does so a little later.
    private static let standing: Duration = .seconds(8)

    let before: Snapshot
    let connection: ConnectionOptions

    /// How far it is, in words; nil: all is back. Pure, so that it can be tested.
    static func progress(_ before: Snapshot, _ now: Snapshot) -> String? {
        let host = now.host
        guard host.boot != before.host.boot else {
            if !host.reachable { return "\(host.name) is down" }
            let left = now.guests.filter {
                ($0.host == host.name && $0.state == .running) || $0.target == host.name
            }
            guard !left.isEmpty else { return "\(host.name) is empty and about to restart" }
            let words = left.map { guest in guest.obstacle.map { "\(guest.name) (\($0))" } ?? guest.name }
            return "still on \(host.name): \(words.joined(separator: ", "))"
        }
        if !host.reachable { return "\(host.name) is away again" }
        if host.leaving != nil || host.restart != nil { return "\(host.name) has started anew" }
        if host.fence != "none" { return "\(host.name) is back, and its fence is still to be lifted" }
        let guests = missing(before, now)
        if !guests.isEmpty { return "\(host.name) is back; waiting for \(guests.joined(separator: ", "))" }
        let vacant = before.addresses.filter { $0.holder == host.name }.map(\.name).filter { name in
            now.addresses.contains { $0.name == name && ($0.holder == nil || $0.phase != .held) }
        }
        return vacant.isEmpty ? nil : "\(host.name) is back; nobody holds \(vacant.joined(separator: ", "))"
    }

    /// Guests that ran on the host and shall run, and that nobody serves as before.
    private static func missing(_ before: Snapshot, _ now: Snapshot) -> [String] {
        before.guests.filter { $0.host == before.host.name && $0.state == .running }.compactMap { old in
            guard let guest = now.guests.first(where: { $0.kind == old.kind && $0.name == old.name }),
                guest.desired == "running"
            else { return nil }
            let isServing =
                guest.state == .running && guest.target == nil && !(old.healthy == true && guest.healthy == false)
            return isServing ? nil : guest.obstacle.map { "\(guest.name) (\($0))" } ?? guest.name
        }
    }

    /// Where what it had is now; empty: all of it is there again.
    static func elsewhere(_ before: Snapshot, _ now: Snapshot) -> [String] {
        let guests = before.guests.filter { $0.host == before.host.name && $0.state == .running }.compactMap { old in
            now.guests.first { $0.kind == old.kind && $0.name == old.name && $0.desired == "running" }
        }
        let addresses = before.addresses.filter { $0.holder == before.host.name }.compactMap { old in
            now.addresses.first { $0.name == old.name }
        }
        return guests.filter { $0.host != before.host.name }.map { "\($0.name) runs on \($0.host ?? "no host")" }
            + addresses.filter { $0.holder != before.host.name }.map { "\($0.name) is on \($0.holder ?? "no host")" }
    }

    /// - Throws: `CommandFailure` when it was given up, or has not come back in time.
    func untilBack() async throws {
        let name = before.host.name
        let limit = connection.timeout?.duration ?? .seconds(1_800)
        let clock = ContinuousClock()
        let end = clock.now + limit
        var told = ""
        var backSince: ContinuousClock.Instant?
        while true {
            var words = ""
            do {
                let now = try await connection.withClient { client, _ in
                    try await Snapshot(of: name, client, within: .seconds(5))
                }
                let isUntouched = now.host.boot == before.host.boot && now.host.restart == nil
                if isUntouched {
                    throw CommandFailure(
                        ExitStatus.error, "\(name) is not restarted any more",
                        next: "see why: holdfast events; and there: journalctl -u holdfast")
                }
                if let found = Self.progress(before, now) {
                    (words, backSince) = (found, nil)
                } else if let since = backSince {
                    if clock.now - since >= Self.standing { return Self.tellBack(before, now) }
                } else {
                    (words, backSince) = ("\(name) is back and takes guests", clock.now)
                }
            } catch let failure as CommandFailure
                where [ExitStatus.unreachable, ExitStatus.timedOut].contains(failure.exitCode)
            {
                (words, backSince) = (failure.message, nil)
            }
            if !words.isEmpty, words != told {
                Terminal.current.note(words)
                told = words
            }
            guard clock.now < end else {
                throw CommandFailure(
                    ExitStatus.timedOut, "not back after \(limit): \(told)",
                    next:
                        "it goes on without this command; wait on: holdfast host reboot \(name) --wait; or take it back: "
                        + "holdfast host reboot \(name) --cancel")
            }
            try await clock.sleep(until: min(clock.now + Self.pause, end))
        }
    }

    private static func tellBack(_ before: Snapshot, _ now: Snapshot) {
        let elsewhere = elsewhere(before, now)
        let name = before.host.name
        Terminal.current.note(
            elsewhere.isEmpty
                ? "all that \(name) had is there again"
                : "all that \(name) had is served; \(elsewhere.joined(separator: ", "))")
    }
}
