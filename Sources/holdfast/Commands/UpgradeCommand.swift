// `holdfast cluster upgrade`: restarts the agents onto the version that is installed beside them, one after the other, and
// halts when what is left would not decide or would not hold an address. What installs the version is the package manager.
//
// Every step is asked for anew, of the cluster and of the member itself, so the command may be broken off at any moment and
// given again: it goes on where it was.

import API
import ArgumentParser
import Cluster

extension ClusterCommand {
    struct Upgrade: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "upgrade",
            abstract: "Restarts the agents onto the version that is installed, one by one, in a safe order.",
            discussion: """
                First install the new package on every member; the agents go on running. Then this command restarts them:
                witnesses first, then guests, then hosts, the leader last, after it has handed over. Before each it waits
                until the others decide without it and can hold what it holds; when that does not come about within
                --timeout (2m for each), it halts with exit code 8, and the same command goes on later. When every member
                understands it, the cluster raises its feature level by itself; from then on nobody goes back.
                """)

        @Argument(help: "Only these members.") var members: [String] = []
        @Flag(help: "Show what would be done, and what stands in the way now.") var dryRun = false
        @Flag(help: "Restart also those that run what is installed.") var all = false
        @Flag(help: "Restart also when something is away meanwhile: a cluster of one or two, an address of one.")
        var force = false
        @Flag(help: "Restart nobody; raise the feature level now and leave those behind that do not understand it.")
        var leaveBehind = false
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let limit = connection.timeout?.duration ?? .seconds(120)
            try await connection.withClient(limit: limit) { client, limit in
                try await connection.requireQuorum(client)
                if leaveBehind { return try await raise(client, limit) }
                let survey = try await UpgradeSurvey.take(client, only: members, all: all)
                show(survey)
                let due = survey.due
                guard !dryRun, !due.isEmpty else { return }
                let names = due.map(\.step.name).joined(separator: ", ")
                try Terminal.current.confirm("Restart the agents of \(names), one after the other?", unless: yes)
                let walk = UpgradeWalk(client: client, limit: limit, force: force, reason: connection.reason)
                try await walk.go(through: due)
            }
        }

        private func raise(_ client: HoldfastClient, _ limit: Duration) async throws {
            let plan = try await client.upgrade(within: limit)
            let newest = plan.steps.filter(\.reachable).map(\.level).min() ?? plan.level
            let behind = plan.steps.filter { $0.level < newest }.map(\.name)
            try Terminal.current.confirm(
                "Raise the feature level to \(newest)"
                    + (behind.isEmpty ? "?" : " and leave \(behind.joined(separator: ", ")) behind until upgraded?"),
                unless: yes)
            output.show(try await client.raiseLevel(RaiseLevelRequest(without: behind), within: limit))
        }

        private func show(_ survey: UpgradeSurvey) {
            output.show(survey.members, name: { survey.due.map(\.step.name).joined(separator: "\n") }) { _ in
                var table = Table(["MEMBER", "KIND", "RUNS", "INSTALLED", "NEXT"])
                for member in survey.members {
                    table.add([
                        member.step.name, member.step.kind + (member.step.leader ? " (leads)" : ""),
                        member.step.version, member.installed ?? "-", member.words,
                    ])
                }
                return (table.lines() + ["feature level in force: \(survey.level)"]).joined(separator: "\n")
            }
        }
    }
}

/// What is to be done with each member, in order.
struct UpgradeSurvey {
    struct Member: Encodable {
        var step: UpgradeStepDocument
        /// The version that a restart would run; nil when the member did not say.
        var installed: String?
        var isDue: Bool
        /// What is done with it and why, in a few words.
        var words: String
    }

    var level: UInt64
    var members: [Member]
    var due: [Member] { members.filter(\.isDue) }

    /// Asks the cluster, and every member what is installed there.
    static func take(_ client: HoldfastClient, only names: [String], all: Bool) async throws -> UpgradeSurvey {
        let plan = try await client.upgrade(within: ConnectionOptions.limit())
        if let unknown = names.first(where: { name in !plan.steps.contains { $0.name == name } }) {
            throw CommandFailure(
                ExitStatus.notFound, "no member is called \(unknown)", next: "holdfast cluster members")
        }
        var members: [Member] = []
        for step in plan.steps where names.isEmpty || names.contains(step.name) {
            members.append(await look(at: step, client, all: all))
        }
        return UpgradeSurvey(level: plan.level, members: members)
    }

    private static func look(at step: UpgradeStepDocument, _ client: HoldfastClient, all: Bool) async -> Member {
        guard step.reachable else {
            return Member(step: step, isDue: false, words: "is away; it is told when it comes back")
        }
        let answer: InstalledDocument
        do {
            answer = try await client.withEndpoint(step.endpoint) { try await $0.installed(within: .seconds(10)) }
        } catch {
            return Member(step: step, isDue: false, words: "cannot be asked at \(step.endpoint): \(Self.words(error))")
        }
        guard let installed = answer.installed else {
            return Member(step: step, isDue: false, words: answer.problem ?? "does not say what is installed")
        }
        let isNew = installed != answer.running
        guard isNew || all else { return Member(step: step, installed: installed, isDue: false, words: "nothing") }
        guard answer.isSupervised else {
            return Member(
                step: step, installed: installed, isDue: false,
                words: "nothing would start it again: restart it by hand")
        }
        let wait = step.obstacles.isEmpty ? "" : " when it may: \(step.obstacles.joined(separator: "; "))"
        return Member(step: step, installed: installed, isDue: true, words: "restart\(wait)")
    }

    static func words(_ error: any Error) -> String { (error as? CommandFailure)?.message ?? "\(error)" }
}

/// Restarts members one after the other.
struct UpgradeWalk {
    /// Between two looks at a cluster that is to become whole.
    private static let pause: Duration = .milliseconds(250)

    let client: HoldfastClient
    /// For each member.
    let limit: Duration
    let force: Bool
    let reason: String?

    func go(through due: [UpgradeSurvey.Member]) async throws {
        var done: [String] = []
        for member in due {
            do {
                try await restart(member.step.name, at: member.step.endpoint)
            } catch let failure as CommandFailure {
                let left = due.map(\.step.name).filter { !done.contains($0) }
                throw CommandFailure(
                    failure.exitCode, "the upgrade halts before all is done: \(failure.message)",
                    next: failure.next,
                    details: [
                        "restarted: \(done.isEmpty ? "none" : done.joined(separator: ", "))",
                        "left: \(left.joined(separator: ", ")); the same command goes on with them",
                    ])
            }
            done.append(member.step.name)
        }
        let end = try await until("every restarted member is back") { plan in
            plan.steps.filter { done.contains($0.name) && !$0.reachable }.map { "\($0.name) is away" }
        }
        Terminal.current.note("done; feature level \(end.level) is in force")
    }

    private func restart(_ name: String, at endpoint: String) async throws {
        let terminal = Terminal.current
        let plan = try await until("\(name) may be restarted") { plan in
            guard let step = plan.steps.first(where: { $0.name == name }) else { return ["\(name) was removed"] }
            // With --force what it would interrupt is not waited for, but it still has to be there.
            return (step.reachable ? [] : ["\(name) is away"]) + (force ? [] : step.obstacles)
        }
        let heirs = plan.steps.filter { $0.name != name && $0.kind != MemberKind.guest.rawValue && $0.reachable }
        if plan.steps.first(where: { $0.name == name })?.leader == true, !heirs.isEmpty {
            terminal.note("\(name): hands leadership over")
            // To a host, where there is one; only the leader itself can hand over.
            let heir = heirs.first { $0.kind == MemberKind.host.rawValue }?.name
            _ = try await client.withEndpoint(endpoint, reason: reason) {
                try await $0.transferLeader(TransferRequest(to: heir), within: .seconds(10))
            }
            _ = try await until("another member leads") { plan in
                plan.steps.contains { $0.leader && $0.name != name } ? [] : ["\(name) leads still"]
            }
        }
        let before = try await client.withEndpoint(endpoint) { try await $0.installed(within: .seconds(10)) }
        terminal.note("\(name): restarts (\(before.running) -> \(before.installed ?? "?"))")
        _ = try await client.withEndpoint(endpoint, reason: reason) {
            try await $0.restart(RestartRequest(member: name, force: force ? true : nil), within: .seconds(10))
        }
        let back = try await comesBack(name, at: endpoint, before)
        terminal.note("\(name): runs \(back.running)")
    }

    /// Until another run of the member's agent answers, with what was installed, and the cluster counts on it.
    private func comesBack(
        _ name: String, at endpoint: String, _ before: InstalledDocument
    ) async throws -> InstalledDocument {
        let deadline = ContinuousClock.now + limit
        while true {
            let answer = try? await client.withEndpoint(endpoint) { try await $0.installed(within: .seconds(2)) }
            if let answer, answer.run != before.run {
                if let installed = before.installed, answer.running != installed {
                    throw CommandFailure(
                        ExitStatus.unsafe,
                        "\(name) restarted and runs \(answer.running), though \(installed) is installed",
                        next: "look there at what starts the agent: systemctl cat holdfast")
                }
                _ = try await until("\(name) is back in the cluster") { plan in
                    guard let step = plan.steps.first(where: { $0.name == name }) else {
                        return ["\(name) was removed"]
                    }
                    guard step.reachable else { return ["\(name) is away"] }
                    return step.version == answer.running
                        ? [] : ["\(name) has not said that it runs \(answer.running)"]
                }
                return answer
            }
            guard .now < deadline else {
                throw CommandFailure(
                    ExitStatus.unsafe, "\(name) did not come back within \(limit)",
                    next: "look there: journalctl -u holdfast; the version before may be installed again unless the "
                        + "feature level was raised")
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// Looks again and again until nothing stands in the way.
    /// - Throws: `CommandFailure` with exit code 8 and what stood in the way when the time is over.
    private func until(
        _ what: String, obstacles: (UpgradeDocument) -> [String]
    ) async throws -> UpgradeDocument {
        let deadline = ContinuousClock.now + limit
        var told: [String] = []
        while true {
            let found: [String]
            do {
                let plan = try await client.upgrade(within: .seconds(2))
                found = obstacles(plan)
                if found.isEmpty { return plan }
            } catch let failure as CommandFailure where failure.exitCode == ExitStatus.unreachable {
                found = [failure.message]
            }
            if found != told { Terminal.current.note("waiting until \(what): \(found.joined(separator: "; "))") }
            told = found
            guard .now < deadline else {
                throw CommandFailure(
                    ExitStatus.unsafe, "not within \(limit): \(what): \(found.joined(separator: "; "))",
                    next: "see what is away: holdfast status; nothing is broken, and the same command goes on later")
            }
            try await Task.sleep(for: Self.pause)
        }
    }
}
