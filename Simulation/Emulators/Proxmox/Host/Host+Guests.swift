// Guests on this host: their configurations, their processes, and the images they have open.

extension Host {
    // MARK: Configurations

    /// - Throws: `APIError` when this node has no such guest; a missing guest is an error 500, never 404.
    func configuration(of guest: GuestID) throws(APIError) -> GuestConfiguration {
        guard let text = files.read(guest.path(on: name)) else {
            throw .died("Configuration file '\(guest.path(on: name))' does not exist")
        }
        return GuestConfiguration(text: text)
    }

    mutating func store(_ configuration: GuestConfiguration, of guest: GuestID) throws(APIError) {
        try write(guest.path(on: name), configuration.text)
    }

    /// - Throws: `APIError` "VM is locked (backup)".
    func requireUnlocked(_ configuration: GuestConfiguration, _ guest: GuestID, except: String? = nil)
        throws(APIError)
    {
        guard let lock = configuration.lock, lock != except else { return }
        throw .died("\(guest.kind.noun) is locked (\(lock))")
    }

    /// - Throws: `APIError` when daemons of this node see no quorum.
    func requireQuorum() throws(APIError) {
        guard membership.isReady(now: now) else { throw .noQuorum }
    }

    func displayName(_ guest: GuestID, _ configuration: GuestConfiguration) -> String {
        switch guest.kind {
        case .qemu: configuration["name"] ?? "VM \(guest.vmid)"
        case .lxc: configuration["hostname"] ?? "CT\(guest.vmid)"
        }
    }

    func memoryBytes(_ configuration: GuestConfiguration) -> Int64 {
        let text = configuration["memory"].map { PropertyString($0).head ?? PropertyString($0)["current"] ?? $0 }
        return (text.flatMap(Int64.init) ?? 512) << 20
    }

    func coreCount(_ configuration: GuestConfiguration, _ kind: GuestKind) -> Int {
        switch kind {
        case .qemu:
            (configuration["sockets"].flatMap(Int.init) ?? 1) * (configuration["cores"].flatMap(Int.init) ?? 1)
        case .lxc: configuration["cores"].flatMap(Int.init) ?? settings.cores
        }
    }

    /// The size of the disk a guest boots from; 0 without one.
    func bootDiskSize(_ configuration: GuestConfiguration, _ kind: GuestKind) -> Int64 {
        let drives = configuration.drives(kind)
        if kind == .lxc {
            // A root without a size is shown with the default of a new one.
            let size = drives.first { $0.key == "rootfs" }?.size ?? 0
            return size == 0 ? 4 << 30 : size
        }
        let order = configuration["boot"].map { PropertyString($0)["order"] ?? "" } ?? ""
        for key in order.split(separator: ";") {
            if let drive = drives.first(where: { $0.key == key && !$0.isCDROM }) { return drive.size }
        }
        return 0
    }

    // MARK: Processes

    /// Starts a guest's process.
    /// - Throws: `APIError` when an image has another writer or is not there.
    mutating func launch(_ guest: GuestID, _ configuration: GuestConfiguration, isOrphan: Bool = false)
        throws(APIError)
    {
        let images = configuration.drives(guest.kind).filter { !$0.isCDROM && !$0.key.hasPrefix("unused") }
        try open(images, for: guest)
        let pid = takePID()
        running[guest] = RunningGuest(
            pid: pid, started: now, configuration: configuration, images: images.map(\.volume), isOrphan: isOrphan)
        orders.append(.start(guest, pid: pid, isIncoming: false))
    }

    /// Ends a guest's process.
    mutating func terminate(_ guest: GuestID) {
        guard let process = running.removeValue(forKey: guest) else { return }
        close(process.images, of: guest)
        orders.append(.stop(guest, pid: process.pid))
    }

    /// A guest's process ended by itself.
    public mutating func processEnded(_ guest: GuestID, pid: Int) {
        guard let process = running[guest], process.pid == pid else { return }
        running[guest] = nil
        close(process.images, of: guest)
    }

    /// A guest has a process of its own; it goes by that one's number from now on.
    public mutating func processStarted(_ guest: GuestID, pid: Int, realPID: Int) {
        guard running[guest]?.pid == pid else { return }
        running[guest]?.pid = realPID
    }

    /// Who this host is for the images of a guest.
    func imageWriter(_ guest: GuestID) -> ImageWriter {
        ImageWriter(
            node: name, vmid: guest.vmid, incarnation: booted.milliseconds, address: settings.node.address)
    }

    private mutating func open(_ drives: [Drive], for guest: GuestID) throws(APIError) {
        let writer = imageWriter(guest)
        for drive in drives {
            let storage = try storage(drive.storage)
            guard isHere(storage), !faults.absentStorages.contains(storage.name) else {
                throw .died("storage '\(storage.name)' is not available on node '\(name)'")
            }
            if storage.isShared {
                let owner = shared
                try shared.change { table throws(APIError) in
                    // Ceph ends the connection of whoever is barred, and QEMU with it.
                    guard !storage.stealsLocks || !table.isBarred(writer.address) else {
                        throw .died("start failed: QEMU exited with code 1")
                    }
                    try Self.open(drive, in: &table, of: storage, by: writer, isAlive: owner.isAlive)
                }
            } else {
                let own = name
                try Self.open(drive, in: &volumes, of: storage, by: writer, isAlive: { $0.node == own })
            }
        }
    }

    private static func open(
        _ drive: Drive, in table: inout VolumeTable, of storage: Storage, by writer: ImageWriter,
        isAlive: (ImageWriter) -> Bool
    ) throws(APIError) {
        guard var volume = table.volumes[drive.volume] else {
            throw .died("volume '\(drive.volume)' does not exist")
        }
        if let other = volume.writer, other != writer, isAlive(other), !table.isBarred(other.address) {
            guard storage.stealsLocks else {
                throw .died("start failed: QEMU exited with code 1")
            }
            volume.stolen += 1
        }
        volume.writer = writer
        table.volumes[drive.volume] = volume
    }

    private mutating func close(_ images: [String], of guest: GuestID) {
        let writer = imageWriter(guest)
        for image in images where volumes.volumes[image]?.writer == writer { volumes.volumes[image]?.writer = nil }
        let distant = images.filter { volumes.volumes[$0] == nil }
        guard !distant.isEmpty else { return }
        do throws(APIError) {
            try shared.change { table throws(APIError) in
                for image in distant where table.volumes[image]?.writer == writer {
                    table.volumes[image]?.writer = nil
                }
            }
        } catch {
            // The storage is away; its lock ends with this process.
            note("unable to close images of \(guest): \(error.reason)")
        }
    }

    /// Processes of guests whose configuration is not in this node's folders.
    public var orphans: [GuestID] {
        running.filter { $0.value.isOrphan || !files.exists($0.key.path(on: name)) }.keys.sorted()
    }

    /// `qm showcmd ID | sh`: the process without Proxmox's questions.
    /// - Throws: `APIError` when there is no configuration, or QEMU does not start.
    public mutating func startByHand(_ guest: GuestID) throws(APIError) {
        let configuration = try configuration(of: guest)
        guard running[guest] == nil else { throw .died("\(guest) already running") }
        try launch(guest, configuration)
    }

    mutating func note(_ text: String, user: String = "root@pam", tag: String = "pvedaemon", pid: Int? = nil) {
        let number = (clusterLog.last?.number ?? 0) + 1
        clusterLog.append(
            ClusterLogLine(
                number: number, time: now.seconds, pid: pid ?? 436, user: user, tag: tag, text: text))
        if clusterLog.count > 500 { clusterLog.removeFirst(clusterLog.count - 500) }
    }
}
