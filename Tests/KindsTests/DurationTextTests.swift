// Lengths of time as people write them.
// What is written must read back; what is ambiguous must not be read at all.

import Consensus
import Testing

@testable import Kinds

@Suite struct DurationTextTests {
    @Test(
        arguments: [
            ("250ms", 250_000_000), ("2s", 2_000_000_000), ("5m", 300_000_000_000), ("1h30m", 5_400_000_000_000),
            ("1h", 3_600_000_000_000), ("0s", 0), ("1s500ms", 1_500_000_000), ("10us", 10_000), ("007s", 7_000_000_000),
            ("2562047h", 9_223_369_200_000_000_000),
        ] as [(String, Int64)])
    func lengthsAreRead(text: String, nanoseconds: Int64) {
        #expect(DurationText.parse(text) == Interval(nanoseconds: nanoseconds))
    }

    @Test(arguments: [
        "", "50", "ms", "-1s", "+1s", "1.5s", "1 s", "1S", "1m1h", "1s1s", "30m1h", "1d", "1h30", "2562048h",
        "1234567890s",
        "１s", "1s ", "5mm", "999999999h",
    ])
    func whatIsNoLengthIsRefused(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test(arguments: [
        ("250ms", "250ms"), ("1s500ms", "1500ms"), ("60s", "1m"), ("90m", "1h30m"), ("0ms", "0s"),
        ("61001ms", "1m1s1ms"),
        ("1000us", "1ms"), ("3600s", "1h"),
    ])
    func lengthsAreWrittenInTheShortestForm(read: String, written: String) throws {
        #expect(DurationText.text(try #require(DurationText.parse(read))) == written)
    }

    @Test func whatIsWrittenReadsBackAsTheSameLength() {
        var random = Draws(seed: 11)
        for _ in 0..<5_000 {
            let digits = random.uniform(below: 13) + 1
            var most: UInt64 = 1
            for _ in 0..<digits { most *= 10 }
            let length = Interval.microseconds(Int64(random.uniform(below: most)))
            #expect(DurationText.parse(DurationText.text(length)) == length)
        }
    }
}

/// The same draws in every run (SplitMix64).
struct Draws: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
