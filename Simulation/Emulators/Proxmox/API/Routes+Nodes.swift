// Endpoints of one node that are not about guests, tasks or storages.

extension Route {
    private static func audit(_ path: String, _ parameters: [Parameter] = [], _ handler: @escaping Handler) -> Route {
        Route("GET", path, parameters, .all("/nodes/{node}", ["Sys.Audit"]), handler)
    }

    static let nodes: [Route] = [
        Route("GET", "/nodes", [], .user) { try $0.nodeList($1) },
        audit("/nodes/{node}/status") { try $0.nodeStatus($1) },
        Route(
            "POST", "/nodes/{node}/status", [.choice("command", ["reboot", "shutdown"]).required],
            .all("/nodes/{node}", ["Sys.PowerMgmt"])
        ) { try $0.powerOrder($1) },
        audit("/nodes/{node}/time") { host, _ in
            .data([
                "timezone": "Etc/UTC", "time": .integer(host.now.seconds), "localtime": .integer(host.now.seconds),
            ])
        },
        Route("GET", "/nodes/{node}/version", [], .user) { try $0.version($1) },
        audit("/nodes/{node}/dns") { host, _ in
            .data(["search": .string(host.settings.searchDomain)])
        },
        audit("/nodes/{node}/hosts") { try $0.hostsFile($1) },
        Route("GET", "/nodes/{node}/network", [.string("type")], .user) { try $0.network($1) },
        audit("/nodes/{node}/services") { _, _ in .data([]) },
        audit(
            "/nodes/{node}/disks/list",
            [
                .flag("include-partitions"), .flag("skipsmart"), .choice("type", ["unused", "journal_disks"]),
            ]
        ) { _, _ in .data([]) },
        audit("/nodes/{node}/ceph/status") { _, _ in throw Host.noCeph },
        audit("/nodes/{node}/ceph/osd") { _, _ in throw Host.noCeph },
        Route("GET", "/cluster/ceph/status", [], .any("/", ["Sys.Audit", "Datastore.Audit"])) { _, _ in
            throw Host.noCeph
        },
        Route("GET", "/nodes/{node}/subscription", [], .user) { host, _ in
            .data([
                "status": "notfound", "message": "There is no subscription key",
                "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
                "serverid": .string(Digests.sha1(host.name).uppercased().prefix(32).description),
            ])
        },
        Route(
            "GET", "/nodes/{node}/scan/nfs", [.string("server").required], .all("/storage", ["Datastore.Allocate"])
        ) { _, call in
            let command = "/sbin/showmount --no-headers --exports \(call["server"] ?? "")"
            throw APIError.died(
                "command '\(command)' failed: open3: exec of \(command) failed: No such file or directory "
                    + "at /usr/share/perl5/PVE/Tools.pm line 517.")
        },
        audit(
            "/nodes/{node}/rrddata",
            [
                .choice("timeframe", ["hour", "day", "week", "month", "year"]).required.inRelease(.eight),
                .choice("timeframe", ["hour", "day", "week", "month", "year", "decade"]).required.inRelease(.nine),
                .choice("cf", ["AVERAGE", "MAX"]),
            ]
        ) { try $0.nodeHistory($1) },
        Route("GET", "/nodes/{node}/certificates/info", [], .user) { try $0.certificates($1) },
    ]
}

extension Host {
    static let noCeph = APIError.died(
        "pveceph configuration not initialized - missing '/etc/pve/ceph.conf', missing '/etc/pve/ceph'")

    func nodeList(_ call: Call) throws(APIError) -> Reply {
        .data(
            .array(
                settings.nodes.map { node in
                    .object(nodeEntry(node, mayAudit: may(call, "Sys.Audit", on: "/nodes/\(node.name)")))
                }))
    }

    func nodeStatus(_ call: Call) throws(APIError) -> Reply {
        let used = 2_918_490_112 + running.values.count * 67_108_864
        return .data([
            "uptime": .integer(uptimeSeconds), "cpu": .number(0.05), "wait": 0, "idle": 0,
            "loadavg": ["0.10", "0.12", "0.09"], "kversion": "Linux 6.8.12-10-pve #1 SMP PREEMPT_DYNAMIC",
            "pveversion": .string("pve-manager/\(settings.release.version)/\(settings.release.repositoryID)"),
            "memory": [
                "total": .integer(Int(settings.memory)), "used": .integer(used),
                "free": .integer(Int(settings.memory) - used),
            ],
            "swap": ["total": 0, "used": 0, "free": 0],
            "rootfs": ["total": 6_442_450_944, "used": 14_614_528, "free": 6_427_836_416, "avail": 6_427_836_416],
            "ksm": ["shared": 0],
            "cpuinfo": [
                "cpus": .integer(settings.cores), "cores": .integer(settings.cores), "sockets": 1, "hvm": "1",
                "mhz": "2400.000", "model": "Emulated CPU", "user_hz": 100, "flags": "vmx",
            ],
            "boot-info": ["mode": "efi", "secureboot": 0],
            "current-kernel": [
                "sysname": "Linux", "release": "6.8.12-10-pve", "version": "#1 SMP PREEMPT_DYNAMIC",
                "machine": "x86_64",
            ],
        ])
    }

    mutating func powerOrder(_ call: Call) throws(APIError) -> Reply {
        note("power order: \(call["command"] ?? "")", user: call.principal)
        powerRequest = call["command"]
        return .nothing
    }

    func hostsFile(_ call: Call) throws(APIError) -> Reply {
        let lines = ["127.0.0.1 localhost"] + settings.nodes.map { "\($0.address) \($0.name)" }
        let text = lines.map { $0 + "\n" }.joined()
        return .data(["data": .string(text), "digest": .string(Digests.sha1(text))])
    }

    func network(_ call: Call) throws(APIError) -> Reply {
        .data([
            [
                "iface": "vmbr0", "type": "bridge", "method": "static", "method6": "manual", "priority": 3,
                "address": .string(settings.node.address), "netmask": "24",
                "cidr": .string("\(settings.node.address)/24"), "autostart": 1, "active": 1, "families": ["inet"],
                "bridge_ports": "eth0", "bridge_stp": "off", "bridge_fd": "0",
            ],
            [
                "iface": "eth0", "type": "eth", "method": "manual", "method6": "manual", "exists": 1, "active": 1,
                "families": ["inet"],
            ],
        ])
    }

    /// An hour of nothing: one point a minute without values, as from a node just installed.
    func nodeHistory(_ call: Call) throws(APIError) -> Reply {
        let last = now.seconds / 60 * 60
        return .data(.array((0..<70).reversed().map { ["time": .integer(last - $0 * 60)] }))
    }

    func certificates(_ call: Call) throws(APIError) -> Reply {
        .data([
            [
                "filename": "pve-ssl.pem", "fingerprint": .string(settings.fingerprint),
                "subject": .string(
                    "/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN=\(name).\(settings.searchDomain)"),
                "issuer": "/CN=Proxmox Virtual Environment/OU=emulated/O=PVE Cluster Manager CA",
                "notbefore": .integer(booted.seconds - 3_600), "notafter": .integer(booted.seconds + 730 * 86_400),
                "public-key-type": "id-ecPublicKey", "public-key-bits": 256,
                "san": ["127.0.0.1", "localhost", .string(settings.node.address), .string(name)], "pem": "",
            ]
        ])
    }
}
