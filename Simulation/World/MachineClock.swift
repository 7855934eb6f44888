// The clocks of one machine, as the world sees them: the boot clock that everything is decided by (an arbitrary origin, a
// rate that is a little off, standing still while a guest is paused), and the wall clock that people read.

import Consensus

struct MachineClock: Sendable {
    private var anchorTrue: Int64
    private var anchorLocal: Int64
    private(set) var partsPerMillion: Int64
    private(set) var isStopped = false
    /// Wall clock minus boot clock, nanoseconds. May be stepped at any time.
    var wallOffset: Int64

    /// A boot clock that reads `origin` at the true time `now`.
    init(origin: Int64, partsPerMillion: Int64, wallOffset: Int64, now: Int64) {
        anchorTrue = now
        anchorLocal = origin
        self.partsPerMillion = partsPerMillion
        self.wallOffset = wallOffset
    }

    func reading(at now: Int64) -> Instant {
        if isStopped { return Instant(nanoseconds: anchorLocal) }
        let passed = now - anchorTrue
        // Split, so that years of nanoseconds times parts per million stay in range.
        let drift = passed / 1_000_000 * partsPerMillion + passed % 1_000_000 * partsPerMillion / 1_000_000
        return Instant(nanoseconds: anchorLocal + passed + drift)
    }

    /// The wall clock when the boot clock shows `reading`.
    func wallMilliseconds(of reading: Instant) -> Int64 { (reading.nanoseconds + wallOffset) / 1_000_000 }

    /// The first true time at which the clock shows at least `reading`, if it goes on running. Far readings are given
    /// as never.
    func trueTime(of reading: Instant) -> Int64 {
        let ahead = reading.nanoseconds &- anchorLocal
        guard ahead > 0 else { return anchorTrue }
        guard ahead < 1 << 52, !isStopped else { return .max }
        var guess = anchorTrue + ahead / (1_000_000 + partsPerMillion) * 1_000_000
        guess += ahead % (1_000_000 + partsPerMillion) * 1_000_000 / (1_000_000 + partsPerMillion)
        while self.reading(at: guess) < reading { guess += 1 }
        return guess
    }

    mutating func stop(at now: Int64) {
        anchorLocal = reading(at: now).nanoseconds
        anchorTrue = now
        isStopped = true
    }

    mutating func goOn(at now: Int64) {
        anchorTrue = now
        isStopped = false
    }

    mutating func drift(_ partsPerMillion: Int64, at now: Int64) {
        anchorLocal = reading(at: now).nanoseconds
        anchorTrue = now
        self.partsPerMillion = partsPerMillion
    }
}
