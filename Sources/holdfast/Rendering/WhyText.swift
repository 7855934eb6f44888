// Events and chains of causes as people read them.

import API
import Cluster

enum WhyText {
    /// The present state, then what led to it, newest first.
    static func render(_ why: WhyDocument, clock: WallClock, style: Style) -> String {
        let since = why.sinceMilliseconds == 0 ? "" : " since \(clock.text(why.sinceMilliseconds))"
        let reason = why.reason.isEmpty ? "" : " because \(why.reason)"
        var lines = ["\(style.bold(why.subject)) \(why.state)\(since)\(reason)"]
        guard let newest = why.chain.first else { return lines[0] + "\n" }
        var table = Table(["", "", "", "", ""])
        for (position, event) in why.chain.enumerated() {
            let relative =
                position == 0
                ? "\(clock.age(newest.milliseconds)) ago" : before(newest.milliseconds - event.milliseconds)
            table.add([
                clock.text(event.milliseconds), relative, event.subject, event.type,
                "\(event.message) [\(event.actor)]",
            ])
        }
        lines += [""] + table.lines(indent: 2, header: false)
        return lines.joined(separator: "\n") + "\n"
    }

    /// How long before the newest event: `−310 ms`.
    private static func before(_ milliseconds: Int64) -> String {
        let length = max(0, milliseconds)
        switch length {
        case ..<10_000: return "−\(length) ms"
        case ..<600_000: return "−\(length / 1000) s"
        case ..<7_200_000: return "−\(length / 60_000) min"
        default: return "−\(length / 3_600_000) h"
        }
    }

    static func events(_ events: [ClusterEvent], clock: WallClock, wide: Bool) -> String {
        events.map { event($0, clock: clock, wide: wide) }.joined()
    }

    /// One line: time, subject, type, message.
    static func event(_ event: ClusterEvent, clock: WallClock, wide: Bool) -> String {
        let cause = wide ? (event.cause == 0 ? "" : " (because of \(event.cause))") : ""
        let actor = wide ? " [\(event.actor)]" : ""
        let id = wide ? "\(event.id)  " : ""
        return
            "\(id)\(clock.text(event.milliseconds))  \(event.type)  \(event.subject)  \(event.message)\(actor)\(cause)\n"
    }
}
