// `doctor` and `top`: every member is asked for what it measures of itself, each at its own endpoint. What follows from it
// is said by Decisions/Diagnosis.swift.

import API
import ArgumentParser
import Cluster
import Consensus
import Decisions

/// What one member said of itself, and how it was asked.
struct MemberWord {
    var member: String
    /// Nil: it did not answer, and why.
    var readings: SelfReadings?
    var problem = ""
    /// It answered, and would not speak with whoever asked.
    var isRefusal = false
    /// This machine's clock half-way through, and how long the question took.
    var askerMilliseconds: Int64 = 0
    var tookMilliseconds: Int64 = 0
}

enum EveryMember {
    /// Asks all of them at once.
    static func ask(
        _ members: [MemberDocument], _ context: ClusterContext, within limit: Duration
    ) async throws -> [MemberWord] {
        let clock = Terminal.current.clock
        return try await withThrowingTaskGroup(of: MemberWord.self) { group in
            for member in members {
                var own = context
                own.endpoints = [member.endpoint]
                own.members = nil
                let client = try HoldfastClient(own)
                group.addTask {
                    var word = MemberWord(member: member.name)
                    let begun = clock.now()
                    do { word.readings = try await client.selfReadings(within: limit) } catch {
                        let failure = error as? CommandFailure
                        word.problem = failure.map { ([$0.message] + $0.details).joined(separator: "; ") } ?? "\(error)"
                        word.isRefusal = failure?.exitCode == ExitStatus.forbidden
                    }
                    word.tookMilliseconds = clock.now() - begun
                    word.askerMilliseconds = begun + word.tookMilliseconds / 2
                    await client.shutdown()
                    return word
                }
            }
            var words: [MemberWord] = []
            for try await word in group { words.append(word) }
            return words.sorted { $0.member < $1.member }
        }
    }
}

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Looks for what is wrong, and says what to do. Exit code 1: something is.",
        discussion: """
            Asks every member for its kernel, capabilities, clock, disk, certificate and round-trip times, and the cluster
            for its quorum and what it can lose. With -o wide also what is fine.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let terminal = Terminal.current
        let findings = try await connection.withClient { client, limit in
            var findings: [Finding] = []
            let status: StatusDocument
            do {
                status = try await client.status(.linearizable, within: limit)
                findings.append(Finding(.fine, "cluster", "a majority follows \(status.leader ?? "a leader")"))
            } catch let failure as CommandFailure where failure.exitCode == ExitStatus.unreachable {
                status = try await client.status(.local, within: limit)
                findings.append(
                    Finding(
                        .wrong, "cluster", "there is no quorum: \(failure.message)",
                        remedy: "bring voters back, or the network between them: holdfast cluster members"))
            }
            findings += Self.judge(status)
            for word in try await EveryMember.ask(status.members, client.context, within: limit) {
                findings += Self.judge(word)
            }
            return findings
        }
        let wrong = findings.filter { $0.verdict == .wrong }
        output.show(findings, name: { wrong.map(\.subject).joined(separator: "\n") }) { wide in
            DoctorText.render(findings, terminal.style, wide: wide)
        }
        if !wrong.isEmpty { throw ExitCode(ExitStatus.difference) }
    }

    static func judge(_ status: StatusDocument) -> [Finding] {
        var findings = status.tolerance.filter { !$0.canBeLost }.map { domain in
            Finding(
                .wrong, "cluster", "\(domain.domain) cannot be lost: \(domain.why.joined(separator: "; "))",
                remedy: "holdfast cluster tolerance")
        }
        if findings.isEmpty { findings.append(Finding(.fine, "cluster", "any one machine can be lost")) }
        // Certificates are judged by what members say of themselves; those that are silent by what is known of them.
        let silent = status.members.filter { !$0.reachable }
        findings += silent.map {
            Finding(
                .wrong, $0.name, "it is not heard of", remedy: "systemctl status holdfast on \($0.name), or its power")
        }
        findings += status.addresses.filter { $0.phase == .vacant }.map {
            Finding(
                .wrong, $0.name, "nobody holds \($0.address): \($0.reason)", remedy: "holdfast why virtualip/\($0.name)"
            )
        }
        findings += (status.rotation?.sentences ?? []).map {
            Finding(.advice, "cluster", $0, remedy: "holdfast cluster rotate-authority --status")
        }
        return findings
    }

    static func judge(_ word: MemberWord) -> [Finding] {
        guard let readings = word.readings else {
            // The others accept the same certificate, so it is hardly to blame.
            if word.isRefusal {
                return [
                    Finding(
                        .wrong, word.member,
                        "it refuses this context's certificate, as a member does whose clock is wrong: "
                            + word.problem,
                        remedy:
                            "date on \(word.member), and here; what it does not accept is in its log: journalctl -u holdfast"
                    )
                ]
            }
            return [
                Finding(
                    .wrong, word.member, "its API does not answer: \(word.problem)",
                    remedy: "systemctl status holdfast on \(word.member)")
            ]
        }
        return Diagnosis.judge(
            readings, askerMilliseconds: word.askerMilliseconds, uncertaintyMilliseconds: word.tookMilliseconds)
    }
}

enum DoctorText {
    static func render(_ findings: [Finding], _ style: Style, wide: Bool) -> String {
        var lines: [String] = []
        for finding in findings where wide || finding.verdict != .fine {
            let sign: String =
                switch finding.verdict {
                case .fine: style.good("fine  ")
                case .advice: style.warning("advice")
                case .wrong: style.bad("WRONG ")
                }
            lines.append("\(sign)  \(finding.subject): \(finding.sentence)")
            if !finding.remedy.isEmpty { lines.append("        try: \(finding.remedy)") }
        }
        let wrong = findings.count { $0.verdict == .wrong }
        let summary = wrong == 0 ? style.good("nothing is wrong") : style.bad("\(wrong) wrong")
        lines.append("\(findings.count) looked at, \(summary)")
        return lines.joined(separator: "\n") + "\n"
    }
}

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "What the members use, and how fast their disks and the ways between them are.",
        discussion: "CPU is the share of one core since the last look; at the first look, since the agent started.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var watching: WatchOptions

    func run() async throws {
        var before: [String: SelfReadings] = [:]
        try await connection.withClient { client, limit in
            try await watching.run {
                let members = try await client.members(.local, within: limit).members
                let words = try await EveryMember.ask(members, client.context, within: limit)
                let readings = words.compactMap(\.readings)
                output.show(readings, name: { readings.map(\.member).joined(separator: "\n") }) { _ in
                    TopText.render(words, members, before: before)
                }
                for reading in readings { before[reading.member] = reading }
            }
        }
    }
}

enum TopText {
    static func render(_ words: [MemberWord], _ members: [MemberDocument], before: [String: SelfReadings]) -> String {
        var table = Table([
            "NAME", "ROLE", "CPU", "MEMORY", "UP", "FLUSH MEAN", "FLUSH 99 %", "ANSWERS IN", "WAY TO OTHERS",
        ])
        for word in words {
            let member = members.first { $0.name == word.member }
            let role = member.map { $0.leader ? "leader" : $0.voter ? "voter" : "learner" } ?? ""
            guard let readings = word.readings else {
                table.add([word.member, role, "-", "-", "-", "-", "-", "no answer", ""])
                continue
            }
            let slowest = readings.roundTrips.max { $0.microseconds < $1.microseconds }
            table.add([
                word.member, role, share(readings, before[word.member]),
                "\(readings.residentBytes >> 20) MiB", "\(readings.uptimeMilliseconds / 60_000) min",
                "\(readings.flushMeanMicroseconds) µs", "\(readings.flushBoundMicroseconds) µs",
                "\(word.tookMilliseconds) ms", slowest.map { "≤ \($0.microseconds) µs" } ?? "-",
            ])
        }
        return table.lines().joined(separator: "\n")
    }

    /// `0.4 %` of one core.
    private static func share(_ now: SelfReadings, _ before: SelfReadings?) -> String {
        let used = now.cpuMilliseconds - (before?.cpuMilliseconds ?? 0)
        let over = now.uptimeMilliseconds - (before?.uptimeMilliseconds ?? 0)
        guard over > 0 else { return "-" }
        let tenths = used * 1_000 / over
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
