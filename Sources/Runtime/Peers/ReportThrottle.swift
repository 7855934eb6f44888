// Keeps a peer, or a stranger at the port, from filling the log with the same line.

import NIOCore

/// Lets one report for each subject through in each interval, and counts the others.
struct ReportThrottle {
    /// More subjects than this share one.
    static let mostSubjects = 256
    static let interval = TimeAmount.seconds(10)

    private var subjects: [String: (last: NIODeadline, suppressed: Int)] = [:]

    /// What counts as the same line: who, and the reason without its numbers, which whoever sends garbage chooses.
    static func subject(_ who: String, _ reason: String) -> String {
        who + " " + String(reason.prefix(60).filter { !$0.isNumber }.prefix(40))
    }

    /// How many reports were suppressed since the last one; nil: suppress this one too.
    mutating func admit(_ subject: String, now: NIODeadline = .now()) -> Int? {
        var key = subject
        if subjects[key] == nil && subjects.count >= Self.mostSubjects {
            subjects = subjects.filter { now - $0.value.last < Self.interval }
            if subjects.count >= Self.mostSubjects { key = "" }
        }
        guard let present = subjects[key] else {
            subjects[key] = (now, 0)
            return 0
        }
        guard now - present.last >= Self.interval else {
            subjects[key] = (present.last, present.suppressed + 1)
            return nil
        }
        subjects[key] = (now, 0)
        return present.suppressed
    }
}
