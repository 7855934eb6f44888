// Measurements and their text form.

import FoundationEssentials
import Logging
import Testing

@testable import Runtime

@Suite struct MetricsTests {
    @Test func aFamilyIsWrittenWithItsHelpAndItsKind() {
        var family = MetricFamily(.counter, "holdfast_x_total", "A \\ and\na line.")
        family.add(3, .init("name", "a\"b\\c\nd"))
        family.add(0.25)
        #expect(
            MetricFamily.page([family]) == """
                # HELP holdfast_x_total A \\\\ and\\na line.
                # TYPE holdfast_x_total counter
                holdfast_x_total{name="a\\"b\\\\c\\nd"} 3
                holdfast_x_total 0.25

                """)
    }

    @Test func aFamilyWithoutASeriesIsLeftOut() {
        #expect(MetricFamily.page([MetricFamily(.gauge, "a", "b")]).isEmpty)
    }

    @Test func theBucketsOfAHistogramAccumulate() {
        let histogram = DurationHistogram()
        for nanoseconds in [50_000, 100_000, 100_001, 3_000_000, 60_000_000_000, -5] as [Int64] {
            histogram.count(nanoseconds: nanoseconds)
        }
        var family = MetricFamily(.histogram, "h_seconds", "h")
        family.add(histogram.reading)
        func value(_ suffix: String, le: String? = nil) -> Double? {
            family.samples.first {
                $0.suffix == suffix && $0.labels.first { $0.name == "le" }?.value == le
            }?.value
        }
        #expect(value("_bucket", le: "0.0001") == 3, "a bound belongs to its bucket; time never runs backwards")
        #expect(value("_bucket", le: "0.00025") == 4)
        #expect(value("_bucket", le: "0.005") == 5)
        #expect(value("_bucket", le: "10") == 5)
        #expect(value("_bucket", le: "+Inf") == 6)
        #expect(value("_count") == 6)
        #expect(value("_sum").map { abs($0 - 60.003_250_001) < 1e-9 } == true)
    }

    @Test func thisProcessHasTimeAndMemory() throws {
        let names = ProcessFigures.families().map(\.name)
        #expect(names.contains("process_cpu_seconds_total") && names.contains("process_start_time_seconds"))
        #expect(try #require(ProcessFigures.residentBytes) > 1_000_000)
    }

    @Test func aProcessMayBeNamedAnything() throws {
        let fields = (3...52).map { $0 == 3 ? "S" : String($0) }.joined(separator: " ")
        let figures = try #require(ProcessFigures.Figures(stat: "7 (a) b (c) \(fields)"))
        #expect(figures.cpuSeconds == 0.29)
        #expect(figures.startSeconds == 0.22)
        #expect(ProcessFigures.Figures(stat: "7 (a) S 1 2") == nil)
    }

    @Test func aLogLineIsOneObject() {
        let line = JSONLog.line(
            level: .warning, message: "a \"line\"\nof two", label: "holdfast",
            facts: ["peer": "pve2", "level": "not this one"], at: Date(timeIntervalSince1970: 1_772_366_584.512))
        #expect(
            line == #"{"level":"warning","logger":"holdfast","message":"a \"line\"\nof two","peer":"pve2","#
                + #""time":"2026-03-01T12:03:04.512Z"}"# + "\n")
    }

    @Test func aLoggerWritesItsOwnFactsToo() {
        let lines = Ledger<String>()
        var log = Logger(label: "holdfast", factory: { JSONLog(label: $0, write: { lines.add($0) }) })
        log[metadataKey: "member"] = "pve1"
        log.info("hello", metadata: ["peer": "pve2"])
        log.debug("too quiet")
        #expect(lines.items.count == 1)
        #expect(lines.items[0].contains(#""member":"pve1""#) && lines.items[0].contains(#""peer":"pve2""#))
    }
}
