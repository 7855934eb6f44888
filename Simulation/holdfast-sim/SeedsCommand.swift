// `holdfast-sim seeds`: many random plans, one line for each that fails.

import ArgumentParser
import Consensus
import Dispatch
import Foundation
import SimulationFaults
import SimulationWorld
import Synchronization

extension Profile: ExpressibleByArgument {}

struct SeedsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seeds",
        abstract: "Runs random plans, one for each seed, and tells which promise was broken where.")

    @Option(help: "How many seeds.")
    var count = 100
    @Option(name: .customLong("from"), help: "The first seed.")
    var first: UInt64 = 1
    @Option(name: .customLong("simulate"), help: "Simulated time with faults, for each seed: 90s, 10m.")
    var length = "10m"
    @Option(help: "What the faults are about: \(Profile.allCases.map(\.rawValue).joined(separator: ", ")).")
    var profile = Profile.swarm
    @Option(help: "Seeds run side by side; 0: one for each core.")
    var jobs = 0
    @Option(help: "How many failing seeds are shrunk and told as stories.")
    var stories = 3
    @Flag(help: "Fail when a branch of the protocol was never reached: what was not tried is not shown.")
    var allMarks = false
    @Flag(help: "One JSON object at the end.")
    var json = false

    func run() throws {
        let length = try Arguments.length(length)
        guard count > 0, count <= 10_000_000 else { throw ValidationError("--count takes 1 to 10000000") }
        let interruption = Interruption()
        let corpus = Corpus(
            first: first, count: count, length: length, profile: profile,
            jobs: jobs > 0 ? jobs : ProcessInfo.processInfo.activeProcessorCount, interruption: interruption)
        var summary = corpus.run(quiet: json)
        if !json { print(summary.text()) }
        for position in summary.failures.indices.prefix(stories) where !interruption.wasAsked {
            let failure = summary.failures[position]
            let plan = Swarm.plan(seed: failure.seed, length: length, profile: profile)
            guard let shrunk = Story.shrink(plan) else { continue }
            summary.failures[position].story = shrunk.lines
            guard !json else { continue }
            print("seed \(failure.seed), shrunk to \(shrunk.plan.timeline.count) faults:")
            for line in shrunk.lines { print("  \(line)") }
        }
        if json { print(try summary.json()) }
        if !summary.failures.isEmpty { throw ExitCode(1) }
        if allMarks, !summary.missingMarks.isEmpty, !interruption.wasAsked { throw ExitCode(1) }
        if interruption.wasAsked { throw ExitCode(130) }
    }
}
