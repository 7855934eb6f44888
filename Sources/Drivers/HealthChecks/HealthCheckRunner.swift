// Runs the health checks a member makes of itself, and reports when a verdict changes. What follows from a verdict is
// decided elsewhere.

import Cluster
import Consensus
import Kinds
import Logging
import Synchronization

/// What came of asking for the agent inside a guest.
public enum AgentAnswer: Hashable, Sendable {
    case result(ProbeResult)
    /// The question could not be put, and why: it says nothing of the guest, for or against it.
    case unasked(String)
}

/// Runs exactly the checks it was given last. Safe to use from any task.
///
///     let runner = HealthCheckRunner(log: log, report: report)
///     async let serving: Void = runner.serve()   // until its task is cancelled
///     runner.run(checks)                          // replaces the set; a check that did not change goes on
public final class HealthCheckRunner: Sendable {
    /// Beyond this many checks the last ones (by name) are not run, and reported unhealthy.
    public static let limit = 256
    private let log: Logger
    private let report: @Sendable (RoleReport) -> Void
    private let wanted: AsyncStream<SortedMap<ResourceKey, HealthCheck>>
    private let wants: AsyncStream<SortedMap<ResourceKey, HealthCheck>>.Continuation

    /// - Parameter report: called with `.health` only, from any thread; must not block.
    public init(log: Logger, report: @escaping @Sendable (RoleReport) -> Void) {
        self.log = log
        self.report = report
        (wanted, wants) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Replaces the set of checks. Returns at once; a check that is no longer in the set reports nothing more, except for
    /// a report that is on its way already.
    public func run(_ checks: SortedMap<ResourceKey, HealthCheck>) { wants.yield(checks) }

    /// Asks for the agent inside a guest, once; must answer in about the given time, or a few seconds.
    public typealias AgentQuestion = @Sendable (ResourceKey, Interval) async -> AgentAnswer

    /// Runs the checks until the surrounding task is cancelled. To be called once.
    /// - Parameter askAgent: how checks of guest agents are made; nil: they fail.
    public func serve(askAgent: AgentQuestion? = nil) async {
        let prober = HealthProber()
        await withDiscardingTaskGroup { group in
            var running: SortedMap<ResourceKey, (check: HealthCheck, stop: AsyncStream<Never>.Continuation)> = [:]
            for await checks in wanted {
                for (role, present) in running.pairs where checks[role] != present.check {
                    present.stop.finish()
                    running[role] = nil
                }
                for (role, check) in checks.pairs where running[role] == nil {
                    guard running.count < Self.limit else {
                        let detail = "not checked: more than \(Self.limit) health checks on this member"
                        report(.health(role: role, healthy: false, detail: detail))
                        continue
                    }
                    let (stopped, stop) = AsyncStream<Never>.makeStream()
                    running[role] = (check, stop)
                    group.addTask { await self.watch(role, check, prober, askAgent, until: stopped) }
                }
            }
            group.cancelAll()
        }
        do {
            try await prober.shutDown()
        } catch {
            log.notice("closing the health checks' connections: \(error)")
        }
    }

    /// Runs one check until `stopped` ends or the task is cancelled.
    private func watch(
        _ role: ResourceKey, _ check: HealthCheck, _ prober: HealthProber, _ askAgent: AgentQuestion?,
        until stopped: AsyncStream<Never>
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.repeatedly(role, check, prober, askAgent) }
            group.addTask { for await _ in stopped {} }
            await group.next()
            group.cancelAll()
        }
    }

    private func repeatedly(
        _ role: ResourceKey, _ check: HealthCheck, _ prober: HealthProber, _ askAgent: AgentQuestion?
    ) async {
        var judge = HealthJudge(check)
        // Not more often than ten times a second, whatever was declared.
        let pause = Swift.max(check.every, .milliseconds(100))
        let clock = ContinuousClock()
        var next = clock.now
        var isUnasked = false
        while !Task.isCancelled {
            let answer =
                if check.probe == .agent, let askAgent {
                    await askAgent(role, check.timeout)
                } else {
                    AgentAnswer.result(await prober.attempt(check))
                }
            if Task.isCancelled { return }
            switch answer {
            case .result(let result):
                isUnasked = false
                if judge.note(success: result.isSuccess) {
                    log.info("\(role) is \(result.isSuccess ? "healthy" : "unhealthy"): \(result.detail)")
                    report(.health(role: role, healthy: result.isSuccess, detail: String(result.detail.prefix(300))))
                }
            case .unasked(let why):
                // Told once, until it could be asked again: what was found of it before stands.
                if !isUnasked { log.warning("\(role) cannot be checked: \(why)") }
                isUnasked = true
            }
            // An attempt that took longer than the pause is followed at once by the next, and none is made up for.
            next = Swift.max(next.advanced(by: .nanoseconds(pause.nanoseconds)), clock.now)
            do {
                try await Task.sleep(until: next, clock: clock)
            } catch {
                return
            }
        }
    }
}
