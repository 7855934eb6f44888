// `holdfast-sim shrink`: the smallest plan that fails like this one, as a scenario file with its story.

import ArgumentParser
import Foundation
import SimulationFaults
import SimulationWorld

struct ShrinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shrink",
        abstract: "Makes a failing scenario or seed as small as it fails, and prints it as a scenario file.",
        discussion: """
            The story stands in comments below the scenario. Ends with 1 when the plan fails, which is what is expected \
            here, and with 0 when there is nothing to shrink.
            """)

    @Argument(help: "A scenario file, or the number of a seed.")
    var source: String
    @Option(help: "Another seed than the file's own.")
    var seed: UInt64?
    @Option(name: .customLong("simulate"), help: "Of a seed: simulated time with faults.")
    var length = "10m"
    @Option(help: "Of a seed: the profile it was drawn with.")
    var profile = Profile.swarm
    @Option(help: "Runs to try at most.")
    var tries = 400

    func run() throws {
        let plan = try PlanSource.plan(source, seed: seed, length: length, profile: profile)
        guard let shrunk = Story.shrink(plan, mostTries: tries) else {
            return print("\(plan.name) (seed \(plan.seed)) does not fail; there is nothing to shrink")
        }
        print(shrunk.scenario, terminator: "")
        throw ExitCode(1)
    }
}
