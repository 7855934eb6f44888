// `holdfast-sim failovers`: how long guests are gone when their host is lost, over thousands of labs.

import ArgumentParser
import Dispatch
import Foundation
import SimulationFaults
import SimulationWorld
import Synchronization

extension FailoverFence: ExpressibleByArgument {}

struct FailoversCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failovers",
        abstract: "Loses a host with guests in thousands of random labs, and tells how long its guests were gone.",
        discussion: """
            Each seed is a lab of two hosts and a witness: guests, rules, memory, wires and disks are drawn as for \
            `seeds --profile workloads`. At a random moment one host loses power, loses its cable, or \
            crashes and starts again. Ends with 1 when \
            a promise was broken, or a guest stayed down that could have run.
            """)

    @Option(help: "How many failovers, 1 to 1000000.") var count = 10_000
    @Option(help: "What proves that the lost host writes no more: storage, power or watchdog. Default: each in turn.")
    var fence: FailoverFence?
    @Option(name: .customLong("from"), help: "The first seed.") var first: UInt64 = 1
    @Option(help: "Failovers run side by side; 0: one for each core.") var jobs = 0
    @Option(help: "How many broken failovers are told as stories.") var stories = 1

    func validate() throws {
        guard (1...1_000_000).contains(count) else { throw ValidationError("--count takes 1 to 1000000") }
        guard first <= UInt64.max - UInt64(count) else { throw ValidationError("--from is too large for --count") }
        guard (0...1_024).contains(jobs) else { throw ValidationError("--jobs takes 0 to 1024") }
        guard (0...1_000).contains(stories) else { throw ValidationError("--stories takes 0 to 1000") }
    }

    func run() throws {
        let interruption = Interruption()
        let runs = FailoverRuns(
            first: first, count: count, fence: fence,
            jobs: jobs > 0 ? jobs : ProcessInfo.processInfo.activeProcessorCount, interruption: interruption)
        let total = runs.run()
        for line in Self.report(total, first: first) { print(line) }
        for failure in total.statistics.failures.prefix(stories) where !interruption.wasAsked {
            print("the story of seed \(failure.seed), --fence \(failure.fence.rawValue):")
            let plan = Failover(seed: failure.seed, fence: failure.fence).plan
            for line in Story.short(World(plan, tells: true).run().story) { print("  \(line)") }
        }
        if !total.statistics.failures.isEmpty { throw ExitCode(1) }
        if interruption.wasAsked { throw ExitCode(130) }
    }

    /// Failures that are printed.
    private static let mostTold = 20

    static func report(_ total: FailoverRuns.Total, first: UInt64) -> [String] {
        let statistics = total.statistics
        var lines = [
            "\(statistics.failovers) failovers from seed \(first) on, \(statistics.guests) guests of lost hosts; "
                + "\(Int(total.simulatedSeconds)) s simulated in \(String(format: "%.1f", total.wallSeconds)) s"
        ]
        let header = ["PROOF", "GUESTS", "", "MIN s", "MEDIAN s", "P90 s", "P99 s", "MAX s"]
        lines += table([header] + statistics.rows)
        lines.append("not taken over: \(statistics.backAtHome + statistics.left.values.reduce(0, +))")
        lines.append("  \(statistics.backAtHome): its own host was back before")
        for reason in FailoverOutcome.Reason.allCases {
            lines.append("  \(statistics.left[reason.rawValue] ?? 0): \(reason.rawValue)")
        }
        lines.append("violations: \(statistics.failures.count)")
        for failure in statistics.failures.prefix(mostTold) {
            lines.append("FAILED \(failure.words)")
            lines.append("  holdfast-sim failovers --from \(failure.seed) --count 1 --fence \(failure.fence.rawValue)")
        }
        return lines
    }

    private static func table(_ rows: [[String]]) -> [String] {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }
}

/// Failovers, run side by side.
final class FailoverRuns: Sendable {
    struct Total: Sendable {
        var statistics = FailoverStatistics()
        var simulatedSeconds = 0.0
        var wallSeconds = 0.0
    }

    private struct State {
        var next = 0
        var total = Total()
        var lastProgress = Date()
    }

    private let first: UInt64
    private let count: Int
    private let fence: FailoverFence?
    private let jobs: Int
    private let interruption: Interruption
    private let state = Mutex(State())

    init(first: UInt64, count: Int, fence: FailoverFence?, jobs: Int, interruption: Interruption) {
        self.first = first
        self.count = count
        self.fence = fence
        self.jobs = jobs
        self.interruption = interruption
    }

    func run() -> Total {
        let began = Date()
        let group = DispatchGroup()
        for _ in 0..<min(jobs, count) {
            let thread = Thread { [self] in
                work()
                group.leave()
            }
            thread.stackSize = 8 << 20
            group.enter()
            thread.start()
        }
        group.wait()
        return state.withLock { state in
            state.total.wallSeconds = Date().timeIntervalSince(began)
            return state.total
        }
    }

    /// Each seed has one kind of fence; without a wish they take turns.
    private func failover(_ number: Int) -> Failover {
        let all = FailoverFence.allCases
        let seed = first + UInt64(number)
        return Failover(seed: seed, fence: fence ?? all[Int(seed % UInt64(all.count))])
    }

    private func work() {
        while let number = take() {
            let failover = failover(number)
            let world = World(failover.plan)
            world.isCancelled = { self.interruption.wasAsked }
            let result = world.run()
            // A run that was cut short says nothing.
            if interruption.wasAsked { return }
            let outcome = FailoverOutcome(failover, result)
            let line: String? = state.withLock { state in
                state.total.statistics.add(outcome, seed: failover.seed, fence: failover.fence)
                state.total.simulatedSeconds += Double(result.simulated) / 1e9
                guard Date().timeIntervalSince(state.lastProgress) > 10 else { return nil }
                state.lastProgress = Date()
                return "\(state.total.statistics.failovers) of \(count) failovers, "
                    + "\(state.total.statistics.failures.count) violations\n"
            }
            if let line { FileHandle.standardError.write(Data(line.utf8)) }
        }
    }

    private func take() -> Int? {
        guard !interruption.wasAsked else { return nil }
        return state.withLock { state in
            guard state.next < count else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }
}
