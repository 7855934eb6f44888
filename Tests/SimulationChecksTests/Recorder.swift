// Writes histories for the tests: by hand in a few words, or at random from a store that really is atomic.
// Randomness is seeded, so a failing seed fails again.

import Cluster
import Consensus

@testable import SimulationChecks

/// SplitMix64 (Steele et al. 2014).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(uniform(below: UInt64(bound))) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// A history written by hand, one event after the other.
struct Story {
    private(set) var history = History(subject: "kv")
    private var now: Int64 = 0

    mutating func call(_ id: UInt64, client: UInt64, _ action: Action, key: String = "x") throws {
        now += 10
        try history.call(id, client: client, key: key, action, at: now)
    }

    mutating func end(_ id: UInt64, _ completion: Completion = .ok(Answer())) throws {
        now += 10
        try history.complete(id, completion, at: now)
    }

    /// A call and its answer with nothing between them.
    mutating func run(
        _ id: UInt64, client: UInt64, _ action: Action, _ completion: Completion = .ok(Answer()), key: String = "x"
    ) throws {
        try call(id, client: client, action, key: key)
        try end(id, completion)
    }
}

extension Completion {
    static func found(_ value: JSONValue) -> Completion { .ok(Answer(value: value, found: true)) }
    static let nothing = Completion.ok(Answer(found: false))
}

/// A store that does one thing at a time.
struct AtomicStore {
    private var values: SortedMap<String, JSONValue> = [:]

    mutating func carryOut(_ action: Action, on key: String) -> Answer {
        let present = values[key]
        switch action {
        case .get: return Answer(value: present, found: present != nil)
        case .put(let value):
            values[key] = value
            return Answer()
        case .delete:
            values[key] = nil
            return Answer(found: present != nil)
        case .compareAndSet(let expected, let value):
            if present == expected { values[key] = value }
            return Answer(found: present == expected)
        }
    }
}

/// How a random history is drawn.
struct Shape {
    var operations = 40
    var clients = 4
    var keys = 2
    var values = 3
    /// Of a hundred completions, how many are unknown to the client, whether or not the operation took effect.
    var unknownPercent = 10
    /// Of a hundred completions, how many report failure of what had no effect.
    var failedPercent = 5
}

/// A history of clients on an atomic store, each operation taking effect at a random moment of its own.
func atomicHistory(_ shape: Shape, seed: UInt64) throws -> History {
    enum Phase {
        case idle
        case called(UInt64, Action, String)
        case effective(UInt64, Answer)
    }
    var random = SeededGenerator(seed: seed)
    var store = AtomicStore()
    var history = History(subject: "kv")
    var phases = [Phase](repeating: .idle, count: shape.clients)
    var now: Int64 = 0
    var calls: UInt64 = 0
    var isBusy = true
    while calls < UInt64(shape.operations) || isBusy {
        now += Int64(random.below(20))
        let client = random.below(shape.clients)
        switch phases[client] {
        case .idle where calls < UInt64(shape.operations):
            calls += 1
            let key = "k\(random.below(shape.keys))"
            let action = drawAction(shape, &random)
            try history.call(calls, client: UInt64(client), key: key, action, at: now)
            phases[client] = .called(calls, action, key)
        case .idle: break
        case .called(let id, let action, let key):
            if random.chance(shape.failedPercent) {
                try history.complete(id, .failed, at: now)
                phases[client] = .idle
            } else if random.chance(shape.unknownPercent) {
                // The effect, if there is one, comes before the client hears that nothing is known: any moment will do.
                if random.chance(50) { _ = store.carryOut(action, on: key) }
                try history.complete(id, .unknown, at: now)
                phases[client] = .idle
            } else {
                phases[client] = .effective(id, store.carryOut(action, on: key))
            }
        case .effective(let id, let answer):
            try history.complete(id, .ok(answer), at: now)
            phases[client] = .idle
        }
        isBusy = phases.contains { if case .idle = $0 { false } else { true } }
    }
    return history
}

private func drawAction(_ shape: Shape, _ random: inout SeededGenerator) -> Action {
    let value = JSONValue.int(Int64(random.below(shape.values)))
    switch random.below(10) {
    case 0..<4: return .get
    case 4..<7: return .put(value)
    case 7: return .delete
    default:
        // Spelled out: a bare nil would be JSON's null here.
        let expected: JSONValue? = random.chance(25) ? .none : .some(.int(Int64(random.below(shape.values))))
        return .compareAndSet(expected: expected, value: value)
    }
}
