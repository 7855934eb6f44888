// Endpoints that make, read, change and remove guests.

extension Route {
    static func configuring(_ kind: GuestKind, _ base: String, _ guest: String) -> [Route] {
        let changes: Permission = .any(
            "/vms/{vmid}",
            [
                "VM.Config.Disk", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network",
                "VM.Config.HWType", "VM.Config.Options", "VM.Config.Cloudinit",
            ].filter { kind == .qemu || !["VM.Config.CDROM", "VM.Config.HWType", "VM.Config.Cloudinit"].contains($0) })
        let alteration: [Parameter] =
            [.string("delete"), .string("revert"), .string("digest")]
            + (kind == .qemu ? [.flag("skiplock").rootOnly, .flag("force")] : [])
        var routes = [
            Route(
                "POST", base,
                [.vmid, .flag("start"), .string("pool"), .flag("unique"), .flag("force"), .string("storage", .storage)]
                    + [.flag("ha-managed", only: .nine)]
                    + (kind == .qemu
                        ? [
                            .string("archive"), .integer("bwlimit", from: 0), .flag("live-restore"),
                            .string("import-working-storage", .storage),
                        ]
                        : [
                            .string("ostemplate").required, .string("password"), .string("ssh-public-keys"),
                            .flag("restore"), .flag("ignore-unpack-errors"), Parameter(name: "bwlimit", type: .number),
                        ]),
                .user, configures: kind
            ) { try $0.createGuest($1, kind) },
            Route(
                "GET", guest + "/config", [.flag("current"), .string("snapshot", .configurationID)],
                .all("/vms/{vmid}", ["VM.Audit"])
            ) { try $0.guestConfiguration($1, kind) },
            Route("PUT", guest + "/config", alteration, changes, configures: kind) { try $0.changeGuest($1, kind) },
            Route("GET", guest + "/pending", [], .all("/vms/{vmid}", ["VM.Audit"])) { try $0.pending($1, kind) },
            Route(
                "DELETE", guest,
                [.flag("purge"), .flag("destroy-unreferenced-disks")]
                    + (kind == .qemu ? [.flag("skiplock").rootOnly] : [.flag("force")]),
                .all("/vms/{vmid}", ["VM.Allocate"])
            ) { try $0.destroyGuest($1, kind) },
        ]
        guard kind == .qemu else { return routes }
        routes.append(
            Route(
                "POST", guest + "/config",
                alteration + [
                    .integer("background_delay", from: 1, to: 30), .string("import-working-storage", .storage),
                ],
                changes, configures: kind
            ) { try $0.changeGuestInBackground($1) })
        return routes
    }
}

extension Host {
    // MARK: Create

    mutating func createGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        guard may(call, "VM.Allocate", on: "/vms/\(call.vmid)") else { throw .forbidden }
        try requireQuorum()
        if let owner = owner(of: call.vmid) {
            throw .died("unable to create \(guest) - VM \(call.vmid) already exists on node '\(owner.node)'")
        }
        let (settings, description) = givenSettings(call, kind)
        try requireRights(call, settings.keys.sorted(), guest)
        var configuration = GuestConfiguration(settings: settings)
        configuration.description = description
        if kind == .lxc { try completeContainer(&configuration, call) }
        for (key, value) in configuration.settings.sorted(by: { $0.key < $1.key }) {
            try checkSetting(key, value)
            if let drive = Drive(key: key, text: value), ConfigurationKeys.isDrive(key, kind) {
                try requireSpaceRight(drive, call)
            }
        }
        // The number is taken before the task begins: the file is there from now on, locked.
        try store(GuestConfiguration(settings: ["lock": "create"]), of: guest)
        let plan = CreatePlan(
            guest: guest, configuration: configuration, starts: call.flag("start"), template: call["ostemplate"])
        return .task(fork("create", guest, user: call.principal, .create(plan)))
    }

    private func requireSpaceRight(_ drive: Drive, _ call: Call) throws(APIError) {
        _ = try storage(drive.storage)
        try require(call, "Datastore.AllocateSpace", on: "/storage/\(drive.storage)")
    }

    private func completeContainer(_ configuration: inout GuestConfiguration, _ call: Call) throws(APIError) {
        let template = call["ostemplate"] ?? ""
        let storageName = String(template.prefix { $0 != ":" })
        _ = try storage(storageName)
        guard knowsTemplate(template) else { throw .died("volume '\(template)' does not exist") }
        if configuration["rootfs"] == nil { configuration["rootfs"] = "\(call["storage"] ?? "local"):4" }
    }

    /// Container templates are not kept as volumes; any with a name that says it is one is there, but for those whose
    /// name says they are missing.
    private func knowsTemplate(_ identifier: String) -> Bool {
        identifier.contains(":vztmpl/") && !identifier.contains("missing")
    }

    /// The settings among a request's parameters.
    func givenSettings(_ call: Call, _ kind: GuestKind) -> (settings: [String: String], description: String?) {
        var settings: [String: String] = [:]
        for (key, value) in call.values where !call.route.parameters.contains(where: { $0.name == key }) {
            guard let type = ConfigurationKeys.type(key, kind, self.settings.release) else { continue }
            settings[key] = type == .boolean ? (Parameter.flagValue(value) == true ? "1" : "0") : value
        }
        let description = settings.removeValue(forKey: "description")
        return (settings, description)
    }

    private func requireRights(_ call: Call, _ keys: [String], _ guest: GuestID) throws(APIError) {
        if !call.isRoot, keys.contains("lock") { throw .died("only root can set 'lock' config") }
        for key in keys {
            try require(call, ConfigurationKeys.privilege(key, guest.kind), on: "/vms/\(guest.vmid)")
        }
    }

    // MARK: Read

    func guestConfiguration(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let configuration = try configuration(of: guest)
        if let name = call["snapshot"] {
            guard let kept = configuration.snapshots[name] else { throw .died("snapshot '\(name)' does not exist") }
            return .data(.object(shown(kept, configuration.snapshotDescriptions[name], kind)))
        }
        var settings = configuration.settings
        if !call.flag("current") {
            for key in configuration.pendingDeletions { settings[key] = nil }
            settings.merge(configuration.pending) { _, pending in pending }
        }
        var entry = shown(settings, configuration.description, kind)
        entry["digest"] = .string(configuration.digest)
        return .data(.object(entry))
    }

    /// Settings as answers have them: whole numbers and booleans as numbers, everything else as text.
    func shown(_ settings: [String: String], _ description: String?, _ kind: GuestKind) -> [String: JSON] {
        var entry: [String: JSON] = [:]
        for (key, value) in settings { entry[key] = shown(key, value, kind) }
        if let description { entry["description"] = .string(description) }
        return entry
    }

    private func shown(_ key: String, _ value: String, _ kind: GuestKind) -> JSON {
        if key == "snaptime" || key == "vmstate" { return Int(value).map(JSON.integer) ?? .string(value) }
        switch ConfigurationKeys.type(key, kind, settings.release) {
        case .integer, .boolean: return Int(value).map(JSON.integer) ?? .string(value)
        default: return .string(key == "cipassword" ? "**********" : value)
        }
    }

    func pending(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let configuration = try configuration(of: GuestID(kind, call.vmid))
        var found: [JSON] = []
        var settings = configuration.settings
        if let description = configuration.description { settings["description"] = description }
        settings["digest"] = configuration.digest
        for key in Set(settings.keys).union(configuration.pending.keys).sorted() {
            var entry: [String: JSON] = ["key": .string(key)]
            entry["value"] = settings[key].map { shown(key, $0, kind) }
            entry["pending"] = configuration.pending[key].map { shown(key, $0, kind) }
            if configuration.pendingDeletions.contains(key) { entry["delete"] = 1 }
            found.append(.object(entry))
        }
        return .data(.array(found))
    }

    // MARK: Change

    private func change(_ call: Call, _ guest: GuestID) throws(APIError) -> ConfigurationChange {
        let (settings, description) = givenSettings(call, guest.kind)
        func list(_ name: String) -> [String] {
            (call[name] ?? "").split { ",; ".contains($0) }.map(String.init)
        }
        let change = ConfigurationChange(
            settings: settings, deletions: list("delete"), reverts: list("revert"), description: description,
            digest: call["digest"])
        try requireRights(call, settings.keys.sorted() + change.deletions.sorted(), guest)
        return change
    }

    mutating func changeGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let change = try change(call, guest)
        guard !isLockHeld(guest) else {
            guard now - call.arrived >= settings.lockWait else { return .waiting }
            throw .died("can't lock file '\(kind.lockFile(call.vmid))' - got timeout")
        }
        try check(change, of: guest)
        try apply(change, to: guest)
        return .nothing
    }

    mutating func changeGuestInBackground(_ call: Call) throws(APIError) -> Reply {
        let guest = GuestID(.qemu, call.vmid)
        let change = try change(call, guest)
        try check(change, of: guest)
        return .task(fork("config", guest, user: call.principal, .configure(guest, change)))
    }

    // MARK: Remove

    mutating func destroyGuest(_ call: Call, _ kind: GuestKind) throws(APIError) -> Reply {
        let guest = GuestID(kind, call.vmid)
        let configuration = try configuration(of: guest)
        if configuration["protection"] == "1" {
            throw .died("can't remove \(guest) - protection mode enabled")
        }
        if haResource(of: guest) != nil, !call.flag("purge") {
            throw .died("unable to remove \(guest) - used in HA resources and purge parameter not set.")
        }
        if running[guest] != nil, !(kind == .lxc && call.flag("force")) {
            throw .died(
                kind == .qemu
                    ? "VM \(call.vmid) is running - destroy failed"
                    : "unable to destroy CT \(call.vmid) - container is running")
        }
        if kind == .lxc, call.flag("force") { terminate(guest) }
        return .task(fork("destroy", guest, user: call.principal, .destroy(guest, purges: call.flag("purge"))))
    }
}
