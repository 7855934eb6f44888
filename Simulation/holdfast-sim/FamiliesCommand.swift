// `holdfast-sim families`: the stories of two hosts that share disks, each with many seeds.

import ArgumentParser
import Foundation
import SimulationFaults
import SimulationScenarios
import SimulationWorld

struct FamiliesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "families",
        abstract: "Runs families of two-host scenarios, each with several seeds.",
        discussion: "With --write, prints the scenario file of one family and seed instead, to run and change it.")

    @Argument(help: "Names of families; without any, all of them.")
    var names: [String] = []
    @Option(help: "Seeds of each.")
    var seeds = 5
    @Option(name: .customLong("from"), help: "The first seed.")
    var first: UInt64 = 1
    @Option(help: "How many failing runs are told as stories.")
    var stories = 3
    @Flag(help: "Print the scenario file of the first seed of each family, and run nothing.")
    var write = false
    @Flag(help: "One line for each family, with what it shows.")
    var list = false

    func validate() throws {
        guard (1...1_000_000).contains(seeds) else { throw ValidationError("--seeds takes 1 to 1000000") }
        for name in names where !Family.all.contains(where: { $0.name == name }) {
            throw ValidationError("there is no family \(name); `holdfast-sim families --list` names them")
        }
    }

    func run() throws {
        let chosen = names.isEmpty ? Family.all : Family.all.filter { names.contains($0.name) }
        if list {
            for family in chosen { print("\(family.name): \(family.about)") }
            return
        }
        if write {
            for family in chosen { print(ScenarioWriter.text(family.plan(seed: first))) }
            return
        }
        let interruption = Interruption()
        var (runs, failed, told) = (0, 0, 0)
        for family in chosen {
            var broken: [String] = []
            for seed in first..<first + UInt64(seeds) where !interruption.wasAsked {
                let plan = family.plan(seed: seed)
                let world = World(plan)
                world.isCancelled = { interruption.wasAsked }
                let result = world.run()
                if interruption.wasAsked { break }
                runs += 1
                guard let violation = result.violations.first else { continue }
                failed += 1
                broken.append("    seed \(seed): \(violation.invariant): \(violation.words)")
                guard told < stories else { continue }
                told += 1
                broken += Story.short(World(plan, tells: true).run().story).map { "      \($0)" }
            }
            if interruption.wasAsked { throw ExitCode(130) }
            print("\(broken.isEmpty ? "held  " : "FAILED") \(family.name)")
            for line in broken { print(line) }
        }
        print("\(runs) runs of \(chosen.count) families: \(failed) failed")
        if failed > 0 { throw ExitCode(1) }
    }
}
