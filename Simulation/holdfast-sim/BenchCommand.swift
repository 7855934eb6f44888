// `holdfast-sim bench`: how fast the simulator is, beside what it aims at.

import ArgumentParser
import Foundation
import SimulationFaults
import SimulationWorld

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures the simulator: events a second, and how much faster than time it runs.")

    @Option(name: .customLong("simulate"), help: "Simulated time of each of the two labs.")
    var length = "10m"
    @Option(help: "Runs of each lab; the fastest, the median and the slowest are shown.")
    var repetitions = 5
    @Option(help: "Seeds of ten minutes that are run side by side on all cores; 0: none.")
    var seeds = 20
    @Flag(help: "One JSON object at the end.")
    var json = false

    struct Row: Codable {
        let what: String
        let unit: String
        let least: Double
        let median: Double
        let most: Double
        let aim: Double
        /// Whether less is better.
        var isLeast = false
        var isKept: Bool { isLeast ? median <= aim : median >= aim }
    }

    func run() throws {
        let length = try Arguments.length(length)
        guard (1...100).contains(repetitions), (0...100_000).contains(seeds) else {
            throw ValidationError("--repetitions takes 1 to 100, --seeds 0 to 100000")
        }
        var rows: [Row] = []
        for (name, profile) in [("calm", Profile.calm), ("faulty", .swarm)] {
            rows += measure(name, (1...UInt64(repetitions)).map { sixAgents(seed: $0, length: length, profile) })
        }
        rows.append(measureCore())
        if let row = measureRest() { rows.append(row) }
        if seeds > 0 { rows.append(measureSeeds()) }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            print(String(decoding: try encoder.encode(rows), as: UTF8.self))
        } else {
            print(
                "WHAT                                                        MIN      MEDIAN         MAX         AIM  KEPT"
            )
            for row in rows { print(line(row)) }
        }
    }

    /// A drawn plan in the lab of three voters and three guests.
    private func sixAgents(seed: UInt64, length: Int64, _ profile: Profile) -> Plan {
        var next = seed
        while true {
            let plan = Swarm.plan(seed: next, length: length, profile: profile)
            if plan.members.count == 6, !plan.members.contains(where: \.joinsLater) { return plan }
            next += 1_000
        }
    }

    private func measure(_ name: String, _ plans: [Plan]) -> [Row] {
        var events: [Double] = []
        var speeds: [Double] = []
        for plan in plans {
            let before = Corpus.threadSeconds()
            let result = World(plan).run()
            let spent = max(Corpus.threadSeconds() - before, 1e-9)
            events.append(Double(result.events) / spent)
            speeds.append(Double(result.simulated) / 1e9 / spent)
        }
        return [
            row("\(name) lab of six agents", "events a second and core", events, aim: 1_000_000),
            row("\(name) lab of six agents", "times as fast as time", speeds, aim: 5_000),
        ]
    }

    /// 256-byte entries, 64 at a time: what 64 clients with one request each come to.
    private func measureCore() -> Row {
        let values = (0..<repetitions).map { _ in
            var bench = CoreBench()
            let (entries, seconds) = bench.run(rounds: 10_000, batch: 64, bytes: 256)
            return Double(entries) / max(seconds, 1e-9)
        }
        return row("three replicas of the consensus alone", "entries a second and core", values, aim: 200_000)
    }

    /// Allocations of a thousand messages of a cluster at rest. Nil when nobody counts: LD_PRELOAD of
    /// Simulation/Bench/allocations.c does.
    private func measureRest() -> Row? {
        var bench = CoreBench()
        let (messages, allocations) = bench.rest(rounds: 10_000)
        guard let allocations else { return nil }
        let perThousand = Double(allocations) * 1_000 / Double(max(messages, 1))
        var row = row("heartbeats, answers and leases at rest", "allocations in a thousand", [perThousand], aim: 0)
        row.isLeast = true
        return row
    }

    private func measureSeeds() -> Row {
        let interruption = Interruption()
        let corpus = Corpus(
            first: 1, count: seeds, length: 600_000_000_000, profile: .swarm,
            jobs: ProcessInfo.processInfo.activeProcessorCount, interruption: interruption)
        let summary = corpus.run(quiet: true)
        let perMinute = Double(summary.seeds) * 60 / max(summary.wallSeconds, 1e-9)
        // Two thousand within the forty-five minutes that a run of continuous integration may take.
        return row("ten-minute seeds", "a minute", [perMinute], aim: 2_000 / 45)
    }

    private func row(_ what: String, _ unit: String, _ values: [Double], aim: Double) -> Row {
        let sorted = values.sorted()
        return Row(
            what: what, unit: unit, least: sorted[0], median: sorted[sorted.count / 2], most: sorted[sorted.count - 1],
            aim: aim)
    }

    private func line(_ row: Row) -> String {
        let name = "\(row.what), \(row.unit)"
        let padded = name.padding(toLength: max(name.count, 52), withPad: " ", startingAt: 0)
        let numbers = [row.least, row.median, row.most, row.aim].map { value in
            let text = String(Int(value.rounded()))
            return String(repeating: " ", count: max(0, 11 - text.count)) + text
        }
        return "\(padded)\(numbers.joined(separator: " "))  \(row.isKept ? "yes" : "no")"
    }
}
