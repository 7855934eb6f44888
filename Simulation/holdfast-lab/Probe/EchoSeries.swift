// What a client saw of an address: every question it asked and every answer it got, and the gaps between. Pure: times
// come in as numbers, nanoseconds on one clock.

/// A stretch of time in which an address did not answer.
struct Gap: Codable, Equatable {
    /// The last answer before, nanoseconds of the wall clock.
    var from: Int64
    /// The first answer after; the end of the observation when there was none.
    var to: Int64
    /// Questions asked in between that never were answered.
    var unanswered: Int
    /// Whether an answer ended it.
    var ended: Bool

    var milliseconds: Double { Double(to - from) / 1_000_000 }
}

/// Numbered questions and their answers.
struct EchoSeries {
    /// Shorter silences are not counted: a client retries within them.
    static let gapThreshold: Int64 = 10_000_000

    private(set) var sent: [Int64] = []
    /// Zero stands for no answer.
    private var answered: [Int64] = []
    /// Numbers of answered questions, in the order the answers came.
    private var order: [Int] = []

    var answeredCount: Int { order.count }
    var lastAnswer: Int64? { order.last.map { answered[$0] } }

    /// The number of the next question.
    var next: Int { sent.count }

    mutating func send(at time: Int64) {
        sent.append(time)
        answered.append(0)
    }

    /// Notes the answer to question `number`. False for a second answer or a question never asked.
    mutating func answer(_ number: Int, at time: Int64) -> Bool {
        guard sent.indices.contains(number), answered[number] == 0 else { return false }
        answered[number] = time
        order.append(number)
        return true
    }

    /// The first question asked after `time`; the questions are in order of time.
    private func firstQuestion(after time: Int64) -> Int {
        var (low, high) = (0, sent.count)
        while low < high {
            let middle = (low + high) / 2
            if sent[middle] > time { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Whether nothing has come for so long, though it was asked for, that it counts as a gap.
    func isSilent(at time: Int64) -> Bool {
        guard let last = lastAnswer else { return false }
        let question = firstQuestion(after: last)
        return question < sent.count && time - sent[question] > Self.gapThreshold
    }

    /// The gaps up to `end`. A pause in the asking is none: somebody must have waited for an answer all the while.
    func gaps(until end: Int64) -> [Gap] {
        var gaps: [Gap] = []
        var previous: Int64?
        for number in order {
            let time = answered[number]
            if let previous, let gap = gap(from: previous, to: time, ended: true) { gaps.append(gap) }
            previous = max(previous ?? time, time)
        }
        if let previous, let gap = gap(from: previous, to: end, ended: false) { gaps.append(gap) }
        return gaps
    }

    private func gap(from: Int64, to: Int64, ended: Bool) -> Gap? {
        guard to - from > Self.gapThreshold else { return nil }
        let first = firstQuestion(after: from)
        guard first < sent.count, to - sent[first] > Self.gapThreshold else { return nil }
        let lost = (first..<firstQuestion(after: to)).count { answered[$0] == 0 }
        return Gap(from: from, to: to, unanswered: lost, ended: ended)
    }

    /// The longest time in which nothing was asked, nanoseconds: how badly the observer itself was held up.
    var longestPause: Int64 { zip(sent, sent.dropFirst()).map { $1 - $0 }.max() ?? 0 }

    /// Times from question to answer, nanoseconds, sorted.
    var roundTrips: [Int64] { order.map { answered[$0] - sent[$0] }.sorted() }
}
