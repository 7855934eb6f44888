// Compares the product's Raft with another one: draws programs, plays them on both, and makes a failing one small.
// Does not know how the other side is reached; see OtherRaft.

/// Another Raft that understands the same lines.
public protocol OtherRaft {
    /// Plays one program from the start. One answer a line; lines that are not `stabilize` may be answered by anything.
    mutating func answers(to program: [String]) throws -> [[UInt8]]
}

public enum Differential {
    /// Why two Rafts disagree, with the smallest program found that shows it.
    public struct Failure: Sendable, CustomStringConvertible {
        public let seed: UInt64
        public let reason: String
        public let program: [String]

        public var description: String {
            "\(reason)\nthe smallest program found that shows it:\n" + program.map { "  \($0)\n" }.joined()
        }
    }

    /// What was done.
    public struct Totals: Hashable, Sendable {
        public var programs = 0
        public var lockstep = 0
        public var operations = 0
        /// Moments at which both sides were compared.
        public var comparisons = 0
        /// Members compared in everything.
        public var wholeMembers = 0
        public var elections = 0
        public var configurationChanges = 0

        public init() {}
    }

    private struct Disagreement: Error { let reason: String }

    /// Plays the program of one seed on both sides. Nil when they agree.
    public static func run(
        seed: UInt64, against other: inout some OtherRaft, totals: inout Totals
    ) throws -> Failure? {
        let program = DifferentialProgram(seed: seed)
        guard let reason = try disagreement(program, &other, &totals) else { return nil }
        var ignored = Totals()
        let (small, why) = try smallest(program, reason: reason) { try disagreement($0, &other, &ignored) }
        return Failure(seed: seed, reason: why, program: play(small).operations.map(\.line))
    }

    private static func play(_ program: DifferentialProgram) -> Player {
        var player = Player(program)
        switch program.mode {
        case .lockstep: player.playLockstep()
        case .chaos: player.playChaos()
        }
        return player
    }

    private static func disagreement(
        _ program: DifferentialProgram, _ other: inout some OtherRaft, _ totals: inout Totals
    ) throws -> String? {
        let player = play(program)
        totals.count(player)
        if let violation = player.violation { return "our side: \(violation)" }
        let answers = try other.answers(to: player.operations.map(\.line))
        do {
            try compare(player, answers)
        } catch let disagreement as Disagreement {
            return disagreement.reason
        }
        return nil
    }

    private static func compare(_ player: Player, _ answers: [[UInt8]]) throws {
        guard answers.count == player.operations.count else {
            throw Disagreement(reason: "\(answers.count) answers to \(player.operations.count) operations")
        }
        var invariants = RaftInvariants(looksSeldom: true)
        var points = player.points[...]
        for (position, operation) in player.operations.enumerated() {
            if answers[position].first == UInt8(ascii: "{"), player.program.mode == .lockstep {
                throw Disagreement(
                    reason: "the other side: \(operation.line): \(String(decoding: answers[position], as: UTF8.self))")
            }
            if case .crash(let id) = operation { invariants.sawCrash(of: id) }
            guard case .stabilize = operation else { continue }
            guard let theirs = StateReader.read(answers[position]) else {
                throw Disagreement(
                    reason: "the other side: not a state: \(String(decoding: answers[position], as: UTF8.self))")
            }
            if let wrong = invariants.look(at: theirs) {
                throw Disagreement(reason: "the other side, operation \(position + 1): \(wrong)")
            }
            guard let point = points.first, point.operation == position else { continue }
            points.removeFirst()
            if let difference = Comparison.difference(point, theirs) {
                throw Disagreement(
                    reason:
                        "after operation \(position + 1), \(point.what): \(difference)\n  ours   \(point.states.line)\n"
                        + "  theirs \(String(decoding: answers[position], as: UTF8.self))")
            }
            if player.program.mode == .chaos {
                var sides = [("our side", point.states)]
                if !player.operations.contains(where: \.takesOutItsLeader) { sides.append(("the other side", theirs)) }
                for (side, states) in sides {
                    guard let wrong = Comparison.unrest(states, epilogue: Player.epilogue) else { continue }
                    throw Disagreement(
                        reason: "\(side) did not come to rest: \(wrong)\n  ours   \(point.states.line)\n  theirs "
                            + String(decoding: answers[position], as: UTF8.self))
                }
            }
        }
    }

    /// Leaves out ever smaller runs of steps, as long as what is left still fails.
    private static func smallest(
        _ program: DifferentialProgram, reason: String, fails: (DifferentialProgram) throws -> String?
    ) throws -> (DifferentialProgram, String) {
        var best = (program, reason)
        var tries = 0
        var size = max(program.steps.count / 2, 1)
        while tries < 500 {
            var start = 0
            var shrank = false
            while start < best.0.steps.count, tries < 500 {
                var candidate = best.0
                candidate.steps.removeSubrange(start..<min(start + size, candidate.steps.count))
                tries += 1
                if let reason = try fails(candidate) {
                    best = (candidate, reason)
                    shrank = true
                } else {
                    start += size
                }
            }
            if size == 1 && !shrank { break }
            size = max(size / 2, 1)
        }
        return best
    }
}

extension RaftOperation {
    /// A leader is asked to demote or remove itself. Between two messages etcd's raft can be caught for good by that: the
    /// old leader has applied the change and campaigns no more, and nobody else can win, because its log is ahead. (Ongaro
    /// 4.2.2 has such a member campaign, and ours does.)
    fileprivate var takesOutItsLeader: Bool {
        guard case .configure(let id, let changes, _) = self else { return false }
        return changes.contains { $0.member == id && $0.kind != .voter }
    }
}

extension Differential.Totals {
    fileprivate mutating func count(_ player: Player) {
        programs += 1
        if player.program.mode == .lockstep { lockstep += 1 }
        operations += player.operations.count
        comparisons += player.points.count
        for point in player.points {
            wholeMembers += point.rules.count {
                if case .whole = $0 { true } else { false }
            }
        }
        guard let longest = player.states.max(by: { $0.log.count < $1.log.count }) else { return }
        elections += longest.log.count { $0.data.isEmpty && $0.change == nil }
        configurationChanges += longest.log.count { $0.change != nil }
    }
}
