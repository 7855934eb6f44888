// One operation of one client on a store of keys and values, with what the client was told about it.
// Only values: History keeps them in order, Linearizability judges them.

import Cluster

/// When something happened: the simulated time, and its place in the order of all events of the history. The order is
/// what counts; the time is for people.
public struct Moment: Hashable, Sendable {
    /// Simulated nanoseconds since the start of the run.
    public let nanoseconds: Int64
    /// Counts the calls and completions of a history from 0.
    public let event: Int
}

/// What a client asks of the store. A value is any JSON value but null, which stands for absence.
public enum Action: Hashable, Sendable {
    case get
    case put(JSONValue)
    case delete
    /// Replaces the value when it is `expected` (nil: when the key is absent).
    case compareAndSet(expected: JSONValue?, value: JSONValue)
}

/// What a client was told of an operation that was carried out.
public struct Answer: Hashable, Sendable {
    /// What a get found; nil when it found nothing.
    public var value: JSONValue?
    /// For a get and a delete: whether the key was present. For a compare-and-set: whether the comparison held and the
    /// value was replaced. Nil: not told; then a delete says nothing, and a compare-and-set took place.
    public var found: Bool?

    public init(value: JSONValue? = nil, found: Bool? = nil) {
        self.value = value
        self.found = found
    }
}

/// How an operation ended, as its client saw it.
public enum Completion: Hashable, Sendable {
    case ok(Answer)
    /// Certainly without effect, now and later.
    case failed
    /// Not known: it may take effect at any time after its call, or never.
    case unknown
}

/// One operation of a history.
public struct Operation: Hashable, Sendable {
    public let id: UInt64
    public let client: UInt64
    public let key: String
    public let action: Action
    public let called: Moment
    /// Unknown until the client was told something.
    public internal(set) var completion: Completion = .unknown
    /// When the client was told; nil while it has not been.
    public internal(set) var completed: Moment?

    /// Whether the client was told that nothing was changed by what might have changed something.
    var hadNoEffect: Bool {
        switch (completion, action) {
        case (.failed, _): true
        case (.ok(let answer), .delete), (.ok(let answer), .compareAndSet): answer.found == false
        case (.ok, .get), (.ok, .put), (.unknown, _): false
        }
    }
}

extension Operation: CustomStringConvertible {
    /// One line for people: `operation 9 (client 2, 300–340 ns): get → "1"`.
    public var description: String {
        let end = completed.map { String($0.nanoseconds) } ?? "…"
        return "operation \(id) (client \(client), \(called.nanoseconds)–\(end) ns): \(words(action)) → \(told)"
    }

    private func words(_ action: Action) -> String {
        switch action {
        case .get: "get"
        case .put(let value): "put \(text(value))"
        case .delete: "del"
        case .compareAndSet(let expected, let value): "cas \(text(expected)) to \(text(value))"
        }
    }

    private var told: String {
        switch completion {
        case .failed: return "failed"
        case .unknown: return completed == nil ? "no answer" : "unknown"
        case .ok(let answer):
            switch action {
            case .get: return answer.found == false ? text(nil) : text(answer.value)
            case .put: return "ok"
            case .delete: return answer.found.map { $0 ? "ok, it was there" : "ok, it was not there" } ?? "ok"
            case .compareAndSet: return answer.found == false ? "ok, another value was there" : "ok"
            }
        }
    }
}

/// A value as people read it; `nothing` for absence.
func text(_ value: JSONValue?) -> String {
    guard let value, let bytes = try? CanonicalJSON.encode(value) else { return "nothing" }
    return String(decoding: bytes, as: UTF8.self)
}
