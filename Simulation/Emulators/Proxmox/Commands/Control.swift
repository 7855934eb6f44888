// Orders of the control socket: faults, and what is set up without the API. One JSON object per line, one line back:
// {"ok": ...} or {"error": "..."}. The model's part is here; what needs the shell (the certificate) is HostProcess's.

/// Why an order was not carried out.
struct ControlError: Error, CustomStringConvertible {
    let description: String
}

extension Host {
    /// Carries out an order.
    /// - Returns: nil for an order that is not the model's.
    public mutating func control(_ order: JSON) throws -> JSON? {
        guard let command = order["command"]?.string else { throw ControlError(description: "no \"command\"") }
        switch command {
        case "status": return controlStatus
        case "hang": faults.hangsUntil = now + Int64(order["seconds"]?.integer ?? 30) * 1_000
        case "clear": faults = Faults()
        case "answer":
            try addAnswer(
                order, .status(order["status"]?.integer ?? 500, reason: order["reason"]?.string ?? "fault"))
        case "cut": try addAnswer(order, .cut)
        case "half": try addAnswer(order, .half)
        case "slow": try addAnswer(order, .slow(milliseconds: Int64(order["milliseconds"]?.integer ?? 1_000)))
        case "fail-task":
            faults.taskFailures.append((order["type"]?.string ?? "", order["text"]?.string ?? "fault"))
        case "delay-task":
            faults.taskDelays.append((order["type"]?.string ?? "", Int64(order["milliseconds"]?.integer ?? 10_000)))
        case "lock": try setLock(order, order["lock"]?.string ?? "backup")
        case "unlock": try setLock(order, nil)
        case "hold-lock":
            faults.heldLocks[try guest(order)] = now + Int64(order["seconds"]?.integer ?? 30) * 1_000
        case "storage": try setStorage(order)
        case "behaviour": try setBehaviour(order)
        case "crash": terminate(try guest(order))
        case "start-by-hand": try startByHand(try guest(order))
        case "local-mode": setLocal(order["on"]?.integer != 0)
        default: return try controlSetup(command, order)
        }
        return ["ok": 1]
    }

    /// Orders that set something up. They write the files without asking for a quorum.
    private mutating func controlSetup(_ command: String, _ order: JSON) throws -> JSON? {
        switch command {
        case "revoke", "restore":
            var access = access
            let subject = try text("subject", order)
            let privileges = (order["privileges"]?.array ?? []).compactMap(\.string)
            access.revoked[subject] = command == "restore" ? nil : privileges
            installEverywhere(Self.accessFile, Self.encoded(access))
        case "add-token":
            var access = access
            let user = try text("user", order)
            if access.users[user] == nil { access.addUser(user, password: order["password"]?.string) }
            access.addToken("\(user)!\(try text("id", order))", secret: try text("secret", order))
            access.grant(order["role"]?.string ?? "Administrator", to: user)
            installEverywhere(Self.accessFile, Self.encoded(access))
        case "add-storage":
            var storage = Storage(
                name: try text("storage", order), type: order["type"]?.string ?? "dir",
                isShared: order["shared"]?.integer == 1, content: ["images", "rootdir"],
                path: order["path"]?.string, total: Int64(order["total"]?.integer ?? 270_553_174_016))
            storage.nodes = (order["nodes"]?.array ?? []).compactMap(\.string)
            installEverywhere(
                Self.storageFile, Self.text(of: storages().filter { $0.name != storage.name } + [storage]))
        case "add-guest": try addGuest(order)
        case "remove-file": installEverywhere(try text("path", order), nil)
        default: return nil
        }
        return ["ok": 1]
    }

    /// Writes a file here and tells the others.
    mutating func installEverywhere(_ path: String, _ content: String?) {
        let change = files.write(path, content, writer: settings.node.id)
        for node in membership.onlineNodes where node.name != name { send(.wrote(change), to: node.name) }
    }

    private func text(_ key: String, _ order: JSON) throws -> String {
        guard let text = order[key]?.string else { throw ControlError(description: "no \"\(key)\"") }
        return text
    }

    private func guest(_ order: JSON) throws -> GuestID {
        guard let vmid = order["vmid"]?.integer else { throw ControlError(description: "no \"vmid\"") }
        return GuestID(order["kind"]?.string == "lxc" ? .lxc : .qemu, vmid)
    }

    private mutating func addAnswer(_ order: JSON, _ kind: AnswerFault.Kind) throws {
        faults.answers.append(
            AnswerFault(
                kind: kind, method: order["method"]?.string, path: order["path"]?.string ?? "",
                count: order["count"]?.integer ?? 1))
    }

    private mutating func setLock(_ order: JSON, _ lock: String?) throws {
        let guest = try guest(order)
        var configuration = try configuration(of: guest)
        configuration["lock"] = lock
        installEverywhere(guest.path(on: name), configuration.text)
    }

    private mutating func setStorage(_ order: JSON) throws {
        let storage = try text("storage", order)
        faults.fullStorages.remove(storage)
        faults.absentStorages.remove(storage)
        switch order["state"]?.string {
        case "full": faults.fullStorages.insert(storage)
        case "absent": faults.absentStorages.insert(storage)
        case "ok": break
        default: throw ControlError(description: "\"state\" is full, absent or ok")
        }
        publishStatus()
    }

    private mutating func setBehaviour(_ order: JSON) throws {
        let guest = try guest(order)
        var behaviour = behaviours[guest.vmid] ?? GuestBehaviour()
        if let value = order["obeysShutdown"]?.integer { behaviour.obeysShutdown = value == 1 }
        if let value = order["hasAgent"]?.integer { behaviour.hasAgent = value == 1 }
        if let value = order["shutdownMilliseconds"]?.integer { behaviour.shutdownMilliseconds = Int64(value) }
        if let value = order["startFailure"] { behaviour.startFailure = value.string }
        behaviours[guest.vmid] = behaviour
    }

    /// A guest that has been there: its configuration, and images for the volumes that it names.
    public mutating func addGuest(_ guest: GuestID, settings given: [String: String], isRunning: Bool = false) throws {
        var configuration = GuestConfiguration(settings: given)
        if guest.kind == .qemu, configuration["smbios1"] == nil { configuration["smbios1"] = "uuid=\(drawUUID())" }
        for drive in configuration.drives(guest.kind) {
            let storage = try storage(drive.storage)
            let format = drive.name.hasSuffix("qcow2") ? "qcow2" : "raw"
            let volume = Volume(vmid: guest.vmid, size: drive.size, format: format, created: now.seconds)
            try changeVolumes(of: storage) { table throws(APIError) in
                if table.volumes[drive.volume] == nil { table.volumes[drive.volume] = volume }
            }
        }
        installEverywhere(guest.path(on: name), configuration.text)
        if isRunning { try launch(guest, configuration) }
        publishStatus()
    }

    private mutating func addGuest(_ order: JSON) throws {
        let settings = (order["settings"]?.object ?? [:]).compactMapValues(\.text)
        try addGuest(try guest(order), settings: settings, isRunning: order["running"]?.integer == 1)
    }

    private var controlStatus: JSON {
        [
            "node": .string(name), "release": .string(settings.release.rawValue),
            "quorate": .flag(membership.isQuorate), "writable": .flag(membership.isWritable(now: now)),
            "ready": .flag(membership.isReady(now: now)),
            "online": .array(membership.onlineNodes.map { .string($0.name) }),
            "votes": .integer(membership.totalVotes(now: now)), "expected": .integer(membership.expectedVotes),
            "filesVersion": .integer(Int(files.version)), "fingerprint": .string(settings.fingerprint),
            "guests": .array(
                ownGuests().map { guest in
                    [
                        "vmid": .integer(guest.vmid), "kind": .string(guest.kind.rawValue),
                        "running": .flag(running[guest] != nil),
                    ]
                }),
            "running": .array(running.keys.sorted().map { .integer($0.vmid) }),
            "orphans": .array(orphans.map { .integer($0.vmid) }),
        ]
    }
}
