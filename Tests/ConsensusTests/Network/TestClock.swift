// A member's own clock, as the world sees it: an arbitrary origin, a rate that is a little off, and pauses during which
// it stands still (a guest whose VM is paused).

import Consensus

/// Turns true nanoseconds into a member's reading and back.
struct TestClock {
    private var anchorTrue: Int64
    private var anchorLocal: Int64
    private let partsPerMillion: Int64
    private(set) var isPaused = false

    /// A clock that reads `origin` at the true time `now` and runs fast by `partsPerMillion`.
    init(origin: Int64, partsPerMillion: Int64, now: Int64) {
        anchorTrue = now
        anchorLocal = origin
        self.partsPerMillion = partsPerMillion
    }

    func reading(at now: Int64) -> Instant {
        if isPaused { return Instant(nanoseconds: anchorLocal) }
        let passed = now - anchorTrue
        return Instant(nanoseconds: anchorLocal + passed + passed * partsPerMillion / 1_000_000)
    }

    /// The first true time at which the clock shows at least `reading`, if it goes on running.
    func trueTime(of reading: Instant) -> Int64 {
        let ahead = reading.nanoseconds - anchorLocal
        guard ahead > 0 else { return anchorTrue }
        guard ahead < 1_000_000_000_000 else { return anchorTrue + 1_000_000_000_000 }
        return anchorTrue + ahead * 1_000_000 / (1_000_000 + partsPerMillion) + 2
    }

    mutating func pause(at now: Int64) {
        anchorLocal = reading(at: now).nanoseconds
        anchorTrue = now
        isPaused = true
    }

    mutating func resume(at now: Int64) {
        anchorTrue = now
        isPaused = false
    }
}
