// The command line of the simulator: the list of its subcommands, each of which has a file of its own.

import ArgumentParser

@main struct HoldfastSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-sim", abstract: "The simulator of a Holdfast cluster.",
        subcommands: [RaftCommand.self, RaftDifferentialCommand.self])
}
