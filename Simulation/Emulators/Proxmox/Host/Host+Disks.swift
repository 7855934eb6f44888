// Growing disks, and snapshots.
//
// Resizing without a quorum grows the image and then fails to write the configuration: recorded, and kept so.

extension Host {
    func prepareResize(_ guest: GuestID, disk: String, size: String) throws(APIError) -> Int64 {
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        guard let drive = configuration.drives(guest.kind).first(where: { $0.key == disk }) else {
            throw .died("disk '\(disk)' does not exist")
        }
        guard let present = try volume(drive.volume)?.size else {
            throw .died("volume '\(drive.volume)' does not exist")
        }
        guard let wanted = newSize(size, present) else { throw .died("invalid size '\(size)'") }
        guard wanted >= present else { throw .died("shrinking disks is not supported") }
        return settings.durations.resize
    }

    private func newSize(_ text: String, _ present: Int64) -> Int64? {
        guard text.hasPrefix("+") else { return DiskSize.parse(text) }
        return DiskSize.parse(String(text.dropFirst())).map { present + $0 }
    }

    mutating func completeResize(
        _ guest: GuestID, disk: String, size: String, _ upid: UPID
    ) throws(APIError) -> WorkOutcome {
        var configuration = try configuration(of: guest)
        guard let drive = configuration.drives(guest.kind).first(where: { $0.key == disk }),
            let present = try volume(drive.volume)?.size, let wanted = newSize(size, present)
        else { throw .died("disk '\(disk)' does not exist") }
        let storage = try storage(drive.storage)
        try changeVolumes(of: storage) { table throws(APIError) in table.volumes[drive.volume]?.size = wanted }
        log(upid, "Image resized.")
        var properties = drive.properties
        properties["size"] = DiskSize.format(wanted)
        configuration[disk] = properties.text
        try store(configuration, of: guest)
        return .done
    }

    // MARK: Snapshots

    mutating func prepareSnapshot(_ guest: GuestID, _ name: String, _ upid: UPID) throws(APIError) -> Int64 {
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        if configuration.snapshots[name] != nil { throw .died("snapshot name '\(name)' already used") }
        if configuration.isTemplate { throw .died("unable to take snapshot of a template") }
        let disks = configuration.drives(guest.kind).filter { !$0.isCDROM && !$0.key.hasPrefix("unused") }
        for drive in disks {
            let format = try volume(drive.volume)?.format
            let storage = try storage(drive.storage)
            guard !storage.isFiles || format == "qcow2" else { throw .died("snapshot feature is not available") }
        }
        if settings.release == .nine, guest.kind == .qemu, hasAgentConfigured(configuration), running[guest] == nil {
            log(upid, "still waiting on guest fs freeze - timeout in 50 minutes")
            log(upid, "querying status after freezing guest fs failed - \(guest) not running")
        }
        for drive in disks where guest.kind == .qemu {
            log(upid, "snapshotting 'drive-\(drive.key)' (\(drive.volume))")
        }
        return settings.durations.snapshot
    }

    mutating func completeSnapshot(
        _ guest: GuestID, _ name: String, _ description: String, withState: Bool, _ upid: UPID
    ) throws(APIError) -> WorkOutcome {
        var configuration = try configuration(of: guest)
        var kept = configuration.settings
        kept["snaptime"] = String(now.seconds)
        if withState { kept["vmstate"] = "1" }
        configuration.snapshots[name] = kept
        configuration.snapshotDescriptions[name] = description
        configuration["parent"] = name
        try store(configuration, of: guest)
        return .done
    }

    func requireSnapshot(_ name: String, of guest: GuestID) throws(APIError) -> Int64 {
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        guard configuration.snapshots[name] != nil else { throw .died("snapshot '\(name)' does not exist") }
        return settings.durations.snapshot
    }

    mutating func completeRollback(_ guest: GuestID, _ name: String, starts: Bool) throws(APIError) -> WorkOutcome {
        var configuration = try configuration(of: guest)
        guard var settings = configuration.snapshots[name] else {
            throw .died("snapshot '\(name)' does not exist")
        }
        let wasRunning = running[guest] != nil
        if wasRunning { terminate(guest) }
        for key in ["snaptime", "vmstate", "parent"] { settings[key] = nil }
        settings["parent"] = name
        settings["vmgenid"] = settings["vmgenid"].map { _ in drawUUID() }
        configuration.settings = settings
        try store(configuration, of: guest)
        guard starts else { return .done }
        return .more(.start(guest), milliseconds: self.settings.durations.start)
    }

    mutating func completeDeleteSnapshot(_ guest: GuestID, _ name: String) throws(APIError) -> WorkOutcome {
        var configuration = try configuration(of: guest)
        let parent = configuration.snapshots[name]?["parent"]
        configuration.snapshots[name] = nil
        configuration.snapshotDescriptions[name] = nil
        for (child, settings) in configuration.snapshots where settings["parent"] == name {
            configuration.snapshots[child]?["parent"] = parent
        }
        if configuration["parent"] == name { configuration["parent"] = parent }
        try store(configuration, of: guest)
        return .done
    }
}
