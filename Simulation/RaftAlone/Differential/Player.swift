// Plays a program on the product's Raft, and notes the operations it became and what must be compared afterwards.

import Consensus

/// A moment at which both sides are compared, and how.
struct ComparisonPoint {
    enum Rule {
        /// These members equal in everything printed but the kind of a member that does not lead.
        case whole
        /// Equal in term, vote, leadership and log; what is committed and applied may lag on either side.
        case unsettled
        /// Not compared.
        case free
    }

    /// The position of its `stabilize` among the operations.
    let operation: Int
    let states: [MemberState]
    /// One for each member.
    let rules: [Rule]
    /// The step it belongs to.
    let what: String
}

struct Player {
    let program: DifferentialProgram
    var cluster = LoneCluster()
    private(set) var operations: [RaftOperation] = []
    private(set) var points: [ComparisonPoint] = []
    private var invariants = RaftInvariants()
    /// The first rule that our side broke.
    private(set) var violation: String?
    /// Ticks since a member last heard of a leader; at most what it has been given since.
    var idle: SortedMap<UInt64, Int> = [:]
    private var values = 0
    /// The configuration committed last, as far as anybody has ever known.
    private(set) var configuration: Configuration?
    private var configurationCommit = LogIndex.zero

    init(_ program: DifferentialProgram) { self.program = program }

    var states: [MemberState] { cluster.states }

    mutating func perform(_ operation: RaftOperation) {
        guard violation == nil else { return }
        operations.append(operation)
        do {
            try cluster.perform(operation)
            if program.mode == .lockstep { learnConfiguration() }
            if case .tick(let id, let count) = operation { idle[id] = (idle[id] ?? 0) + count }
            if let wrong = invariants.look(at: cluster.states) { violation = "after \(operation.line): \(wrong)" }
        } catch {
            violation = "\(operation.line): \(error)"
        }
    }

    /// In lockstep a change is committed before anything else happens.
    private mutating func learnConfiguration() {
        for id in program.members {
            guard let raft = cluster.raft(id), raft.commitIndex > configurationCommit else { continue }
            (configuration, configurationCommit) = (raft.configuration, raft.commitIndex)
        }
    }

    mutating func value() -> String {
        values += 1
        return "a\(values)"
    }

    /// Notes that both sides are to be compared here. The last operation must be a `stabilize`.
    mutating func note(_ what: String) {
        guard violation == nil else { return }
        let states = states
        let rules = states.map { state in program.mode == .chaos ? .free : rule(for: state, among: states) }
        points.append(
            ComparisonPoint(operation: operations.count - 1, states: states, rules: rules, what: what))
    }

    private func rule(for state: MemberState, among states: [MemberState]) -> ComparisonPoint.Rule {
        guard isMember(state.id) else { return .free }
        guard let leader = mainLeader, isInTouch(state, with: leader) else { return .unsettled }
        return .whole
    }

    // MARK: Questions

    func state(_ id: UInt64) -> MemberState? { states.first { $0.id == id } }

    func isMember(_ id: UInt64) -> Bool { configuration?.contains(MemberID(rawValue: id)) ?? true }
    var voters: [UInt64] { configuration?.allVoters.map(\.rawValue) ?? program.voters }

    func areLinked(_ one: UInt64, _ other: UInt64) -> Bool {
        one == other || (!cluster.isCut(from: one, to: other) && !cluster.isCut(from: other, to: one))
    }

    /// Whether a leader reaches a majority of the voters.
    func hasQuorum(_ leader: MemberState) -> Bool {
        let states = states
        guard let configuration = cluster.raft(leader.id)?.configuration else { return false }
        return configuration.hasQuorum { voter in
            states.contains { $0.id == voter.rawValue && $0.isUp && areLinked($0.id, leader.id) }
        }
    }

    /// The leader of the newest term, if it reaches a majority.
    var mainLeader: MemberState? {
        guard let newest = states.filter(\.isLeader).max(by: { $0.term < $1.term }), hasQuorum(newest) else {
            return nil
        }
        return newest
    }

    func isInTouch(_ state: MemberState, with leader: MemberState) -> Bool {
        state.isUp && state.term == leader.term && state.lead == leader.id && areLinked(state.id, leader.id)
            && cluster.raft(leader.id)?.configuration.contains(MemberID(rawValue: state.id)) == true
    }

    /// Everybody is up, linked, and follows one leader.
    var calmLeader: MemberState? {
        guard !cluster.hasCuts, let leader = mainLeader else { return nil }
        let all = states.allSatisfy { !isMember($0.id) || isInTouch($0, with: leader) }
        return all ? leader : nil
    }
}
