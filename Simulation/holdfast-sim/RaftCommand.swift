// `holdfast-sim raft`: the consensus core on its own, driven by lines of JSON, so that any other Raft can be run beside it.
// The operations and the answers are described in Simulation/RaftAlone/README.md.

import ArgumentParser
import Foundation
import SimulationRaft

struct RaftCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raft", abstract: "Runs the consensus core on its own.",
        discussion: """
            Reads operations from standard input, one JSON object a line, and prints after each the state of every \
            member. An empty line ends a program; the next begins with nothing. Ends with 1 when a line could not be \
            carried out; its answer says why.
            """)

    func run() throws {
        var program = RaftProgram()
        while let line = readLine(strippingNewline: true) {
            try FileHandle.standardOutput.write(contentsOf: Data((program.answer(line.utf8) + "\n").utf8))
        }
        if program.errors > 0 { throw ExitCode(1) }
    }
}
