// Starts, stops and moves guests of this node. Every function can be repeated: what is already so is done. Before a change
// the quorum of the Proxmox cluster is asked for, the guest's lock is waited for, and a guest under Proxmox's own HA is
// refused. Whether the change is right is decided elsewhere.

import Cluster
import Consensus

/// How long tasks may take before their outcome counts as unknown.
public struct TaskLimits: Hashable, Sendable {
    public var start: Interval = .seconds(120)
    public var stop: Interval = .seconds(60)
    /// Beyond what the guest itself is given to shut down.
    public var shutdownMargin: Interval = .seconds(30)
    public var migrate: Interval = .seconds(1_800)
    public var configure: Interval = .seconds(60)
    public var create: Interval = .seconds(3_600)
    public var destroy: Interval = .seconds(300)

    public init() {}
}

extension ProxmoxHost {
    // MARK: What comes before a change

    /// - Throws: `noQuorum`. **Without quorum a DELETE destroys the disks and keeps the configuration, and a resize changes
    ///   the image and not the configuration**; so nothing is asked for without having asked for this first.
    func demandQuorum(_ attempted: String) async throws(ProxmoxError) {
        let quorum: ProxmoxQuorum
        do throws(ProxmoxError) {
            quorum = try await self.quorum()
        } catch {
            // The question about it failed: nothing was changed, whatever the cause says of changes.
            var failure = error
            failure.attempted = attempted
            failure.reason = "before it, the quorum could not be looked at: \(error.reason)"
            throw failure
        }
        guard quorum.isQuorate else {
            throw ProxmoxError(.noQuorum, attempted: attempted, reason: "the Proxmox cluster has no quorum")
        }
    }

    /// Looks at the guest, and waits until nothing holds its lock.
    /// - Parameter accepted: a lock that stands in nobody's way.
    /// - Throws: `locked` when that takes longer than `lockPatience`, `managedByProxmox`, `absent`.
    func free(
        _ guest: GuestNumber, _ attempted: String, accepted: String? = nil
    ) async throws(ProxmoxError) -> GuestStatus {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: .nanoseconds(lockPatience.nanoseconds))
        while true {
            let state: GuestStatus
            do throws(ProxmoxError) { state = try await self.state(of: guest) } catch {
                var failure = error
                failure.attempted = attempted
                throw failure
            }
            guard !state.isManagedByProxmox else {
                throw ProxmoxError(
                    .managedByProxmox, attempted: attempted, reason: "Proxmox's own high availability manages \(guest)")
            }
            guard let lock = state.lock, lock != accepted else { return state }
            guard clock.now < deadline else {
                throw ProxmoxError(
                    .locked(by: lock), attempted: attempted,
                    reason: "\(guest) has been locked (\(lock)) for more than \(lockPatience.milliseconds / 1_000) s")
            }
            do { try await Task.sleep(for: .seconds(1), clock: clock) } catch {
                throw ProxmoxError(
                    .locked(by: lock), attempted: attempted, reason: "given up while it was locked (\(lock))")
            }
        }
    }

    /// Sends a change and follows the task it makes, if it makes one.
    func perform(
        _ method: ProxmoxClient.Method, _ path: String, _ parameters: ProxmoxClient.Parameters = [],
        attempted: String, limit: Interval
    ) async throws(ProxmoxError) -> TaskEnd {
        let data = try await client.change(method, path, parameters, attempted: attempted)
        if data == .null { return .done }
        let task = try client.task(data, on: node, attempted: attempted)
        return try await client.follow(task, attempted: attempted, limit: limit)
    }

    // MARK: Power

    /// Starts the guest unless it runs. One that was hibernated goes on where it was; Proxmox removes that lock itself.
    @discardableResult
    public func start(_ guest: GuestNumber, limits: TaskLimits = TaskLimits()) async throws(ProxmoxError) -> TaskEnd {
        let attempted = "start \(guest) on \(node)"
        guard try await !free(guest, attempted, accepted: "suspended").isRunning else { return .done }
        try await demandQuorum(attempted)
        do throws(ProxmoxError) {
            return try await perform(
                .post, guest.path(on: node) + "/status/start", attempted: attempted, limit: limits.start)
        } catch {
            guard error.reason.contains("already running") else { throw error }
            return .done
        }
    }

    /// Asks the guest's system to shut down. Works without quorum.
    /// - Parameters:
    ///   - patience: how long the guest's system may take.
    ///   - force: stop it when that time is over.
    /// - Throws: `taskFailed` when it is still running after that.
    @discardableResult
    public func shutdown(
        _ guest: GuestNumber, patience: Interval, force: Bool, limits: TaskLimits = TaskLimits()
    ) async throws(ProxmoxError) -> TaskEnd {
        let attempted = "shut down \(guest) on \(node)"
        guard try await free(guest, attempted).isRunning else { return .done }
        let seconds = max(1, patience.milliseconds / 1_000)
        return try await ending(guest) { () async throws(ProxmoxError) in
            try await perform(
                .post, guest.path(on: node) + "/status/shutdown",
                [("timeout", "\(seconds)"), ("forceStop", force ? "1" : "0")], attempted: attempted,
                limit: patience + limits.shutdownMargin)
        }
    }

    /// Stops the guest at once, like pulling its plug; a shutdown that is under way is overruled. Works without quorum,
    /// and does not wait for a lock: a guest that must not run must not run.
    @discardableResult
    public func stop(_ guest: GuestNumber, limits: TaskLimits = TaskLimits()) async throws(ProxmoxError) -> TaskEnd {
        let attempted = "stop \(guest) on \(node)"
        let state = try await state(of: guest)
        guard !state.isManagedByProxmox else {
            throw ProxmoxError(
                .managedByProxmox, attempted: attempted, reason: "Proxmox's own high availability manages \(guest)")
        }
        guard state.isRunning else { return .done }
        return try await ending(guest) { () async throws(ProxmoxError) in
            try await perform(
                .post, guest.path(on: node) + "/status/stop", [("overrule-shutdown", "1")], attempted: attempted,
                limit: limits.stop)
        }
    }

    /// Runs a step that ends a guest; a guest that was gone before is one that has ended.
    private func ending(
        _ guest: GuestNumber, _ step: () async throws(ProxmoxError) -> TaskEnd
    ) async throws(ProxmoxError) -> TaskEnd {
        do throws(ProxmoxError) { return try await step() } catch {
            guard error.reason.hasSuffix("not running") else { throw error }
            return .done
        }
    }

    /// Restarts the guest from inside; what waits for a restart takes effect.
    @discardableResult
    public func reboot(
        _ guest: GuestNumber, patience: Interval, limits: TaskLimits = TaskLimits()
    ) async throws(ProxmoxError) -> TaskEnd {
        let attempted = "reboot \(guest) on \(node)"
        guard try await free(guest, attempted).isRunning else {
            throw ProxmoxError(.unsafe, attempted: attempted, reason: "it does not run")
        }
        try await demandQuorum(attempted)
        return try await perform(
            .post, guest.path(on: node) + "/status/reboot", [("timeout", "\(max(1, patience.milliseconds / 1_000))")],
            attempted: attempted, limit: patience + limits.start)
    }

    // MARK: Moving

    /// Moves the guest to another host of the Proxmox cluster: a running machine live, a running container by restart.
    /// - Throws: `unsafe` when the guest has disks or devices of this host; they would have to be copied, or stay behind.
    @discardableResult
    public func migrate(
        _ guest: GuestNumber, to target: NodeName, patience: Interval = .seconds(180), limits: TaskLimits = TaskLimits()
    ) async throws(ProxmoxError) -> TaskEnd {
        let attempted = "move \(guest) from \(node) to \(target)"
        let state = try await free(guest, attempted)
        if let obstacle = try await obstacle(to: target, guest) {
            throw ProxmoxError(.unsafe, attempted: attempted, reason: obstacle)
        }
        try await demandQuorum(attempted)
        var parameters: ProxmoxClient.Parameters = [("target", target.text)]
        if state.isRunning {
            parameters.append(guest.kind == .machine ? ("online", "1") : ("restart", "1"))
            if guest.kind == .container { parameters.append(("timeout", "\(max(1, patience.milliseconds / 1_000))")) }
        }
        return try await perform(
            .post, guest.path(on: node) + "/migrate", parameters, attempted: attempted, limit: limits.migrate)
    }

    /// Why the guest cannot move to `target`; nil when Proxmox and its configuration allow it.
    public func obstacle(to target: NodeName, _ guest: GuestNumber) async throws(ProxmoxError) -> String? {
        guard target != node else { return "it is there already" }
        let configuration = try await configuration(of: guest)
        let local = try await configuration.localDisks(storages())
        guard local.isEmpty else {
            return "it has disks of this host only: "
                + local.map { "\($0.slot) (\($0.volume))" }.joined(separator: ", ")
        }
        guard configuration.hostDevices.isEmpty else {
            return "it uses devices of this host: " + configuration.hostDevices.joined(separator: ", ")
        }
        // Containers can be asked only from version 9 on.
        guard guest.kind == .machine else { return nil }
        let attempted = "ask whether \(guest) can move to \(target)"
        let answer = try await client.get(
            guest.path(on: node) + "/migrate", [("target", target.text)], attempted: attempted)
        func names(_ field: String) -> [String] {
            (answer[field]?.lenientList ?? []).compactMap { $0.lenientText ?? $0["volid"]?.lenientText }
        }
        let resources = names("local_resources") + names("local_disks")
        guard resources.isEmpty else { return "it uses what this host alone has: " + resources.joined(separator: ", ") }
        guard let refused = answer["not_allowed_nodes"]?[target.text]?.object, !refused.isEmpty else { return nil }
        let reasons = refused.pairs.map {
            "\($0.0): \(($0.1.lenientList ?? []).compactMap(\.lenientText).joined(separator: ", "))"
        }
        return "\(target) lacks something: " + reasons.joined(separator: "; ")
    }

    // MARK: Destroying

    /// Destroys a stopped guest **and its disks**. There is no way back.
    /// - Parameter word: what a person wrote; must be `DestroyWord.text(for: guest)`.
    @discardableResult
    public func destroy(
        _ guest: GuestNumber, word: String, limits: TaskLimits = TaskLimits()
    ) async throws(ProxmoxError) -> TaskEnd {
        let attempted = "destroy \(guest) on \(node) and its disks"
        guard word == DestroyWord.text(for: guest) else {
            throw ProxmoxError(
                .unsafe, attempted: attempted, reason: "that needs the words \"\(DestroyWord.text(for: guest))\"")
        }
        let state: GuestStatus
        do throws(ProxmoxError) { state = try await free(guest, attempted) } catch {
            guard error.cause == .absent else { throw error }
            return .done
        }
        guard !state.isRunning else {
            throw ProxmoxError(.unsafe, attempted: attempted, reason: "it is running; stop it first")
        }
        try await demandQuorum(attempted)
        return try await perform(
            .delete, guest.path(on: node), [("purge", "1"), ("destroy-unreferenced-disks", "0")], attempted: attempted,
            limit: limits.destroy)
    }
}

/// The explicit words without which no disk is destroyed.
public enum DestroyWord {
    public static func text(for guest: GuestNumber) -> String { "destroy \(guest) and its disks" }
}
