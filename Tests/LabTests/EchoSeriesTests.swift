// What counts as a gap of an address, and what does not.

import Testing

@testable import holdfast_lab

@Suite struct EchoSeriesTests {
    private static let millisecond: Int64 = 1_000_000

    /// Questions every 2 ms for `milliseconds`; each is answered at once unless `unanswered` contains its time.
    private func series(milliseconds: Int64, unanswered: Range<Int64>, asking: (Int64) -> Bool = { _ in true })
        -> EchoSeries
    {
        var series = EchoSeries()
        for time in stride(from: Int64(0), to: milliseconds, by: 2) where asking(time) {
            let number = series.next
            series.send(at: time * Self.millisecond)
            if !unanswered.contains(time) { _ = series.answer(number, at: time * Self.millisecond + 1000) }
        }
        return series
    }

    @Test func aSilenceBetweenTwoAnswersIsAGap() {
        let gaps = series(milliseconds: 1000, unanswered: 100..<400).gaps(until: 1000 * Self.millisecond)
        #expect(gaps.count == 1)
        #expect(gaps.first?.milliseconds == 302)
        #expect(gaps.first?.unanswered == 150)
        #expect(gaps.first?.ended == true)
    }

    @Test func aShortSilenceIsNoGap() {
        #expect(series(milliseconds: 1000, unanswered: 100..<108).gaps(until: 1000 * Self.millisecond).isEmpty)
    }

    @Test func aPauseOfTheAskingIsNoGap() {
        let paused = series(milliseconds: 1000, unanswered: 0..<0) { !(200..<500).contains($0) }
        #expect(paused.gaps(until: 1000 * Self.millisecond).isEmpty)
        #expect(paused.longestPause == 302 * Self.millisecond)
    }

    @Test func aSilenceUntilTheEndIsAnOpenGap() {
        let gaps = series(milliseconds: 1000, unanswered: 600..<1000).gaps(until: 1000 * Self.millisecond)
        #expect(gaps.map(\.ended) == [false])
        #expect(gaps.first.map { Int($0.milliseconds) } == 401)
    }

    @Test func silenceBeforeTheFirstAnswerIsNoGap() {
        #expect(series(milliseconds: 1000, unanswered: 0..<500).gaps(until: 1000 * Self.millisecond).isEmpty)
    }

    @Test func anAnswerCountsOnce() {
        var series = EchoSeries()
        series.send(at: 0)
        let accepted = [series.answer(0, at: 1), series.answer(0, at: 2), series.answer(7, at: 3)]
        #expect(accepted == [true, false, false])
        #expect(series.answeredCount == 1)
    }

    @Test func itIsSilentOnlyWhileAnAnswerIsWaitedFor() {
        var series = EchoSeries()
        series.send(at: 0)
        _ = series.answer(0, at: 1)
        #expect(!series.isSilent(at: 50 * Self.millisecond))
        series.send(at: 50 * Self.millisecond)
        #expect(!series.isSilent(at: 60 * Self.millisecond))
        #expect(series.isSilent(at: 61 * Self.millisecond))
    }
}
