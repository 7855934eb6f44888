// Endpoints of guests that virtual machines and containers have alike: lists, status, starting and stopping.
//
// Which error comes at once and which from the task follows the recordings: a start on the wrong node is a task that
// fails; a stop of a container that is not running fails at once; a start without a quorum fails at once.

extension Route {
    static func guests(_ kind: GuestKind) -> [Route] {
        let base = "/nodes/{node}/\(kind.rawValue)"
        let guest = base + "/{vmid}"
        let power = Permission.all("/vms/{vmid}", ["VM.PowerMgmt"])
        let timeout = Parameter.integer("timeout", from: 0)
        let skip = Parameter.flag("skiplock").rootOnly
        var routes = [
            Route("GET", base, kind == .qemu ? [.flag("full")] : [], .user) { try $0.guestList($1, kind) },
            Route("GET", guest + "/status/current", [], .all("/vms/{vmid}", ["VM.Audit"])) {
                try $0.guestStatus($1, kind)
            },
            Route(
                "POST", guest + "/status/start",
                [skip]
                    + (kind == .qemu
                        ? [
                            timeout, .string("stateuri"), .string("migratedfrom", .node), .string("migration_type"),
                            .string("migration_network"), .string("machine"), .string("force-cpu"),
                            .string("targetstorage"), .string("nets-host-mtu", only: .nine),
                            .flag("with-conntrack-state", only: .nine),
                        ] : [.flag("debug")]),
                power
            ) { try $0.startGuest($1, kind) },
            Route(
                "POST", guest + "/status/stop",
                [skip, .flag("overrule-shutdown")]
                    + (kind == .qemu ? [timeout, .flag("keepActive"), .string("migratedfrom", .node)] : []),
                power
            ) { try $0.stopGuest($1, kind) },
            Route(
                "POST", guest + "/status/shutdown",
                [timeout, .flag("forceStop")] + (kind == .qemu ? [skip, .flag("keepActive")] : []), power
            ) { try $0.shutDownGuest($1, kind) },
            Route("POST", guest + "/status/reboot", [timeout], power) { try $0.rebootGuest($1, kind) },
        ]
        routes += configuring(kind, base, guest) + snapshots(kind, guest) + copying(kind, guest)
        return routes
    }
}

extension Host {
    // MARK: Lists and status

    func guestList(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        var found: [JSON] = []
        for guest in ownGuests() where guest.kind == kind && may(call, "VM.Audit", on: "/vms/\(guest.vmid)") {
            found.append(.object(statusEntry(guest, try configuration(of: guest), isFull: call.flag("full"))))
        }
        return .data(.array(found))
    }

    /// A guest as lists have it.
    func statusEntry(_ guest: GuestID, _ configuration: GuestConfiguration, isFull: Bool) -> [String: JSON] {
        let process = running[guest]
        let shown = process?.configuration ?? configuration
        let uptime = process.map { Int((now - $0.started) / 1_000) } ?? 0
        var entry: [String: JSON] = [
            "vmid": .integer(guest.vmid), "name": .string(displayName(guest, configuration)),
            "status": .string(process == nil ? "stopped" : "running"), "cpus": .integer(coreCount(shown, guest.kind)),
            "maxmem": .integer(Int(memoryBytes(shown))),
            "maxdisk": .integer(Int(bootDiskSize(configuration, guest.kind))), "uptime": .integer(uptime),
            "mem": .integer(process == nil ? 0 : 1_730_639), "cpu": 0, "disk": 0, "diskread": 0, "diskwrite": 0,
            "netin": .integer(42 * uptime), "netout": .integer(58 * uptime),
        ]
        entry["tags"] = configuration["tags"].map(JSON.string)
        entry["lock"] = configuration.lock.map(JSON.string)
        if configuration.isTemplate { entry["template"] = 1 }
        entry["pid"] = process.map { .integer($0.pid) }
        if guest.kind == .lxc {
            entry["type"] = "lxc"
            entry["swap"] = 0
            entry["maxswap"] = .integer((configuration["swap"].flatMap(Int.init) ?? 512) << 20)
        } else if isFull {
            entry["qmpstatus"] = .string(process.map { $0.isPaused ? "paused" : "running" } ?? "stopped")
        }
        if settings.release == .nine {
            entry["memhost"] = .integer(process == nil ? 0 : 1_730_639)
            for name in ["cpu", "io", "memory"] where process != nil {
                entry["pressure\(name)some"] = 0
                entry["pressure\(name)full"] = 0
            }
        }
        return entry
    }

    func guestStatus(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let configuration = try configuration(of: guest)
        var entry = statusEntry(guest, configuration, isFull: true)
        var ha: [String: JSON] = ["managed": 0]
        if let resource = haResource(of: guest) {
            ha = ["managed": 1, "state": .string(resource.state)]
            ha["group"] = resource.group.map(JSON.string)
        }
        entry["ha"] = .object(ha)
        guard kind == .qemu else { return .data(.object(entry)) }
        if hasAgentConfigured(configuration) { entry["agent"] = 1 }
        if let process = running[guest] { addQEMU(process, guest, &entry) }
        return .data(.object(entry))
    }

    /// What QEMU itself says of a running machine.
    private func addQEMU(_ process: RunningGuest, _ guest: GuestID, _ entry: inout [String: JSON]) {
        entry["running-qemu"] = .string(settings.release.qemuVersion)
        entry["running-machine"] = .string(settings.release.machine)
        entry["proxmox-support"] = [:]
        let nets = process.configuration.settings.keys.filter { ConfigurationKeys.numbered($0) == "net[n]" }
        if !nets.isEmpty {
            entry["nics"] = .object(
                Dictionary(
                    uniqueKeysWithValues: nets.map { key in
                        (
                            "tap\(guest.vmid)i\(key.dropFirst(3))",
                            ["netin": entry["netin"] ?? 0, "netout": entry["netout"] ?? 0]
                        )
                    }))
        }
        let drives = process.configuration.drives(.qemu).filter { !$0.key.hasPrefix("unused") }
        guard !drives.isEmpty else { return }
        entry["blockstat"] = .object(
            Dictionary(uniqueKeysWithValues: drives.map { ($0.key, Self.blockStatistics) }))
    }

    private static let blockStatistics: JSON = {
        var entry: [String: JSON] = ["account_failed": .bool(true), "account_invalid": .bool(true), "timed_stats": []]
        for name in [
            "failed_flush_operations", "failed_rd_operations", "failed_unmap_operations", "failed_wr_operations",
            "flush_operations", "flush_total_time_ns", "idle_time_ns", "invalid_flush_operations",
            "invalid_rd_operations", "invalid_unmap_operations", "invalid_wr_operations", "rd_bytes", "rd_merged",
            "rd_operations", "rd_total_time_ns", "unmap_bytes", "unmap_merged", "unmap_operations",
            "unmap_total_time_ns", "wr_bytes", "wr_highest_offset", "wr_merged", "wr_operations", "wr_total_time_ns",
        ] { entry[name] = 0 }
        return .object(entry)
    }()

    // MARK: Starting and stopping

    /// A guest under Proxmox's HA: the request is passed on, and the task ends before anything has happened.
    private mutating func requestHA(
        _ action: String, _ words: String, _ guest: GuestID, _ call: Call, state: String? = nil, node: String? = nil
    ) -> Reply? {
        guard let resource = haResource(of: guest), resource.state != "ignored" else { return nil }
        let request = HARequest(
            sid: resource.sid, state: state, node: node,
            text: "Requesting HA \(words) for \(guest)\(node.map { " to node \($0)" } ?? "")")
        return .task(fork("ha\(action)", id: String(guest.vmid), user: call.principal, .haRequest(request)))
    }

    mutating func startGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        try requireQuorum()
        if kind == .lxc {
            _ = try configuration(of: guest)
            if running[guest] != nil { throw .died("\(guest) already running") }
        }
        if let reply = requestHA("start", "start", guest, call, state: "started") { return reply }
        return .task(fork("start", guest, user: call.principal, .start(guest)))
    }

    mutating func stopGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        if kind == .lxc { try requireRunning(guest) }
        if let reply = requestHA("stop", "stop", guest, call, state: "stopped") { return reply }
        return .task(
            fork(
                "stop", guest, user: call.principal,
                .stop(guest, overrulesShutdown: call.flag("overrule-shutdown"))))
    }

    mutating func shutDownGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        if kind == .lxc { try requireRunning(guest) }
        if let reply = requestHA("stop", "stop", guest, call, state: "stopped") { return reply }
        let timeout = Int64(call.integer("timeout") ?? 60) * 1_000
        return .task(
            fork(
                "shutdown", guest, user: call.principal,
                .shutdown(guest, timeoutMilliseconds: timeout, forces: call.flag("forceStop"))))
    }

    mutating func rebootGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        try requireRunning(guest)
        let timeout = Int64(call.integer("timeout") ?? 60) * 1_000
        return .task(fork("reboot", guest, user: call.principal, .reboot(guest, timeoutMilliseconds: timeout)))
    }

    mutating func migrateByHA(_ guest: GuestID, to target: String, _ call: Call) -> Reply? {
        requestHA("migrate", "migration", guest, call, node: target)
    }
}
