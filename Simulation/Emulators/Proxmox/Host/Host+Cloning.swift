// Copies of guests, full ones and those that share a template's images, and disks that move to another storage.

extension Host {
    func prepareClone(_ plan: ClonePlan) throws(APIError) -> Int64 {
        let configuration = try configuration(of: plan.source)
        try requireUnlocked(configuration, plan.source)
        let disks = configuration.drives(plan.source.kind).filter { !$0.isCDROM }
        let gibibytes = disks.reduce(0) { $0 + $1.size } >> 30
        return settings.durations.clone + (plan.isFull ? gibibytes * settings.durations.perDisk : 0)
    }

    mutating func completeClone(_ plan: ClonePlan, _ upid: UPID) throws(APIError) -> WorkOutcome {
        let source = try configuration(of: plan.source)
        var copy = source
        copy.snapshots = [:]
        copy.snapshotDescriptions = [:]
        copy.pending = [:]
        copy.pendingDeletions = []
        for key in ["template", "lock", "parent", "unused0"] { copy[key] = nil }
        let isLinked = source.isTemplate && !plan.isFull
        var made: [String] = []
        do throws(APIError) {
            for drive in source.drives(plan.source.kind) where !drive.key.hasPrefix("unused") {
                copy[drive.key] = try copyDisk(drive, to: plan, isLinked: isLinked, upid, &made)
            }
            finishCopy(&copy, plan)
            try write(plan.guest.path(on: plan.target ?? name), copy.text)
            if let target = plan.target, target != name { try write(plan.guest.path(on: name), nil) }
        } catch {
            for identifier in made { try? release(identifier) }
            throw error
        }
        return .done
    }

    private mutating func copyDisk(
        _ drive: Drive, to plan: ClonePlan, isLinked: Bool, _ upid: UPID, _ made: inout [String]
    ) throws(APIError) -> String {
        let storage = try storage(plan.storage ?? drive.storage)
        if plan.target != nil, !storage.isShared {
            throw .died("Can't clone VM to node '\(plan.target ?? "")' (VM uses local storage)")
        }
        var properties = drive.properties
        let old = try volume(drive.volume)
        let format = old?.format ?? "raw"
        let size = old?.size ?? drive.size
        guard isLinked, !drive.isCloudInit else {
            log(upid, "create full clone of drive \(drive.key) (\(drive.volume))")
            let base = drive.isCloudInit ? "vm-\(plan.newID)-cloudinit" : nil
            let new = try allocate(storage, for: plan.guest, size: size, format: format, base: base)
            made.append(new.identifier)
            if let line = new.line { log(upid, line) }
            if !drive.isCloudInit { logTransfer(size, upid) }
            properties.head = new.identifier
            properties["size"] = DiskSize.format(size)
            return properties.text
        }
        log(upid, "create linked clone of drive \(drive.key) (\(drive.volume))")
        let new = try allocate(storage, for: plan.guest, size: size, format: "qcow2", parent: drive.name)
        made.append(new.identifier)
        let name = String(new.identifier.split(separator: "/").last ?? "")
        log(upid, "clone \(drive.name): images, \(name), \(plan.newID) to \(name) (base=../\(drive.name))")
        if let line = new.line { log(upid, line) }
        properties.head = "\(storage.name):\(drive.name)/\(new.identifier.dropFirst(storage.name.count + 1))"
        try changeVolumes(of: storage) { table throws(APIError) in
            // A linked image is named with its parent in front, as storages of files do.
            table.volumes[properties.head ?? ""] = table.volumes.removeValue(forKey: new.identifier)
        }
        return properties.text
    }

    private mutating func logTransfer(_ size: Int64, _ upid: UPID) {
        let whole = String(size >> 30) + "." + String((size >> 20) % 1_024 * 10 / 1_024) + " GiB"
        log(upid, "transferred 0.0 B of \(whole) (0.00%)")
        log(upid, "transferred \(whole) of \(whole) (100.00%)")
    }

    private mutating func finishCopy(_ copy: inout GuestConfiguration, _ plan: ClonePlan) {
        let nameKey = plan.source.kind == .qemu ? "name" : "hostname"
        copy[nameKey] =
            plan.name
            ?? (plan.source.kind == .qemu ? "Copy-of-VM-\(copy["name"] ?? "\(plan.source.vmid)")" : copy["hostname"])
        if let description = plan.description { copy.description = description }
        for key in copy.settings.keys where ConfigurationKeys.numbered(key) == "net[n]" {
            var properties = PropertyString(copy[key] ?? "")
            if plan.source.kind == .lxc {
                properties["hwaddr"] = drawMAC()
            } else if let first = properties.settings.first {
                properties.settings[0] = (first.key, drawMAC())
            }
            copy[key] = properties.text
        }
        guard plan.source.kind == .qemu else { return }
        copy["smbios1"] = "uuid=\(drawUUID())"
        copy["vmgenid"] = drawUUID()
    }

    // MARK: Moving a disk

    func prepareMove(_ plan: MovePlan) throws(APIError) -> Int64 {
        let configuration = try configuration(of: plan.guest)
        try requireUnlocked(configuration, plan.guest)
        guard let drive = configuration.drives(plan.guest.kind).first(where: { $0.key == plan.disk }) else {
            throw .died("disk '\(plan.disk)' does not exist")
        }
        return settings.durations.clone + (drive.size >> 30) * settings.durations.perDisk
    }

    mutating func completeMove(_ plan: MovePlan, _ upid: UPID) throws(APIError) -> WorkOutcome {
        var configuration = try configuration(of: plan.guest)
        guard let drive = configuration.drives(plan.guest.kind).first(where: { $0.key == plan.disk }) else {
            throw .died("disk '\(plan.disk)' does not exist")
        }
        let storage = try storage(plan.storage)
        let old = try volume(drive.volume)
        let size = old?.size ?? drive.size
        log(upid, "create full clone of drive \(plan.disk) (\(drive.volume))")
        let format = plan.format ?? old?.format ?? storage.defaultFormat
        let new = try allocate(storage, for: plan.guest, size: size, format: format)
        if let line = new.line { log(upid, line) }
        logTransfer(size, upid)
        var properties = drive.properties
        properties.head = new.identifier
        configuration[plan.disk] = properties.text
        if !plan.deletesSource {
            let free = (0..<256).first { configuration["unused\($0)"] == nil } ?? 0
            configuration["unused\(free)"] = drive.volume
        }
        try store(configuration, of: plan.guest)
        if plan.deletesSource { try release(drive.volume) }
        return .done
    }
}
