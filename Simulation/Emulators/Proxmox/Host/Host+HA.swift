// The HA agents' rounds on this host.

extension Host {
    var haConfiguration: HAConfiguration {
        guard let text = files.read(HAConfiguration.path),
            let value = decoded.value(HAConfiguration.path, text, as: HAConfiguration.self)
        else { return HAConfiguration() }
        return value
    }

    mutating func storeHA(_ configuration: HAConfiguration) throws(APIError) {
        try write(HAConfiguration.path, Self.encoded(configuration))
        wakeHAAgent()
    }

    /// The agents run once there is something for them in the files.
    mutating func wakeHAAgent() {
        guard haAgent.nextLoop == nil, files.exists(HAConfiguration.path) else { return }
        haAgent.nextLoop = now + HAAgent.firstLoopMilliseconds
    }

    func haResource(of guest: GuestID) -> HAResource? {
        haConfiguration.resources.first { $0.guest == guest }
    }

    mutating func removeHAResource(_ sid: String) throws(APIError) {
        var configuration = haConfiguration
        guard configuration.resources.contains(where: { $0.sid == sid }) else { return }
        configuration.resources.removeAll { $0.sid == sid }
        try storeHA(configuration)
    }

    /// A request is noted and nothing else; the agents act on it in their own time.
    mutating func take(_ request: HARequest) throws(APIError) {
        var configuration = haConfiguration
        guard let position = configuration.resources.firstIndex(where: { $0.sid == request.sid }) else {
            throw .died("no such resource '\(request.sid)'")
        }
        if let state = request.state { configuration.resources[position].state = state }
        configuration.resources[position].requestedNode = request.node
        try storeHA(configuration)
    }

    /// One round: the local agent brings its guests to their wanted state; the master recovers those of dead nodes.
    mutating func runHAAgent() {
        haAgent.nextLoop = now + HAAgent.loopMilliseconds
        noteOffline()
        let configuration = haConfiguration
        guard !configuration.resources.isEmpty, membership.isReady(now: now) else { return }
        haAgent.lastLoop = now
        haAgent.rounds += 1
        haAgent.master = membership.onlineNodes.map(\.name).max()
        for resource in configuration.resources {
            if files.exists(resource.guest.path(on: name)) {
                if haAgent.hasLock { pursue(resource) }
            } else if haAgent.master == name {
                recover(resource)
            }
        }
    }

    private mutating func noteOffline() {
        for node in settings.nodes where node.name != name {
            if membership.isOnline(node.name) {
                haAgent.offlineSince[node.name] = nil
            } else if haAgent.offlineSince[node.name] == nil {
                haAgent.offlineSince[node.name] = now
            }
        }
    }

    private mutating func pursue(_ resource: HAResource) {
        let guest = resource.guest
        haAgent.states[resource.sid] = resource.state
        guard !isLockHeld(guest) else { return }
        if let target = resource.requestedNode, target != name, membership.isOnline(target) {
            let plan = MigrationPlan(
                guest: guest, target: target, isOnline: true, withLocalDisks: false, restarts: true)
            _ = fork(
                guest.kind == .qemu ? "qmigrate" : "vzmigrate", id: String(guest.vmid), user: "root@pam",
                .migrate(plan))
            return
        }
        switch (resource.state, running[guest] != nil) {
        case ("started", false), ("enabled", false): _ = fork("start", guest, user: "root@pam", .start(guest))
        case ("stopped", true), ("disabled", true):
            _ = fork(
                "shutdown", guest, user: "root@pam",
                .shutdown(guest, timeoutMilliseconds: 60_000, forces: true))
        default: break
        }
    }

    private mutating func recover(_ resource: HAResource) {
        for (node, since) in haAgent.offlineSince where now - since >= HAAgent.recoveryMilliseconds {
            let path = resource.guest.path(on: node)
            guard files.exists(path) else { continue }
            do throws(APIError) { try rename(path, to: resource.guest.path(on: name)) } catch {
                note("recovery of \(resource.sid) failed: \(error.reason)", tag: "pve-ha-crm")
            }
        }
    }
}
