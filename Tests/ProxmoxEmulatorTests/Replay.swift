// Replays a recording against the model: the same requests in the same order, and the answers side by side.
//
// The model's clock is turned by the recording: an answer "running" lets no time pass, an answer "stopped" lets as much
// pass as the task needs.

import Foundation
@testable import ProxmoxEmulator

/// What came of one record.
struct Finding {
    let number: Int
    let request: String
    let differences: [String]
}

/// What came of a recording.
struct Conformance {
    var label: String
    var matching = 0
    var excepted: [(Finding, reason: String)] = []
    var differing: [Finding] = []
    var total: Int { matching + excepted.count + differing.count }

    var line: String {
        "\(label): \(matching) of \(total) conform, \(excepted.count) excepted, \(differing.count) differ"
    }
}

struct Replay {
    private var cluster: EmulatedCluster
    /// Recorded tasks and ours.
    private var tasks: [String: UPID] = [:]
    private var ticket = ""
    private var csrf = ""
    private var other: (name: String, secret: String) = ("ops@pve!nope", "wrong")

    init(_ cluster: EmulatedCluster) { self.cluster = cluster }

    static func conformance(of transcript: Transcript) throws -> Conformance {
        var replay = Replay(try Precondition.cluster(for: transcript))
        var result = Conformance(label: transcript.label)
        for (record, next) in zip(transcript.records, transcript.records.dropFirst().map(Optional.some) + [nil]) {
            let finding = replay.replay(record, next: next)
            if finding.differences.isEmpty {
                result.matching += 1
            } else if let reason = Exceptions.reason(for: finding, of: transcript) {
                result.excepted.append((finding, reason))
            } else {
                result.differing.append(finding)
            }
        }
        return result
    }

    /// - Parameter next: what was recorded after it.
    private mutating func replay(_ record: Record, next: Record?) -> Finding {
        switch record.kind {
        case .shell(let command):
            return Finding(number: record.number, request: command, differences: run(command, record))
        case .request(let method, let path, let parameters, let auth):
            return Finding(
                number: record.number, request: "\(method) \(path)",
                differences: ask(method, path, parameters, auth, record, next: next))
        }
    }

    // MARK: Requests

    private mutating func ask(
        _ method: String, _ path: String, _ parameters: [String: JSON], _ auth: String, _ record: Record, next: Record?
    ) -> [String] {
        let parts = path.split(separator: "?", maxSplits: 1)
        var request = APIRequest(
            method: method, path: translated(String(parts.first ?? "")), parameters: parameters,
            credentials: credentials(auth, record.note))
        if parts.count > 1 { request.addForm(parts[1]) }
        let isStatus = path.hasSuffix("/status") && path.contains("/tasks/UPID")
        if isStatus, record.body["data"]?["status"]?.string == "stopped" { finishTask(in: path) }
        // The recorder asked ten times within the eleven seconds between two rounds of the manager.
        if path.hasSuffix("/ha/status/current") { cluster.advance(milliseconds: 1_050) }
        if path.hasSuffix("/manager_status") { cluster.advance(milliseconds: 1_500) }
        let response = cluster.ask(record.host, request)
        // A task that was seen running next has not ended in between.
        if !isStatus, next?.body["data"]?["status"]?.string != "running" { cluster.advance(milliseconds: 25) }
        remember(record, response)
        var found: [String] = []
        if response.status != record.status { found.append("status \(response.status) instead of \(record.status)") }
        let reasons = (Comparison.normalized(record.reason), Comparison.normalized(response.reason))
        if reasons.0 != reasons.1 { found.append("reason \"\(reasons.1)\" instead of \"\(reasons.0)\"") }
        return found + Comparison.differences(record.body, response.body ?? "")
    }

    private func translated(_ path: String) -> String {
        var path = path
        for (recorded, ours) in tasks { path = path.replacingOccurrences(of: recorded, with: ours.description) }
        return path
    }

    private mutating func finishTask(in path: String) {
        guard let recorded = path.split(separator: "/").first(where: { $0.hasPrefix("UPID:") }),
            let upid = tasks[String(recorded)]
        else { return }
        // Longer than any task takes; a task that waits for ever is then shown as running.
        for _ in 0..<7_000 {
            guard cluster.hosts[upid.node]?.tasks[upid]?.exitStatus == nil else { return }
            cluster.advance(milliseconds: 100)
        }
    }

    private mutating func remember(_ record: Record, _ response: APIResponse) {
        let data = response.body?["data"]
        if let recorded = record.body["data"]?.string, recorded.hasPrefix("UPID:"),
            let ours = data?.string.flatMap(UPID.init)
        {
            tasks[recorded] = ours
        }
        if let text = data?["ticket"]?.string {
            ticket = text
            csrf = data?["CSRFPreventionToken"]?.string ?? ""
        }
        if let name = data?["full-tokenid"]?.string { other = (name, data?["value"]?.string ?? "") }
    }

    private func credentials(_ auth: String, _ note: String) -> Credentials {
        switch (auth, note) {
        case (_, "wrong secret"): .token(name: "ops@pve!agent", secret: "wrong")
        case (_, "unknown token"): .token(name: "ops@pve!nope", secret: "wrong")
        case (_, "malformed token"): Credentials(authorization: "PVEAPIToken=nonsense", cookie: nil, csrf: nil)
        case (_, "other scheme"): Credentials(authorization: "Basic b3BzOng=", cookie: nil, csrf: nil)
        case (_, "ticket GET"), (_, "ticket POST without CSRF"): .ticket(ticket, csrf: nil)
        case (_, "ticket POST bad CSRF"): .ticket(ticket, csrf: "bad")
        case (_, "ticket POST good CSRF, VM missing"): .ticket(ticket, csrf: csrf)
        case ("none", _): .none
        case ("other", _): .token(name: other.name, secret: other.secret)
        default: .token(name: "ops@pve!agent", secret: Precondition.secret)
        }
    }

    // MARK: Commands

    private mutating func run(_ command: String, _ record: Record) -> [String] {
        guard let outcome = outcome(of: command, on: record.host) else { return ["not a command of the emulator"] }
        var found: [String] = []
        if Int(outcome.code) != record.code { found.append("code \(outcome.code) instead of \(record.code)") }
        // Some recordings have both streams in one.
        let ours = Comparison.normalized(outcome.output + outcome.errors)
        let recorded = Comparison.normalized(record.output + record.errors)
        if ours != recorded { found.append("printed \"\(ours)\" instead of \"\(recorded)\"") }
        return found
    }

    private mutating func outcome(of command: String, on name: String) -> CommandOutcome? {
        // A pause before the command would be the recorder's; the daemons have followed by then.
        cluster.advance(milliseconds: 1_500)
        switch command {
        case "cat /etc/pve/.members":
            return CommandOutcome(output: cluster.hosts[name]?.visibleFiles[".members"] ?? "")
        case "touch /etc/pve/x": return touch("x", name)
        case "rm /etc/pve/x": return CommandOutcome()
        case "touch /etc/pve/local/qemu-server/100.conf": return touch("nodes/\(name)/qemu-server/100.conf", name)
        case "pvecm status | tail -22":
            guard let whole = run(["pvecm", "status"], name) else { return nil }
            let lines = whole.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().suffix(22)
            return CommandOutcome(output: lines.map { $0 + "\n" }.joined())
        case "cat /etc/pve/nodes/pve2/qemu-server/111.conf | head -3":
            let lines = (cluster.hosts[name]?.files.read("nodes/pve2/qemu-server/111.conf") ?? "").split(
                separator: "\n")
            return CommandOutcome(output: lines.prefix(3).map { $0 + "\n" }.joined())
        case "qm showcmd 100 | cut -c1-150":
            guard let whole = run(["qm", "showcmd", "100"], name) else { return nil }
            return CommandOutcome(output: String(whole.output.prefix(150)) + "\n")
        default:
            let words = command.split(separator: " ").map(String.init)
            guard !command.contains(where: { "|;&>".contains($0) }) else { return composite(command, name) }
            guard ["pvecm", "qm", "pct", "mv"].contains(words[0]) else { return nil }
            return run(words, name)
        }
    }

    /// Recorded command lines that are more than one command: their effect, so that the recording can go on.
    private mutating func composite(_ command: String, _ name: String) -> CommandOutcome? {
        if command.contains("showcmd 100 --pretty") {
            _ = try? cluster.change(name) { host throws(APIError) in try host.startByHand(GuestID(.qemu, 100)) }
        }
        if command.contains("pmxcfs -l") {
            _ = try? cluster.change(name) { host throws(APIError) in host.setLocal(true) }
        }
        if command.hasPrefix("mv /etc/pve/nodes/pve2/qemu-server/111.conf") {
            _ = run(["mv", "/etc/pve/nodes/pve2/qemu-server/111.conf", "/etc/pve/nodes/pve1/qemu-server/"], name)
            _ = run(["qm", "start", "111"], name)
        }
        return nil
    }

    private mutating func touch(_ path: String, _ name: String) -> CommandOutcome {
        do throws(APIError) {
            try cluster.change(name) { host throws(APIError) in try host.writeByHand(path, "") }
            return CommandOutcome()
        } catch {
            let verb = path == "x" ? "cannot touch" : "setting times of"
            let shown = path == "x" ? "x" : path.replacingOccurrences(of: "nodes/\(name)", with: "local")
            return CommandOutcome(code: 1, errors: "touch: \(verb) '/etc/pve/\(shown)': Permission denied\n")
        }
    }

    private mutating func run(_ words: [String], _ name: String) -> CommandOutcome? {
        guard
            let progress = try? cluster.change(name, { host throws(APIError) in host.command(words) })
        else { return nil }
        switch progress {
        case .done(let outcome): return outcome
        case .waits(let upid):
            for _ in 0..<1_000 {
                if let outcome = cluster.hosts[name]?.outcome(of: upid) { return outcome }
                cluster.advance(milliseconds: 100)
            }
            return nil
        }
    }
}
