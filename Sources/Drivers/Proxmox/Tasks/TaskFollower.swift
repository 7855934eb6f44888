// Follows a task of Proxmox to its end. That a request was accepted says nothing about what becomes of it: nearly every
// change answers with the name of a task, also when the task is bound to fail.

import Cluster
import Consensus

/// How a task ended well.
public enum TaskEnd: Hashable, Sendable {
    case done
    /// It is done, and something about it is worth a look: how many warnings, and the log's last lines.
    case doneWithWarnings(count: Int, log: [String])
}

extension ProxmoxClient {
    static let firstPause = Interval.milliseconds(100)
    static let longestPause = Interval.milliseconds(500)
    /// Lines of a failed task's log that are kept.
    static let keptLogLines = 12

    /// The task a change answered with.
    /// - Parameter node: where it has to run: the node that was asked.
    func task(_ data: JSONValue, on node: NodeName, attempted: String) throws(ProxmoxError) -> TaskIdentifier {
        guard let text = data.string, let task = TaskIdentifier(text) else {
            throw ProxmoxError(
                .unknownOutcome, attempted: attempted, reason: "accepted, but no task can be read in the answer")
        }
        guard !task.belongsToProxmoxHA else {
            throw ProxmoxError(
                .managedByProxmox, attempted: attempted,
                reason: "Proxmox handed it to its own high availability (\(task.type))", log: [task.text])
        }
        guard task.node == node.text else {
            throw ProxmoxError(
                .unknownOutcome, attempted: attempted, reason: "the task runs on \(task.node), not on \(node)")
        }
        return task
    }

    /// Waits until the task has ended.
    /// - Throws: what it failed of; `unknownOutcome` when it has not ended within `limit`, or cannot be asked. The task
    ///   itself goes on.
    func follow(_ task: TaskIdentifier, attempted: String, limit: Interval) async throws(ProxmoxError) -> TaskEnd {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: .nanoseconds(limit.nanoseconds))
        var pause = Self.firstPause
        var trouble: ProxmoxError?
        while clock.now < deadline {
            var state: JSONValue?
            do throws(ProxmoxError) {
                let left = Interval(deadline - clock.now)
                state = try await get(
                    "/nodes/\(task.node)/tasks/\(FormText.escaped(task.text))/status", attempted: attempted,
                    limit: .min(left, access.readLimit))
                trouble = nil
            } catch {
                // Whoever has lost the right to look will not get it back in time.
                guard error.isPassing, error.cause != .unknownOutcome else {
                    throw error.cause == .unauthorized || error.cause == .forbidden || error.status == 403
                        ? unknown(task, attempted, "its end cannot be looked at: \(error.reason)") : error
                }
                trouble = error
            }
            // Outside of the attempt to look: what the task failed of may well be something that passes.
            if let state, state["status"]?.lenientText == "stopped" { return try await end(of: task, state, attempted) }
            do {
                try await Task.sleep(for: .nanoseconds(pause.nanoseconds), clock: clock)
            } catch {
                throw unknown(task, attempted, "given up before its end")
            }
            pause = .min(pause + pause / 4, Self.longestPause)
        }
        let why = trouble.map { "it cannot be looked at: \($0.reason)" } ?? "it is still running"
        throw unknown(task, attempted, "no end within \(limit.milliseconds / 1_000) s; \(why)")
    }

    private func unknown(_ task: TaskIdentifier, _ attempted: String, _ reason: String) -> ProxmoxError {
        ProxmoxError(.unknownOutcome, attempted: attempted, reason: reason, log: [task.text])
    }

    private func end(
        of task: TaskIdentifier, _ state: JSONValue, _ attempted: String
    ) async throws(ProxmoxError) -> TaskEnd {
        let verdict = ProxmoxError.oneLine(state["exitstatus"]?.lenientText ?? "")
        if verdict == "OK" { return .done }
        let log = await lastLines(of: task)
        if verdict.hasPrefix("WARNINGS") {
            let count = verdict.split(separator: " ").last.flatMap { Int($0) }
            return .doneWithWarnings(count: count ?? 1, log: log)
        }
        // Its process is gone and left no word: killed, or the host went down under it.
        guard !verdict.isEmpty, verdict != "unexpected status", !verdict.hasPrefix("unable to open file -") else {
            throw unknown(task, attempted, "the task ended without a word about it")
        }
        throw ProxmoxError(
            ProxmoxError.Cause(sentence: verdict) ?? .taskFailed, attempted: attempted, reason: verdict, log: log)
    }

    /// The end of the task's log, newest last. Empty when it cannot be read: the verdict matters more.
    private func lastLines(of task: TaskIdentifier) async -> [String] {
        let path = "/nodes/\(task.node)/tasks/\(FormText.escaped(task.text))/log"
        guard let lines = try? await get(path, [("limit", "2000")], attempted: "read the log of \(task)").lenientList
        else { return [] }
        return lines.suffix(Self.keptLogLines).compactMap { $0["t"]?.lenientText.map(ProxmoxError.oneLine) }
    }
}

extension Interval {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
