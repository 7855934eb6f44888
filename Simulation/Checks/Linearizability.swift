// Whether a history is linearizable (Herlihy and Wing 1990): whether every operation can be given one moment between its
// call and its answer at which it took effect, so that a store that does one thing at a time would have answered the
// same. A history is linearizable exactly when that of each key is (the property is local), so keys are judged alone.
//
// Relies on every key being absent at the start. Does not judge liveness: a history without answers is linearizable.

import Cluster
import Consensus

public enum Linearizability {
    public enum Verdict: Hashable, Sendable {
        case linearizable
        case violation(Violation)
        /// The search for one key would have taken more memory than allowed; no violation was found elsewhere.
        case undecided(Limit)
    }

    /// Where a search was given up.
    public struct Limit: Hashable, Sendable, CustomStringConvertible {
        public let key: String
        /// Operations on the key.
        public let operations: Int
        /// Configurations explored until the memory was used up.
        public let configurations: Int

        public var description: String {
            "undecided: the \(operations) operations on key \"\(key)\" have more than \(configurations) possible orders "
                + "of interest; allow more memory, or record a shorter or less concurrent history"
        }
    }

    /// Memory the search for one key may take: enough for one and a half million configurations of up to 64 operations
    /// that are open at a time, twice.
    public static let usualMemoryBytes = 144 << 20

    /// Judges a history. Keys are searched one after the other, so `memoryBytes` bounds the whole check, beside a few
    /// bytes for each operation and each other one it overlaps.
    public static func check(_ history: History, memoryBytes: Int = usualMemoryBytes) -> Verdict {
        var worst: Violation?
        var limit: Limit?
        for (key, operations) in byKey(history).pairs {
            switch search(operations, memoryBytes) {
            case .explained: break
            case .gaveUp(let configurations):
                limit = limit ?? Limit(key: key, operations: operations.count, configurations: configurations)
            case .unexplained(let operation, let values):
                let first = Violation(operations[operation], among: operations, values: values)
                let found = shortened(first, of: operations, memoryBytes)
                if worst == nil || found.eventCount < worst!.eventCount { worst = found }
            }
        }
        if let worst { return .violation(worst) }
        return limit.map(Verdict.undecided) ?? .linearizable
    }

    /// Each key's operations, in the order of their calls.
    private static func byKey(_ history: History) -> SortedMap<String, [Operation]> {
        var keys: SortedMap<String, [Operation]> = [:]
        for operation in history.operations {
            if keys.update(operation.key, { $0.append(operation) }) == nil { keys[operation.key] = [operation] }
        }
        return keys
    }

    private static func search(_ operations: [Operation], _ memoryBytes: Int) -> RegisterSearch.Result {
        let program = RegisterProgram(operations)
        var thrifty = RegisterSearch(program, .thrifty, memoryBytes: memoryBytes / 2)
        let result = thrifty.run()
        guard case .gaveUp = result else { return result }
        var hasty = RegisterSearch(program, .hasty, memoryBytes: memoryBytes / 2)
        return hasty.run()
    }

    // MARK: The smallest prefix

    /// The search ends at the first answer that has no explanation, but it knows of every operation that had no effect,
    /// also when that was told only after that answer. Then the prefix up to the answer may still have an explanation,
    /// and the smallest one without is longer: found by bisection, for what no order explains stays so when more happens.
    private static func shortened(
        _ violation: Violation, of operations: [Operation], _ memoryBytes: Int
    ) -> Violation {
        let toldLater = operations.contains {
            $0.hadNoEffect && $0.called.event < violation.eventCount
                && ($0.completed?.event ?? 0) >= violation.eventCount
        }
        guard toldLater else { return violation }
        let events = operations.compactMap { $0.completed?.event }.filter { $0 + 1 >= violation.eventCount }.sorted()
        var shortest = violation
        var low = 0
        var high = events.count - 1
        while low <= high {
            let middle = (low + high) / 2
            let prefix = operations.prefix(events: events[middle] + 1)
            if case .unexplained(let operation, let values) = search(prefix, memoryBytes) {
                shortest = Violation(prefix[operation], among: prefix, events: events[middle] + 1, values: values)
                high = middle - 1
            } else {
                low = middle + 1
            }
        }
        return shortest
    }
}

/// An answer that no order of the operations explains.
public struct Violation: Hashable, Sendable, CustomStringConvertible {
    /// Operations that `description` tells in full; of more, the last ones.
    public static let mostTold = 24

    /// The operation whose answer cannot be explained.
    public let operation: Operation
    /// Events of the smallest prefix of the history that is not linearizable. That answer is its last event, unless
    /// the word that another operation had no effect, told later, is what takes the explanation away.
    public let eventCount: Int
    /// The operations on the same key in that prefix, in the order of their calls, as their clients knew them then.
    public let operations: [Operation]
    /// The values the key may have had when the answer was given, nil for absence.
    public let possibleValues: [JSONValue?]

    /// `all` are the operations on the key; `events` is nil for a prefix that ends with the operation's answer.
    init(_ operation: Operation, among all: [Operation], events: Int? = nil, values: [JSONValue?]) {
        self.operation = operation
        eventCount = events ?? (operation.completed?.event ?? 0) + 1
        operations = all.prefix(events: eventCount)
        possibleValues = values
    }

    /// The story for people: the answer, what would have been possible, and what led there.
    public var description: String {
        var lines = [
            "key \"\(operation.key)\" is not linearizable: no order explains the answer of \(operation)",
            "  the key could only have been \(possibleValues.prefix(8).map { text($0) }.joined(separator: " or "))"
                + (possibleValues.count > 8 ? " or one of \(possibleValues.count - 8) more" : ""),
            "  smallest prefix that shows it: the first \(eventCount) events; on this key:",
        ]
        if operations.count > Self.mostTold {
            lines.append("    (\(operations.count - Self.mostTold) earlier operations)")
        }
        lines += operations.suffix(Self.mostTold).map { "    \($0)" }
        return lines.joined(separator: "\n")
    }
}
