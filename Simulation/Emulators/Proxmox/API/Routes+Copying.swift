// Endpoints of snapshots, copies, templates, moves and sizes.

extension Route {
    static func snapshots(_ kind: GuestKind, _ guest: String) -> [Route] {
        let path = guest + "/snapshot"
        let own = path + "/{snapname}"
        let snapshot = Permission.all("/vms/{vmid}", ["VM.Snapshot"])
        let either = Permission.any("/vms/{vmid}", ["VM.Snapshot", "VM.Snapshot.Rollback"])
        let name = Parameter.string("snapname", .configurationID).required
        return [
            Route("GET", path, [], .all("/vms/{vmid}", ["VM.Audit"])) { try $0.snapshotList($1, kind) },
            Route(
                "POST", path, [name, .string("description")] + (kind == .qemu ? [.flag("vmstate")] : []), snapshot
            ) { try $0.takeSnapshot($1, kind) },
            Route("DELETE", own, [.flag("force")], snapshot) { try $0.removeSnapshot($1, kind) },
            Route(
                "GET", own + "/config", [], .any("/vms/{vmid}", ["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"])
            ) { try $0.snapshotConfiguration($1, kind) },
            Route("PUT", own + "/config", [.string("description")], snapshot) {
                try $0.describeSnapshot($1, kind)
            },
            Route("POST", own + "/rollback", [.flag("start")], either) { try $0.rollBack($1, kind) },
        ]
    }

    static func copying(_ kind: GuestKind, _ guest: String) -> [Route] {
        let isMachine = kind == .qemu
        return [
            Route(
                "POST", guest + "/clone",
                [
                    Parameter(name: "newid", type: .integer, isRequired: true, format: .vmid),
                    .string(isMachine ? "name" : "hostname"), .string("description"), .string("pool"),
                    .string("snapname", .configurationID), .string("storage", .storage), .flag("full"),
                    .string("target", .node),
                    isMachine ? .integer("bwlimit", from: 0) : Parameter(name: "bwlimit", type: .number),
                ] + (isMachine ? [.choice("format", ["raw", "qcow2", "vmdk"])] : []),
                .all("/vms/{vmid}", ["VM.Clone"])
            ) { try $0.cloneGuest($1, kind) },
            Route(
                "POST", guest + "/template", isMachine ? [.string("disk")] : [], .all("/vms/{vmid}", ["VM.Allocate"])
            ) { try $0.makeTemplate($1, kind) },
            Route(
                "GET", guest + "/migrate", [.string("target", .node)], .all("/vms/{vmid}", ["VM.Migrate"]),
                only: isMachine ? nil : .nine
            ) { try $0.migrationConditions($1, kind) },
            Route(
                "POST", guest + "/migrate",
                [
                    .string("target", .node).required, .flag("online"),
                    isMachine ? .integer("bwlimit", from: 0) : Parameter(name: "bwlimit", type: .number),
                ]
                    + (isMachine
                        ? [
                            .flag("force").rootOnly, .choice("migration_type", ["secure", "insecure"]),
                            .string("migration_network"), .flag("with-local-disks"), .string("targetstorage"),
                            .flag("with-conntrack-state", only: .nine),
                        ] : [.flag("restart"), .integer("timeout"), .string("target-storage")]),
                .all("/vms/{vmid}", ["VM.Migrate"])
            ) { try $0.migrateGuest($1, kind) },
            Route(
                "PUT", guest + "/resize",
                [.string("disk").required, .string("size", .size).required, .string("digest")]
                    + (isMachine ? [.flag("skiplock").rootOnly] : []),
                .all("/vms/{vmid}", ["VM.Config.Disk"])
            ) { try $0.resizeDisk($1, kind) },
            Route(
                "POST", guest + (isMachine ? "/move_disk" : "/move_volume"),
                [
                    .string(isMachine ? "disk" : "volume").required, .string("storage", .storage), .flag("delete"),
                    .string("digest"), .string("target-digest"), .string(isMachine ? "target-disk" : "target-volume"),
                    .integer("target-vmid", from: 100, to: 999_999_999),
                    isMachine ? .integer("bwlimit", from: 0) : Parameter(name: "bwlimit", type: .number),
                ] + (isMachine ? [.choice("format", ["raw", "qcow2", "vmdk"])] : []),
                .all("/vms/{vmid}", ["VM.Config.Disk"])
            ) { try $0.moveDisk($1, kind) },
        ]
    }
}

extension Host {
    // MARK: Snapshots

    func snapshotList(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let configuration = try configuration(of: guest)
        var found: [JSON] = configuration.snapshots.sorted { $0.key < $1.key }.map { name, settings in
            var entry: [String: JSON] = [
                "name": .string(name), "description": .string(configuration.snapshotDescriptions[name] ?? ""),
                "snaptime": .integer(settings["snaptime"].flatMap(Int.init) ?? 0),
            ]
            if kind == .qemu { entry["vmstate"] = .flag(settings["vmstate"] != nil) }
            entry["parent"] = settings["parent"].map(JSON.string)
            return .object(entry)
        }
        var current: [String: JSON] = [
            "name": "current", "description": "You are here!", "digest": .string(configuration.digest),
            "running": .flag(running[guest] != nil),
        ]
        current["parent"] = configuration["parent"].map(JSON.string)
        found.append(.object(current))
        return .data(.array(found))
    }

    mutating func takeSnapshot(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        _ = try configuration(of: guest)
        let name = call["snapname"] ?? ""
        if name == "current" { throw .died("unable to use snapshot name 'current' (reserved name)") }
        return .task(
            fork(
                "snapshot", guest, user: call.principal,
                .snapshot(
                    guest, name: name, description: call["description"] ?? "", withState: call.flag("vmstate"))))
    }

    mutating func removeSnapshot(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        return .task(
            fork(
                "delsnapshot", guest, user: call.principal,
                .deleteSnapshot(guest, name: call["snapname"] ?? "")))
    }

    func snapshotConfiguration(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let configuration = try configuration(of: GuestID(kind, call.vmid))
        let name = call["snapname"] ?? ""
        guard let kept = configuration.snapshots[name] else { throw .died("snapshot '\(name)' does not exist") }
        return .data(.object(shown(kept, configuration.snapshotDescriptions[name], kind)))
    }

    mutating func describeSnapshot(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        var configuration = try configuration(of: guest)
        let name = call["snapname"] ?? ""
        guard configuration.snapshots[name] != nil else { throw .died("snapshot '\(name)' does not exist") }
        configuration.snapshotDescriptions[name] = call["description"] ?? ""
        try store(configuration, of: guest)
        return .nothing
    }

    mutating func rollBack(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        return .task(
            fork(
                "rollback", guest, user: call.principal,
                .rollback(guest, name: call["snapname"] ?? "", starts: call.flag("start"))))
    }

    // MARK: Copies

    mutating func cloneGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let source = GuestID(kind, call.vmid)
        let newID = call.integer("newid") ?? 0
        try require(call, "VM.Allocate", on: "/vms/\(newID)")
        try requireQuorum()
        let configuration = try configuration(of: source)
        try requireUnlocked(configuration, source)
        if let target = call["target"], membership.node(target) == nil {
            throw .died("no such cluster node '\(target)'")
        }
        if let owner = owner(of: newID) {
            throw .died(
                owner.node == name
                    ? "unable to create VM \(newID): config file already exists"
                    : "unable to create VM \(newID) - VM \(newID) already exists on node '\(owner.node)'")
        }
        let isFull = call["full"].map { _ in call.flag("full") } ?? !configuration.isTemplate
        if let storageName = call["storage"] {
            _ = try storage(storageName)
            if !isFull { throw .parameters(["storage": "parameter 'storage' not allowed for linked clones"]) }
        }
        var plan = ClonePlan(source: source, newID: newID, isFull: isFull)
        plan.name = call["name"] ?? call["hostname"]
        plan.description = call["description"]
        plan.target = call["target"]
        plan.storage = call["storage"]
        plan.snapshot = call["snapname"]
        try store(GuestConfiguration(settings: ["lock": "clone"]), of: plan.guest)
        return .task(fork("clone", source, user: call.principal, .clone(plan)))
    }

    mutating func makeTemplate(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        if !configuration.snapshots.isEmpty {
            throw .died("unable to create template, because \(kind.noun) contains snapshots")
        }
        if configuration.isTemplate { throw .died("you can't convert a template to a template") }
        if running[guest] != nil {
            throw .died("you can't convert a \(kind.noun) to template if \(kind.noun) is running")
        }
        return .task(fork("template", guest, user: call.principal, .template(guest)))
    }

    // MARK: Moves

    func migrationConditions(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let configuration = try configuration(of: guest)
        let others = settings.nodes.map(\.name).filter { $0 != name && membership.isOnline($0) }
        let disks = try localDisks(configuration, guest).map { drive -> JSON in
            var entry: [String: JSON] = [
                "volid": .string(drive.volume), "drivename": .string(drive.key), "cdrom": .flag(drive.isCDROM),
                "size": .integer(Int(drive.size)), "shared": 0, "replicate": 1, "is_attached": 1, "is_unused": 0,
                "is_vmstate": 0, "is_tpmstate": 0,
            ]
            if settings.release == .nine { entry["is_cloudinit"] = 0 }
            return .object(entry)
        }
        var entry: [String: JSON] = [
            "running": .flag(running[guest] != nil), "local_disks": .array(disks), "local_resources": [],
            "mapped-resources": [], "mapped-resource-info": [:],
        ]
        if running[guest] == nil {
            entry["allowed_nodes"] = .array(others.map(JSON.string))
            entry["not_allowed_nodes"] = .object(
                Dictionary(uniqueKeysWithValues: others.map { ($0, JSON.object([:])) }))
        }
        if settings.release == .nine { entry["has-dbus-vmstate"] = 1 }
        return .data(.object(entry))
    }

    mutating func migrateGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let target = call["target"] ?? ""
        if target == name { throw .parameters(["target": "target is local node."]) }
        try requireQuorum()
        guard membership.node(target) != nil else { throw .died("no such cluster node '\(target)'") }
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        if running[guest] != nil {
            if kind == .qemu, !call.flag("online") { throw .died("can't migrate running VM without --online") }
            if kind == .lxc, !call.flag("online"), !call.flag("restart") {
                throw .died("can't migrate running container without --online or --restart")
            }
        }
        if let reply = migrateByHA(guest, to: target, call) { return reply }
        let plan = MigrationPlan(
            guest: guest, target: target, isOnline: call.flag("online"),
            withLocalDisks: call.flag("with-local-disks"), restarts: call.flag("restart"),
            targetStorage: call["targetstorage"] ?? call["target-storage"])
        return .task(
            fork(kind == .qemu ? "qmigrate" : "vzmigrate", id: String(guest.vmid), user: call.principal, .migrate(plan))
        )
    }

    // MARK: Disks

    mutating func resizeDisk(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let configuration = try configuration(of: guest)
        if let digest = call["digest"], digest != configuration.digest {
            throw .died("checksum mismatch (file change by other user?)")
        }
        return .task(
            fork(
                "resize", id: String(guest.vmid), user: call.principal,
                .resize(guest, disk: call["disk"] ?? "", size: call["size"] ?? "")))
    }

    mutating func moveDisk(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let disk = call["disk"] ?? call["volume"] ?? ""
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        guard configuration.drives(kind).contains(where: { $0.key == disk }) else {
            throw .died("disk '\(disk)' does not exist")
        }
        let storage = try storage(call["storage"] ?? "")
        try require(call, "Datastore.AllocateSpace", on: "/storage/\(storage.name)")
        let plan = MovePlan(
            guest: guest, disk: disk, storage: storage.name, format: call["format"],
            deletesSource: call.flag("delete"))
        let type = kind == .qemu ? "qmmove" : "move_volume"
        return .task(fork(type, id: String(guest.vmid), user: call.principal, .moveDisk(plan)))
    }
}
