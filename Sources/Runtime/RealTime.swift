// Real-time priority and locked memory for the thread that heartbeats depend on, as corosync has them. An agent that may
// not have them runs on, and says so once: under heavy load its lease may lapse, which costs service and never safety.

import CKernel
import Glibc
import Logging
import Synchronization

public enum RealTime {
    private static let claimed = Atomic(false)

    /// Whether the thread that asked got its priority.
    public static var isClaimed: Bool { claimed.load(ordering: .relaxed) }

    /// Asks for the lowest real-time priority for the calling thread. One step above everything ordinary is enough:
    /// the thread is idle nearly always. What it starts, threads and programs, is ordinary again (SCHED_RESET_ON_FORK,
    /// sched(7)): a snapshot being written, or a health check, must not run ahead of the machine's own work.
    public static func claim(log: Logger) {
        let status = holdfast_real_time(1)
        if status != 0 {
            log.notice(
                "no real-time priority (\(String(cString: strerror(-status)))); grant CAP_SYS_NICE to have it")
        }
        claimed.store(status == 0, ordering: .relaxed)
    }

    private static let ipcLock: UInt64 = 1 << 14

    /// Whether locking is safe. With a limit that may be reached, MCL_FUTURE makes the mapping that would pass it fail
    /// (mlockall(2)), at any later moment and wherever memory is asked for.
    static func mayLock(limitBytes: UInt64, capabilities: UInt64) -> Bool {
        limitBytes == .max || capabilities & ipcLock != 0
    }

    /// Keeps what this process uses from being paged out: a heartbeat must not wait for a disk. Only pages that are in
    /// use (MCL_ONFAULT, mlockall(2)): locking all that is mapped would make the whole program resident. To be called when
    /// the start is over: the code that it took, half of what is in memory by then, is not kept.
    public static func lockMemory(log: Logger) {
        let code = holdfast_forget_code()
        if code != 0 {
            log.debug("the code of the start stays in memory (\(String(cString: strerror(-code))))")
        }
        let onFault: Int32 = 4
        var limit = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0
        guard
            mayLock(
                limitBytes: isKnown ? UInt64(limit.rlim_cur) : 0,
                capabilities: SelfMeasurements.effectiveCapabilities ?? 0)
        else {
            log.notice(
                """
                memory is not locked, since only \(limit.rlim_cur) bytes may be and whatever is mapped beyond them would \
                fail; grant CAP_IPC_LOCK and LimitMEMLOCK=infinity
                """)
            return
        }
        guard mlockall(MCL_CURRENT | MCL_FUTURE | onFault) != 0 else { return }
        log.notice(
            "memory is not locked (\(String(cString: strerror(errno)))); grant CAP_IPC_LOCK and LimitMEMLOCK=infinity")
    }
}
