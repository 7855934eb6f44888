// Endpoints that only virtual machines, and only containers, have: pausing, the guest agent, cloud-init, interfaces.

extension Route {
    private static let machine = "/nodes/{node}/qemu/{vmid}"
    private static let power = Permission.all("/vms/{vmid}", ["VM.PowerMgmt"])

    /// The guest agent's endpoints ask for another privilege in 9.x.
    private static func agent(
        _ method: String, _ command: String, _ parameters: [Parameter] = [], nine privileges: [String],
        _ handler: @escaping Handler
    ) -> [Route] {
        let path = machine + "/agent/" + command
        return [
            Route(method, path, parameters, .all("/vms/{vmid}", ["VM.Monitor"]), only: .eight, handler),
            Route(
                method, path, parameters, .any("/vms/{vmid}", privileges + ["VM.GuestAgent.Unrestricted"]),
                only: .nine, handler),
        ]
    }

    static let qemuOnly: [Route] = {
        let skip = Parameter.flag("skiplock").rootOnly
        var routes = [
            Route(
                "POST", machine + "/status/suspend", [skip, .flag("todisk"), .string("statestorage", .storage)], power
            ) {
                try $0.pauseMachine($1)
            },
            Route("POST", machine + "/status/resume", [skip, .flag("nocheck")], power) { try $0.resumeMachine($1) },
            Route("POST", machine + "/status/reset", [skip], power) { try $0.resetMachine($1) },
            Route(
                "GET", machine + "/cloudinit/dump", [.choice("type", ["user", "network", "meta"]).required],
                .all("/vms/{vmid}", ["VM.Audit"])
            ) { try $0.dumpCloudInit($1) },
            Route("GET", machine + "/cloudinit", [], .all("/vms/{vmid}", ["VM.Audit"])) {
                try $0.pendingCloudInit($1)
            },
            Route("PUT", machine + "/cloudinit", [], .all("/vms/{vmid}", ["VM.Config.Cloudinit"])) {
                host, call throws(APIError) in
                _ = try host.configuration(of: GuestID(.qemu, call.vmid))
                return .nothing
            },
        ]
        routes += agent("POST", "ping", nine: ["VM.GuestAgent.Audit"]) { host, call in
            try host.askAgent(call) { [:] }
        }
        routes += agent("GET", "network-get-interfaces", nine: ["VM.GuestAgent.Audit"]) { host, call in
            try host.askAgent(call) { Host.agentInterfaces(GuestID(.qemu, call.vmid), host) }
        }
        routes += agent(
            "POST", "exec", [Parameter(name: "command", type: .list, isRequired: true), .string("input-data")], nine: []
        ) { host, call in
            try host.askAgent(call, wraps: false) { ["pid": 1_234] }
        }
        routes += agent("GET", "exec-status", [.integer("pid").required], nine: []) { host, call in
            try host.askAgent(call, wraps: false) { ["exited": 1, "exitcode": 0, "out-data": ""] }
        }
        for command in ["fsfreeze-freeze", "fsfreeze-status", "fsfreeze-thaw"] {
            let answer: JSON = command == "fsfreeze-status" ? "thawed" : 1
            routes += agent("POST", command, nine: ["VM.GuestAgent.FileSystemMgmt"]) { host, call in
                try host.askAgent(call) { answer }
            }
        }
        return routes
    }()

    private static let container = "/nodes/{node}/lxc/{vmid}"

    static let lxcOnly: [Route] = [
        Route("GET", container + "/interfaces", [], .all("/vms/{vmid}", ["VM.Audit"])) {
            try $0.containerInterfaces($1)
        },
        Route("POST", container + "/status/suspend", [], power) { try $0.pauseContainer($1, isPaused: true) },
        Route("POST", container + "/status/resume", [], power) { try $0.pauseContainer($1, isPaused: false) },
    ]
}

extension Host {
    // MARK: Pausing

    mutating func pauseMachine(_ call: Call) throws(APIError) -> Reply {
        let guest = GuestID(.qemu, call.vmid)
        try requireRunning(guest)
        return .task(fork("pause", guest, user: call.principal, .pause(guest)))
    }

    mutating func resumeMachine(_ call: Call) throws(APIError) -> Reply {
        let guest = GuestID(.qemu, call.vmid)
        try requireRunning(guest)
        return .task(fork("resume", guest, user: call.principal, .resume(guest)))
    }

    mutating func resetMachine(_ call: Call) throws(APIError) -> Reply {
        let guest = GuestID(.qemu, call.vmid)
        try requireRunning(guest)
        return .task(fork("reset", guest, user: call.principal, .reset(guest)))
    }

    mutating func pauseContainer(_ call: Call, isPaused: Bool) throws(APIError) -> Reply {
        let guest = GuestID(.lxc, call.vmid)
        try requireRunning(guest)
        return .task(
            fork(
                isPaused ? "suspend" : "resume", guest, user: call.principal, isPaused ? .pause(guest) : .resume(guest))
        )
    }

    // MARK: The guest agent

    /// Asks the agent inside a machine; one that is configured and silent costs three seconds.
    func askAgent(_ call: Call, wraps: Bool = true, _ answer: () -> JSON) throws(APIError) -> Reply {
        let guest = GuestID(.qemu, call.vmid)
        let configuration = try configuration(of: guest)
        guard hasAgentConfigured(configuration) else { throw .died("No QEMU guest agent configured") }
        guard let process = running[guest] else { throw .died("VM \(call.vmid) is not running") }
        guard behaviours[call.vmid]?.hasAgent != false, !process.isPaused else {
            guard now - call.arrived >= settings.agentWait else { return .waiting }
            throw .died("QEMU guest agent is not running")
        }
        return .data(wraps ? ["result": answer()] : answer())
    }

    static func agentInterfaces(_ guest: GuestID, _ host: Host) -> JSON {
        let configuration = host.running[guest]?.configuration ?? GuestConfiguration()
        let nets = configuration.settings.filter { ConfigurationKeys.numbered($0.key) == "net[n]" }
        var found: [JSON] = [
            [
                "name": "lo", "hardware-address": "00:00:00:00:00:00",
                "ip-addresses": [["ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8]],
            ]
        ]
        for (key, value) in nets.sorted(by: { $0.key < $1.key }) {
            let address = configuration["ipconfig\(key.dropFirst(3))"].flatMap { PropertyString($0)["ip"] }
            var addresses: [JSON] = []
            if let parts = address?.split(separator: "/"), parts.count == 2 {
                addresses.append([
                    "ip-address": .string(String(parts[0])), "ip-address-type": "ipv4",
                    "prefix": .integer(Int(parts[1]) ?? 24),
                ])
            }
            found.append([
                "name": .string("eth\(key.dropFirst(3))"), "ip-addresses": .array(addresses),
                "hardware-address": .string((PropertyString(value).settings.first?.value ?? "").lowercased()),
            ])
        }
        return .array(found)
    }

    func containerInterfaces(_ call: Call) throws(APIError) -> Reply {
        let guest = GuestID(.lxc, call.vmid)
        let configuration = try configuration(of: guest)
        guard running[guest] != nil else { return .nothing }
        let nets = configuration.settings.filter { ConfigurationKeys.numbered($0.key) == "net[n]" }
        return .data(
            .array(
                nets.sorted { $0.key < $1.key }.map { _, value in
                    let properties = PropertyString(value)
                    return [
                        "name": .string(properties["name"] ?? "eth0"), "inet": .string(properties["ip"] ?? ""),
                        "hwaddr": .string((properties["hwaddr"] ?? "").lowercased()),
                    ]
                }))
    }

    // MARK: cloud-init

    func dumpCloudInit(_ call: Call) throws(APIError) -> Reply {
        let configuration = try configuration(of: GuestID(.qemu, call.vmid))
        switch call["type"] {
        case "user": return .data(.string(userData(configuration, call.vmid)))
        case "network": return .data(.string(networkData(configuration)))
        default: return .data(.string("instance-id: \(Digests.sha1(configuration.text))\n"))
        }
    }

    private func userData(_ configuration: GuestConfiguration, _ vmid: Int) -> String {
        let hostname = configuration["name"] ?? "VM\(vmid)"
        var lines = ["#cloud-config", "hostname: \(hostname)", "manage_etc_hosts: true", "fqdn: \(hostname)"]
        if let user = configuration["ciuser"] { lines.append("user: \(user)") }
        if configuration["cipassword"] != nil { lines.append("password: **********") }
        if let keys = configuration["sshkeys"].map({ PercentText.decode($0) }) {
            lines.append("ssh_authorized_keys:")
            lines += keys.split(separator: "\n").map { "  - \($0)" }
        }
        lines += ["chpasswd:", "  expire: False", "users:", "  - default"]
        if configuration["ciupgrade"] != "0" { lines.append("package_upgrade: true") }
        return lines.map { $0 + "\n" }.joined()
    }

    private func networkData(_ configuration: GuestConfiguration) -> String {
        var lines = ["version: 1", "config:"]
        let nets = configuration.settings.filter { ConfigurationKeys.numbered($0.key) == "net[n]" }
        for (key, value) in nets.sorted(by: { $0.key < $1.key }) {
            guard let address = configuration["ipconfig\(key.dropFirst(3))"].map(PropertyString.init) else { continue }
            lines += [
                "    - type: physical", "      name: eth\(key.dropFirst(3))",
                "      mac_address: '\((PropertyString(value).settings.first?.value ?? "").lowercased())'",
                "      subnets:",
            ]
            lines += subnet(address)
        }
        lines.append("    - type: nameserver")
        if let server = configuration["nameserver"] { lines += ["      address:", "      - '\(server)'"] }
        lines += ["      search:", "      - '\(configuration["searchdomain"] ?? settings.searchDomain)'"]
        return lines.map { $0 + "\n" }.joined()
    }

    private func subnet(_ address: PropertyString) -> [String] {
        guard let ip = address["ip"], ip != "dhcp" else { return ["      - type: dhcp4"] }
        let parts = ip.split(separator: "/")
        let bits = parts.count > 1 ? Int(parts[1]) ?? 24 : 24
        let mask = bits == 0 ? 0 : UInt32.max << UInt32(32 - min(32, max(0, bits)))
        let dotted = [24, 16, 8, 0].map { String(mask >> UInt32($0) & 255) }.joined(separator: ".")
        var lines = ["      - type: static", "        address: '\(parts.first ?? "")'", "        netmask: '\(dotted)'"]
        if let gateway = address["gw"] { lines.append("        gateway: '\(gateway)'") }
        return lines
    }

    /// Settings that the drive made last does not have yet.
    func pendingCloudInit(_ call: Call) throws(APIError) -> Reply {
        let configuration = try configuration(of: GuestID(.qemu, call.vmid))
        guard configuration.drives(.qemu).contains(where: \.isCloudInit) else { return .data([]) }
        return .data(
            .array(
                ["sshkeys", "ciuser", "cipassword"].compactMap { key in
                    configuration[key].map { value -> JSON in
                        ["key": .string(key), "value": .string(key == "cipassword" ? "**********" : value)]
                    }
                }))
    }
}
