// The simulator's command line: scenarios, seeds, replays, and the consensus core on its own.

import ArgumentParser

@main
struct HoldfastSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-sim", abstract: "Rehearses the life and the faults of a home lab, faster than time.",
        subcommands: [
            RunCommand.self,
            SeedsCommand.self,
            FamiliesCommand.self,
            FailoversCommand.self,
            ReplayCommand.self,
            ShrinkCommand.self,
            WhatIfCommand.self,
            TraceCommand.self,
            TracesCommand.self,
            BenchCommand.self,
            GrowthCommand.self,
            RaftCommand.self,
            RaftDifferentialCommand.self,
        ])
}
