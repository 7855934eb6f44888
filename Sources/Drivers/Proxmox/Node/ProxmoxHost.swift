// This node's API as typed functions that only look. What changes something is beside it, in files of its own.

import Cluster
import Consensus

/// One Proxmox host, asked through its own API and for itself alone.
public struct ProxmoxHost: Sendable {
    public let client: ProxmoxClient
    public let node: NodeName
    /// How long a guest's lock is waited for before a change gives up.
    public var lockPatience: Interval = .seconds(60)

    public init(client: ProxmoxClient, node: NodeName) {
        self.client = client
        self.node = node
    }

    /// - Throws: `unsupported` for versions this driver was not made for.
    public func version() async throws(ProxmoxError) -> ProxmoxVersion {
        let attempted = "ask for the version of Proxmox on \(node)"
        let data = try await client.get("/version", attempted: attempted)
        guard let version = ProxmoxVersion(data) else { throw unreadable(attempted, "a version") }
        guard version.isKnown else {
            throw ProxmoxError(.unsupported, attempted: attempted, reason: "it is Proxmox VE \(version)")
        }
        return version
    }

    /// Also the check that the API is that of the node it is taken for.
    public func quorum() async throws(ProxmoxError) -> ProxmoxQuorum {
        let attempted = "ask for the Proxmox cluster's quorum on \(node)"
        let data = try await client.get("/cluster/status", attempted: attempted)
        guard let quorum = ProxmoxQuorum(data), let local = quorum.local else {
            throw unreadable(attempted, "a cluster status")
        }
        guard local.name == node.text else {
            throw ProxmoxError(
                .unsafe, attempted: attempted,
                reason: "the API is that of \(local.name); configure the API of this host itself")
        }
        return quorum
    }

    /// All guests whose configuration lies on this node, in the order of their numbers.
    public func guests() async throws(ProxmoxError) -> [GuestSummary] { try await guests(thoroughly: false).guests }

    public func state(of guest: GuestNumber) async throws(ProxmoxError) -> GuestStatus {
        let attempted = "look at \(guest) on \(node)"
        let data = try await client.get(guest.path(on: node) + "/status/current", attempted: attempted)
        guard let state = GuestStatus(data) else { throw unreadable(attempted, "a status") }
        return state
    }

    /// With changes that wait for a restart, as if it had happened.
    public func configuration(of guest: GuestNumber) async throws(ProxmoxError) -> GuestConfiguration {
        let attempted = "read the configuration of \(guest) on \(node)"
        let data = try await client.get(guest.path(on: node) + "/config", attempted: attempted)
        guard let configuration = GuestConfiguration(data, guest.kind) else {
            throw unreadable(attempted, "a configuration")
        }
        return configuration
    }

    /// What waits for a restart of the guest; empty when nothing does.
    public func pendingChanges(of guest: GuestNumber) async throws(ProxmoxError) -> [PendingChange] {
        let attempted = "ask what waits for a restart of \(guest) on \(node)"
        let data = try await client.get(guest.path(on: node) + "/pending", attempted: attempted)
        guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
        return entries.compactMap(PendingChange.init).sorted { $0.setting < $1.setting }
    }

    public func storages() async throws(ProxmoxError) -> [StorageState] {
        let attempted = "list the storages of \(node)"
        let data = try await client.get("/nodes/\(node)/storage", attempted: attempted)
        guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
        return entries.compactMap(StorageState.init).sorted { $0.name < $1.name }
    }

    /// The names (`vm:120`) of what Proxmox's own high availability manages. What it was told to ignore is not among
    /// them, as in Proxmox itself.
    public func managedByProxmox() async throws(ProxmoxError) -> [String] {
        let attempted = "ask what Proxmox's own HA manages"
        let data = try await client.get("/cluster/ha/resources", attempted: attempted)
        guard let entries = data.lenientList else { throw unreadable(attempted, "a list") }
        return entries.compactMap { entry in
            entry["state"]?.lenientText == "ignored" ? nil : entry["sid"]?.lenientText
        }.sorted()
    }

    /// The memory of this node in bytes, all of it and what is free, and how many processors it has.
    public func capacity() async throws(ProxmoxError) -> (memoryBytes: Int64, freeBytes: Int64, processors: Int64) {
        let attempted = "ask for the memory of \(node)"
        let data = try await client.get("/nodes/\(node)/status", attempted: attempted)
        guard let total = data["memory"]?["total"]?.lenientInt, let processors = data["cpuinfo"]?["cpus"]?.lenientInt
        else {
            throw unreadable(attempted, "a node status")
        }
        return (total, data["memory"]?["free"]?.lenientInt ?? 0, processors)
    }

    /// Restarts this node. Proxmox stops the services and what is left of the guests first.
    public func restart() async throws(ProxmoxError) {
        _ = try await client.change(
            .post, "/nodes/\(node)/status", [("command", "reboot")], attempted: "restart \(node)")
    }

    /// Whether the token may restart this node.
    public func mayRestart() async throws(ProxmoxError) -> Bool {
        let attempted = "ask what the token may do on \(node)"
        let path = "/nodes/\(node)"
        let granted = try await client.get("/access/permissions", [("path", path)], attempted: attempted)
        return (granted[path]?["Sys.PowerMgmt"] ?? granted["/"]?["Sys.PowerMgmt"])?.lenientBool != nil
    }

    /// Proxmox gives an agent three seconds, and a little later says that it does not run.
    static let agentLimit = Interval.seconds(5)

    /// Whether the guest agent inside the machine answers. Takes up to three seconds when it does not.
    ///
    /// Only Proxmox's own word on the agent counts. When its API does not answer, or fails for another reason, nothing is known of
    /// the agent: an outage of the API is no illness of every guest of its host.
    /// - Parameter limit: a shorter one than Proxmox's own is as long as that, which is waited for.
    /// - Returns: nil when it does, Proxmox's words when it does not.
    /// - Throws: when Proxmox did not say.
    public func agentTrouble(of guest: GuestNumber, limit: Interval) async throws(ProxmoxError) -> String? {
        let attempted = "ask the guest agent in \(guest) on \(node)"
        do throws(ProxmoxError) {
            // A POST by name, which changes nothing.
            _ = try await client.change(
                .post, guest.path(on: node) + "/agent/ping", attempted: attempted, limit: max(limit, Self.agentLimit))
            return nil
        } catch {
            let isOfAgent = Self.agentWords.contains { error.reason.contains($0) }
            guard error.status == 500, isOfAgent else { throw error }
            return error.reason
        }
    }

    /// `QEMU guest agent is not running`, `No QEMU guest agent configured`, `VM 120 qga command 'guest-ping' failed - got timeout`.
    private static let agentWords = ["guest agent", "qga command"]

    func unreadable(_ attempted: String, _ what: String) -> ProxmoxError {
        ProxmoxError(.unreadable, attempted: attempted, reason: "the answer is not that of \(what)")
    }
}
