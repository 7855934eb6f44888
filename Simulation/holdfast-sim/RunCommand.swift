// `holdfast-sim run`: scenario files, and whether what they expect holds.

import ArgumentParser
import Foundation
import SimulationChecks
import SimulationWorld

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs scenario files and tells whether everything they promise holds.",
        discussion: """
            Ends with 0 when everything held, with 1 when something did not, with 2 when a file is no scenario. \
            Of a directory, all files that end in .yaml, .yml or .json are run.
            """)

    @Argument(help: "Scenario files, or directories of them.")
    var paths: [String]
    @Option(help: "Another seed than the file's own.")
    var seed: UInt64?
    @Option(help: "Run each with so many seeds, beginning with its own.")
    var seeds = 1
    @Flag(help: "One JSON object for each run, on a line of its own.")
    var json = false
    @Option(help: "Write a line for every event to this file (one scenario only).")
    var trace: String?
    @Option(help: "Write what all clients were told to this file (one scenario only).")
    var history: String?
    @Flag(help: "Tell the whole story, not only that of a failure.")
    var story = false

    func validate() throws {
        guard (1...1_000_000).contains(seeds) else { throw ValidationError("--seeds takes 1 to 1000000") }
        if seeds > 1, trace != nil || history != nil {
            throw ValidationError("--trace and --history are about one run; leave --seeds out")
        }
    }

    func run() throws {
        let plans = try read()
        if plans.count > 1, trace != nil || history != nil {
            throw ValidationError("--trace and --history are about one run, and there are \(plans.count) scenarios")
        }
        let interruption = Interruption()
        var failed = 0
        var runs = 0
        for plan in plans {
            for offset in 0..<UInt64(seeds) where !interruption.wasAsked {
                var plan = plan
                plan.seed = (seed ?? plan.seed) &+ offset
                runs += 1
                let held = try perform(plan, interruption)
                if !held { failed += 1 }
            }
        }
        if !json, runs > 1 { print("\(runs) runs of \(plans.count) scenarios: \(failed) failed") }
        if interruption.wasAsked { throw ExitCode(130) }
        if failed > 0 { throw ExitCode(1) }
    }

    /// All scenarios, or every error of all of them.
    private func read() throws -> [Plan] {
        var plans: [Plan] = []
        var errors: [String] = []
        for path in paths {
            do {
                for file in try ScenarioFiles.find(path) {
                    do { plans.append(try ScenarioFiles.plan(file)) } catch { errors.append("\(error)") }
                }
            } catch {
                errors.append("\(error)")
            }
        }
        guard errors.isEmpty else {
            for error in errors { FileHandle.standardError.write(Data("\(error)\n".utf8)) }
            throw ExitCode(2)
        }
        return plans
    }

    private func perform(_ plan: Plan, _ interruption: Interruption) throws -> Bool {
        let lines = try trace.map { try TraceFile(path: $0) }
        let world = World(plan, tells: story, listener: lines.map { lines in { lines.add($0) } })
        world.isCancelled = { interruption.wasAsked }
        let began = Date()
        let result = world.run()
        let wall = Date().timeIntervalSince(began)
        // A run that was cut short says nothing.
        if interruption.wasAsked { return true }
        try lines?.close()
        if let history {
            try Data(try world.clientHistory.encoded()).write(to: URL(fileURLWithPath: history))
        }
        // Stories cost time, so a run tells its own only once it has failed.
        var words = story ? result.story.map(\.text) : []
        if !story, !result.isGood { words = Story.short(World(plan, tells: true).run().story) }
        let report = RunReport(result, wallSeconds: wall, story: story ? Story.short(result.story) : words)
        if json {
            print(try report.json())
        } else {
            if story { for line in words { print(line) } }
            for line in report.text() { print(line) }
        }
        return result.isGood
    }
}

/// A trace on its way to a file, a buffer at a time: an hour of simulated time has millions of lines.
final class TraceFile {
    private let handle: FileHandle
    private var buffer = Data()

    init(path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw ValidationError("\(path) cannot be written") }
        self.handle = handle
    }

    init(standardOutput: Void) { handle = .standardOutput }

    func add(_ line: String) {
        buffer.append(contentsOf: line.utf8)
        buffer.append(UInt8(ascii: "\n"))
        guard buffer.count > 1 << 20 else { return }
        flush()
    }

    private func flush() {
        // A reader that has gone away (`| head`) ends the process by SIGPIPE, as it does with every filter.
        handle.write(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    func close() throws { flush() }
}
