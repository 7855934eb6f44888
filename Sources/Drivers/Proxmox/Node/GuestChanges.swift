// Makes a guest what it is declared to be: in place where Proxmox can, from a template, a clone or an image where there
// is none yet. An interrupted creation leaves a guest that the next look finds different from its declaration, and the
// same change finishes it. Never shrinks, moves or removes a disk.

import Cluster
import Consensus

/// From what a guest is made.
public enum GuestOrigin: Hashable, Sendable {
    /// A copy of a template or guest whose configuration lies on this node. A linked copy shares the template's disk.
    case copy(of: GuestNumber, full: Bool, storage: String?)
    /// A machine with new disks, from images where they name one.
    case disks
    /// A container from a template of containers: `local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst`.
    case archive(String)
}

/// What came of a change in place.
public struct ChangeResult: Hashable, Sendable {
    /// What was different and has been set.
    public var changed: [Drift] = []
    /// What is different and stays so: each says why.
    public var remaining: [Drift] = []
    /// What takes effect only after a restart of the guest.
    public var afterRestart: [PendingChange] = []
    public var needsRestart: Bool { !afterRestart.isEmpty }
}

extension ProxmoxHost {
    /// Brings the guest's configuration to what is declared, as far as it can be done in place.
    /// - Throws: what Proxmox refused. `changedMeanwhile` when someone edited it at the same time; look again then.
    public func change(
        _ wanted: WantedGuest, limits: TaskLimits = TaskLimits()
    ) async throws(ProxmoxError) -> ChangeResult {
        let guest = wanted.guest
        let attempted = "change \(guest) on \(node)"
        let state = try await free(guest, attempted)
        let present = try await configuration(of: guest)
        var result = ChangeResult()
        var parameters: ProxmoxClient.Parameters = []
        var growing: [Drift] = []
        for drift in wanted.drift(from: present) {
            switch drift.remedy {
            case .set(let text), .add(let text):
                parameters.append((drift.setting, text))
                result.changed.append(drift)
            case .grow: growing.append(drift)
            case .none: result.remaining.append(drift)
            }
        }
        if !parameters.isEmpty {
            try await demandQuorum(attempted)
            try await set(guest, parameters + [("digest", present.digest)], attempted, limits)
        }
        for drift in growing {
            guard case .grow(let bytes) = drift.remedy else { continue }
            try await grow(guest, drift.setting, to: bytes, attempted, limits)
            result.changed.append(drift)
        }
        if state.isRunning { result.afterRestart = try await pendingChanges(of: guest) }
        return result
    }

    /// A machine's settings go through a task, since adding a disk may take long; a container's do not have one.
    private func set(
        _ guest: GuestNumber, _ parameters: ProxmoxClient.Parameters, _ attempted: String, _ limits: TaskLimits
    ) async throws(ProxmoxError) {
        let path = guest.path(on: node) + "/config"
        let method: ProxmoxClient.Method = guest.kind == .machine ? .post : .put
        _ = try await perform(method, path, parameters, attempted: attempted, limit: limits.configure)
    }

    private func grow(
        _ guest: GuestNumber, _ slot: String, to bytes: Int64, _ attempted: String, _ limits: TaskLimits
    ) async throws(ProxmoxError) {
        try await demandQuorum(attempted)
        // The size itself, not a difference: asked for twice, it grows once.
        _ = try await perform(
            .put, guest.path(on: node) + "/resize", [("disk", slot), ("size", DiskSize.text(bytes))],
            attempted: attempted, limit: limits.configure)
    }

    /// Makes the guest, unless it is there. Afterwards `change` brings it to its declaration.
    /// - Throws: `taken` when another guest has its number, here or on another host.
    @discardableResult
    public func create(
        _ wanted: WantedGuest, from origin: GuestOrigin, limits: TaskLimits = TaskLimits()
    ) async throws(ProxmoxError) -> TaskEnd {
        let guest = wanted.guest
        let attempted = "create \(guest) (\(wanted.name)) on \(node)"
        if let present = try await guests().first(where: { $0.guest.number == guest.number }) {
            guard present.guest == guest, present.name == wanted.name else {
                throw ProxmoxError(
                    .taken, attempted: attempted,
                    reason: "the number is in use here by \(present.guest) (\(present.name))")
            }
            return .done
        }
        try await demandQuorum(attempted)
        switch origin {
        case .copy(let source, let full, let storage):
            return try await copy(wanted, source, full, storage, attempted, limits)
        case .disks:
            guard guest.kind == .machine else { throw wrongOrigin(attempted) }
            return try await perform(
                .post, "/nodes/\(node)/qemu", newMachine(wanted), attempted: attempted, limit: limits.create)
        case .archive(let template):
            guard guest.kind == .container else { throw wrongOrigin(attempted) }
            return try await perform(
                .post, "/nodes/\(node)/lxc", newContainer(wanted, template), attempted: attempted, limit: limits.create)
        }
    }

    private func wrongOrigin(_ attempted: String) -> ProxmoxError {
        ProxmoxError(
            .unsafe, attempted: attempted,
            reason: "a machine is made from disks and a container from a template of containers")
    }

    private func copy(
        _ wanted: WantedGuest, _ source: GuestNumber, _ full: Bool, _ storage: String?, _ attempted: String,
        _ limits: TaskLimits
    ) async throws(ProxmoxError) -> TaskEnd {
        guard source.kind == wanted.guest.kind else {
            throw ProxmoxError(.unsafe, attempted: attempted, reason: "\(source) is of another kind")
        }
        _ = try await free(source, attempted)
        var parameters: ProxmoxClient.Parameters = [
            ("newid", "\(wanted.guest.number)"),
            (wanted.guest.kind == .machine ? "name" : "hostname", wanted.name),
            ("full", full ? "1" : "0"),
        ]
        if full, let storage { parameters.append(("storage", storage)) }
        if let text = wanted.settings["description"] { parameters.append(("description", text)) }
        return try await perform(
            .post, source.path(on: node) + "/clone", parameters, attempted: attempted, limit: limits.create)
    }

    private func newMachine(_ wanted: WantedGuest) -> ProxmoxClient.Parameters {
        var settings = wanted.settings
        settings["name"] = wanted.name
        for network in wanted.networks { settings[network.slot] = network.text(.machine, keeping: nil) }
        for disk in wanted.disks { settings[disk.slot] = disk.creationText(.machine) }
        let isCloudInit = settings.keys.contains {
            $0.hasPrefix("ipconfig") || ["ciuser", "sshkeys", "cicustom"].contains($0)
        }
        if isCloudInit, settings["ide2"] == nil, let first = wanted.disks.first {
            settings["ide2"] = "\(first.storage):cloudinit"
        }
        if settings["boot"] == nil, let first = wanted.disks.first { settings["boot"] = "order=\(first.slot)" }
        if settings["scsihw"] == nil { settings["scsihw"] = "virtio-scsi-single" }
        if settings["ostype"] == nil { settings["ostype"] = "l26" }
        return [("vmid", "\(wanted.guest.number)")] + settings.pairs.map { ($0.0, $0.1) }
    }

    private func newContainer(_ wanted: WantedGuest, _ template: String) -> ProxmoxClient.Parameters {
        var settings = wanted.settings
        settings["hostname"] = wanted.name
        for network in wanted.networks { settings[network.slot] = network.text(.container, keeping: nil) }
        for disk in wanted.disks { settings[disk.slot] = disk.creationText(.container) }
        if settings["unprivileged"] == nil { settings["unprivileged"] = "1" }
        return [("vmid", "\(wanted.guest.number)"), ("ostemplate", template)] + settings.pairs.map { ($0.0, $0.1) }
    }
}
