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

    /// One round. The manager looks at all guests, and recovers those of dead nodes; then it is the local agents' turn,
    /// which bring their guests to their wanted state.
    mutating func runHAAgent() {
        let isManagers = haAgent.rounds.isMultiple(of: 2)
        haAgent.nextLoop = now + (isManagers ? HAAgent.localMilliseconds : HAAgent.managerMilliseconds)
        noteOffline()
        let configuration = haConfiguration
        guard !configuration.resources.isEmpty, membership.isReady(now: now) else { return }
        haAgent.lastLoop = now
        haAgent.rounds += 1
        haAgent.master = membership.onlineNodes.map(\.name).max()
        if isManagers { haAgent.seenRunning = Set(configuration.resources.filter(isSeenRunning).map(\.sid)) }
        for resource in configuration.resources {
            if files.exists(resource.guest.path(on: name)) {
                if !isManagers { pursue(resource) }
            } else if isManagers, haAgent.master == name {
                recover(resource)
            }
        }
    }

    /// Whether the manager takes it for running: of another node, once that node's agent has had its turn. (The agents tell
    /// each other what came of it at once; the status of nodes, which lags, has no part in it.)
    private func isSeenRunning(_ resource: HAResource) -> Bool {
        guard let node = owner(of: resource.vmid)?.node else { return false }
        return node == name ? running[resource.guest] != nil : haAgent.hasLock
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
