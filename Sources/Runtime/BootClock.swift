// The two clocks of a member: CLOCK_BOOTTIME, which counts through suspend and drives everything, and the wall clock,
// which people read.

import Consensus
import Glibc

public enum BootClock {
    /// CLOCK_BOOTTIME now.
    public static func now() -> Instant { Instant(nanoseconds: read(CLOCK_BOOTTIME)) }

    /// Milliseconds since 1970, as the machine believes.
    public static func wallMilliseconds() -> Int64 { read(CLOCK_REALTIME) / 1_000_000 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        let status = clock_gettime(clock, &time)
        precondition(status == 0, "both clocks exist on every Linux this runs on")
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
