// Locks in /etc/pve whose holder did not live to remove them: before a guest is started, stopped or moved they are removed, or
// a person is told.

import Kinds

extension GuestSteps {
    /// Removes the lock of what began to work on the guest and did not live to its end, if nothing half done is left by it. The
    /// lock stands in the cluster's file system, so it outlives the reset of its host, and the guest's going elsewhere. One of
    /// something that is being done here is left alone.
    /// - Parameter hasStayed: it was not taken from anywhere: what has locked it did so here.
    /// - Returns: whether it is hibernated: its start resumes it, and removes that lock.
    /// - Throws: what awaits a person, when the lock is not for anybody else to remove.
    func removeStaleLock(
        _ guest: GuestNumber, _ attempted: String, hasStayed: Bool
    ) async throws(StepFailure) -> Bool {
        let lock: String
        var doubt: String?
        do throws(ProxmoxError) {
            guard let found = try await host.state(of: guest).lock else { return false }
            if found == "suspended" { return true }
            lock = found
            guard try await !host.isWorkedOn(guest, lock: lock) else { return false }
            if hasStayed, lock == "migrate" { doubt = try await host.reasonToKeepLockOfMove(guest) }
        } catch { throw StepFailure(error) }
        // What `pct mount` has mounted here is no task, and still so.
        let isRemoved = Self.leavesNothingHalfDone.contains(lock) || (lock == "mounted" && !hasStayed)
        let command = "\(guest.kind == .machine ? "qm" : "pct") unlock \(guest.number)"
        guard isRemoved, doubt == nil else {
            let why = doubt ?? "by what had begun and not ended"
            throw StepFailure(
                "\(attempted): \(guest) is locked (\(lock)) on \(settings.node), and nothing there works on it: \(why); "
                    + "look at it, and as root: \(command)", awaitsPerson: true)
        }
        let tool = guest.kind == .machine ? settings.machineTool : settings.containerTool
        do throws(LocalProgramError) {
            _ = try await tool.run(
                ["unlock", "\(guest.number)"],
                attempted: "\(attempted): remove the lock (\(lock)) of what has not ended",
                advice: "as root: \(command)")
        } catch { throw StepFailure(error) }
        log.notice("\(attempted): removed its lock (\(lock)); nothing held it any more")
        return false
    }

    /// Not those of what may have left disks that are incomplete: `create`, `clone`, `rollback`, `disk`. A snapshot that was not
    /// finished, or not wholly removed, stays in the list, and harms nothing.
    private static let leavesNothingHalfDone = ["backup", "migrate", "snapshot", "snapshot-delete", "suspending"]
}
