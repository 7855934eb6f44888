// Chaos programs: anything at any time, message by message. Two correct Rafts go different ways here (they send different
// messages, so losing "the third" loses different things). What is owed: the rules at every moment, rest within a bound
// once everything is mended, and from then on the same answers.

import Consensus

extension Player {
    /// Values that are proposed after everything has come to rest.
    static let epilogue = ["z1", "z2"]

    mutating func playChaos() {
        for operation in program.start { perform(operation) }
        perform(.campaign(id: 1))
        perform(.stabilize)
        for step in program.steps where violation == nil { play(chaos: step) }
        settle()
        for data in Self.epilogue {
            for id in program.members { perform(.propose(id: id, data: data)) }
            perform(.stabilize)
        }
        for _ in 0..<4 {
            for id in program.members { perform(.tick(id: id, count: 1)) }
            perform(.stabilize)
        }
        note("the end")
    }

    /// Ticks for everyone, turn by turn, so that election timers do not run out in the same moment.
    private mutating func settle() {
        perform(.heal)
        for id in program.members { perform(.restart(id: id)) }
        perform(.stabilize)
        for _ in 0..<12 {
            for id in program.members {
                perform(.tick(id: id, count: 5))
                perform(.stabilize)
            }
        }
    }

    private mutating func play(chaos step: DifferentialProgram.Step) {
        let members = program.members
        let one = members[Int(step.first % UInt64(members.count))]
        let other = members[Int(step.second % UInt64(members.count))]
        let draw = step.first >> 32
        let leaders = states.filter(\.isLeader).map(\.id)
        let leader = leaders.isEmpty || draw % 4 == 0 ? one : leaders[Int(draw % UInt64(leaders.count))]
        switch step.kind % 100 {
        case 0..<10: perform(.campaign(id: one))
        case 10..<25: perform(.propose(id: leader, data: value()))
        case 25..<32: perform(.tick(id: one, count: Int(1 + draw % 20)))
        case 32..<37:
            for id in members { perform(.tick(id: id, count: Int(1 + draw % 12))) }
        case 37..<52:
            perform(.deliver(from: one, to: other, count: Int(1 + draw % 3), drop: (step.kind >> 8) % 4 == 0))
        case 52..<60: perform(.cut(id: one, to: draw % 4 == 0 || one == other ? nil : other, oneWay: draw % 3 == 0))
        case 60..<64: perform(.heal)
        case 64..<69: perform(.crash(id: leader))
        case 69..<76: perform(.restart(id: one))
        case 76..<80: perform(.transfer(id: leader, to: other))
        case 80..<88: configure(leader, other, draw)
        case 88..<90: perform(.read(id: leader))
        case 90..<92: revive(leader, draw)
        case 92..<93:
            guard let state = state(one), state.isUp, state.commit >= state.first else { break }
            perform(.compact(id: one, through: state.first + draw % (state.commit - state.first + 1)))
        case 93..<97: walk(Int(1 + draw % 24), draw)
        default: perform(.stabilize)
        }
        switch (step.kind >> 16) % 8 {
        case 0: perform(.stabilize)
        case 1..<4: walk(Int(1 + draw % 12), step.kind >> 24)
        default: break
        }
    }

    /// Delivers single messages of whichever link the draw says, so that every state between two messages is seen.
    private mutating func walk(_ count: Int, _ draw: UInt64) {
        var random = Draw(state: draw)
        for _ in 0..<count where violation == nil {
            let links = cluster.waitingLinks
            guard !links.isEmpty else { return }
            let link = links[Int(random.below(UInt64(links.count)))]
            perform(.deliver(from: link.from, to: link.to, count: 1, drop: random.below(10) == 0))
        }
    }

    /// A leader takes what nobody else has, goes down, comes back and campaigns: the beginning of Ongaro's Figure 8.
    private mutating func revive(_ id: UInt64, _ draw: UInt64) {
        perform(.cut(id: id, to: nil, oneWay: false))
        for _ in 0..<2 { perform(.propose(id: id, data: value())) }
        perform(.crash(id: id))
        perform(.restart(id: id))
        perform(.heal)
        for member in program.members { perform(.tick(id: member, count: 11)) }
        perform(.campaign(id: id))
        walk(Int(8 + draw % 24), draw)
    }

    private mutating func configure(_ leader: UInt64, _ id: UInt64, _ draw: UInt64) {
        guard let configuration = cluster.raft(leader)?.configuration else { return }
        if draw % 3 == 0, !configuration.isJoint {
            let changes = Self.exchange(in: configuration, draw)
            guard !changes.isEmpty else { return }
            return perform(.configure(id: leader, changes: changes, transition: changes.count == 1 ? .implicit : .auto))
        }
        let member = MemberID(rawValue: id)
        let kind: MemberChange.Kind =
            if configuration.isVoter(member) {
                draw % 2 == 0 ? .learner : .remove
            } else if configuration.contains(member) {
                draw % 4 == 0 ? .remove : .voter
            } else {
                .learner
            }
        perform(.configure(id: leader, changes: [MemberChange(kind, id)], transition: .auto))
    }
}
