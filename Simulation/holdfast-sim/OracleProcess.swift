// Another Raft in a process of its own, which lives for many programs: lines in, lines out.

import Foundation
import SimulationRaft

/// The oracle could not be talked to.
struct OracleError: Error, CustomStringConvertible {
    let description: String
}

/// Ends its process when it goes away.
final class OracleProcess: OtherRaft {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var buffer: [UInt8] = []
    private var consumed = 0

    init(path: String) throws {
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = ["-only-stabilize"]
        process.standardInput = input
        process.standardOutput = output
        // A process that ended is an error with words below, not a signal here.
        signal(SIGPIPE, SIG_IGN)
        try process.run()
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// An empty line ends each program, and is answered by one.
    func answers(to program: [String]) throws -> [[UInt8]] {
        var text = ""
        for line in program { text += line + "\n" }
        text += "\n"
        try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        var answers: [[UInt8]] = []
        while true {
            let line = try nextLine()
            if line.isEmpty { return answers }
            answers.append(line)
        }
    }

    private func nextLine() throws -> [UInt8] {
        var searched = consumed
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[consumed..<end])
                consumed = end + 1
                return line
            }
            buffer.removeSubrange(..<consumed)
            consumed = 0
            searched = buffer.count
            // What is there, without waiting for more.
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else {
                throw OracleError(description: "the oracle ended in the middle of a program")
            }
            buffer.append(contentsOf: more)
        }
    }
}
