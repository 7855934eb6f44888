// `holdfast-sim replay`: one seed again, with its story.

import ArgumentParser
import Foundation
import SimulationFaults
import SimulationWorld

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Runs one seed again and tells its story.")

    @Argument(help: "The seed.")
    var seed: UInt64
    @Option(name: .customLong("simulate"), help: "Simulated time with faults.")
    var length = "10m"
    @Option(help: "The profile it was drawn with.")
    var profile = Profile.swarm
    @Option(help: "Write a line for every event to this file.")
    var trace: String?
    @Flag(help: "First shrink the plan to the faults that matter.")
    var shrink = false
    @Option(help: "Lines of the story at its end that are printed.")
    var lines = 60

    func run() throws {
        var plan = Swarm.plan(seed: seed, length: try Arguments.length(length), profile: profile)
        if shrink, let violation = World(plan).run().violations.first {
            var shrinker = Shrinker(plan, violation)
            shrinker.run()
            plan = shrinker.plan
            print(
                "shrunk in \(shrinker.tries) runs to \(plan.timeline.count) faults within \(TimeText.length(plan.length))"
            )
        }
        let result = try Storytelling.run(plan, trace: trace, lines: lines)
        if !result.isGood { throw ExitCode(1) }
    }
}

enum Storytelling {
    /// Runs a plan and prints its story and what was violated.
    static func run(_ plan: Plan, trace: String?, lines: Int) throws -> RunResult {
        var text: [String] = []
        let world = World(plan, tells: true, listener: trace == nil ? nil : { text.append($0) })
        let result = world.run()
        if let trace {
            try text.joined(separator: "\n").appending("\n").write(toFile: trace, atomically: true, encoding: .utf8)
        }
        for line in result.story.suffix(lines) { print(line.text) }
        print("\(plan.name): \(result.events) events, hash \(String(result.hash, radix: 16))")
        for violation in result.violations {
            print("FAILED \(violation.invariant) at t+\(TimeText.seconds(violation.at)): \(violation.words)")
        }
        return result
    }
}
