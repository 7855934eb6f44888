// Moments of the emulator's clock. Whoever drives a host passes the present moment in; the host never asks a clock, so
// tests let hours pass at once.

import FoundationEssentials

/// A moment in time, in milliseconds since 1970.
public struct Moment: Hashable, Comparable, Sendable, Codable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public init(seconds: Int64) { milliseconds = seconds * 1_000 }

    /// Whole seconds since 1970, as Proxmox writes times.
    public var seconds: Int { Int(milliseconds / 1_000) }

    public static func < (left: Moment, right: Moment) -> Bool { left.milliseconds < right.milliseconds }

    public static func + (moment: Moment, milliseconds: Int64) -> Moment {
        Moment(milliseconds: moment.milliseconds + milliseconds)
    }

    /// The distance in milliseconds.
    public static func - (left: Moment, right: Moment) -> Int64 { left.milliseconds - right.milliseconds }

    /// "2026-11-23 12:36:34" in UTC, as a migration's log has it.
    var logText: String {
        let (date, time) = parts
        return
            "\(date.year)-\(two(date.month))-\(two(date.day)) \(two(time.hour)):\(two(time.minute)):\(two(time.second))"
    }

    /// "Mon Nov 23 12:52:20 2026" in UTC, as Proxmox's HA has it.
    var longText: String {
        let (date, time) = parts
        let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let day = date.day < 10 ? " \(date.day)" : "\(date.day)"
        let clock = "\(two(time.hour)):\(two(time.minute)):\(two(time.second))"
        return "\(names[(seconds / 86_400) % 7]) \(months[date.month - 1]) \(day) \(clock) \(date.year)"
    }

    private typealias Parts = (
        date: (year: Int, month: Int, day: Int), time: (hour: Int, minute: Int, second: Int)
    )

    /// Civil date from a count of days (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    private var parts: Parts {
        let days = seconds / 86_400
        let rest = seconds % 86_400
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return ((year, month, day), (rest / 3_600, rest / 60 % 60, rest % 60))
    }

    private func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
