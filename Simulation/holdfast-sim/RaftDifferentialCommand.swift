// `holdfast-sim raft-differential`: random programs on the consensus core and on another Raft, compared. Prints progress,
// one closing line with what was run, and for a failure the smallest program found and the line that repeats it.

import ArgumentParser
import Foundation
import SimulationRaft

struct RaftDifferentialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raft-differential", abstract: "Compares the consensus core with another Raft on random programs.")

    @Option(help: "The other Raft: a program that speaks the lines of `holdfast-sim raft`.")
    var oracle: String
    @Option(help: "How many programs to run.")
    var programs = 10_000
    @Option(help: "The seed of the first program; the others follow it.")
    var seed: UInt64 = 1
    @Option(help: "Give up after this many programs on which the two disagree.")
    var failures = 1

    func validate() throws {
        guard programs > 0, failures > 0 else { throw ValidationError("--programs and --failures must be at least 1") }
        guard seed <= UInt64.max - UInt64(programs) else { throw ValidationError("--seed is too large") }
    }

    func run() throws {
        var other = try OracleProcess(path: oracle)
        var totals = Differential.Totals()
        let clock = ContinuousClock()
        let began = clock.now
        var shown = began
        var failed = 0
        for number in seed..<seed + UInt64(programs) {
            if let failure = try Differential.run(seed: number, against: &other, totals: &totals) {
                print("program \(number): \(failure)")
                print("repeat: Simulation/RaftAlone/differential.sh --programs 1 --seed \(number)")
                failed += 1
                if failed >= failures { break }
            }
            if clock.now - shown > .seconds(10) {
                shown = clock.now
                print("\(totals.programs) programs, seed \(number)")
            }
        }
        let elapsed = clock.now - began
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        print(
            "\(totals.programs) programs (\(totals.lockstep) in lockstep), \(totals.operations) operations, "
                + "\(totals.elections) elections, \(totals.configurationChanges) configuration changes, "
                + "\(totals.comparisons) comparisons, \(totals.wholeMembers) members equal in everything; "
                + "\(failed) disagreements; \(Int(Double(totals.programs) / max(seconds, 0.001))) programs/s")
        print("left out, not in this build: \(NotInThisBuild.allCases.map(\.rawValue).joined(separator: "; "))")
        if failed > 0 { throw ExitCode(1) }
    }
}
