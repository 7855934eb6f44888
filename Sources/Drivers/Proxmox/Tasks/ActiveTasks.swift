// What Proxmox is doing with a guest at this moment, and how to make it stop.

import Cluster
import Consensus

extension ProxmoxHost {
    /// The tasks about a guest that are running on this node, by anybody.
    func activeTasks(of guest: GuestNumber) async throws(ProxmoxError) -> [TaskIdentifier] {
        try await activeTasks("ask what is being done with \(guest) on \(node)", [("vmid", "\(guest.number)")])
            .filter { $0.subject == "\(guest.number)" }
    }

    /// All that is running on this node, by anybody.
    func activeTasks() async throws(ProxmoxError) -> [TaskIdentifier] {
        try await activeTasks("ask what is being done on \(node)", [])
    }

    /// Whether anything on this node may hold the guest's lock.
    func isWorkedOn(_ guest: GuestNumber, lock: String) async throws(ProxmoxError) -> Bool {
        let active = try await activeTasks("ask who holds the lock of \(guest) on \(node)", [])
        return Self.isWorkedOn(guest, lock: lock, by: active)
    }

    /// A backup of several guests names none of them, and a clone is made by a task of the guest that it is made from.
    static func isWorkedOn(_ guest: GuestNumber, lock: String, by active: [TaskIdentifier]) -> Bool {
        active.contains { task in
            switch task.type {
            // Somebody looks at its screen, maybe for days.
            case "vncproxy", "spiceproxy": return false
            case "vzdump" where task.subject.isEmpty && ["backup", "snapshot", "snapshot-delete"].contains(lock):
                return true
            case "qmclone" where lock == "clone", "vzclone" where lock == "clone": return true
            default: return task.subject == "\(guest.number)"
            }
        }
    }

    /// Why the lock of a move is to stay on a guest that lies here; nil: it was left by a move that came to nothing.
    ///
    /// A move within the cluster takes the configuration away: how one ended that did so long ago says nothing of a guest that has
    /// come back since. One to another cluster (`qm remote-migrate`) leaves it here, and locked, to keep the guest from starting
    /// beside what went; only when it was aborted has nothing gone. Both are tasks of one type. Only the second begins with a
    /// tunnel's worker over there, and its log says so (`PVE::Tunnel`, for machines and containers).
    func reasonToKeepLockOfMove(_ guest: GuestNumber) async throws(ProxmoxError) -> String? {
        guard let last = try await lastMove(of: guest), !last.end.hasPrefix("migration aborted") else { return nil }
        let path = "/nodes/\(node)/tasks/\(FormText.escaped(last.task))/log"
        let attempted = "read the log of the last move of \(guest) off \(node)"
        let lines = (try? await client.get(path, [("limit", "200")], attempted: attempted).lenientList)?
            .compactMap { $0["t"]?.lenientText }
        // What was written last is lost when the machine is reset: such a log may be empty.
        let begun = ["starting migration", "remote: "]
        guard let lines, lines.contains(where: { line in begun.contains { line.contains($0) } }) else {
            return "whether its last move was to another cluster cannot be seen, for that task's log cannot be read "
                + "(\(last.task))"
        }
        let isRemote = lines.contains { $0.contains("remote: started tunnel worker") }
        return isRemote ? "its last move was to another cluster, and ended: \(ProxmoxError.oneLine(last.end))" : nil
    }

    /// The last move of the guest that began on this node, and how it ended: `OK`, `WARNINGS: n`, Proxmox's words for what went
    /// wrong, or `unexpected status` for one whose machine was reset. Nil: none has ended, as far as the node remembers.
    private func lastMove(of guest: GuestNumber) async throws(ProxmoxError) -> (task: String, end: String)? {
        let attempted = "ask how the last move of \(guest) off \(node) ended"
        let data = try await client.get(
            "/nodes/\(node)/tasks",
            [
                ("vmid", "\(guest.number)"), ("typefilter", guest.kind == .machine ? "qmigrate" : "vzmigrate"),
                ("source", "archive"), ("limit", "1"),
            ], attempted: attempted)
        guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
        guard let entry = entries.first, let end = entry["status"]?.lenientText else { return nil }
        return (entry["upid"]?.lenientText ?? "", end)
    }

    /// Whether one of the tasks brings the guest up on this node, whoever gave it that.
    static func isStarting(_ guest: GuestNumber, by active: [TaskIdentifier]) -> Bool {
        active.contains { starting.contains($0.type) && $0.subject == "\(guest.number)" }
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
