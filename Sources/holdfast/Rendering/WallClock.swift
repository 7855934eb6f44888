// Times as people read them.

import Glibc

/// The wall clock and the time zone of the person, as values, so that rendering stays a function.
struct WallClock: Sendable {
    /// Milliseconds since 1970.
    var now: @Sendable () -> Int64
    /// Seconds east of UTC at a time given in seconds since 1970.
    var offset: @Sendable (Int64) -> Int64

    static let system = WallClock(
        now: {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        },
        offset: { seconds in
            var time = time_t(seconds)
            var parts = tm()
            return localtime_r(&time, &parts) == nil ? 0 : Int64(parts.tm_gmtoff)
        })

    /// `12:03:04.512`, and the date before it when it is not today.
    func text(_ milliseconds: Int64) -> String {
        let (day, time) = split(milliseconds)
        let (today, _) = split(now())
        let clock =
            [time / 3_600_000, time / 60_000 % 60, time / 1000 % 60].map { Self.padded($0, 2) }
            .joined(separator: ":") + "." + Self.padded(time % 1000, 3)
        return day == today ? clock : Self.date(day) + " " + clock
    }

    /// How long ago: `3 s`, `5 min`, `2 h`, `4 d`.
    func age(_ milliseconds: Int64) -> String {
        let seconds = max(0, (now() - milliseconds) / 1000)
        switch seconds {
        case ..<120: return "\(seconds) s"
        case ..<7_200: return "\(seconds / 60) min"
        case ..<172_800: return "\(seconds / 3_600) h"
        default: return "\(seconds / 86_400) d"
        }
    }

    /// Days since 1970 and milliseconds of the day, where the person is.
    private func split(_ milliseconds: Int64) -> (day: Int64, time: Int64) {
        let local = milliseconds + offset(milliseconds / 1000) * 1000
        let time = (local % 86_400_000 + 86_400_000) % 86_400_000
        return ((local - time) / 86_400_000, time)
    }

    /// Days since 1970 to a date of the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    private static func date(_ day: Int64) -> String {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return "\(year)-\(padded(month, 2))-\(padded(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1, 2))"
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
