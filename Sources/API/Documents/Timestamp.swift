// Wall-clock times as text. Only people read them; nothing is decided by them.

import FoundationEssentials

/// Milliseconds since 1970 as `2026-03-01T12:03:04.512Z`.
public func timestamp(milliseconds: Int64) -> String {
    // The whole second and the rest are split by integers: a Double would show .511 for .512.
    let seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
    let rest = String(milliseconds - seconds * 1000)
    let text = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    return text.dropLast() + "." + String(repeating: "0", count: 3 - rest.utf8.count) + rest + "Z"
}
