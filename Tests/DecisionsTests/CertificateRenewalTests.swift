// When a certificate is replaced.

import Testing

@testable import Decisions

@Suite struct CertificateRenewalTests {
    private let day: Int64 = 86_400_000

    private func ninetyDays(jitter: Int64 = 0) -> CertificateRenewal {
        CertificateRenewal(begins: 0, ends: 90 * day, jitterPermille: jitter)
    }

    @Test func aCertificateIsReplacedAtTwoThirdsOfItsLife() {
        let renewal = ninetyDays()
        #expect(renewal.due == 60 * day)
        #expect(renewal.step(now: 60 * day - 1) == .wait(milliseconds: 1))
        #expect(renewal.step(now: 60 * day) == .renew)
        #expect(renewal.step(now: 200 * day) == .renew, "also long after its end")
    }

    @Test func membersThatBeganTogetherDoNotAskTogether() {
        #expect(ninetyDays(jitter: 999).due < 58 * day)
        #expect(ninetyDays(jitter: 999).due >= 57 * day)
        #expect(ninetyDays(jitter: 500).due != ninetyDays(jitter: 501).due)
        #expect(ninetyDays(jitter: -1).due == ninetyDays(jitter: 999).due, "any number may be drawn")
    }

    @Test func theClockIsLookedAtOftenBecauseItMayBeSet() {
        #expect(
            ninetyDays().step(now: 0) == .wait(milliseconds: CertificateRenewal.longestWaitMilliseconds))
    }

    @Test func aCertificateOfTheFutureIsReplacedAtOnce() {
        let renewal = CertificateRenewal(begins: 100 * day, ends: 190 * day, jitterPermille: 0)
        #expect(renewal.step(now: 1 * day) == .renew)
        #expect(renewal.step(now: 100 * day) == .wait(milliseconds: CertificateRenewal.longestWaitMilliseconds))
    }

    @Test func afterAFailureThePauseDoublesUpToAnHour() {
        var renewal = ninetyDays()
        var now = 60 * day
        var pauses: [Int64] = []
        for _ in 0..<12 {
            renewal.failed(now: now, jitterPermille: 999)
            var waited: Int64 = 0
            while case .wait(let milliseconds) = renewal.step(now: now) {
                now += milliseconds
                waited += milliseconds
            }
            pauses.append(waited)
        }
        #expect(pauses[0] > 59_000 && pauses[0] <= 60_000)
        #expect(pauses[1] > 119_000 && pauses[1] <= 120_000)
        #expect(pauses.max().map { $0 <= 3_600_000 } == true)
        #expect(pauses.last.map { $0 > 3_500_000 } == true)
    }

    @Test func pausesAreJittered() {
        var early = ninetyDays()
        var late = ninetyDays()
        early.failed(now: 60 * day, jitterPermille: 0)
        late.failed(now: 60 * day, jitterPermille: 999)
        #expect(early.step(now: 60 * day) == .wait(milliseconds: 30_000))
        #expect(early.step(now: 60 * day) != late.step(now: 60 * day))
    }

    @Test func aClockSetBackDoesNotLengthenThePause() {
        var renewal = ninetyDays()
        renewal.failed(now: 80 * day, jitterPermille: 0)
        #expect(renewal.step(now: 70 * day) == .renew)
    }

    @Test func aShortLifeIsServedByShortPauses() {
        var renewal = CertificateRenewal(begins: 0, ends: 60_000, jitterPermille: 0)
        for _ in 0..<30 { renewal.failed(now: 50_000, jitterPermille: 999) }
        #expect(renewal.step(now: 50_000 + 1_000) == .renew, "a hundredth of the life, at least a second")
    }

    @Test func aLifeWithoutLengthIsAnEndedOne() {
        #expect(CertificateRenewal(begins: 5, ends: 3, jitterPermille: 1).step(now: 5) == .renew)
    }

    @Test func aPersonIsToldBeforeTheEndAndAfterIt() {
        #expect(CertificateStanding(ends: 90 * day, now: 60 * day) == .good)
        #expect(CertificateStanding(ends: 90 * day, now: 75 * day) == .good)
        #expect(CertificateStanding(ends: 90 * day, now: 75 * day + 1) == .endsSoon)
        #expect(CertificateStanding(ends: 90 * day, now: 90 * day) == .ended)
    }
}
