// A history: what clients called and what they were told, in the order in which it happened.
// Checks that it is a history at all (ids used once, completions of open operations, time that does not go back). Does
// not ask whether a client waits for one answer before its next call, and does not judge the answers.

import Cluster
import Consensus

public struct History: Hashable, Sendable {
    /// Most operations of one history; a longer run writes several.
    public static let mostOperations = 1_000_000

    /// What the store is, in the recorder's word; carried along and not interpreted.
    public var subject: String?
    /// In the order of their calls.
    public private(set) var operations: [Operation] = []
    /// Calls and completions so far.
    public private(set) var eventCount = 0
    private var positions: SortedMap<UInt64, Int> = [:]
    private var lastTime = Int64.min

    public init(subject: String? = nil) { self.subject = subject }

    /// Records that a client called. `nanoseconds` is simulated time and never goes back.
    public mutating func call(
        _ id: UInt64, client: UInt64, key: String, _ action: Action, at nanoseconds: Int64
    ) throws(HistoryFault) {
        guard positions[id] == nil else { throw .idUsedTwice(id) }
        guard operations.count < Self.mostOperations else { throw .tooLong }
        var action = action
        switch action {
        case .put(.null), .compareAndSet(_, .null): throw .nullWritten(id)
        case .compareAndSet(.some(.null), let value): action = .compareAndSet(expected: nil, value: value)
        default: break
        }
        let moment = try moment(nanoseconds)
        positions[id] = operations.count
        operations.append(Operation(id: id, client: client, key: key, action: action, called: moment))
    }

    /// Records what a client was told. An operation is completed at most once.
    public mutating func complete(
        _ id: UInt64, _ completion: Completion, at nanoseconds: Int64
    ) throws(HistoryFault) {
        guard let position = positions[id] else { throw .neverCalled(id) }
        guard operations[position].completed == nil else { throw .completedTwice(id) }
        var completion = completion
        if case .ok(var answer) = completion {
            if answer.value == .some(.null) { answer.value = nil }
            if case .get = operations[position].action, let found = answer.found {
                guard found == (answer.value != nil) else { throw .contradictory(id) }
            }
            completion = .ok(answer)
        }
        operations[position].completed = try moment(nanoseconds)
        operations[position].completion = completion
    }

    private mutating func moment(_ nanoseconds: Int64) throws(HistoryFault) -> Moment {
        guard nanoseconds >= lastTime else { throw .timeWentBack(from: lastTime, to: nanoseconds) }
        lastTime = nanoseconds
        eventCount += 1
        return Moment(nanoseconds: nanoseconds, event: eventCount - 1)
    }

    /// The history up to and without the event `end`: what a client had not been told by then is unknown again.
    public func prefix(events end: Int) -> History {
        var shorter = History(subject: subject)
        shorter.eventCount = min(end, eventCount)
        shorter.operations = operations.prefix(events: end)
        for (position, operation) in shorter.operations.enumerated() {
            shorter.positions[operation.id] = position
            shorter.lastTime = max(shorter.lastTime, operation.completed?.nanoseconds ?? operation.called.nanoseconds)
        }
        return shorter
    }
}

extension [Operation] {
    /// The operations called before the event `end`, with what their clients had been told by then.
    func prefix(events end: Int) -> [Operation] {
        filter { $0.called.event < end }.map { operation in
            guard let completed = operation.completed, completed.event >= end else { return operation }
            var cut = operation
            cut.completed = nil
            cut.completion = .unknown
            return cut
        }
    }
}

/// Why something cannot be part of a history.
public enum HistoryFault: Error, Hashable, Sendable, CustomStringConvertible {
    case idUsedTwice(UInt64)
    case neverCalled(UInt64)
    case completedTwice(UInt64)
    /// Null stands for absence and is no value; to remove a key, delete it.
    case nullWritten(UInt64)
    /// A get that found a value and gives none, or found none and gives one.
    case contradictory(UInt64)
    case timeWentBack(from: Int64, to: Int64)
    case tooLong

    public var description: String {
        switch self {
        case .idUsedTwice(let id): "operation \(id) was called before; every call needs an id of its own"
        case .neverCalled(let id): "operation \(id) is completed but was never called; its call line must come first"
        case .completedTwice(let id): "operation \(id) is completed a second time; only the first can be what was told"
        case .nullWritten(let id): "operation \(id) writes null, which stands for absence; use del to remove a key"
        case .contradictory(let id): "get \(id) has \"found\" and \"v\" that contradict each other"
        case .timeWentBack(let from, let to):
            "time goes back from \(from) to \(to) ns; lines stand in the order of events"
        case .tooLong: "a history has at most \(History.mostOperations) operations; check it in several parts"
        }
    }
}
