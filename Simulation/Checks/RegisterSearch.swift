// The search for an order of one key's operations that explains every answer: Wing and Gong (1993) with Lowe's
// memoisation ("Testing for Linearizability", 2017), on configurations that forget what can no longer matter.
//
// A configuration is: the next answer to explain, the state, and which open operations have taken effect already.
//
//     answers       ──1────────2──3──────▶        at answer 2:  A is done with, B and C are open, D is not called yet;
//     A  ├───────────┤         │  │               bits say which of B, C have taken effect
//     B        ├───────────────┤  │
//     C     ├─────────────────────┤
//     D                         ├───────
//
// To get past an answer its operation must have taken effect; before that, any open operation may. Operations answered
// earlier have all taken effect, later ones cannot have: so the bits of the open ones are all there is to remember.
//
// The answer that no configuration gets past ends the smallest prefix without an explanation: every order that explains
// a shorter prefix is a path of this search.

import Cluster

struct RegisterSearch {
    enum Result {
        case explained
        /// The operation whose answer cannot be explained, and the values the key may have had when it was answered.
        case unexplained(operation: Int, values: [JSONValue?])
        /// The table is full with so many configurations.
        case gaveUp(configurations: Int)
    }

    private let program: RegisterProgram
    private var table: ConfigurationTable
    /// The configuration at hand: the next answer and the state in one word, then the bits.
    private var current: [UInt64]
    private var furthest = 0

    init(_ program: RegisterProgram, memoryBytes: Int) {
        self.program = program
        let words = 1 + (program.slotCount + 63) / 64
        table = ConfigurationTable(stride: words, bytes: memoryBytes)
        current = [UInt64](repeating: 0, count: words)
    }

    private struct Frame {
        let configuration: Int
        var nextChoice = 0
    }

    /// Searches depth first: the operation that must take effect is tried before those that may.
    mutating func run() -> Result {
        settle(answer: 0, state: 0)
        guard Self.answer(current[0]) < program.returns.count else { return .explained }
        guard case .inserted(let first) = table.insert(current) else {
            return .gaveUp(configurations: table.count)
        }
        var path = [Frame(configuration: first)]
        while let frame = path.last {
            let head = table.word(0, of: frame.configuration)
            let answer = Self.answer(head)
            furthest = max(furthest, answer)
            let here = program.returns[answer]
            guard frame.nextChoice < here.window.count + here.unknownCount else {
                path.removeLast()
                continue
            }
            path[path.count - 1].nextChoice += 1
            guard let state = take(frame.nextChoice, at: here, from: frame.configuration, state: Self.state(head))
            else {
                continue
            }
            settle(answer: answer, state: state)
            guard Self.answer(current[0]) < program.returns.count else { return .explained }
            switch table.insert(current) {
            case .known: break
            case .inserted(let position): path.append(Frame(configuration: position))
            case .full: return .gaveUp(configurations: table.count)
            }
        }
        return .unexplained(operation: program.returns[furthest].operation, values: valuesAtFurthest())
    }

    /// Lets one open operation take effect in `current`; nil when it has already, when the state does not allow it, or
    /// when it would be wasted.
    private mutating func take(
        _ choice: Int, at here: RegisterProgram.Return, from configuration: Int, state: Int32
    ) -> Int32? {
        let isUnknown = choice >= here.window.count
        let chosen =
            isUnknown
            ? program.unknown[choice - here.window.count] : step(here.window.lowerBound + choice)
        guard !isSet(chosen.slot, of: configuration), let after = chosen.apply(to: state) else { return nil }
        // Something unknown need not happen at all, so without a change it had better not.
        if isUnknown && after == state { return nil }
        for offset in current.indices { current[offset] = table.word(offset, of: configuration) }
        set(chosen.slot)
        return after
    }

    /// Lets every read that the state explains take effect (it takes no other order away), and passes every answer
    /// whose operation has taken effect.
    private mutating func settle(answer: Int, state: Int32) {
        var answer = answer
        while answer < program.returns.count {
            let window = program.returns[answer].window
            for position in window {
                let step = step(position)
                if step.isReadOnly, !isSet(step.slot), step.apply(to: state) != nil { set(step.slot) }
            }
            let answered = step(window.lowerBound).slot
            guard isSet(answered) else { break }
            clear(answered)
            answer += 1
        }
        current[0] = UInt64(answer) << 32 | UInt64(UInt32(bitPattern: state))
    }

    private func valuesAtFurthest() -> [JSONValue?] {
        var states: [Int32] = []
        for position in 0..<table.count {
            let head = table.word(0, of: position)
            if Self.answer(head) == furthest && !states.contains(Self.state(head)) { states.append(Self.state(head)) }
        }
        return states.sorted().map { program.values[Int($0)] }
    }

    private func step(_ position: Int) -> RegisterStep { program.answered[Int(program.windows[position])] }

    // MARK: Words

    private static func answer(_ head: UInt64) -> Int { Int(head >> 32) }
    private static func state(_ head: UInt64) -> Int32 { Int32(bitPattern: UInt32(truncatingIfNeeded: head)) }

    private func isSet(_ slot: Int) -> Bool { current[1 + slot / 64] & (1 << UInt64(slot % 64)) != 0 }
    private func isSet(_ slot: Int, of configuration: Int) -> Bool {
        table.word(1 + slot / 64, of: configuration) & (1 << UInt64(slot % 64)) != 0
    }
    private mutating func set(_ slot: Int) { current[1 + slot / 64] |= 1 << UInt64(slot % 64) }
    private mutating func clear(_ slot: Int) { current[1 + slot / 64] &= ~(1 << UInt64(slot % 64)) }
}
