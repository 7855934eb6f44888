// Laws of the checker on random histories: what an atomic store did is accepted; on small histories the verdict is that of
// the definition; and a violation ends the smallest prefix that has one.

import Cluster
import Testing

@testable import SimulationChecks

@Suite struct RandomHistoryTests {
    private static let small = Shape(operations: 7, clients: 4, keys: 2, values: 2, unknownPercent: 20)

    @Test func whatAnAtomicStoreDidIsAccepted() throws {
        for seed in 0..<200 as Range<UInt64> {
            let history = try atomicHistory(Shape(operations: 120, clients: 6, keys: 3), seed: seed)
            #expect(history.operations.count == 120)
            #expect(Linearizability.check(history) == .linearizable, "seed \(seed)")
        }
    }

    @Test func onSmallHistoriesTheVerdictIsThatOfTheDefinition() throws {
        var refused = 0
        for seed in 0..<2_000 as Range<UInt64> {
            let original = try atomicHistory(Self.small, seed: seed)
            let isOriginalLinearizable = BruteForce.isLinearizable(original)
            #expect(isOriginalLinearizable, "seed \(seed)")
            let history = try corrupted(original, seed: seed)
            let isLinearizable = BruteForce.isLinearizable(history)
            let verdict = Linearizability.check(history)
            #expect((verdict == .linearizable) == isLinearizable, "seed \(seed): \(verdict)")
            if !isLinearizable { refused += 1 }
        }
        // The comparison is worth something only if both verdicts are common.
        #expect(refused > 400 && refused < 1_600, "\(refused)")
    }

    @Test func aViolationEndsTheSmallestPrefixThatHasOne() throws {
        var found = 0
        for seed in 0..<1_000 as Range<UInt64> {
            let history = try corrupted(atomicHistory(Self.small, seed: seed), seed: seed)
            guard case .violation(let violation) = Linearizability.check(history) else { continue }
            found += 1
            let end = violation.eventCount
            let isExplained = BruteForce.isLinearizable(history.prefix(events: end))
            let isShorterExplained = BruteForce.isLinearizable(history.prefix(events: end - 1))
            #expect(!isExplained && isShorterExplained, "seed \(seed)")
        }
        #expect(found > 200)
    }

    @Test func bothMannersOfSearchAgreeWithTheDefinition() throws {
        let shape = Shape(operations: 7, clients: 4, keys: 1, values: 2, unknownPercent: 35)
        for seed in 0..<600 as Range<UInt64> {
            let history = try corrupted(atomicHistory(shape, seed: seed), seed: seed)
            let isLinearizable = BruteForce.isLinearizable(history)
            let program = RegisterProgram(history.operations)
            for manner in [RegisterSearch.Manner.thrifty, .hasty] {
                var search = RegisterSearch(program, manner, memoryBytes: 1 << 20)
                let isExplained = if case .explained = search.run() { true } else { false }
                #expect(isExplained == isLinearizable, "seed \(seed), \(manner)")
            }
        }
    }

    @Test func manyUnknownWritesDoNotDrownTheSearch() throws {
        let shape = Shape(operations: 800, clients: 8, keys: 4, values: 1_000, unknownPercent: 30)
        #expect(Linearizability.check(try atomicHistory(shape, seed: 5)) == .linearizable)
    }

    @Test func aLongHistoryOfManyKeysIsDecided() throws {
        let shape = Shape(operations: 10_000, clients: 8, keys: 50, values: 20)
        let history = try atomicHistory(shape, seed: 1)
        #expect(Linearizability.check(history) == .linearizable)
        let chosen = history.operations.last { if case .ok = $0.completion { $0.action == .get } else { false } }
        let broken = try rewritten(history) { $0.id == chosen?.id ? .found("never written") : $0.completion }
        guard case .violation(let violation) = Linearizability.check(broken) else {
            Issue.record("a value that was never written was accepted")
            return
        }
        #expect(violation.operation.id == chosen?.id)
    }

    // MARK: Parts

    /// One answer of the history changed, if it has any that can be.
    private func corrupted(_ history: History, seed: UInt64) throws -> History {
        var random = SeededGenerator(seed: seed &+ 77)
        let answered = history.operations.filter { operation in
            guard case .ok = operation.completion else { return false }
            if case .put = operation.action { return false }
            return true
        }
        guard !answered.isEmpty else { return history }
        let chosen = answered[random.below(answered.count)].id
        return try rewritten(history) { operation in
            guard operation.id == chosen, case .ok(let answer) = operation.completion else {
                return operation.completion
            }
            guard case .get = operation.action else { return .ok(Answer(found: answer.found == false)) }
            let other = [nil, 0, 1, 2].filter { $0 != answer.value } as [JSONValue?]
            let value = other[random.below(other.count)]
            return .ok(Answer(value: value, found: value != nil))
        }
    }

    /// The same events with other completions.
    private func rewritten(_ history: History, _ completion: (Operation) -> Completion) throws -> History {
        var events: [(event: Int, write: (inout History) throws -> Void)] = []
        for operation in history.operations {
            events.append(
                (
                    operation.called.event,
                    {
                        try $0.call(
                            operation.id, client: operation.client, key: operation.key, operation.action,
                            at: operation.called.nanoseconds)
                    }
                ))
            guard let completed = operation.completed else { continue }
            let told = completion(operation)
            events.append((completed.event, { try $0.complete(operation.id, told, at: completed.nanoseconds) }))
        }
        var copy = History(subject: history.subject)
        for event in events.sorted(by: { $0.event < $1.event }) { try event.write(&copy) }
        return copy
    }
}
