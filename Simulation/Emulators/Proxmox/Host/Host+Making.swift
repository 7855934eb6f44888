// Making and removing guests, templates and copies.
//
// Removing is the dangerous one. Without a quorum the images of local storages are gone before the configuration turns
// out to be unwritable, and the task fails with the guest still listed: recorded on a real cluster, and kept so.

extension Host {
    // MARK: Create

    func prepareCreate(_ plan: CreatePlan) throws(APIError) -> Int64 {
        let disks = plan.configuration.settings.keys.filter { ConfigurationKeys.isDrive($0, plan.guest.kind) }.count
        return settings.durations.create + Int64(disks) * settings.durations.perDisk
            + (plan.template == nil ? 0 : settings.durations.clone)
    }

    mutating func completeCreate(_ plan: CreatePlan, _ upid: UPID) throws(APIError) -> WorkOutcome {
        var configuration = plan.configuration
        var made: [String] = []
        do throws(APIError) {
            for key in configuration.settings.keys.sorted() where ConfigurationKeys.isDrive(key, plan.guest.kind) {
                let text = configuration[key] ?? ""
                let new = try makeDisk(key, text, for: plan.guest, upid)
                configuration[key] = new.text
                if let identifier = new.made { made.append(identifier) }
            }
            completeNew(&configuration, plan.guest)
            try store(configuration, of: plan.guest)
        } catch {
            // As Proxmox does: what was allocated for a guest that comes to nothing is removed again.
            for identifier in made { try? release(identifier) }
            throw error
        }
        guard plan.starts else { return .done }
        return .more(.start(plan.guest), milliseconds: settings.durations.start)
    }

    /// Allocates what "storage:8" and "storage:cloudinit" ask for; leaves existing volumes as they are.
    mutating func makeDisk(
        _ key: String, _ text: String, for guest: GuestID, _ upid: UPID?
    ) throws(APIError) -> (text: String, made: String?) {
        var properties = PropertyString(text)
        guard let drive = Drive(key: key, text: text) else { return (text, nil) }
        let storage = try storage(drive.storage)
        let isCloudInit = drive.name == "cloudinit"
        guard isCloudInit || Double(drive.name) != nil else { return (text, nil) }
        let gibibytes = Double(drive.name) ?? 0
        let size = isCloudInit ? 4 << 20 : Int64(gibibytes * 1_073_741_824)
        let format =
            guest.kind == .lxc
            ? "raw" : properties["format"] ?? (isCloudInit && storage.isFiles ? "qcow2" : storage.defaultFormat)
        let new = try allocate(
            storage, for: guest, size: size, format: format, base: isCloudInit ? "vm-\(guest.vmid)-cloudinit" : nil)
        properties["format"] = nil
        properties.head = new.identifier
        if isCloudInit { properties["media"] = "cdrom" } else { properties["size"] = DiskSize.format(size) }
        if let upid {
            if let line = new.line { log(upid, line) }
            log(upid, "\(key): successfully created disk '\(properties.text)'")
        }
        return (properties.text, new.identifier)
    }

    /// What Proxmox adds to a new guest's configuration.
    private mutating func completeNew(_ configuration: inout GuestConfiguration, _ guest: GuestID) {
        for key in configuration.settings.keys where ConfigurationKeys.numbered(key) == "net[n]" {
            configuration[key] = withAddress(configuration[key] ?? "", guest.kind)
        }
        guard guest.kind == .qemu else {
            let defaults = ["arch": "amd64", "ostype": "debian", "memory": "512", "swap": "512"]
            for (key, value) in defaults where configuration[key] == nil { configuration[key] = value }
            return
        }
        if configuration["smbios1"] == nil { configuration["smbios1"] = "uuid=\(drawUUID())" }
        if configuration["vmgenid"] == nil { configuration["vmgenid"] = drawUUID() }
        configuration["meta"] = "creation-qemu=\(settings.release.qemuVersion),ctime=\(now.seconds)"
        if configuration["boot"] == nil, let order = bootOrder(configuration) { configuration["boot"] = order }
    }

    /// The first disk, the first CD drive, the first network card.
    private func bootOrder(_ configuration: GuestConfiguration) -> String? {
        let drives = configuration.drives(.qemu)
        let rank = ["scsi", "virtio", "sata", "ide"]
        let disks = drives.filter { drive in !drive.isCDROM && rank.contains { drive.key.hasPrefix($0) } }
        let nets = configuration.settings.keys.filter { ConfigurationKeys.numbered($0) == "net[n]" }.sorted()
        let order = [disks.first?.key, drives.first(where: \.isCDROM)?.key, nets.first].compactMap { $0 }
        return order.isEmpty ? nil : "order=" + order.joined(separator: ";")
    }

    /// Gives a network card a hardware address: "virtio" becomes "virtio=BC:24:11:...".
    mutating func withAddress(_ text: String, _ kind: GuestKind) -> String {
        var properties = PropertyString(text)
        if kind == .lxc {
            if properties["hwaddr"] == nil { properties["hwaddr"] = drawMAC() }
            if properties["type"] == nil { properties["type"] = "veth" }
            return properties.text
        }
        guard let model = properties.head else { return text }
        properties.head = nil
        properties.settings.insert((model, drawMAC()), at: 0)
        return properties.text
    }

    // MARK: Destroy

    mutating func prepareDestroy(_ guest: GuestID, _ upid: UPID) throws(APIError) -> Int64 {
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        if running[guest] != nil { throw .died("\(guest) is running - destroy failed") }
        guard !membership.isWritable(now: now) else { return settings.durations.destroy }
        // Without a quorum the lock of a shared storage is asked for nine times per image.
        var wait: Int64 = 0
        for drive in configuration.drives(guest.kind) where try storage(drive.storage).isShared { wait += 9_500 }
        return settings.durations.destroy + wait
    }

    mutating func completeDestroy(_ guest: GuestID, purges: Bool, _ upid: UPID) throws(APIError) -> WorkOutcome {
        let configuration = try configuration(of: guest)
        for drive in configuration.drives(guest.kind) {
            let storage = try storage(drive.storage)
            if storage.isShared, !membership.isWritable(now: now) {
                for _ in 0..<9 { log(upid, "trying to acquire cfs lock 'storage-\(storage.name)' ...") }
                log(
                    upid,
                    "Could not remove disk '\(drive.volume)', check manually: cfs-lock 'storage-\(storage.name)' error: no quorum!"
                )
                continue
            }
            if drive.name.hasPrefix("\(guest.vmid)/") || drive.name.contains("-\(guest.vmid)-") {
                try release(drive.volume)
            }
        }
        if purges { log(upid, "purging \(guest) from related configurations..") }
        try write(guest.path(on: name), nil)
        if purges { try removeHAResource("\(guest.kind.haType):\(guest.vmid)") }
        return .done
    }

    // MARK: Template

    func prepareTemplate(_ guest: GuestID) throws(APIError) -> Int64 {
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        if configuration.isTemplate { throw .died("you can't convert a template to a template") }
        if running[guest] != nil { throw .died("you can't convert a VM to template if VM is running") }
        return settings.durations.template
    }

    mutating func completeTemplate(_ guest: GuestID) throws(APIError) -> WorkOutcome {
        var configuration = try configuration(of: guest)
        for drive in configuration.drives(guest.kind) where !drive.isCDROM {
            let base = drive.volume.replacing("vm-\(guest.vmid)-", with: "base-\(guest.vmid)-")
            let storage = try storage(drive.storage)
            try changeVolumes(of: storage) { table throws(APIError) in
                table.volumes[base] = table.volumes.removeValue(forKey: drive.volume)
            }
            var properties = drive.properties
            properties.head = base
            configuration[drive.key] = properties.text
        }
        configuration["template"] = "1"
        try store(configuration, of: guest)
        return .done
    }
}
