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
// Operations of unknown outcome stay open for ever, and each would double the search. But none of them has to take
// effect, so of two configurations that differ only there, the one that used fewer can do all the other can. The search
// therefore goes in rounds, using none of them, then one, and so on, and drops whatever a thriftier one dominates. And
// since they can take effect as late as one likes, one is used only right before an operation that sees its effect.
// That finds violations soon. Where so much is unknown that it does not end, a hasty search that uses unknown ones as it
// goes along, straight to the end, may still find an explanation.
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

    /// What an operation of unknown outcome is used for.
    enum Manner {
        /// Only when all that can be done without has been tried.
        case thrifty
        /// Whenever nothing else goes on from a configuration.
        case hasty
    }

    private enum Stop: Error { case explained, full }

    private let program: RegisterProgram
    private var table: ConfigurationTable
    /// The configuration at hand: the next answer and the state in one word, then the bits of the open operations, then
    /// those of the unknown ones.
    private var current: [UInt64]
    private let firstUnknownWord: Int
    private let manner: Manner
    /// Configurations to go on from, the next one last.
    private var pending: [Int] = []

    init(_ program: RegisterProgram, _ manner: Manner, memoryBytes: Int) {
        self.program = program
        self.manner = manner
        firstUnknownWord = 1 + (program.slotCount + 63) / 64
        let unknownWords = (program.unknown.count + 63) / 64
        table = ConfigurationTable(coreWords: firstUnknownWord, usedWords: unknownWords, bytes: memoryBytes)
        current = [UInt64](repeating: 0, count: firstUnknownWord + unknownWords)
    }

    mutating func run() -> Result {
        do throws(Stop) {
            try settle(answer: 0, state: 0)
            try exhaustPending()
            var round = manner == .thrifty ? 0..<table.count : 0..<0
            while !round.isEmpty {
                for position in round {
                    try useUnknown(from: position)
                    try exhaustPending()
                }
                round = round.upperBound..<table.count
            }
            return unexplained()
        } catch {
            switch error {
            case .explained: return .explained
            case .full: return .gaveUp(configurations: table.count)
            }
        }
    }

    /// Goes on, depth first, from all that is pending, with operations that were answered (in haste with others too).
    private mutating func exhaustPending() throws(Stop) {
        while let position = pending.popLast() {
            let head = table.word(0, of: position)
            let answer = Self.answer(head)
            if manner == .hasty { try useUnknown(from: position) }
            // What must take effect now comes last, so it is gone on from first.
            for index in program.returns[answer].window.reversed() {
                let step = step(index)
                guard !isSet(step.slot, of: position), let state = step.apply(to: Self.state(head)) else { continue }
                load(position)
                set(step.slot)
                try settle(answer: answer, state: state)
            }
        }
    }

    /// Lets operations of unknown outcome take effect after a configuration, one at a time, where an open operation that
    /// has not taken effect sees what they change.
    private mutating func useUnknown(from position: Int) throws(Stop) {
        let here = program.returns[Self.answer(table.word(0, of: position))]
        for index in here.window where !isSet(step(index).slot, of: position) {
            try useUnknown(before: step(index), from: position)
        }
        for index in program.unknownSwaps.prefix(while: { $0 < here.unknownCount }) where !isUsed(index, in: position) {
            try useUnknown(before: program.unknown[index].step, from: position)
        }
    }

    private mutating func useUnknown(before seeing: RegisterStep, from position: Int) throws(Stop) {
        let head = table.word(0, of: position)
        let answer = Self.answer(head)
        for index in program.unknownThatLead(to: seeing) where index < program.returns[answer].unknownCount {
            let unknown = program.unknown[index]
            guard !isUsed(index, in: position), unknown.twin.map({ isUsed($0, in: position) }) ?? true,
                let state = unknown.step.apply(to: Self.state(head)), state != Self.state(head),
                seeing.apply(to: state) != nil
            else { continue }
            load(position)
            current[firstUnknownWord + index / 64] |= 1 << UInt64(index % 64)
            try settle(answer: answer, state: state)
        }
    }

    /// Takes `current` as far as it goes by itself and notes it down: lets every read that the state explains take effect
    /// (it takes no other order away), and passes every answer whose operation has taken effect.
    private mutating func settle(answer: Int, state: Int32) throws(Stop) {
        var answer = answer
        while answer < program.returns.count {
            let window = program.returns[answer].window
            for index in window {
                let step = step(index)
                if step.isReadOnly, step.apply(to: state) != nil { set(step.slot) }
            }
            let answered = step(window.lowerBound).slot
            guard current[1 + answered / 64] & (1 << UInt64(answered % 64)) != 0 else { break }
            current[1 + answered / 64] &= ~(1 << UInt64(answered % 64))
            answer += 1
        }
        guard answer < program.returns.count else { throw .explained }
        current[0] = UInt64(answer) << 32 | UInt64(UInt32(bitPattern: state))
        switch table.insert(current) {
        case .dominated: break
        case .inserted(let position): pending.append(position)
        case .full: throw .full
        }
    }

    private func unexplained() -> Result {
        var furthest = 0
        var states: [Int32] = []
        for position in 0..<table.count {
            let head = table.word(0, of: position)
            if Self.answer(head) > furthest {
                furthest = Self.answer(head)
                states = []
            }
            if Self.answer(head) == furthest && !states.contains(Self.state(head)) { states.append(Self.state(head)) }
        }
        return .unexplained(
            operation: program.returns[furthest].operation, values: states.sorted().map { program.values[Int($0)] })
    }

    // MARK: Words

    private static func answer(_ head: UInt64) -> Int { Int(head >> 32) }
    private static func state(_ head: UInt64) -> Int32 { Int32(bitPattern: UInt32(truncatingIfNeeded: head)) }

    private func step(_ index: Int) -> RegisterStep { program.answered[Int(program.windows[index])] }

    private mutating func load(_ position: Int) {
        for offset in current.indices { current[offset] = table.word(offset, of: position) }
    }
    private func isSet(_ slot: Int, of position: Int) -> Bool {
        table.word(1 + slot / 64, of: position) & (1 << UInt64(slot % 64)) != 0
    }
    private mutating func set(_ slot: Int) { current[1 + slot / 64] |= 1 << UInt64(slot % 64) }
    private func isUsed(_ unknown: Int, in position: Int) -> Bool {
        table.word(firstUnknownWord + unknown / 64, of: position) & (1 << UInt64(unknown % 64)) != 0
    }
}
