// Real-time priority and locked memory for the thread that heartbeats depend on, as corosync has them. An agent that may
// not have them runs on, and says so once: under heavy load its lease may lapse, which costs service and never safety.

import Glibc
import Logging
import Synchronization

public enum RealTime {
    private static let claimed = Atomic(false)

    /// Whether the thread that asked got its priority.
    public static var isClaimed: Bool { claimed.load(ordering: .relaxed) }

    /// Asks for the lowest real-time priority for the calling thread. One step above everything ordinary is enough:
    /// the thread is idle nearly always.
    public static func claim(log: Logger) {
        var parameter = sched_param()
        parameter.sched_priority = 1
        let status = pthread_setschedparam(pthread_self(), SCHED_RR, &parameter)
        if status != 0 {
            log.notice(
                "no real-time priority (\(String(cString: strerror(status)))); grant CAP_SYS_NICE to have it")
        }
        claimed.store(status == 0, ordering: .relaxed)
    }

    /// Keeps what this process uses from being paged out: a heartbeat must not wait for a disk. Only pages that are in
    /// use (MCL_ONFAULT, mlockall(2)): locking all that is mapped would make the whole program resident.
    public static func lockMemory(log: Logger) {
        let onFault: Int32 = 4
        guard mlockall(MCL_CURRENT | MCL_FUTURE | onFault) != 0 else { return }
        log.notice(
            "memory is not locked (\(String(cString: strerror(errno)))); grant CAP_IPC_LOCK and LimitMEMLOCK=infinity")
    }
}
