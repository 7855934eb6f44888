// What the simulator says of a change before it is made: whether the cluster would survive the loss of each machine, and
// whether its Scenarios hold. Like what-if it runs in the person's own process.

import API
import Cluster
import Consensus
import Kinds
import SimulationWhatIf

/// The verdict on one change.
struct ChangeVerdict: Encodable {
    /// The loss of each machine after the change.
    var losses: [SeriesRow]
    /// The Scenarios after the change, those that it declares among them.
    var scenarios: [ScenarioCheck]
    /// Names of those that hold now, would not afterwards, and say `enforce: refuse`.
    var broken: [String]
    var sentence: String

    /// As it stands in a plan.
    func lines(_ style: Style) -> [String] {
        var lines = [sentence]
        for row in losses where !row.isSurvived { lines.append("  \(row.supposed): \(row.verdict)") }
        for scenario in scenarios where !scenario.holds {
            let name = broken.contains(scenario.name) ? style.bad(scenario.name) : style.warning(scenario.name)
            lines += ["\(name) would not hold:"] + scenario.complaints.map { "  \($0)" }
        }
        return lines
    }
}

/// A plan together with its verdict, as scripts read it: the plan's own fields, and one more.
struct JudgedPlan: Encodable {
    var plan: PlanDocument
    /// Absent when none could be given.
    var verdict: ChangeVerdict?

    private enum Keys: String, CodingKey { case verdict }

    func encode(to encoder: any Encoder) throws {
        try plan.encode(to: encoder)
        var container = encoder.container(keyedBy: Keys.self)
        try container.encodeIfPresent(verdict, forKey: .verdict)
    }
}

struct ChangeRehearsal {
    /// A plan is not to be waited for much longer than any other question.
    static let limit: Duration = .seconds(20)

    var declarations: [Declaration] = []
    var deletions: [ResourceKey] = []

    /// The cluster as it would be.
    private func changed(_ cluster: PresentCluster) -> PresentCluster {
        var changed = cluster
        if !declarations.isEmpty { apply(.apply(declarations: declarations, checkRevision: nil), to: &changed.state) }
        if !deletions.isEmpty { apply(.delete(keys: deletions, checkRevision: nil), to: &changed.state) }
        return changed
    }

    private func apply(_ command: Command, to state: inout ClusterState) {
        _ = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 0, request: state.revision + 1, settled: 0), milliseconds: 0,
                actor: "plan", command: command))
    }

    /// The verdict, with the loss of each machine; nil, and a note, when none can be given.
    func verdict(_ client: HoldfastClient, _ limit: Duration) async -> ChangeVerdict? {
        do {
            let cluster = try await Rehearsing.present(client, .linearizable, limit)
            let before = try Rehearsing(cluster, within: Self.limit)
            let after = try Rehearsing(changed(cluster), within: Self.limit)
            let rows = try after.cluster.machineLosses.map {
                SeriesRow(try after.forecast([$0], seed: WhatIf.usualSeed))
            }
            let scenarios = try after.scenarios()
            let survived = rows.count(where: \.isSurvived)
            let longest =
                rows.compactMap(\.longestGap).max().map { "; the longest gap is \(Forecast.length($0))" } ?? ""
            return ChangeVerdict(
                losses: rows, scenarios: scenarios, broken: try broken(scenarios, before: before),
                sentence: "Verdict: the loss of \(survived) of \(rows.count) machines would be survived\(longest).")
        } catch let failure as CommandFailure {
            Terminal.current.note("there is no verdict of the simulator: \(failure.message)")
        } catch {
            Terminal.current.note("there is no verdict of the simulator: \(error)")
        }
        return nil
    }

    /// Scenarios that hold before the change and not after it, of those that are enforced.
    private func broken(_ after: [ScenarioCheck], before: Rehearsing) throws -> [String] {
        let failing = after.filter { !$0.holds && $0.isEnforced }
        guard !failing.isEmpty else { return [] }
        let now = try before.scenarios()
        return failing.map(\.name).filter { name in
            // One that does not hold as it is must not stand in the way of what might mend it.
            now.first { $0.name == name }?.holds ?? true
        }
    }

    /// Before an apply or a delete: refuses what would break a Scenario that is enforced, and warns of the others.
    /// - Throws: `CommandFailure` with the exit code for what is unsafe.
    func holdScenarios(_ client: HoldfastClient, _ limit: Duration, force: Bool) async throws {
        let declaresAny = declarations.contains { $0.kind == ScenarioSpec.schema.kind }
        if !declaresAny {
            let known = try await client.resources(ofKind: ScenarioSpec.schema.kind, .linearizable, within: limit)
            guard !known.resources.isEmpty else { return }
        }
        let cluster = try await Rehearsing.present(client, .linearizable, limit)
        let after = try Rehearsing(changed(cluster), within: Self.limit)
        let scenarios = try after.scenarios()
        let broken = try broken(scenarios, before: try Rehearsing(cluster, within: Self.limit))
        let failing = scenarios.filter { !$0.holds }
        guard !failing.isEmpty else { return }
        let words = failing.flatMap { check in check.complaints.map { "\(check.name): \($0)" } }
        guard broken.isEmpty || force else {
            throw CommandFailure(
                ExitStatus.unsafe, "\(broken.joined(separator: " and ")) would not hold any more",
                next: "see how it would go: holdfast plan; or insist: --force", details: words)
        }
        for line in words { Terminal.current.note("warning: \(line)") }
    }
}

extension Rehearsing {
    func scenarios() throws -> [ScenarioCheck] {
        try within { (isCancelled) throws(RehearsalRefusal) in
            try WhatIf.check(scenariosOf: cluster, isCancelled: isCancelled)
        }
    }
}
