// Real-time priority for the thread that heartbeats depend on, as corosync has it. An agent that may not have it runs
// on, and says so once: under heavy load its lease may lapse, which costs service and never safety.

import Glibc
import Logging

public enum RealTime {
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
    }
}
