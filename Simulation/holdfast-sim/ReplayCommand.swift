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
        if shrink, let shrunk = Story.shrink(plan) {
            plan = shrunk.plan
            print(
                "shrunk in \(shrunk.tries) runs to \(plan.timeline.count) faults within \(TimeText.length(plan.length))"
            )
        }
        let file = try trace.map { try TraceFile(path: $0) }
        let result = World(plan, tells: true, listener: file.map { file in { file.add($0) } }).run()
        try file?.close()
        for line in shrink ? Story.short(result.story, most: lines) : result.story.suffix(lines).map(\.text) {
            print(line)
        }
        print("\(plan.name): \(result.events) events, hash \(String(result.hash, radix: 16))")
        for violation in result.violations {
            print("FAILED \(violation.invariant) at t+\(TimeText.seconds(violation.at)): \(violation.words)")
        }
        if !result.isGood { throw ExitCode(1) }
    }
}
