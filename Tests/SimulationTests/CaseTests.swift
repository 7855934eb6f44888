// The scenarios of Simulation/Cases, run. In a debug build a few seeds each; Simulation/check.sh runs many in release.

import Foundation
import SimulationScenarios
import SimulationWorld
import Testing

@testable import holdfast_sim

@Suite struct CaseTests {
    /// Longer scenarios are run with one seed here.
    private static let longest: Int64 = 600_000_000_000

    @Test(arguments: Tree.scenarioNames) func aScenarioHoldsWithEverySeed(name: String) throws {
        let plan = try Tree.plan(name)
        #expect(plan.name == name, "the file and the scenario have the same name")
        #expect(plan.about.last.map { ".!?".contains($0) } == true, "\(name): one sentence says what is shown")
        for seed in 1...(plan.length > Self.longest ? 1 : 3) as ClosedRange<UInt64> {
            expectHeld(try Tree.plan(name, seed: seed))
        }
    }

    @Test func oneSeedGivesOneTrace() throws {
        let plan = try Tree.plan("host-dies")
        var lines: [String] = []
        let first = World(plan, listener: { lines.append($0) }).run()
        var again: [String] = []
        let second = World(plan, tells: true, listener: { again.append($0) }).run()
        #expect(first.hash == second.hash)
        #expect(lines == again)
        var other = plan
        other.seed = 2
        #expect(World(other).run().hash != first.hash)
    }

    // MARK: Every command at every step

    private static let bases = [
        "host-dies", "other-host-dies", "witness-down-then-host-returns", "witness-has-the-only-copy",
        "upgrade-in-mid-failover", "whole-lab-loses-power",
    ]

    private static func commands(_ plan: Plan) -> [Happening] {
        var commands: [Happening] = [
            .transferLeadership(nil), .transferLeadership("pve2"), .transferLeadership("witness"), .retime(400),
            .remove("witness"), .version("pve2", "1.2.0"), .rollBack,
        ]
        for address in plan.addresses {
            commands += [
                .move(address.name, address.candidates[1]), .delete(address.name),
                .redeclare(address.name, candidates: address.candidates.reversed(), preempt: "always"),
                .tryOut(address.name, candidates: [address.candidates[1]], 3_000_000_000),
            ]
        }
        return commands
    }

    /// 58: whatever people command, and whenever, no promise is broken and everything declared becomes true. What a
    /// scenario expects of its own story is left out: a command may well change who leads or holds.
    @Test("58 every operator command at every step", arguments: bases)
    func everyCommandAtEveryStep(name: String) throws {
        var base = try Tree.plan(name)
        base.expect = Plan.Expectation()
        base.clients.count = 1
        base.timeline.removeAll { "\($0.action)".hasPrefix("expect-") }
        let steps = base.timeline.map(\.at)
        var number: UInt64 = 0
        for (position, command) in Self.commands(base).enumerated() {
            for (place, step) in steps.enumerated() where (place + position) % 2 == 0 {
                // Before the step, in the middle of what it sets off, and when that is nearly done.
                let after = [-20_000_000, 150_000_000, 420_000_000][(place + position) % 3] as Int64
                var plan = base
                number += 1
                plan.seed = number
                plan.timeline.append(Plan.Moment(at: max(step + after, 0), action: command))
                plan.timeline.sort { $0.at < $1.at }
                plan.length = min(plan.length, plan.timeline[plan.timeline.count - 1].at + 10_000_000_000)
                expectHeld(plan, ", \(command) at \(TimeText.seconds(step + after))")
            }
        }
    }
}
