// The life of a task: forked, waiting for its guest's lock, working, ended. What the work itself is stands in Host+Work.

extension Host {
    /// Starts a task and answers its name.
    mutating func fork(_ type: String, id: String, user: String, _ work: Work) -> UPID {
        let pid = takePID()
        let upid = UPID(
            node: name, pid: pid, processStart: Int((now - booted) / 10), startSeconds: now.seconds, type: type,
            id: id, user: user)
        var task = WorkerTask(
            upid: upid, work: work, phase: .forked(at: now + settings.durations.fork), started: now)
        task.imposedFailure = faults.takeTaskFailure(type: type)
        task.additionalMilliseconds = faults.takeTaskDelay(type: type)
        tasks[upid] = task
        note("starting task \(upid)", user: user)
        return upid
    }

    mutating func fork(_ action: String, _ guest: GuestID, user: String, _ work: Work) -> UPID {
        fork(guest.kind.taskPrefix + action, id: String(guest.vmid), user: user, work)
    }

    /// Does what a task has to do at this moment.
    mutating func stepTask(_ upid: UPID) {
        guard let task = tasks[upid] else { return }
        switch task.phase {
        case .forked: lockOrBegin(upid)
        case .waiting:
            if let guest = task.work.lockedGuest {
                endTask(upid, with: "can't lock file '\(guest.kind.lockFile(guest.vmid))' - got timeout")
            }
        case .working: finish(upid)
        case .awaitingPeer: endTask(upid, with: "migration aborted (no answer from the target node)")
        case .ended: break
        }
    }

    private mutating func lockOrBegin(_ upid: UPID) {
        guard let task = tasks[upid] else { return }
        if case .stop(let guest, overrulesShutdown: true) = task.work { overruleShutdowns(of: guest, by: upid) }
        guard let guest = task.work.lockedGuest, isLockHeld(guest) else {
            if let guest = task.work.lockedGuest { locks[guest] = upid }
            begin(upid)
            return
        }
        tasks[upid]?.lines.append("trying to acquire lock...")
        tasks[upid]?.phase = .waiting(until: now + settings.lockWait)
    }

    /// Whether another task or process has a guest's file lock.
    func isLockHeld(_ guest: GuestID) -> Bool {
        if locks[guest] != nil { return true }
        return faults.heldLocks[guest].map { $0 > now } ?? false
    }

    private mutating func begin(_ upid: UPID) {
        guard let task = tasks[upid] else { return }
        do throws(APIError) {
            let milliseconds = try prepare(task)
            tasks[upid]?.phase = .working(until: now + (milliseconds + task.additionalMilliseconds))
        } catch {
            endTask(upid, with: error.reason)
        }
    }

    private mutating func finish(_ upid: UPID) {
        guard let task = tasks[upid] else { return }
        if let failure = task.imposedFailure {
            endTask(upid, with: failure)
            return
        }
        do throws(APIError) {
            switch try complete(task) {
            case .done: endTask(upid, with: nil)
            case .warnings(let count): endTask(upid, with: "WARNINGS: \(count)")
            case .more(let work, let milliseconds):
                tasks[upid]?.work = work
                tasks[upid]?.phase = .working(until: now + milliseconds)
            case .awaitsPeer: tasks[upid]?.phase = .awaitingPeer(until: now + 10_000)
            }
        } catch {
            endTask(upid, with: error.reason)
        }
    }

    /// Ends a task, releases its lock and lets the next one have it.
    /// - Parameter text: the error; nil when all went well.
    mutating func endTask(_ upid: UPID, with text: String?) {
        guard var task = tasks[upid], task.exitStatus == nil else { return }
        if let text {
            task.lines.append(text.hasPrefix("WARNINGS") ? "TASK \(text)" : "TASK ERROR: \(text)")
        } else {
            task.lines.append("TASK OK")
        }
        task.phase = .ended(text ?? "OK", at: now)
        tasks[upid] = task
        note("end task \(upid) \(text ?? "OK")", user: upid.user)
        if text != nil { abandon(task.work) }
        guard let guest = task.work.lockedGuest, locks[guest] == upid else { return }
        locks[guest] = nil
        grantLock(guest)
    }

    /// A guest that came to nothing leaves no configuration behind; the file that reserved its number goes.
    private mutating func abandon(_ work: Work) {
        let guest: GuestID
        switch work {
        case .create(let plan): guest = plan.guest
        case .clone(let plan): guest = plan.guest
        default: return
        }
        guard let lock = (try? configuration(of: guest))?.lock, ["create", "clone"].contains(lock) else { return }
        do throws(APIError) { try write(guest.path(on: name), nil) } catch {
            note("\(guest) stays locked (\(lock)): \(error.reason)")
        }
    }

    private mutating func grantLock(_ guest: GuestID) {
        let waiting = tasks.running.first { task in
            if case .waiting = task.phase { return task.work.lockedGuest == guest }
            return false
        }
        guard let waiting else { return }
        locks[guest] = waiting.upid
        tasks[waiting.upid]?.lines.append(" OK")
        begin(waiting.upid)
    }

    /// Interrupts a task, as DELETE does.
    mutating func interrupt(_ upid: UPID) { endTask(upid, with: "received interrupt") }

    private mutating func overruleShutdowns(of guest: GuestID, by upid: UPID) {
        let shutdowns = tasks.running.filter { $0.work.isShutdown(of: guest) }.map(\.upid)
        guard !shutdowns.isEmpty else { return }
        let names = shutdowns.map(\.description).joined(separator: ", ")
        tasks[upid]?.lines.append("overruled \(guest.kind.taskPrefix)shutdown tasks: \(names)")
        // Those that wait go first, or they would be given the lock of those that end.
        for shutdown in shutdowns {
            if case .waiting = tasks[shutdown]?.phase { endTask(shutdown, with: "received interrupt") }
        }
        for shutdown in shutdowns { endTask(shutdown, with: "received interrupt") }
    }

    mutating func log(_ upid: UPID, _ line: String) { tasks[upid]?.lines.append(line) }
}

/// How a piece of work went on.
enum WorkOutcome {
    case done
    case warnings(Int)
    /// Another piece follows, which ends after so many milliseconds.
    case more(Work, milliseconds: Int64)
    case awaitsPeer
}
