// `holdfast-sim traces`: writes what the consensus did in simulated runs as TLA+ modules, for the specification to judge.
// Simulation/Specification/traces.sh runs TLC on them.

import ArgumentParser
import Foundation
import SimulationFaults
import SimulationTraces
import SimulationWorld

struct TracesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "traces",
        abstract:
            "Writes traces of the consensus as TLA+ modules: good ones, and ones broken by hand that must be refused.")

    @Option(help: "The directory to write observed/TraceData.tla, broken/TraceData.tla and broken.txt to.")
    var tla: String
    @Option(help: "How many traces.")
    var count = 200
    @Option(name: .customLong("from"), help: "The first seed.")
    var first: UInt64 = 1
    @Option(name: .customLong("simulate"), help: "Simulated time with faults, for each seed.")
    var length = "20s"
    @Option(help: "Steps of a trace.")
    var steps = 60

    /// Traces of one seed; more of them would be of the same lab.
    private static let perSeed = 5

    func run() throws {
        let length = try Arguments.length(length)
        guard count > 0, count <= 100_000 else { throw ValidationError("--count takes 1 to 100000") }
        guard steps >= 10, steps <= 1_000 else { throw ValidationError("--steps takes 10 to 1000") }
        var traces: [ObservedTrace] = []
        var seed = first
        var barren = 0
        while traces.count < count {
            let profile = Profile.allCases[Int(seed % UInt64(Profile.allCases.count))]
            var plan = Swarm.plan(seed: seed, length: length, profile: profile)
            plan.healsWithin = nil
            // The specification has disks that keep what they were given.
            plan.timeline.removeAll { moment in
                switch moment.action {
                case .corruptLog, .wipeDisk, .saveDisk, .rollbackDisk: true
                default: false
                }
            }
            let found = Self.traces(plan, profile, steps: steps, most: min(Self.perSeed, count - traces.count))
            barren = found.isEmpty ? barren + 1 : 0
            guard barren < 100 else { throw ValidationError("a hundred seeds in a row gave no trace; simulate longer") }
            traces += found
            seed += 1
        }
        let broken = TraceBreakage.all.compactMap { $0.broken(traces) }
        let folder = URL(fileURLWithPath: tla, isDirectory: true)
        try write(traces, to: folder.appendingPathComponent("observed", isDirectory: true))
        try write(broken.map(\.trace), to: folder.appendingPathComponent("broken", isDirectory: true))
        let table = broken.map { "\($0.trace.name)\t\($0.step)\t\($0.about)" }.joined(separator: "\n") + "\n"
        try table.write(to: folder.appendingPathComponent("broken.txt"), atomically: true, encoding: .utf8)
        let total = traces.reduce(0) { $0 + $1.steps.count }
        print(
            "\(traces.count) traces of \(total) steps from seeds \(first) to \(seed - 1), \(broken.count) of "
                + "\(TraceBreakage.all.count) ways to break one")
        let missing = TraceBreakage.all.filter { breakage in !broken.contains { $0.trace.name == breakage.name } }
        if !missing.isEmpty { print("no trace could be broken by: \(missing.map(\.name).joined(separator: ", "))") }
    }

    private static func traces(_ plan: Plan, _ profile: Profile, steps: Int, most: Int) -> [ObservedTrace] {
        guard plan.members.count <= TraceWindow.mostMembers else { return [] }
        var recorder = TraceRecorder(members: plan.members.count)
        // The specification has no snapshots: a trace is of whole logs.
        var plan = plan
        plan.conditions.snapshotEvery = .max
        let world = World(plan)
        world.observer = { recorder.take($0) }
        _ = world.run()
        return TraceWindow.cut(
            recorder.steps, members: plan.members.count, name: "\(plan.name)-\(profile)", length: steps, most: most,
            withFounding: plan.seed % 8 == 1)
    }

    private func write(_ traces: [ObservedTrace], to folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try TraceModule.text(traces)
            .write(to: folder.appendingPathComponent("TraceData.tla"), atomically: true, encoding: .utf8)
    }
}
