// When what is on trial is undone.

import Cluster
import Consensus
import Testing

@testable import Decisions

@Suite struct TrialDecisionTests {
    /// A trial of a minute that began at the wall clock's zero.
    private func bench() -> DecisionBench {
        var bench = DecisionBench()
        bench.apply(
            .apply(
                declarations: [Declaration(kind: "VirtualIP", name: "dns", spec: ["address": "192.168.1.2/24"])],
                checkRevision: nil, trialMilliseconds: 60_000))
        return bench
    }

    @Test func withoutATrialNothingIsUndone() {
        #expect(
            TrialDecisions.decide(state: DecisionBench().state, seenFor: .seconds(9_999), wallMilliseconds: .max) == nil
        )
    }

    private func undoes(_ bench: DecisionBench, seenFor: Interval, wall: Int64?) -> Bool {
        TrialDecisions.decide(state: bench.state, seenFor: seenFor, wallMilliseconds: wall)
            == .settleTrial(revision: bench.state.revision, keep: false)
    }

    @Test func whoeverSawItBeginCountsOnItsOwnClock() {
        #expect(!undoes(bench(), seenFor: .milliseconds(59_999), wall: nil))
        #expect(undoes(bench(), seenFor: .seconds(60), wall: nil))
    }

    @Test func whoeverWasStartedSinceGoesByTheWallClockToo() {
        #expect(!undoes(bench(), seenFor: .zero, wall: 59_999))
        #expect(undoes(bench(), seenFor: .zero, wall: 60_000))
        #expect(undoes(bench(), seenFor: .seconds(60), wall: -5_000_000), "the wall clock was set back")
    }

    @Test(
        arguments: [(true, 5_000, true), (true, 5_001, false), (true, -5_001, false), (false, 0, false)]
            as [(Bool, Int64, Bool)])
    func whoeverLearnsOfItLateDidNotSeeItBegin(_ isCurrent: Bool, _ wall: Int64, _ saw: Bool) throws {
        let trial = try #require(bench().state.trial)
        #expect(TrialDecisions.seesBegin(of: trial, isCurrent: isCurrent, wallMilliseconds: wall) == saw)
    }
}
