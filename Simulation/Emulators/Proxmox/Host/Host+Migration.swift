// Moving a guest to another node. The source asks the target to take over what runs; only when the target has confirmed
// does the source end its own process and rename the configuration. Both sides share one image lock, so an unconfirmed
// move never leaves two writers.

extension Host {
    /// What of a guest stands in the way of a move.
    func localDisks(_ configuration: GuestConfiguration, _ guest: GuestID) throws(APIError) -> [Drive] {
        var found: [Drive] = []
        for drive in configuration.drives(guest.kind) {
            let isShared = try storage(drive.storage).isShared
            if !isShared { found.append(drive) }
        }
        return found
    }

    mutating func prepareMigrate(_ plan: MigrationPlan, _ upid: UPID) throws(APIError) -> Int64 {
        let configuration = try configuration(of: plan.guest)
        try requireUnlocked(configuration, plan.guest)
        let address = membership.node(plan.target)?.address ?? ""
        guard membership.isOnline(plan.target) else {
            stamp(
                upid,
                "ERROR: migration aborted (duration 00:00:03): Can't connect to destination address using public key")
            throw .died("migration aborted")
        }
        let isLive = running[plan.guest] != nil
        if isLive, plan.guest.kind == .qemu {
            stamp(
                upid,
                "checking/canceling old backup job failed - VM \(plan.guest.vmid) qmp command 'query-backup' failed - "
                    + "The command query-backup has not been found")
            if settings.release == .nine {
                stamp(
                    upid,
                    "conntrack state migration not supported or disabled, active connections might get dropped")
            }
        }
        stamp(upid, "starting migration of \(plan.guest) to node '\(plan.target)' (\(address))")
        let disks = try localDisks(configuration, plan.guest)
        for disk in disks { stamp(upid, "found local disk '\(disk.volume)' (attached)") }
        if !disks.isEmpty, isLive, plan.guest.kind == .qemu, !plan.withLocalDisks {
            stamp(upid, "can't live migrate attached local disks without with-local-disks option")
            throw .died("Problem found while scanning volumes - can't migrate VM - check log")
        }
        if !disks.isEmpty { stamp(upid, "copying local disk images") }
        let gibibytes = disks.reduce(0) { $0 + $1.size } >> 30
        if isLive, plan.guest.kind == .qemu { stamp(upid, "starting \(plan.guest) on remote node '\(plan.target)'") }
        // A container is stopped for the move ("restart mode").
        if isLive, plan.guest.kind == .lxc {
            stamp(upid, "shutdown \(plan.guest)")
            terminate(plan.guest)
        }
        return gibibytes * settings.durations.copyPerGiB
            + (isLive ? settings.durations.migrateOnline : settings.durations.migrateOffline)
    }

    private mutating func stamp(_ upid: UPID, _ text: String) { log(upid, "\(now.logText) \(text)") }

    mutating func completeMigrate(_ plan: MigrationPlan, _ upid: UPID) throws(APIError) -> WorkOutcome {
        let configuration = try configuration(of: plan.guest)
        var moving: [String: Volume] = [:]
        for disk in try localDisks(configuration, plan.guest) {
            moving[disk.volume] = try volume(disk.volume)
            logCopy(disk, upid)
        }
        if running[plan.guest] != nil { logLiveMigration(plan, upid) }
        send(
            .handsOver(
                PeerMessage.HandOver(
                    task: upid, guest: plan.guest, running: running[plan.guest], volumes: moving)),
            to: plan.target)
        return .awaitsPeer
    }

    private mutating func logCopy(_ disk: Drive, _ upid: UPID) {
        guard let size = try? volume(disk.volume)?.size else { return }
        if let storage = try? storage(disk.storage), storage.isFiles {
            stamp(
                upid,
                "Formatting '\(storage.imagePath(disk.name))', fmt=qcow2 cluster_size=65536 extended_l2=off "
                    + "preallocation=metadata compression_type=zlib size=\(size) lazy_refcounts=off refcount_bits=16")
        }
        stamp(upid, "successfully imported '\(disk.volume)'")
        stamp(upid, "volume '\(disk.volume)' is '\(disk.volume)' on the target")
    }

    private mutating func logLiveMigration(_ plan: MigrationPlan, _ upid: UPID) {
        let socket = "unix:/run/qemu-server/\(plan.guest.vmid).migrate"
        for line in [
            "start remote tunnel", "ssh tunnel ver 1", "starting online/live migration on \(socket)",
            "set migration capabilities", "migration downtime limit: 100 ms", "migration cachesize: 8.0 MiB",
            "set migration parameters", "start migrate command to \(socket)",
            "average migration speed: 80.8 MiB/s - downtime 5 ms",
            "migration completed, transferred 2.7 MiB VM-state", "migration status: completed",
        ] { stamp(upid, line) }
    }

    /// The target has taken over: the guest is the other node's from here on.
    mutating func confirmHandOver(_ upid: UPID) {
        guard let task = tasks[upid], task.exitStatus == nil, case .migrate(let plan) = task.work else { return }
        do throws(APIError) {
            let configuration = try configuration(of: plan.guest)
            if let process = running.removeValue(forKey: plan.guest) {
                orders.append(.stop(plan.guest, pid: process.pid))
            }
            for disk in try localDisks(configuration, plan.guest) { volumes.volumes[disk.volume] = nil }
            try rename(plan.guest.path(on: name), to: plan.guest.path(on: plan.target))
            let seconds = max(1, (now - task.started) / 1_000)
            stamp(upid, "migration finished successfully (duration 00:00:\(seconds < 10 ? "0" : "")\(seconds))")
            endTask(upid, with: nil)
        } catch {
            endTask(upid, with: error.reason)
        }
    }
}
