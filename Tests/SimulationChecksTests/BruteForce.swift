// The definition of linearizability, word for word: tries every order of every choice of operations. For a handful of
// operations only. Shares nothing with the checker but the types, and judges all keys together.

@testable import SimulationChecks

enum BruteForce {
    static func isLinearizable(_ history: History) -> Bool {
        let operations = history.operations.filter { $0.completion != .failed }
        return extend(AtomicStore(), operations)
    }

    /// Whether the operations that are left can be put in an order that explains their answers from here on.
    private static func extend(_ store: AtomicStore, _ left: [Operation]) -> Bool {
        if left.allSatisfy({ $0.completion == .unknown }) { return true }
        for (position, operation) in left.enumerated() {
            // None may come first whose call was after the answer of another.
            let isLate = left.contains { other in
                guard case .ok = other.completion, let completed = other.completed else { return false }
                return completed.event < operation.called.event
            }
            if isLate { continue }
            var next = store
            let answer = next.carryOut(operation.action, on: operation.key)
            if case .ok(let told) = operation.completion, !agrees(told, with: answer, operation.action) { continue }
            var rest = left
            rest.remove(at: position)
            if extend(next, rest) { return true }
        }
        return false
    }

    private static func agrees(_ told: Answer, with answer: Answer, _ action: Action) -> Bool {
        guard told.value == answer.value else { return false }
        if case .compareAndSet = action { return (told.found ?? true) == answer.found }
        return told.found == nil || told.found == answer.found
    }
}
