// Carrying out the work of tasks: what is looked at when the worker begins, and what has happened when it ends.
// Starting, stopping and the like are here; making, copying, moving and snapshots have files of their own.

extension Host {
    /// The beginning of a task's work.
    /// - Returns: how long it takes, in milliseconds.
    /// - Throws: `APIError` with the text the task ends with at once.
    mutating func prepare(_ task: WorkerTask) throws(APIError) -> Int64 {
        let durations = settings.durations
        switch task.work {
        case .start(let guest): return try prepareStart(guest, task.upid)
        case .stop(let guest, _): return try prepareStop(guest)
        case .shutdown(let guest, let timeout, let forces):
            return try prepareShutdown(guest, timeout, forces: forces, task.upid)
        case .reboot(let guest, let timeout):
            return try prepareShutdown(guest, timeout, forces: false, task.upid)
        case .reset(let guest), .pause(let guest), .resume(let guest):
            try requireRunning(guest)
            return durations.brief
        case .create(let plan): return try prepareCreate(plan)
        case .destroy(let guest, _): return try prepareDestroy(guest, task.upid)
        case .configure(let guest, _):
            _ = try configuration(of: guest)
            return durations.configure
        case .clone(let plan): return try prepareClone(plan)
        case .template(let guest): return try prepareTemplate(guest)
        case .migrate(let plan): return try prepareMigrate(plan, task.upid)
        case .resize(let guest, let disk, let size): return try prepareResize(guest, disk: disk, size: size)
        case .moveDisk(let plan): return try prepareMove(plan)
        case .snapshot(let guest, let name, _, _): return try prepareSnapshot(guest, name, task.upid)
        case .rollback(let guest, let name, _), .deleteSnapshot(let guest, let name):
            return try requireSnapshot(name, of: guest)
        case .haRequest(let request):
            log(task.upid, request.text)
            return durations.configure
        case .nothing: return durations.brief
        case .fails(let text): throw .died(text)
        }
    }

    /// The end of a task's work.
    mutating func complete(_ task: WorkerTask) throws(APIError) -> WorkOutcome {
        switch task.work {
        case .start(let guest):
            try takePending(guest)
            try launch(guest, try configuration(of: guest))
            return .done
        case .stop(let guest, _):
            terminate(guest)
            try cleanUp(guest)
            return .done
        case .shutdown(let guest, _, let forces): return try completeShutdown(guest, forces: forces, task.upid)
        case .reboot(let guest, _): return try completeReboot(guest, task.upid)
        case .reset(let guest):
            try requireRunning(guest)
            return .done
        case .pause(let guest):
            running[guest]?.isPaused = true
            return .done
        case .resume(let guest):
            running[guest]?.isPaused = false
            return .done
        case .create(let plan): return try completeCreate(plan, task.upid)
        case .destroy(let guest, let purges): return try completeDestroy(guest, purges: purges, task.upid)
        case .configure(let guest, let change):
            log(task.upid, updateLine(guest, change))
            try apply(change, to: guest)
            return .done
        case .clone(let plan): return try completeClone(plan, task.upid)
        case .template(let guest): return try completeTemplate(guest)
        case .migrate(let plan): return try completeMigrate(plan, task.upid)
        case .resize(let guest, let disk, let size):
            return try completeResize(guest, disk: disk, size: size, task.upid)
        case .moveDisk(let plan): return try completeMove(plan, task.upid)
        case .snapshot(let guest, let name, let description, let withState):
            return try completeSnapshot(guest, name, description, withState: withState, task.upid)
        case .rollback(let guest, let name, let starts):
            return try completeRollback(guest, name, starts: starts)
        case .deleteSnapshot(let guest, let name): return try completeDeleteSnapshot(guest, name)
        case .haRequest(let request):
            try take(request)
            return .done
        case .nothing, .fails: return .done
        }
    }

    // MARK: Start and stop

    private mutating func prepareStart(_ guest: GuestID, _ upid: UPID) throws(APIError) -> Int64 {
        let configuration = try configuration(of: guest)
        if configuration.isTemplate {
            throw .died("you can't start a \(guest.kind == .qemu ? "vm" : "ct") if it's a template")
        }
        try requireUnlocked(configuration, guest)
        if running[guest] != nil { throw .died("\(guest) already running") }
        if configuration.drives(guest.kind).contains(where: \.isCloudInit) {
            log(upid, "generating cloud-init ISO")
        }
        if let failure = behaviours[guest.vmid]?.startFailure { throw .died(failure) }
        try requireImages(configuration, guest, upid)
        return settings.durations.start
    }

    /// Looks for another writer before QEMU does, to say what QEMU would.
    private mutating func requireImages(
        _ configuration: GuestConfiguration, _ guest: GuestID, _ upid: UPID
    ) throws(APIError) {
        for drive in configuration.drives(guest.kind) where !drive.isCDROM && !drive.key.hasPrefix("unused") {
            let storage = try storage(drive.storage)
            let found = try table(of: storage).volumes[drive.volume]
            guard let volume = found else {
                throw .died("volume '\(drive.volume)' does not exist")
            }
            let own = imageWriter(guest)
            guard let writer = volume.writer, writer != own, !storage.stealsLocks, shared.isAlive(writer) else {
                continue
            }
            log(upid, "kvm: -drive file=\(storage.imagePath(drive.name)): Failed to get \"write\" lock")
            log(upid, "Is another process using the image [\(storage.imagePath(drive.name))]?")
            throw .died("start failed: QEMU exited with code 1")
        }
    }

    private func prepareStop(_ guest: GuestID) throws(APIError) -> Int64 {
        // In 9.1 a stop looks the configuration up in the cluster's list, and words it so.
        guard files.exists(guest.path(on: name)) || running[guest] != nil else {
            throw settings.release == .nine
                ? .died("unable to find configuration file for \(guest) on node '\(name)'")
                : .died("Configuration file '\(guest.path(on: name))' does not exist")
        }
        if let configuration = try? configuration(of: guest) { try requireUnlocked(configuration, guest) }
        return running[guest] == nil ? settings.durations.brief : settings.durations.stop
    }

    func requireRunning(_ guest: GuestID) throws(APIError) {
        _ = try configuration(of: guest)
        guard running[guest] != nil else { throw .died("\(guest) not running") }
    }

    private mutating func prepareShutdown(
        _ guest: GuestID, _ timeout: Int64, forces: Bool, _ upid: UPID
    ) throws(APIError) -> Int64 {
        let configuration = try configuration(of: guest)
        try requireUnlocked(configuration, guest)
        guard running[guest] != nil else { return settings.durations.brief }
        let behaviour = behaviours[guest.vmid] ?? GuestBehaviour()
        var wait: Int64 = 0
        if guest.kind == .qemu, hasAgentConfigured(configuration), !behaviour.hasAgent {
            log(
                upid,
                "QEMU Guest Agent is not running - VM \(guest.vmid) qmp command 'guest-ping' failed - got timeout")
            wait = settings.agentWait
        }
        return wait + (behaviour.obeysShutdown ? min(behaviour.shutdownMilliseconds, timeout) : timeout)
    }

    func hasAgentConfigured(_ configuration: GuestConfiguration) -> Bool {
        guard let agent = configuration["agent"].map(PropertyString.init) else { return false }
        return (agent["enabled"] ?? agent.head) == "1"
    }

    private mutating func completeShutdown(
        _ guest: GuestID, forces: Bool, _ upid: UPID
    ) throws(APIError) -> WorkOutcome {
        guard running[guest] != nil else { return .done }
        guard behaviours[guest.vmid]?.obeysShutdown == false else {
            terminate(guest)
            try cleanUp(guest)
            return .done
        }
        guard forces else {
            throw .died(
                guest.kind == .qemu
                    ? "VM quit/powerdown failed - got timeout" : "command 'lxc-stop' failed: exit code 1")
        }
        log(upid, "VM still running - terminating now with SIGTERM")
        return .more(.stop(guest, overrulesShutdown: false), milliseconds: settings.durations.stop)
    }

    /// What Proxmox does after a guest has stopped: pending changes take effect. Without a quorum they go on waiting.
    private mutating func cleanUp(_ guest: GuestID) throws(APIError) {
        guard membership.isWritable(now: now), files.exists(guest.path(on: name)) else { return }
        try takePending(guest)
    }

    private mutating func completeReboot(_ guest: GuestID, _ upid: UPID) throws(APIError) -> WorkOutcome {
        guard running[guest] != nil else { throw .died("\(guest) not running") }
        guard behaviours[guest.vmid]?.obeysShutdown != false else {
            throw .died("VM quit/powerdown failed - got timeout")
        }
        terminate(guest)
        return .more(.start(guest), milliseconds: settings.durations.start)
    }
}
