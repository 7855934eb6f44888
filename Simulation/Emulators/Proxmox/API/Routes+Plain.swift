// Endpoints that are there and hold little: lists that are empty on a small cluster, firewalls, backups, histories.

extension Route {
    private static let audit = Permission.all("/", ["Sys.Audit"])

    private static func empty(_ path: String, _ parameters: [Parameter] = [], _ permission: Permission) -> Route {
        Route("GET", path, parameters, permission) { _, _ in .data([]) }
    }

    static let plain: [Route] =
        [
            empty("/cluster/backup", [], audit), empty("/cluster/replication", [], .user),
            empty("/pools", [.string("poolid"), .string("type")], .user),
            empty("/cluster/metrics/server", [], audit),
            empty(
                "/cluster/jobs/schedule-analyze",
                [.string("schedule").required, .integer("starttime"), .integer("iterations", from: 1, to: 100)], .user),
            empty("/nodes/{node}/firewall/rules", [], .all("/nodes/{node}", ["Sys.Audit"])),
            Route("GET", "/cluster/sdn", [], .user) { _, _ in
                .data([["id": "vnets"], ["id": "zones"], ["id": "controllers"], ["id": "ipams"], ["id": "dns"]])
            },
            Route("GET", "/cluster/firewall/options", [], audit) { _, _ in
                .data(["digest": .string(Digests.sha1(""))])
            },
            Route(
                "POST", "/nodes/{node}/vzdump",
                [
                    .string("vmid"), .string("storage", .storage), .choice("mode", ["snapshot", "suspend", "stop"]),
                    .choice("compress", ["0", "1", "gzip", "lzo", "zstd"]), .flag("all"), .string("notes-template"),
                    .flag("protected"), .flag("remove"), .string("prune-backups"),
                ], .user
            ) { try $0.backUp($1) },
        ] + GuestKind.allCases.flatMap(firewall)

    private static func firewall(_ kind: GuestKind) -> [Route] {
        let guest = "/nodes/{node}/\(kind.rawValue)/{vmid}"
        let read = Permission.all("/vms/{vmid}", ["VM.Audit"])
        let write = Permission.all("/vms/{vmid}", ["VM.Config.Network"])
        let switches: [Parameter] = ["dhcp", "enable", "ipfilter", "macfilter", "ndp", "radv"].map { .flag($0) }
        return [
            Route("GET", guest + "/firewall/options", [], read) { host, call in
                _ = try host.configuration(of: GuestID(kind, call.vmid))
                return .data(["digest": .string(Digests.sha1(""))])
            },
            Route(
                "PUT", guest + "/firewall/options",
                switches + [
                    .string("delete"), .string("digest"), .string("policy_in"), .string("policy_out"),
                    .string("log_level_in"), .string("log_level_out"),
                ],
                write
            ) { _, _ in .nothing },
            Route("GET", guest + "/firewall/rules", [], read) { try $0.firewallRules($1, kind) },
            Route(
                "POST", guest + "/firewall/rules",
                [
                    .string("action").required, .choice("type", ["in", "out", "forward", "group"]).required,
                    .string("proto"), .string("dport"), .string("sport"), .string("source"), .string("dest"),
                    .string("comment"), .integer("enable", from: 0), .string("macro"), .string("iface"),
                    .integer("pos", from: 0), .string("log"), .string("icmp-type"), .string("digest"),
                ], write
            ) { try $0.addFirewallRule($1, kind) },
            Route("DELETE", guest + "/firewall/rules/{pos}", [.string("digest")], write) {
                try $0.removeFirewallRule($1, kind)
            },
            Route(
                "GET", guest + "/rrddata",
                [
                    .choice("timeframe", ["hour", "day", "week", "month", "year"]).required,
                    .choice("cf", ["AVERAGE", "MAX"]),
                ], read
            ) { _, call in
                throw APIError.died(
                    "RRD error: opening '/var/lib/rrdcached/db/pve2-vm/\(call.vmid)': No such file or directory")
            },
        ]
    }
}

extension Host {
    private func firewallFile(_ vmid: Int) -> String { "firewall/\(vmid).fw" }

    private func rules(_ vmid: Int) -> [String] {
        (files.read(firewallFile(vmid)) ?? "").split(separator: "\n").map(String.init)
    }

    func firewallRules(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        _ = try configuration(of: GuestID(kind, call.vmid))
        let text = files.read(firewallFile(call.vmid)) ?? ""
        return .data(
            .array(
                rules(call.vmid).enumerated().map { position, line in
                    guard case .object(var entry)? = try? JSON(text: line) else { return .null }
                    entry["pos"] = .integer(position)
                    entry["digest"] = .string(Digests.sha1(text))
                    return .object(entry)
                }))
    }

    mutating func addFirewallRule(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        _ = try configuration(of: GuestID(kind, call.vmid))
        var entry: [String: JSON] = [:]
        for (key, value) in call.values where !["node", "vmid", "pos", "digest"].contains(key) {
            entry[key] = key == "enable" ? .integer(call.integer("enable") ?? 0) : .string(value)
        }
        // A new rule comes first.
        let lines = [JSON.object(entry).serialized] + rules(call.vmid)
        try write(firewallFile(call.vmid), lines.joined(separator: "\n"))
        return .nothing
    }

    mutating func removeFirewallRule(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        var lines = rules(call.vmid)
        guard let position = call.integer("pos"), lines.indices.contains(position) else {
            throw .died("no rule at position \(call["pos"] ?? "")")
        }
        lines.remove(at: position)
        try write(firewallFile(call.vmid), lines.joined(separator: "\n"))
        return .nothing
    }

    /// A backup ends well and leaves nothing; a fault makes it fail.
    mutating func backUp(_ call: Call) throws(APIError) -> Reply {
        let vmid = call["vmid"] ?? ""
        if let storageName = call["storage"] { _ = try storage(storageName) }
        for text in vmid.split(separator: ",") {
            guard let id = Int(text) else { continue }
            try require(call, "VM.Backup", on: "/vms/\(id)")
        }
        return .task(fork("vzdump", id: vmid, user: call.principal, .nothing))
    }
}
