// Endpoints of the whole cluster: version, status, resources, free identifiers, logs, options, corosync's configuration.

extension Route {
    static let cluster: [Route] = [
        Route("GET", "/version", [], .user) { try $0.version($1) },
        Route("GET", "/cluster/status", [], .all("/", ["Sys.Audit"])) { try $0.clusterStatus($1) },
        Route(
            "GET", "/cluster/resources", [.choice("type", ["vm", "storage", "node", "sdn"])], .user
        ) { try $0.clusterResources($1) },
        Route("GET", "/cluster/nextid", [.integer("vmid", from: 100, to: 999_999_999)], .user) { try $0.nextID($1) },
        Route("GET", "/cluster/tasks", [], .user) { try $0.clusterTasks($1) },
        Route("GET", "/cluster/log", [.integer("max", from: 1)], .user) { try $0.clusterLogLines($1) },
        Route("GET", "/cluster/options", [], .user) { host, _ in
            .data(["allowed-tags": [], "description": "", "mac_prefix": "BC:24:11"])
        },
        Route("GET", "/cluster/config/nodes", [], .all("/", ["Sys.Audit"])) { try $0.configuredNodes($1) },
        Route("GET", "/cluster/config/totem", [], .all("/", ["Sys.Audit"])) { host, _ in
            .data(host.totem)
        },
        Route("GET", "/cluster/config/qdevice", [], .all("/", ["Sys.Audit"])) { try $0.qdeviceStatus($1) },
        Route(
            "GET", "/cluster/config/join", [.string("node", .node)], .all("/", ["Sys.Audit"])
        ) { try $0.joinInformation($1) },
    ]
}

extension Host {
    func version(_ call: Call) throws(APIError) -> Reply {
        .data([
            "version": .string(settings.release.version), "release": .string(settings.release.rawValue),
            "repoid": .string(settings.release.repositoryID),
        ])
    }

    /// What pmxcfs says of the membership: a dead node is noticed after seven to eight seconds.
    func clusterStatus(_ call: Call) throws(APIError) -> Reply {
        func entry(_ node: Node, id: Int) -> JSON {
            [
                "id": .string("node/\(node.name)"), "type": "node", "name": .string(node.name), "level": "",
                "ip": .string(node.address), "nodeid": .integer(id), "local": .flag(node.name == name),
                "online": .flag(membership.isOnline(node.name)),
            ]
        }
        if membership.isLocal { return .data([entry(settings.node, id: 0)]) }
        let cluster: JSON = [
            "id": "cluster", "type": "cluster", "name": .string(settings.clusterName),
            "version": .integer(settings.nodes.count), "nodes": .integer(settings.nodes.count),
            "quorate": .flag(membership.isWritable(now: now)),
        ]
        return .data(.array([cluster] + settings.nodes.map { entry($0, id: $0.id) }))
    }

    func nextID(_ call: Call) throws(APIError) -> Reply {
        if let vmid = call.integer("vmid") {
            guard owner(of: vmid) == nil else {
                throw .parameters(["vmid": "VM \(vmid) already exists"])
            }
            return .data(.string(String(vmid)))
        }
        let taken = Set(settings.nodes.flatMap { guests(on: $0.name).map(\.vmid) })
        return .data(.string(String((100...).first { !taken.contains($0) } ?? 100)))
    }

    func clusterTasks(_ call: Call) throws(APIError) -> Reply {
        var found: [(TaskSummary, isOwn: Bool)] = []
        for node in settings.nodes {
            let list =
                node.name == name ? Array((tasks.summaries + formerTasks).prefix(25)) : board[node.name]?.tasks ?? []
            found += list.map { ($0, node.name == name) }
        }
        return .data(
            .array(
                found.map { summary, _ in
                    var entry = Self.entry(summary)
                    entry["saved"] = summary.status == nil ? nil : "1"
                    entry["pid"] = nil
                    entry["pstart"] = nil
                    return .object(entry)
                }))
    }

    static func entry(_ summary: TaskSummary) -> [String: JSON] {
        let upid = summary.upid
        var entry: [String: JSON] = [
            "upid": .string(upid.description), "node": .string(upid.node), "pid": .integer(upid.pid),
            "pstart": .integer(upid.processStart), "starttime": .integer(upid.startSeconds),
            "type": .string(upid.type), "id": .string(upid.id), "user": .string(upid.userName),
        ]
        entry["tokenid"] = upid.tokenID.map(JSON.string)
        entry["status"] = summary.status.map(JSON.string)
        entry["endtime"] = summary.endSeconds.map(JSON.integer)
        return entry
    }

    func clusterLogLines(_ call: Call) throws(APIError) -> Reply {
        let lines = clusterLog.reversed().prefix(call.integer("max") ?? 50)
        return .data(
            .array(
                lines.map { line in
                    [
                        "uid": .string(String(line.number)), "id": .string("\(line.number):\(name)"),
                        "node": .string(name), "time": .integer(line.time), "pid": .integer(line.pid),
                        "user": .string(line.user), "tag": .string(line.tag), "pri": 6, "msg": .string(line.text),
                    ]
                }))
    }

    // MARK: corosync.conf

    func configuredNodes(_ call: Call) throws(APIError) -> Reply { .data(.array(settings.nodes.map(configured))) }

    private func configured(_ node: Node) -> JSON {
        [
            "node": .string(node.name), "name": .string(node.name), "nodeid": .string(String(node.id)),
            "ring0_addr": .string(node.address), "quorum_votes": .string(String(node.votes)),
        ]
    }

    var totem: JSON {
        [
            "version": "2", "secauth": "on", "cluster_name": .string(settings.clusterName),
            "config_version": .string(String(settings.nodes.count)), "ip_version": "ipv4-6", "link_mode": "passive",
            "interface": ["0": ["linknumber": "0"]],
        ]
    }

    func joinInformation(_ call: Call) throws(APIError) -> Reply {
        let nodes = settings.nodes.map { node -> JSON in
            guard case .object(var entry) = configured(node) else { return .null }
            entry["node"] = nil
            entry["pve_addr"] = .string(node.address)
            entry["pve_fp"] = .string(fingerprint(of: node.name))
            return .object(entry)
        }
        return .data([
            "nodelist": .array(nodes), "preferred_node": .string(call["node"] ?? name), "totem": totem,
            "config_digest": .string(Digests.sha1(totem.serialized)),
        ])
    }

    func fingerprint(of node: String) -> String {
        node == name ? settings.fingerprint : board[node]?.fingerprint ?? settings.fingerprint
    }

    func qdeviceStatus(_ call: Call) throws(APIError) -> Reply {
        guard settings.hasQDevice else { return .data([:]) }
        return .data([
            "Model": "Net", "Node ID": .string(String(settings.node.id)), "Algorithm": "Fifty-Fifty split",
            "State": .string(membership.qdeviceHolds(now: now) ? "Connected" : "Connecting"),
            "Tie-breaker": "Node with lowest node ID",
        ])
    }
}
