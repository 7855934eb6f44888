// What Proxmox is doing with a guest at this moment, and how to make it stop.

import Cluster
import Consensus

extension ProxmoxHost {
    /// The tasks about a guest that are running on this node, by anybody.
    func activeTasks(of guest: GuestNumber) async throws(ProxmoxError) -> [TaskIdentifier] {
        try await activeTasks("ask what is being done with \(guest) on \(node)", [("vmid", "\(guest.number)")])
            .filter { $0.subject == "\(guest.number)" }
    }

    /// Whether anything on this node may hold the guest's lock. A backup of many guests does not say which.
    func isWorkedOn(_ guest: GuestNumber) async throws(ProxmoxError) -> Bool {
        try await activeTasks("ask who holds the lock of \(guest) on \(node)", [])
            .contains { $0.subject == "\(guest.number)" || $0.type == "vzdump" }
    }

    /// How the last move of the guest ended that began on this node: `OK`, Proxmox's words for what went wrong, or `unexpected status`
    /// for one whose machine was reset. Nil: none has ended, as far as the node remembers.
    func lastMoveEnded(_ guest: GuestNumber) async throws(ProxmoxError) -> String? {
        let attempted = "ask how the last move of \(guest) off \(node) ended"
        let data = try await client.get(
            "/nodes/\(node)/tasks",
            [
                ("vmid", "\(guest.number)"), ("typefilter", guest.kind == .machine ? "qmigrate" : "vzmigrate"),
                ("source", "archive"), ("limit", "1"),
            ], attempted: attempted)
        guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
        return entries.first?["status"]?.lenientText
    }

    /// Those of these guests that a task brings up on this node, whoever gave it that.
    func starting(_ guests: [GuestNumber]) async throws(ProxmoxError) -> [GuestNumber] {
        let active = try await activeTasks("ask what is being done on \(node)", [])
            .filter { Self.starting.contains($0.type) }
        return guests.filter { guest in active.contains { $0.subject == "\(guest.number)" } }
    }

    /// What makes a guest run, here or elsewhere.
    private static let starting = [
        "qmstart", "vzstart", "qmigrate", "vzmigrate", "qmreboot", "vzreboot", "qmresume", "vzresume",
    ]

    private func activeTasks(
        _ attempted: String, _ filter: ProxmoxClient.Parameters
    ) async throws(ProxmoxError) -> [TaskIdentifier] {
        let data = try await client.get(
            "/nodes/\(node)/tasks", filter + [("source", "active"), ("limit", "1000")], attempted: attempted)
        guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
        return entries.compactMap { entry in
            // Those that have just ended stand in the same list, with how.
            guard entry["endtime"] == nil, entry["status"]?.lenientText ?? "RUNNING" == "RUNNING" else { return nil }
            return entry["upid"]?.string.flatMap(TaskIdentifier.init)
        }
    }

    /// Stops what would bring the guest up here, and waits until it has stopped.
    func cancelTasks(of guest: GuestNumber, limit: Interval = .seconds(20)) async throws(ProxmoxError) {
        let deadline = ContinuousClock.now + .nanoseconds(limit.nanoseconds)
        var asked: [TaskIdentifier] = []
        while true {
            let active = try await activeTasks(of: guest).filter { Self.starting.contains($0.type) }
            guard !active.isEmpty else { return }
            let attempted = "stop task \(active[0]) before \(guest) is ended"
            guard ContinuousClock.now < deadline else {
                throw ProxmoxError(.timedOut, attempted: attempted, reason: "it has not ended")
            }
            for task in active where !asked.contains(task) {
                _ = try await client.change(
                    .delete, "/nodes/\(node)/tasks/\(FormText.escaped(task.text))", attempted: attempted)
                asked.append(task)
            }
            do { try await Task.sleep(for: .milliseconds(200)) } catch {
                throw ProxmoxError(.timedOut, attempted: attempted, reason: "given up")
            }
        }
    }
}
