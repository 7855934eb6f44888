// A random program of the comparison, as a list of steps. A step says what kind of thing happens and carries numbers drawn
// once; which operations it becomes depends on how the cluster stands when its turn comes. So a program keeps its sense
// when steps are left out, which is how a failing one is made small.

/// One program, drawn from a seed.
struct DifferentialProgram: Sendable {
    enum Mode: Hashable, Sendable {
        /// Whatever happens is determined by the rules of Raft, so both sides must agree after every step.
        case lockstep
        /// Anything at any time. Each side must keep the rules, come to rest, and agree where agreement is owed.
        case chaos
    }

    struct Step: Hashable, Sendable {
        let kind: UInt64
        let first: UInt64
        let second: UInt64
    }

    let seed: UInt64
    let mode: Mode
    let voters: [UInt64]
    let learners: [UInt64]
    /// Members that are started and not in the first configuration.
    let spares: [UInt64]
    var steps: [Step]

    init(seed: UInt64) {
        self.seed = seed
        var random = Draw(state: seed)
        mode = random.below(2) == 0 ? .lockstep : .chaos
        let voterCount: UInt64 = [1, 2, 3, 3, 3, 4, 5][Int(random.below(7))]
        let learnerCount = random.below(2)
        let spareCount = random.below(2)
        voters = Array(1...voterCount)
        learners = (0..<learnerCount).map { voterCount + 1 + $0 }
        spares = (0..<spareCount).map { voterCount + learnerCount + 1 + $0 }
        let length = 8 + random.below(33)
        steps = (0..<length).map { _ in Step(kind: random.next(), first: random.next(), second: random.next()) }
    }

    var members: [UInt64] { voters + learners + spares }

    var start: [RaftOperation] { members.map { .start(id: $0, voters: voters, learners: learners) } }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Draw {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
}
