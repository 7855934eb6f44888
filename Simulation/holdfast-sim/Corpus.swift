// A range of seeds, run side by side: progress while it runs, totals, speed, and one line for each failure at the end.

import Dispatch
import Foundation
import SimulationFaults
import SimulationWorld
import Synchronization

final class Corpus: Sendable {
    struct Failure: Codable, Sendable {
        let seed: UInt64
        let invariant: String
        let at: Double
        let words: String
        let replay: String
        /// Of the first failures: what happens in the shrunk plan, at most thirty lines.
        var story: [String]?
    }

    struct Summary: Codable, Sendable {
        var profile: String
        var seeds = 0
        var events: UInt64 = 0
        var simulatedSeconds = 0.0
        var wallSeconds = 0.0
        var processorSeconds = 0.0
        var operations = 0
        var acknowledged = 0
        var leaderChanges = 0
        var legitimateStalls = 0
        var concededAfterPause = 0
        var slowestHealSeconds = 0.0
        var marks: [String] = []
        var missingMarks: [String] = []
        var failures: [Failure] = []
        /// Over all seeds, in the order of seeds: equal in every process and on every machine.
        var hash = ""
    }

    private struct State {
        var next: UInt64
        var summary: Summary
        var marks = Marks()
        var hashes: [UInt64: UInt64] = [:]
        var lastProgress = Date.distantPast
    }

    private let first: UInt64
    private let count: Int
    private let length: Int64
    private let profile: Profile
    private let jobs: Int
    private let interruption: Interruption
    private let state: Mutex<State>

    init(first: UInt64, count: Int, length: Int64, profile: Profile, jobs: Int, interruption: Interruption) {
        self.first = first
        self.count = count
        self.length = length
        self.profile = profile
        self.jobs = jobs
        self.interruption = interruption
        state = Mutex(State(next: first, summary: Summary(profile: profile.rawValue)))
    }

    func run(quiet: Bool) -> Summary {
        let began = Date()
        let group = DispatchGroup()
        for _ in 0..<min(jobs, count) {
            let thread = Thread { [self] in
                work(began, quiet: quiet)
                group.leave()
            }
            thread.stackSize = 8 << 20
            group.enter()
            thread.start()
        }
        group.wait()
        return state.withLock { state in
            var digest = TraceDigest()
            for seed in state.hashes.keys.sorted() { digest.add(state.hashes[seed] ?? 0) }
            state.summary.hash = String(digest.value, radix: 16)
            state.summary.marks = state.marks.reached.map { "\($0)" }
            state.summary.missingMarks = state.marks.missing.filter { $0.isOfWorkloads == (profile == .workloads) }.map
            {
                "\($0)"
            }
            state.summary.wallSeconds = Date().timeIntervalSince(began)
            state.summary.failures.sort { $0.seed < $1.seed }
            return state.summary
        }
    }

    private func work(_ began: Date, quiet: Bool) {
        while let seed = take() {
            let plan = Swarm.plan(seed: seed, length: length, profile: profile)
            let world = World(plan)
            world.isCancelled = { self.interruption.wasAsked }
            let before = Self.threadSeconds()
            let result = world.run()
            // A run that was cut short says nothing.
            if interruption.wasAsked { return }
            record(seed, result, processor: Self.threadSeconds() - before)
            if !quiet { progress(began) }
        }
    }

    private func take() -> UInt64? {
        guard !interruption.wasAsked else { return nil }
        return state.withLock { state in
            guard state.next < first + UInt64(count) else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    static func threadSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func record(_ seed: UInt64, _ result: RunResult, processor: Double) {
        state.withLock { state in
            state.hashes[seed] = result.hash
            state.marks.formUnion(result.marks)
            state.summary.seeds += 1
            state.summary.events += result.events
            state.summary.simulatedSeconds += Double(result.simulated) / 1e9
            state.summary.processorSeconds += processor
            state.summary.operations += result.operations
            state.summary.acknowledged += result.acknowledged
            state.summary.leaderChanges += result.leaderChanges
            state.summary.concededAfterPause += result.concededAfterPause
            if result.legitimateStall != nil { state.summary.legitimateStalls += 1 }
            if let healed = result.healedAfter {
                state.summary.slowestHealSeconds = max(state.summary.slowestHealSeconds, Double(healed) / 1e9)
            }
            for violation in result.violations {
                state.summary.failures.append(
                    Failure(
                        seed: seed, invariant: violation.invariant, at: Double(violation.at) / 1e9,
                        words: violation.words,
                        replay:
                            "holdfast-sim replay \(seed) --simulate \(length / 1_000_000)ms --profile \(profile.rawValue)"
                    ))
            }
        }
    }

    private func progress(_ began: Date) {
        let line: String? = state.withLock { state in
            guard Date().timeIntervalSince(state.lastProgress) > 2 else { return nil }
            state.lastProgress = Date()
            let speed = state.summary.simulatedSeconds / max(Date().timeIntervalSince(began), 0.001)
            return "\(state.summary.seeds) of \(count) seeds, \(state.summary.failures.count) failed, "
                + "\(Int(speed)) times as fast as time\n"
        }
        if let line { FileHandle.standardError.write(Data(line.utf8)) }
    }
}

extension Corpus.Summary {
    /// Failures that are printed.
    static let mostTold = 20

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    func text() -> String {
        let perSecond = Double(events) / max(processorSeconds, 0.001)
        var lines = [
            "\(seeds) seeds of profile \(profile): \(failures.count) failed, hash \(hash)",
            "  \(events) events, \(Int(simulatedSeconds)) s simulated in \(decimal(wallSeconds)) s: "
                + "\(Int(simulatedSeconds / max(wallSeconds, 0.001))) times as fast as time, "
                + "\(Int(perSecond)) events a second and core, \(decimal(Double(seeds) * 60 / max(wallSeconds, 0.001))) seeds a minute",
            "  \(operations) requests of clients, \(acknowledged) answered; \(leaderChanges) changes of the leader; "
                + "slowest healing \(decimal(slowestHealSeconds)) s; \(legitimateStalls) stalls by right; "
                + "\(concededAfterPause) moments beside a resumed guest",
        ]
        if !missingMarks.isEmpty { lines.append("never reached: \(missingMarks.joined(separator: ", "))") }
        if failures.count > Self.mostTold { lines.append("FAILED: the first \(Self.mostTold) of \(failures.count)") }
        for failure in failures.prefix(Self.mostTold) {
            lines.append("FAILED \(failure.invariant) at t+\(decimal(failure.at)): \(failure.words)")
            lines.append("  \(failure.replay)")
        }
        return lines.joined(separator: "\n")
    }

    private func decimal(_ value: Double) -> String { String(format: "%.1f", value) }
}
