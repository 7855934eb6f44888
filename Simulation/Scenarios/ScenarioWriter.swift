// From a plan to a scenario file that reads back as the same plan: what the shrinker prints, to be kept as a regression.
// Only what differs from the defaults is written, but for what every scenario must say.

import Cluster
import Consensus
import Kinds
import SimulationWorld

public enum ScenarioWriter {
    /// The plan as YAML.
    public static func text(_ plan: Plan) -> String {
        var lines = [
            "name: \(quoted(plan.name))",
            "about: \(quoted(plan.about.isEmpty ? "A plan that was drawn, not written." : plan.about))",
            "seed: \(plan.seed)", "duration: \(TimeText.length(plan.length))",
        ]
        if let bound = plan.healsWithin { lines.append("heal: \(TimeText.length(bound))") }
        lines += machines(plan)
        lines += workloads(plan)
        if !plan.addresses.isEmpty {
            lines.append("addresses:")
            lines += plan.addresses.map { address in
                var parts = [
                    "address: \(address.address)", "candidates: [\(address.candidates.joined(separator: ", "))]",
                    "preempt: \(address.preempt)",
                ]
                if address.follows { parts.append("follow: health") }
                return "  \(quoted(address.name)): {\(parts.joined(separator: ", "))}"
            }
        }
        lines += conditions(plan)
        lines += timing(plan.timing)
        if !plan.timeline.isEmpty {
            lines.append("timeline:")
            lines += plan.timeline.map { "  - {at: \(TimeText.length($0.at)), do: \(quoted("\($0.action)"))}" }
        }
        lines += expectations(plan.expect)
        return lines.joined(separator: "\n") + "\n"
    }

    static func quoted(_ text: String) -> String {
        var escaped = ""
        for character in text {
            if character == "\"" || character == "\\" { escaped += "\\" }
            escaped.append(character)
        }
        return "\"\(escaped)\""
    }

    // MARK: The lab

    /// The hosts with which the plan begins stand under `hosts`; everybody else follows in the order of the plan.
    private static func machines(_ plan: Plan) -> [String] {
        let hosts = plan.members.prefix { $0.kind == .host }
        let others = plan.members.dropFirst(hosts.count)
        var lines = ["hosts:"] + hosts.map { "  \(quoted($0.name)): {\(quirks($0).joined(separator: ", "))}" }
        guard !others.isEmpty else { return lines }
        lines.append("members:")
        lines += others.map { member in
            var parts = ["kind: \(member.kind.rawValue)"]
            if !member.host.isEmpty { parts.append("host: \(quoted(member.host))") }
            if !member.workload.isEmpty { parts.append("workload: \(quoted(member.workload))") }
            return "  \(quoted(member.name)): {\((parts + quirks(member)).joined(separator: ", "))}"
        }
        return lines
    }

    private static func quirks(_ member: Plan.Member) -> [String] {
        var parts: [String] = []
        let usual = Plan.Member(name: member.name, kind: member.kind)
        let isHost = member.kind == .host
        if isHost, member.memory != usual.memory { parts.append("memory: \(ByteSize.text(member.memory))") }
        if isHost, member.cores != usual.cores { parts.append("cores: \(member.cores)") }
        if member.version != "1.0.0" { parts.append("version: \(member.version)") }
        if member.driftPartsPerMillion != 0 { parts.append("drift: \(member.driftPartsPerMillion)ppm") }
        if member.joinsLater { parts.append("joins: later") }
        return parts
    }

    private static func conditions(_ plan: Plan) -> [String] {
        let (now, usual) = (plan.conditions, Plan.Conditions())
        let quiet = Plan.Clients()
        func map(_ name: String, _ parts: [(String, String, Bool)]) -> [String] {
            let written = parts.filter(\.2).map { "\($0.0): \($0.1)" }
            return written.isEmpty ? [] : ["\(name): {\(written.joined(separator: ", "))}"]
        }
        var lines = map(
            "clients",
            [
                ("count", "\(plan.clients.count)", plan.clients.count != quiet.count),
                ("think", TimeText.length(plan.clients.think), plan.clients.think != quiet.think),
                ("keys", "\(plan.clients.keys)", plan.clients.keys != quiet.keys),
            ])
        lines += map(
            "wires",
            [
                ("delay", Quantity.text(now.delay), now.delay != usual.delay),
                ("loss", TimeText.percent(now.loss), now.loss != usual.loss),
                ("copies", TimeText.percent(now.copies), now.copies != usual.copies),
                ("late", TimeText.percent(now.late), now.late != usual.late),
            ])
        lines += map("disks", [("latency", Quantity.text(now.diskLatency), now.diskLatency != usual.diskLatency)])
        lines += map(
            "snapshots",
            [
                ("every", "\(now.snapshotEvery)", now.snapshotEvery != usual.snapshotEvery),
                ("chunk", "\(now.snapshotChunk)", now.snapshotChunk != usual.snapshotChunk),
            ])
        lines += map(
            "certificates",
            [("life", TimeText.length(now.certificateLife), now.certificateLife != usual.certificateLife)])
        lines += map(
            "boot",
            [
                ("hosts", Quantity.text(now.hostBoot), now.hostBoot != usual.hostBoot),
                ("guests", Quantity.text(now.guestBoot), now.guestBoot != usual.guestBoot),
            ])
        if now.probeEvery != 0 { lines.append("probe: \(TimeText.length(now.probeEvery))") }
        return lines
    }

    private static func timing(_ timing: Timing) -> [String] {
        let usual = Timing()
        var parts = ScenarioReader.timings.filter { timing[keyPath: $0.path] != usual[keyPath: $0.path] }.map {
            "\($0.name): \(TimeText.length(timing[keyPath: $0.path].nanoseconds))"
        }
        if timing.driftPartsPerMillion != usual.driftPartsPerMillion {
            parts.append("drift: \(timing.driftPartsPerMillion)ppm")
        }
        return parts.isEmpty ? [] : ["timing: {\(parts.joined(separator: ", "))}"]
    }

    // MARK: What is expected

    private static func expectations(_ expect: Plan.Expectation) -> [String] {
        var parts: [String] = []
        let final =
            expect.holders.pairs.map { name, holders in
                let words = holders.isEmpty ? "nobody" : "[\(holders.joined(separator: ", "))]"
                return "\(quoted("address:\(name)")): {holder: \(words)}"
            } + finals(expect)
        if !final.isEmpty {
            parts.append("final: {\(final.joined(separator: ", "))}")
        }
        if let within = expect.recoveredWithin { parts.append("recoveredWithin: \(TimeText.length(within))") }
        if !expect.gaps.isEmpty {
            let gaps = expect.gaps.pairs.map { "\(quoted($0)): \(TimeText.length($1))" }
            parts.append("gaps: {\(gaps.joined(separator: ", "))}")
        }
        parts += ofWorkloads(expect)
        if !expect.leader.isEmpty { parts.append("leader: [\(expect.leader.joined(separator: ", "))]") }
        if let members = expect.members { parts.append("members: [\(members.joined(separator: ", "))]") }
        if let most = expect.mostLeaderChanges { parts.append("mostLeaderChanges: \(most)") }
        if let quorum = expect.quorum { parts.append("quorum: \(quorum)") }
        return parts.isEmpty ? [] : ["expect:"] + parts.map { "  \($0)" }
    }
}
