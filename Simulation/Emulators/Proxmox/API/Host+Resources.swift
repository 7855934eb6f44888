// /cluster/resources and /nodes: what the nodes last said of themselves. Not a place to look for who is alive: a dead
// node's guests are listed as running until its last status is five minutes old, and a guest just started is not listed as
// running until the next round of its node's status daemon.

extension Host {
    func clusterResources(_ call: Call) throws(APIError) -> Reply {
        let wanted = call["type"]
        var found: [JSON] = []
        if wanted == nil || wanted == "vm" {
            for node in settings.nodes.map(\.name) {
                for guest in guests(on: node) where may(call, "VM.Audit", on: "/vms/\(guest.vmid)") {
                    found.append(resource(guest, on: node))
                }
            }
        }
        if wanted == nil || wanted == "node" { found += settings.nodes.map { resource($0, call) } }
        if wanted == nil || wanted == "storage" { found += storageResources(call) }
        if (wanted == nil || wanted == "sdn") && may(call, "SDN.Audit", on: "/sdn/zones/localnetwork") {
            found += settings.nodes.map { node in
                var entry: [String: JSON] = [
                    "id": .string("sdn/\(node.name)/localnetwork"), "node": .string(node.name), "type": "sdn",
                    "sdn": "localnetwork", "status": "ok",
                ]
                if settings.release == .nine {
                    entry = entry.merging(["zone-type": "localnetwork"]) { first, _ in first }
                }
                return .object(entry)
            }
        }
        return .data(.array(found))
    }

    private func resource(_ guest: GuestID, on node: String) -> JSON {
        let configuration = GuestConfiguration(text: files.read(guest.path(on: node)) ?? "")
        let status = board[node].flatMap { now - $0.at < settings.statusLifetime ? $0 : nil }
        let known = status?.guests.first { $0.id == guest }
        var entry: [String: JSON] = [
            "id": .string("\(guest.kind.rawValue)/\(guest.vmid)"), "type": .string(guest.kind.rawValue),
            "vmid": .integer(guest.vmid), "node": .string(node), "name": .string(displayName(guest, configuration)),
            "template": .flag(configuration.isTemplate), "cpu": 0, "disk": 0, "diskread": 0, "diskwrite": 0,
            "maxcpu": .integer(coreCount(configuration, guest.kind)),
            "maxmem": .integer(Int(memoryBytes(configuration))),
            "maxdisk": .integer(Int(bootDiskSize(configuration, guest.kind))),
            "mem": .integer(Int(known?.memory ?? 0)), "uptime": .integer(known?.uptimeSeconds ?? 0),
            "netin": .integer(known?.networkIn ?? 0), "netout": .integer(known?.networkOut ?? 0),
        ]
        if settings.release == .nine { entry["memhost"] = 0 }
        if status == nil {
            entry["status"] = "unknown"
        } else {
            entry["status"] = known?.isRunning == true ? "running" : "stopped"
        }
        entry["tags"] = configuration["tags"].map(JSON.string)
        entry["lock"] = configuration.lock.map(JSON.string)
        if haResource(of: guest) != nil {
            entry["hastate"] = .string(haAgent.states["\(guest.kind.haType):\(guest.vmid)"] ?? "queued")
        }
        return .object(entry)
    }

    private func resource(_ node: Node, _ call: Call) -> JSON {
        var entry = nodeEntry(node, mayAudit: may(call, "Sys.Audit", on: "/nodes/\(node.name)"))
        entry["ssl_fingerprint"] = nil
        entry["cgroup-mode"] = 1
        return .object(entry)
    }

    /// A node as /nodes lists it.
    func nodeEntry(_ node: Node, mayAudit: Bool) -> [String: JSON] {
        let isOnline = membership.isOnline(node.name)
        var entry: [String: JSON] = [
            "id": .string("node/\(node.name)"), "node": .string(node.name), "type": "node", "level": "",
            "status": .string(isOnline ? "online" : "offline"),
            "ssl_fingerprint": .string(fingerprint(of: node.name)),
        ]
        guard mayAudit, let status = board[node.name] else { return entry }
        entry["maxcpu"] = .integer(status.cores)
        entry["maxmem"] = .integer(Int(status.memory))
        entry["maxdisk"] = 6_442_450_944
        guard isOnline else { return entry }
        entry["cpu"] = .number(0.25)
        entry["mem"] = .integer(Int(status.memoryUsed))
        entry["disk"] = 14_614_528
        entry["uptime"] = .integer(node.name == name ? uptimeSeconds : status.uptimeSeconds)
        return entry
    }

    private func storageResources(_ call: Call) -> [JSON] {
        var found: [JSON] = []
        for node in settings.nodes.map(\.name) {
            for storage in storages()
            where storage.nodes.isEmpty || storage.nodes.contains(node) {
                guard may(call, "Datastore.Audit", on: "/storage/\(storage.name)") else { continue }
                var entry: [String: JSON] = [
                    "id": .string("storage/\(node)/\(storage.name)"), "type": "storage", "node": .string(node),
                    "storage": .string(storage.name), "plugintype": .string(storage.type),
                    "content": .string(storage.content.joined(separator: ",")), "shared": .flag(storage.isShared),
                    "status": "available",
                ]
                if let disk = board[node]?.storages.first(where: { $0.name == storage.name }) {
                    entry["maxdisk"] = .integer(Int(disk.total))
                    entry["disk"] = .integer(Int(disk.used))
                    if !disk.isActive { entry["status"] = "unknown" }
                }
                found.append(.object(entry))
            }
        }
        return found
    }
}
