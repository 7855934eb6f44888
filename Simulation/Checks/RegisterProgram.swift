// The operations on one key, made ready for the search: values as small numbers, every open operation in a slot of a bit
// set, and what can be left out left out. Relies on a key starting absent.

import Cluster
import Consensus

/// An operation on the one key. Values are numbers from 1; zero is absence.
struct RegisterStep {
    enum Kind: Equatable {
        case read(Int32)
        /// A compare-and-set that found something else.
        case mismatch(expected: Int32)
        case write(Int32)
        /// A compare-and-set that took place, or a delete told what it found.
        case swap(from: Int32, to: Int32)
        /// A delete that was told the key was there, whatever its value.
        case removal
    }

    let kind: Kind
    /// Its bit: among those open at a time, or among those of unknown outcome.
    let slot: Int

    /// Whether it leaves every state that allows it as it is.
    var isReadOnly: Bool {
        switch kind {
        case .read, .mismatch: true
        case .write, .swap, .removal: false
        }
    }

    /// The one state it can take effect in; nil when there are several.
    var onlyState: Int32? {
        switch kind {
        case .read(let value): value
        case .swap(let from, _): from
        case .write, .mismatch, .removal: nil
        }
    }

    /// The state it leaves behind.
    var result: Int32? {
        switch kind {
        case .write(let value), .swap(_, let value): value
        case .removal: 0
        case .read, .mismatch: nil
        }
    }

    /// The state after it; nil when its answer cannot come from `state`.
    func apply(to state: Int32) -> Int32? {
        switch kind {
        case .read(let value): state == value ? state : nil
        case .mismatch(let expected): state == expected ? nil : state
        case .write(let value): value
        case .swap(let from, let to): state == from ? to : nil
        case .removal: state == 0 ? nil : 0
        }
    }
}

/// One key's operations in the order of their answers.
struct RegisterProgram {
    /// What is open when an answer arrives.
    struct Return {
        /// Where `windows` lists the operations that are open and will be answered: the one answered here first, then
        /// the others in the order of their answers.
        let window: Range<Int>
        /// How many of `unknown` have been called by now.
        let unknownCount: Int
        /// Which of the key's operations is answered.
        let operation: Int
    }

    private(set) var returns: [Return] = []
    /// Positions in `answered`.
    private(set) var windows: [Int32] = []
    /// Operations with an answer, in the order of their calls.
    private(set) var answered: [RegisterStep] = []
    /// Operations without a known outcome, in the order of their calls. They stay open for ever.
    private(set) var unknown: [(step: RegisterStep, twin: Int?)] = []
    /// The unknown ones that see what was there before.
    private(set) var unknownSwaps: [Int] = []
    /// The unknown ones by the state they leave behind.
    private var unknownByResult: SortedMap<Int32, [Int]> = [:]
    /// Bits a configuration needs for the operations that are open and answered later.
    private(set) var slotCount = 0
    /// The values behind the numbers.
    private(set) var values: [JSONValue?] = [nil]
    private var numbers: SortedMap<String, Int32> = [:]

    /// `operations` are those of one key, in the order of their calls.
    init(_ operations: [Operation]) {
        let kinds = operations.map { kind($0) }
        let observed = Observations(kinds)
        var open: [(step: Int32, position: Int, end: Int)] = []
        var free: [Int] = []
        for event in Self.events(operations) {
            let operation = operations[event.index]
            guard let kind = kinds[event.index] else { continue }
            let isAnswered = if case .ok = operation.completion { true } else { false }
            if event.isCall {
                guard isAnswered || observed.matters(kind) else { continue }
                if isAnswered {
                    open.append((Int32(answered.count), event.index, operation.completed?.event ?? .max))
                    answered.append(RegisterStep(kind: kind, slot: free.popLast() ?? newSlot()))
                } else {
                    // Of equal ones the earliest is used first: they can do the same, and it is there the longest.
                    let twin = unknown.lastIndex { $0.step.kind == kind }
                    appendUnknown(RegisterStep(kind: kind, slot: unknown.count), twin: twin)
                }
            } else {
                open.sort { $0.end < $1.end }
                let start = windows.count
                windows.append(contentsOf: open.map(\.step))
                returns.append(
                    Return(
                        window: start..<windows.count, unknownCount: unknown.count, operation: open[0].position))
                free.append(answered[Int(open.removeFirst().step)].slot)
            }
        }
    }

    private mutating func appendUnknown(_ step: RegisterStep, twin: Int?) {
        let index = unknown.count
        unknown.append((step, twin))
        if step.onlyState != nil { unknownSwaps.append(index) }
        guard let result = step.result else { return }
        if unknownByResult.update(result, { $0.append(index) }) == nil { unknownByResult[result] = [index] }
    }

    /// Unknown operations that may leave behind a state which `step` sees, in the order of their calls.
    func unknownThatLead(to step: RegisterStep) -> [Int] {
        switch step.kind {
        case .write: []
        case .read, .swap: step.onlyState.flatMap { unknownByResult[$0] } ?? []
        case .mismatch, .removal: Array(unknown.indices)
        }
    }

    private mutating func newSlot() -> Int {
        slotCount += 1
        return slotCount - 1
    }

    /// Calls and answers in the order in which they happened. What is unknown has no answer.
    private static func events(_ operations: [Operation]) -> [(isCall: Bool, index: Int)] {
        var events: [(event: Int, isCall: Bool, index: Int)] = []
        for (index, operation) in operations.enumerated() {
            events.append((operation.called.event, true, index))
            if case .ok = operation.completion, let completed = operation.completed {
                events.append((completed.event, false, index))
            }
        }
        return events.sorted { $0.event < $1.event }.map { ($0.isCall, $0.index) }
    }

    // MARK: Meaning

    /// What an operation demands of the key and does to it; nil when it can be left out.
    private mutating func kind(_ operation: Operation) -> RegisterStep.Kind? {
        let answer: Answer?
        switch operation.completion {
        case .failed: return nil
        case .unknown: answer = nil
        case .ok(let told): answer = told
        }
        switch operation.action {
        case .get:
            guard let answer else { return nil }
            return .read(answer.found == false ? 0 : number(answer.value))
        case .put(let value): return .write(number(value))
        case .delete:
            switch answer?.found {
            case nil: return .write(0)
            case true?: return .removal
            case false?: return .read(0)
            }
        case .compareAndSet(let expected, let value):
            if answer?.found == false { return .mismatch(expected: number(expected)) }
            return .swap(from: number(expected), to: number(value))
        }
    }

    private mutating func number(_ value: JSONValue?) -> Int32 {
        guard let value else { return 0 }
        let name = text(value)
        if let known = numbers[name] { return known }
        let number = Int32(values.count)
        values.append(value)
        numbers[name] = number
        return number
    }
}

/// Which states any operation of the key could tell from another. An unknown write of a value that nobody could tell
/// may be left out: in any order with it, whatever follows it directly is a blind write, and the order without it is as
/// good. This keeps the many unknown writes of a faulty run from doubling the search each.
private struct Observations {
    private var seen: SortedMap<Int32, Bool> = [:]
    private var seesAll = false

    init(_ kinds: [RegisterStep.Kind?]) {
        for case let kind? in kinds {
            switch kind {
            case .read(let value): seen[value] = true
            case .swap(let from, _): seen[from] = true
            case .mismatch, .removal: seesAll = true
            case .write: break
            }
        }
    }

    func matters(_ kind: RegisterStep.Kind) -> Bool {
        switch kind {
        case .write(let value): seesAll || seen.contains(value)
        case .swap(_, let value): seesAll || seen.contains(value)
        case .read, .mismatch, .removal: true
        }
    }
}
