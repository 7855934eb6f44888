// Endpoints of Proxmox's own HA: what it manages, and what it says of it. Groups in 8, rules in 9.

extension Route {
    private static let audit = Permission.all("/", ["Sys.Audit"])
    private static let console = Permission.all("/", ["Sys.Console"])
    private static let resource: [Parameter] = [
        .string("comment"), .flag("failback", only: .nine), .string("group", .configurationID),
        .integer("max_relocate", from: 0), .integer("max_restart", from: 0),
        .choice("state", ["started", "stopped", "enabled", "disabled", "ignored"]),
    ]

    static let highAvailability: [Route] = [
        Route("GET", "/cluster/ha/resources", [.choice("type", ["ct", "vm"])], audit) { try $0.haResources($1) },
        Route(
            "POST", "/cluster/ha/resources",
            [.string("sid").required, .choice("type", ["ct", "vm"])] + resource, console
        ) { try $0.createHAResource($1) },
        Route("GET", "/cluster/ha/resources/{sid}", [], audit) { try $0.haResource($1) },
        Route(
            "PUT", "/cluster/ha/resources/{sid}", resource + [.string("delete"), .string("digest")], console
        ) { try $0.changeHAResource($1) },
        Route("DELETE", "/cluster/ha/resources/{sid}", [.flag("purge", only: .nine)], console) {
            try $0.deleteHAResource($1)
        },
        Route("GET", "/cluster/ha/groups", [], audit) { try $0.haGroups($1) },
        Route(
            "POST", "/cluster/ha/groups",
            [
                .string("group", .configurationID).required, .string("nodes").required, .string("comment"),
                .flag("nofailback"), .flag("restricted"), .choice("type", ["group"]),
            ], console
        ) { try $0.createHAGroup($1) },
        Route("GET", "/cluster/ha/rules", [.string("resource"), .string("type")], audit, only: .nine) {
            _, _ throws(APIError) in
            .data([])
        },
        Route("GET", "/cluster/ha/status/current", [], audit) { try $0.haStatus($1) },
        Route("GET", "/cluster/ha/status/manager_status", [], audit) { try $0.haManagerStatus($1) },
    ]
}

extension Host {
    private func shown(_ resource: HAResource) -> JSON {
        var entry: [String: JSON] = [
            "sid": .string(resource.sid), "type": .string(resource.type), "state": .string(resource.state),
            "max_restart": .integer(resource.maxRestart), "max_relocate": .integer(resource.maxRelocate),
            "digest": .string(Digests.sha1(files.read(HAConfiguration.path) ?? "")),
        ]
        entry["group"] = resource.group.map(JSON.string)
        entry["comment"] = resource.comment.map(JSON.string)
        if settings.release == .nine { entry["failback"] = .flag(resource.failback ?? true) }
        return .object(entry)
    }

    func haResources(_ call: Call) throws(APIError) -> Reply {
        .data(.array(haConfiguration.resources.filter { call["type"] == nil || call["type"] == $0.type }.map(shown)))
    }

    /// "vm:100", or "100" of a guest that is there.
    private func sid(_ call: Call) throws(APIError) -> String {
        let text = call["sid"] ?? ""
        guard !text.contains(":") else { return text }
        guard let vmid = Int(text), let owner = owner(of: vmid) else {
            throw .died("unable to parse resource id '\(text)'")
        }
        return "\(owner.guest.kind.haType):\(vmid)"
    }

    mutating func createHAResource(_ call: Call) throws(APIError) -> Reply {
        let sid = try sid(call)
        try requireQuorum()
        var configuration = haConfiguration
        let resource = HAResource(
            sid: sid, state: call["state"] ?? "started", group: call["group"],
            maxRestart: call.integer("max_restart") ?? 1, maxRelocate: call.integer("max_relocate") ?? 1,
            comment: call["comment"])
        guard let owner = owner(of: resource.vmid), owner.guest == resource.guest else {
            throw .died("resource '\(sid)' does not exist in cluster")
        }
        guard !configuration.resources.contains(where: { $0.sid == sid }) else {
            throw .died("create resource failed: resource ID '\(sid)' already defined")
        }
        configuration.resources.append(resource)
        try storeHA(configuration)
        return .nothing
    }

    func haResource(_ call: Call) throws(APIError) -> Reply {
        let sid = try sid(call)
        guard let resource = haConfiguration.resources.first(where: { $0.sid == sid }) else {
            throw .died("no such resource '\(sid)'")
        }
        return .data(shown(resource))
    }

    mutating func changeHAResource(_ call: Call) throws(APIError) -> Reply {
        let sid = try sid(call)
        var configuration = haConfiguration
        guard let position = configuration.resources.firstIndex(where: { $0.sid == sid }) else {
            throw .died("no such resource '\(sid)'")
        }
        if let state = call["state"] { configuration.resources[position].state = state }
        if let group = call["group"] { configuration.resources[position].group = group }
        if let comment = call["comment"] { configuration.resources[position].comment = comment }
        if let count = call.integer("max_restart") { configuration.resources[position].maxRestart = count }
        if let count = call.integer("max_relocate") { configuration.resources[position].maxRelocate = count }
        try storeHA(configuration)
        return .nothing
    }

    mutating func deleteHAResource(_ call: Call) throws(APIError) -> Reply {
        let sid = try sid(call)
        guard haConfiguration.resources.contains(where: { $0.sid == sid }) else {
            throw .died("cannot delete service '\(sid)', not HA managed!")
        }
        try removeHAResource(sid)
        return .nothing
    }

    // MARK: Groups

    func haGroups(_ call: Call) throws(APIError) -> Reply {
        let digest = Digests.sha1(files.read(HAConfiguration.path) ?? "")
        return .data(
            .array(
                haConfiguration.groups.map { group in
                    [
                        "group": .string(group.group), "nodes": .string(group.nodes), "type": "group",
                        "digest": .string(digest),
                    ]
                }))
    }

    mutating func createHAGroup(_ call: Call) throws(APIError) -> Reply {
        guard settings.release == .eight else {
            throw .died("cannot create group: ha groups have been migrated to rules")
        }
        var configuration = haConfiguration
        let name = call["group"] ?? ""
        guard !configuration.groups.contains(where: { $0.group == name }) else {
            throw .died("create ha group failed: ha group ID '\(name)' already defined")
        }
        configuration.groups.append(HAGroup(group: name, nodes: call["nodes"] ?? "", comment: call["comment"]))
        try storeHA(configuration)
        return .nothing
    }

    // MARK: Status

    func haStatus(_ call: Call) throws(APIError) -> Reply {
        guard membership.isWritable(now: now) else {
            return .data([
                [
                    "id": "quorum", "type": "quorum", "node": .string(name), "quorate": 0,
                    "status": .string("No quorum on node '\(name)'!"),
                ]
            ])
        }
        var found: [JSON] = [
            ["id": "quorum", "type": "quorum", "node": .string(name), "quorate": 1, "status": "OK"]
        ]
        let round = haAgent.lastLoop
        if let master = haAgent.master, let round {
            found.append([
                "id": "master", "type": "master", "node": .string(master), "timestamp": .integer(round.seconds),
                "status": .string("\(master) (active, \(round.longText))"),
            ])
            for node in settings.nodes {
                let word = membership.isOnline(node.name) ? lrmState(node.name) : "old timestamp - dead?"
                found.append([
                    "id": .string("lrm:\(node.name)"), "type": "lrm", "node": .string(node.name),
                    "timestamp": .integer(round.seconds),
                    "status": .string("\(node.name) (\(word), \(round.longText))"),
                ])
            }
        }
        for resource in haConfiguration.resources { found.append(service(resource)) }
        return .data(.array(found))
    }

    private func lrmState(_ node: String) -> String {
        guard haConfiguration.resources.contains(where: { files.exists($0.guest.path(on: node)) }) else {
            return "idle"
        }
        return haAgent.hasLock ? "active" : "wait_for_agent_lock"
    }

    private func service(_ resource: HAResource) -> JSON {
        let node = owner(of: resource.vmid)?.node ?? ""
        let state = haServiceState(resource)
        var entry: [String: JSON] = [
            "id": .string("service:\(resource.sid)"), "sid": .string(resource.sid), "type": "service",
            "node": .string(node), "state": .string(state), "request_state": .string(resource.state),
            "max_restart": .integer(resource.maxRestart), "max_relocate": .integer(resource.maxRelocate),
            "status": .string("\(resource.sid) (\(node), \(state))"),
        ]
        entry["group"] = resource.group.map(JSON.string)
        if haAgent.master != nil { entry["crm_state"] = .string(resource.state) }
        return .object(entry)
    }

    private func haServiceState(_ resource: HAResource) -> String {
        guard haAgent.master != nil else { return "queued" }
        switch resource.state {
        // Started is what the manager has seen to run.
        case "started": return haAgent.seenRunning.contains(resource.sid) ? "started" : "starting"
        case "stopped": return runs(resource) ? "stopping" : "stopped"
        default: return resource.state
        }
    }

    private func runs(_ resource: HAResource) -> Bool {
        guard let node = owner(of: resource.vmid)?.node else { return false }
        if node == name { return running[resource.guest] != nil }
        return board[node]?.guests.first { $0.id == resource.guest }?.isRunning == true
    }

    func haManagerStatus(_ call: Call) throws(APIError) -> Reply {
        let stamp = JSON.integer((haAgent.lastLoop ?? now).seconds)
        var services: [String: JSON] = [:]
        for resource in haConfiguration.resources {
            var entry: [String: JSON] = [
                "node": .string(owner(of: resource.vmid)?.node ?? ""), "state": .string(resource.state),
                "uid": .string(String(Digests.sha1(resource.sid).prefix(22))),
            ]
            if resource.state == "started" { entry["running"] = 1 }
            services[resource.sid] = .object(entry)
        }
        func perNode(_ value: (String) -> JSON) -> JSON {
            .object(Dictionary(uniqueKeysWithValues: settings.nodes.map { ($0.name, value($0.name)) }))
        }
        let lrm = perNode { node in
            let own = haConfiguration.resources.filter { files.exists($0.guest.path(on: node)) }
            let results = own.map { resource in
                (
                    String(Digests.sha1(resource.sid).prefix(22)),
                    ["exit_code": 0, "state": .string(resource.state), "sid": .string(resource.sid)] as JSON
                )
            }
            return [
                "mode": "active", "timestamp": stamp, "results": .object(Dictionary(uniqueKeysWithValues: results)),
                "state": .string(own.isEmpty ? "wait_for_agent_lock" : "active"),
            ]
        }
        return .data([
            "quorum": ["node": .string(name), "quorate": membership.isWritable(now: now) ? "1" : "0"],
            "manager_status": [
                "master_node": .string(haAgent.master ?? ""), "timestamp": stamp, "service_status": .object(services),
                "node_status": perNode { .string(membership.isOnline($0) ? "online" : "unknown") },
            ],
            "lrm_status": lrm,
        ])
    }
}
