// `holdfast-sim trace`: every event of one run, a line each, for comparing two runs and for other programs.

import ArgumentParser
import Foundation
import SimulationFaults
import SimulationWorld

struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Prints every event of one scenario or seed.",
        discussion: """
            Columns: true nanoseconds since the world began, the kind of event, the machine, and a detail that depends \
            on the kind. The last line is the hash of the run.
            """)

    @Argument(help: "A scenario file, or the number of a seed.")
    var source: String
    @Option(help: "Another seed than the file's own.")
    var seed: UInt64?
    @Option(name: .customLong("simulate"), help: "Of a seed: simulated time with faults.")
    var length = "10m"
    @Option(help: "Of a seed: the profile it was drawn with.")
    var profile = Profile.swarm

    func run() throws {
        let plan = try PlanSource.plan(source, seed: seed, length: length, profile: profile)
        let lines = TraceFile(standardOutput: ())
        let result = World(plan, listener: { lines.add($0) }).run()
        lines.add("hash \(String(result.hash, radix: 16))")
        try lines.close()
        if !result.isGood { throw ExitCode(1) }
    }
}
