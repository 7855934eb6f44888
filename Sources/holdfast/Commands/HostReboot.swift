// `holdfast host reboot`: has a host emptied and restarted, and follows it until it is back. The host itself does all of it;
// breaking this command off changes nothing.

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
                and while another host goes down; of several that were asked at once, one goes after the other.
                """)
        @Argument(help: "The name of the host.") var name: String
        @Flag(help: "Wait until it is back, at most --timeout (30m), and say how far it is.") var wait = false
        @Flag(help: "Also when the rest would not decide, or not hold an address, without it.") var force = false
        @Flag(help: "Do not restart it after all. Too late once its agent stops.") var cancel = false
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @OptionGroup var rehearsal: RehearsalOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let host = TypedKey(argument: name)?.key.name ?? name
            let before = try await connection.withClient { client, limit in
                try await client.workloads(.linearizable, within: limit)
            }
            guard let present = before.hosts.first(where: { $0.name == host }) else {
                throw CommandFailure(
                    ExitStatus.notFound, "\(host) is no host that runs guests", next: "holdfast host list")
            }
            if !cancel, !rehearsal.dryRun {
                try Terminal.current.confirm("Empty \(host) and restart the machine?", unless: yes)
            }
            let outcome = try await connection.withClient(limit: .seconds(10), dryRun: rehearsal.dryRun) {
                client, limit in
                try await connection.requireQuorum(client)
                let plan = try await client.upgrade(within: limit)
                guard let step = plan.steps.first(where: { $0.name == host }), step.reachable else {
                    throw CommandFailure(ExitStatus.unreachable, "\(host) is away", next: "holdfast status")
                }
                let request = RebootRequest(
                    name: host, cancel: cancel ? true : nil, force: force ? true : nil)
                return try await client.withEndpoint(step.endpoint, reason: connection.reason) {
                    try await $0.reboot(request, within: limit)
                }
            }
            output.show(outcome)
            guard wait, !cancel, !rehearsal.dryRun else { return }
            try await RebootWatch(host: present, connection: connection).untilBack()
        }
    }
}

/// Follows a host that is to be restarted.
struct RebootWatch {
    private static let pause: Duration = .milliseconds(500)
    /// How long a host may take to say that it goes.
    private static let mostSilence: Duration = .seconds(10)

    /// As it was before.
    let host: HostDocument
    let connection: ConnectionOptions

    /// How far it is, in words; nil: it is back. Pure, so that it can be tested.
    static func progress(_ before: HostDocument, _ now: WorkloadsDocument) -> String? {
        guard let host = now.hosts.first(where: { $0.name == before.name }) else {
            return "\(before.name) is not known"
        }
        if host.boot != before.boot {
            if !host.reachable { return "\(host.name) is away again" }
            return host.leaving == nil ? nil : "\(host.name) has started anew"
        }
        if !host.reachable { return "\(host.name) is down" }
        let left = now.workloads.filter { ($0.host == host.name && $0.state == .running) || $0.target == host.name }
        guard !left.isEmpty else { return "\(host.name) is empty and about to restart" }
        let words = left.map { guest in guest.obstacle.map { "\(guest.name) (\($0))" } ?? guest.name }
        return "still on \(host.name): \(words.joined(separator: ", "))"
    }

    /// - Throws: `CommandFailure` when it was given up, or has not come back in time.
    func untilBack() async throws {
        let limit = connection.timeout?.duration ?? .seconds(1_800)
        let clock = ContinuousClock()
        let (began, end) = (clock.now, clock.now + limit)
        var told = ""
        var hasLeft = false
        while true {
            var words: String
            do {
                let document = try await connection.withClient { client, _ in
                    try await client.workloads(.linearizable, within: .seconds(5))
                }
                guard let found = Self.progress(host, document) else {
                    return Terminal.current.note("\(host.name) is back and takes guests")
                }
                words = found
                let now = document.hosts.first { $0.name == host.name }
                if now?.leaving != nil || now?.reachable == false { hasLeft = true }
                if now?.boot == host.boot, now?.reachable == true, now?.leaving == nil,
                    hasLeft || clock.now - began > Self.mostSilence
                {
                    throw CommandFailure(
                        ExitStatus.error, "the restart of \(host.name) was given up",
                        next: "see why: holdfast events; and there: journalctl -u holdfast")
                }
            } catch let failure as CommandFailure where failure.exitCode == ExitStatus.unreachable {
                words = failure.message
            }
            if words != told { Terminal.current.note(words) }
            told = words
            guard clock.now < end else {
                throw CommandFailure(
                    ExitStatus.timedOut, "not back after \(limit): \(words)",
                    next: "it goes on without this command; look: holdfast host list; or: holdfast host reboot "
                        + "\(host.name) --cancel")
            }
            try await clock.sleep(until: min(clock.now + Self.pause, end))
        }
    }
}
