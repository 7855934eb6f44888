// The checker against the anomalies that stores are known for, and against what looks like one and is none.
// Every verdict here is also asked of the definition itself (BruteForce).

import Cluster
import Testing

@testable import SimulationChecks

@Suite struct LinearizabilityTests {
    private func expectViolation(
        _ story: Story, at operation: UInt64, possible: [JSONValue?], _ location: SourceLocation = #_sourceLocation
    ) {
        guard case .violation(let violation) = Linearizability.check(story.history) else {
            Issue.record("the anomaly was accepted", sourceLocation: location)
            return
        }
        #expect(violation.operation.id == operation, sourceLocation: location)
        #expect(violation.possibleValues == possible, sourceLocation: location)
        let prefix = story.history.prefix(events: violation.eventCount)
        #expect(!BruteForce.isLinearizable(prefix), sourceLocation: location)
    }

    private func expectAccepted(_ story: Story, _ location: SourceLocation = #_sourceLocation) {
        #expect(Linearizability.check(story.history) == .linearizable, sourceLocation: location)
        #expect(BruteForce.isLinearizable(story.history), sourceLocation: location)
    }

    // MARK: Anomalies

    @Test func aStaleReadIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.run(2, client: 1, .put(2))
        try story.run(3, client: 2, .get, .found(1))
        expectViolation(story, at: 3, possible: [2])
    }

    @Test func aLostUpdateIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.call(2, client: 1, .compareAndSet(expected: 1, value: 2))
        try story.call(3, client: 2, .compareAndSet(expected: 1, value: 3))
        try story.end(2)
        try story.end(3)
        expectViolation(story, at: 3, possible: [2])
    }

    @Test func aDirtyReadOfAFailedWriteIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.call(2, client: 1, .put(2))
        try story.run(3, client: 2, .get, .found(2))
        try story.end(2, .failed)
        expectViolation(story, at: 3, possible: [1])
    }

    @Test func aWriteThatAnotherClientWasToldOfAndCannotReadIsFound() throws {
        var story = Story()
        try story.call(1, client: 1, .put(1))
        try story.run(2, client: 2, .get, .found(1))
        // Client 1 still waits for its answer, but the value was seen: client 3 must see it too.
        try story.run(3, client: 3, .get, .nothing)
        try story.end(1)
        expectViolation(story, at: 3, possible: [1])
    }

    @Test func notReadingOnesOwnWriteIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.run(2, client: 1, .get, .nothing)
        expectViolation(story, at: 2, possible: [1])
    }

    @Test func aDeletedValueThatComesBackIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.run(2, client: 2, .delete, .ok(Answer(found: true)))
        try story.run(3, client: 1, .get, .found(1))
        expectViolation(story, at: 3, possible: [nil])
    }

    @Test func aDeleteOfNothingThatFoundSomethingIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .delete, .ok(Answer(found: true)))
        expectViolation(story, at: 1, possible: [nil])
    }

    @Test func twoCreationsOfOneKeyAreFound() throws {
        var story = Story()
        try story.call(1, client: 1, .compareAndSet(expected: nil, value: 1))
        try story.call(2, client: 2, .compareAndSet(expected: nil, value: 2))
        try story.end(2)
        try story.end(1)
        expectViolation(story, at: 1, possible: [2])
    }

    @Test func aComparisonThatMissedThePresentValueIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.run(2, client: 2, .compareAndSet(expected: 1, value: 2), .nothing)
        expectViolation(story, at: 2, possible: [1])
    }

    @Test func aValueThatFlickersIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.call(2, client: 1, .put(2))
        try story.run(3, client: 2, .get, .found(2))
        try story.run(4, client: 3, .get, .found(1))
        expectViolation(story, at: 4, possible: [2])
    }

    @Test func anUnknownWriteThatIsUndoneIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.run(2, client: 2, .put(2), .unknown)
        try story.run(3, client: 3, .get, .found(2))
        try story.run(4, client: 3, .get, .found(1))
        expectViolation(story, at: 4, possible: [2])
    }

    @Test func aValueOutOfThinAirIsFound() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1))
        try story.run(2, client: 2, .get, .found(7))
        expectViolation(story, at: 2, possible: [1])
    }

    // MARK: What is allowed

    @Test func nothingAtAllIsLinearizable() { expectAccepted(Story()) }

    @Test func anUnknownWriteMayTakeEffectLate() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1), .unknown)
        try story.run(2, client: 2, .get, .nothing)
        try story.run(3, client: 2, .put(2))
        try story.run(4, client: 2, .get, .found(1))
        expectAccepted(story)
    }

    @Test func anUnknownWriteMayNeverTakeEffect() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1), .unknown)
        try story.run(2, client: 2, .get, .nothing)
        expectAccepted(story)
    }

    @Test func aCallWithoutAnswerIsUnknown() throws {
        var story = Story()
        try story.call(1, client: 1, .put(1))
        try story.run(2, client: 2, .get, .found(1))
        expectAccepted(story)
    }

    @Test func overlappingWritesMayComeInEitherOrder() throws {
        for seen in [1, 2] as [JSONValue] {
            var story = Story()
            try story.call(1, client: 1, .put(1))
            try story.call(2, client: 2, .put(2))
            try story.end(1)
            try story.end(2)
            try story.run(3, client: 3, .get, .found(seen))
            expectAccepted(story)
        }
    }

    @Test func keysDoNotOrderEachOther() throws {
        var story = Story()
        try story.run(1, client: 1, .put(1), key: "a")
        try story.run(2, client: 2, .get, .nothing, key: "b")
        expectAccepted(story)
    }

    // MARK: What is told

    @Test func theEarliestViolationOfAllKeysIsTold() throws {
        var story = Story()
        try story.run(1, client: 1, .get, .found(1), key: "z")
        try story.run(2, client: 1, .get, .found(1), key: "a")
        guard case .violation(let violation) = Linearizability.check(story.history) else {
            Issue.record("two anomalies were accepted")
            return
        }
        #expect(violation.operation.key == "z")
        #expect(violation.eventCount == 2)
    }

    @Test func aViolationIsToldAsAStory() throws {
        var story = Story()
        try story.run(1, client: 1, .put("old"))
        try story.call(2, client: 1, .put("new"))
        try story.run(3, client: 2, .get, .found("new"))
        try story.run(4, client: 3, .get, .found("old"))
        try story.end(2)
        guard case .violation(let violation) = Linearizability.check(story.history) else {
            Issue.record("the anomaly was accepted")
            return
        }
        #expect(
            violation.description == """
                key "x" is not linearizable: no order explains the answer of operation 4 (client 3, 60–70 ns): get → "old"
                  the key could only have been "new"
                  smallest prefix that shows it: the first 7 events; on this key:
                    operation 1 (client 1, 10–20 ns): put "old" → ok
                    operation 2 (client 1, 30–… ns): put "new" → no answer
                    operation 3 (client 2, 40–50 ns): get → "new"
                    operation 4 (client 3, 60–70 ns): get → "old"
                """)
    }

    @Test func aSearchThatNeedsTooMuchMemorySaysSo() throws {
        var story = Story()
        for id in 1...20 as ClosedRange<UInt64> { try story.call(id, client: id, .put(.int(Int64(id)))) }
        try story.run(21, client: 21, .get, .found(99))
        for id in 1...20 as ClosedRange<UInt64> { try story.end(id) }
        let verdict = Linearizability.check(story.history, memoryBytes: 4_096)
        guard case .undecided(let limit) = verdict else {
            Issue.record("a search of many orders in 4 KiB was decided: \(verdict)")
            return
        }
        #expect(limit.key == "x")
        #expect(limit.operations == 21)
        #expect(limit.description.contains("allow more memory"))
    }
}
