// Endpoints of the storages' configuration and of what is in them.

extension Route {
    private static let settings: [Parameter] = [
        .string("content"), .flag("shared"), .string("nodes"), .flag("disable"), .string("server"),
        .string("pool"), .string("monhost"), .string("username"), .flag("krbd"),
        .string("is_mountpoint"), .string("prune-backups"), .string("options"), .string("format"),
        .string("preallocation"), .string("data-pool"), .flag("mkdir"), .string("subdir"),
    ]

    /// Given once and never changed.
    private static let fixedSettings: [Parameter] = [
        .string("path"), .string("export"), .string("vgname"), .string("thinpool"),
    ]

    private static let auditOrSpace = ["Datastore.Audit", "Datastore.AllocateSpace"]

    static let storages: [Route] = [
        Route("GET", "/storage", [.string("type")], .user) { try $0.storageConfigurations($1) },
        Route(
            "POST", "/storage",
            [.string("storage", .storage).required, .string("type").required] + settings + fixedSettings,
            .all("/storage", ["Datastore.Allocate"])
        ) { try $0.createStorage($1) },
        Route("GET", "/storage/{storage}", [], .all("/storage/{storage}", ["Datastore.Allocate"])) {
            try .data($0.configuration(of: $0.storage($1["storage"] ?? "")))
        },
        Route(
            "PUT", "/storage/{storage}", settings + [.string("delete"), .string("digest")],
            .all("/storage", ["Datastore.Allocate"])
        ) { try $0.changeStorage($1) },
        Route("DELETE", "/storage/{storage}", [], .all("/storage", ["Datastore.Allocate"])) {
            try $0.removeStorage($1)
        },
        Route(
            "GET", "/nodes/{node}/storage",
            [
                .string("content"), .flag("enabled"), .flag("format"), .string("storage", .storage),
                .string("target", .node),
            ],
            .user
        ) { try $0.storageStatuses($1) },
        Route(
            "GET", "/nodes/{node}/storage/{storage}/status", [], .any("/storage/{storage}", auditOrSpace)
        ) { try $0.storageStatus($1) },
        Route(
            "GET", "/nodes/{node}/storage/{storage}/content",
            [.string("content"), .integer("vmid", from: 100, to: 999_999_999)],
            .any("/storage/{storage}", auditOrSpace)
        ) { try $0.storageContent($1) },
        Route(
            "GET", "/nodes/{node}/storage/{storage}/content/{volume}", [], .user
        ) { try $0.volumeAttributes($1) },
        Route(
            "DELETE", "/nodes/{node}/storage/{storage}/content/{volume}", [.integer("delay", from: 1, to: 30)], .user
        ) { try $0.removeVolume($1) },
    ]
}

extension Host {
    // MARK: Configuration

    func configuration(of storage: Storage) -> JSON {
        var entry: [String: JSON] = [
            "storage": .string(storage.name), "type": .string(storage.type),
            "content": .string(storage.content.joined(separator: ",")),
            "digest": .string(Digests.sha1(files.read(Self.storageFile) ?? "")),
        ]
        entry["path"] = storage.path.map(JSON.string)
        if storage.isShared { entry["shared"] = 1 }
        if storage.isDisabled { entry["disable"] = 1 }
        if !storage.nodes.isEmpty { entry["nodes"] = .string(storage.nodes.joined(separator: ",")) }
        for (key, value) in storage.settings { entry[key] = .string(value) }
        return .object(entry)
    }

    private func isVisible(_ storage: Storage, _ call: Call) -> Bool {
        may(call, "Datastore.Audit", on: "/storage/\(storage.name)")
            || may(call, "Datastore.AllocateSpace", on: "/storage/\(storage.name)")
    }

    func storageConfigurations(_ call: Call) throws(APIError) -> Reply {
        let found = storages().filter { isVisible($0, call) && [nil, $0.type].contains(call["type"]) }
        return .data(.array(found.map(configuration)))
    }

    private mutating func storeStorages(_ storages: [Storage]) throws(APIError) {
        try write(Self.storageFile, Self.text(of: storages))
    }

    private func apply(_ call: Call, to storage: inout Storage) {
        for (key, value) in call.values where !["storage", "type", "delete", "digest"].contains(key) {
            switch key {
            case "path": storage.path = value
            case "content": storage.content = value.split(separator: ",").map(String.init)
            case "shared": storage.isShared = call.flag("shared")
            case "nodes": storage.nodes = value.split(separator: ",").map(String.init)
            case "disable": storage.isDisabled = call.flag("disable")
            default: storage.settings[key] = value
            }
        }
    }

    mutating func createStorage(_ call: Call) throws(APIError) -> Reply {
        let name = call["storage"] ?? ""
        let type = call["type"] ?? "dir"
        guard !storages().contains(where: { $0.name == name }) else {
            throw .died("create storage failed: storage ID '\(name)' already defined")
        }
        let isNetworked = ["nfs", "cifs", "cephfs", "rbd", "iscsi"].contains(type)
        var storage = Storage(
            name: name, type: type, isShared: isNetworked, content: ["images"], total: 270_553_174_016)
        storage.used = 26_300_751_872
        apply(call, to: &storage)
        try storeStorages(storages() + [storage])
        return .data(["storage": .string(name), "type": .string(type)])
    }

    mutating func changeStorage(_ call: Call) throws(APIError) -> Reply {
        var all = storages()
        var storage = try storage(call["storage"] ?? "")
        apply(call, to: &storage)
        for key in (call["delete"] ?? "").split(separator: ",").map(String.init) {
            storage.settings[key] = nil
            if key == "nodes" { storage.nodes = [] }
            if key == "disable" { storage.isDisabled = false }
        }
        all.removeAll { $0.name == storage.name }
        try storeStorages(all + [storage])
        return .data(["storage": .string(storage.name), "type": .string(storage.type)])
    }

    mutating func removeStorage(_ call: Call) throws(APIError) -> Reply {
        let storage = try storage(call["storage"] ?? "")
        try storeStorages(storages().filter { $0.name != storage.name })
        return .nothing
    }

    // MARK: Status

    private func status(of storage: Storage, withName: Bool) -> JSON {
        let isActive = !faults.absentStorages.contains(storage.name)
        var entry: [String: JSON] = [
            "type": .string(storage.type), "content": .string(storage.content.joined(separator: ",")),
            "shared": .flag(storage.isShared), "enabled": .flag(!storage.isDisabled), "active": .flag(isActive),
        ]
        if withName { entry["storage"] = .string(storage.name) }
        let used = isActive ? usedBytes(storage) : 0
        let total = isActive ? storage.total : 0
        entry["total"] = .integer(Int(total))
        entry["used"] = .integer(Int(used))
        entry["avail"] = .integer(Int(max(0, total - used)))
        if withName, total > 0 { entry["used_fraction"] = .number(Double(used) / Double(total)) }
        return .object(entry)
    }

    func storageStatuses(_ call: Call) throws(APIError) -> Reply {
        let contents = call["content"].map { $0.split(separator: ",").map(String.init) }
        let found = storages().filter { storage in
            isHere(storage) && isVisible(storage, call)
                && (call["storage"].map { $0 == storage.name } ?? true)
                && (contents.map { wanted in storage.content.contains { wanted.contains($0) } } ?? true)
                && (call["target"].map { $0 == name || storage.isShared } ?? true)
        }
        return .data(.array(found.map { status(of: $0, withName: true) }))
    }

    func storageStatus(_ call: Call) throws(APIError) -> Reply {
        let storage = try storage(call["storage"] ?? "")
        guard isHere(storage) else { throw .died("storage '\(storage.name)' is not available on node '\(name)'") }
        return .data(status(of: storage, withName: false))
    }

    // MARK: Content

    func storageContent(_ call: Call) throws(APIError) -> Reply {
        let storage = try storage(call["storage"] ?? "")
        guard isHere(storage), !faults.absentStorages.contains(storage.name) else {
            throw .died("storage '\(storage.name)' is not available on node '\(name)'")
        }
        let prefix = storage.name + ":"
        let table = try table(of: storage)
        let found = table.volumes.filter { identifier, volume in
            identifier.hasPrefix(prefix) && (call["content"].map { $0 == volume.content } ?? true)
                && (call.integer("vmid").map { $0 == volume.vmid } ?? true)
        }
        return .data(
            .array(
                found.sorted { $0.key < $1.key }.map { identifier, volume in
                    [
                        "volid": .string(identifier), "vmid": .integer(volume.vmid), "format": .string(volume.format),
                        "size": .integer(Int(volume.size)), "used": .integer(Int(volume.used)),
                        "content": .string(volume.content), "ctime": .integer(volume.created), "parent": .null,
                    ]
                }))
    }

    private func identifier(_ call: Call) -> String {
        let volume = call["volume"] ?? ""
        return volume.contains(":") ? volume : "\(call["storage"] ?? ""):\(volume)"
    }

    func volumeAttributes(_ call: Call) throws(APIError) -> Reply {
        let identifier = identifier(call)
        let storage = try storage(call["storage"] ?? "")
        try require(call, "Datastore.Audit", on: "/storage/\(storage.name)")
        guard let volume = try volume(identifier) else { throw .died("volume_size_info on '\(identifier)' failed") }
        return .data([
            "format": .string(volume.format), "size": .integer(Int(volume.size)), "used": .integer(Int(volume.used)),
            "path": .string(storage.imagePath(String(identifier.dropFirst(storage.name.count + 1)))),
        ])
    }

    mutating func removeVolume(_ call: Call) throws(APIError) -> Reply {
        let identifier = identifier(call)
        try require(call, "Datastore.Allocate", on: "/storage/\(call["storage"] ?? "")")
        guard let volume = try volume(identifier) else { throw .died("volume '\(identifier)' does not exist") }
        if let owner = owner(of: volume.vmid) {
            throw .died(
                "Cannot remove image, a guest with VMID '\(owner.guest.vmid)' exists!\n"
                    + "You can delete the image from the guest's hardware pane")
        }
        try release(identifier)
        return .task(
            fork("imgdel", id: "\(volume.vmid)@\(call["storage"] ?? "")", user: call.principal, .nothing))
    }
}
