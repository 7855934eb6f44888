// The clock that leases are counted in, and the kernel's tick that limits how exactly it can end one.

import CKernel
import Consensus
import Glibc

/// CLOCK_BOOTTIME: monotonic, and it goes on while the machine is suspended.
enum BootClock {
    static func now() -> Instant {
        var reading = timespec()
        clock_gettime(CLOCK_BOOTTIME, &reading)
        return Instant(nanoseconds: Int64(reading.tv_sec) * 1_000_000_000 + Int64(reading.tv_nsec))
    }

    /// How long one tick of the kernel is; element timeouts are counted in ticks. 4 ms on Debian's and Proxmox's
    /// kernels. Between 1 and 10 ms, also if the kernel does not say.
    static let tick: Interval = {
        let nanoseconds = holdfast_tick_nanoseconds()
        return Interval(
            nanoseconds: nanoseconds < 1 ? 10_000_000 : Swift.min(Swift.max(nanoseconds, 1_000_000), 10_000_000))
    }()
}

extension Interval {
    /// Whole seconds, rounded up.
    var secondsRoundedUp: Int64 { (nanoseconds + 999_999_999) / 1_000_000_000 }
}
