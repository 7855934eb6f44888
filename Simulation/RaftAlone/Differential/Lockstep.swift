// Lockstep programs: elections are won or lost by the rules alone, because only those whose promise to an old leader has
// run out are asked, one campaigns at a time, and every message arrives before the next thing happens. Nobody's election
// timer runs out by itself: between two words from a leader a member is given at most eleven of its eighteen ticks.

import Consensus

extension Player {
    /// Ticks after which no promise of a member holds any more: ten, and one for the grain of a restart.
    private static let promiseTicks = 11

    mutating func playLockstep() {
        for operation in program.start { perform(operation) }
        // A new cluster has promised nothing.
        for id in program.members { idle[id] = Self.promiseTicks }
        elect(0)
        for step in program.steps where violation == nil { play(step) }
    }

    private mutating func play(_ step: DifferentialProgram.Step) {
        let (first, second) = (step.first, step.second)
        switch step.kind % 100 {
        case 0..<12: elect(first)
        case 12..<14: compact(first, second)
        case 14..<38: propose(1 + first % 3)
        case 38..<44: isolate(first)
        case 44..<52: cutPair(first, second)
        case 52..<60: heal()
        case 60..<67: crash(first)
        case 67..<77: restart(first)
        case 77..<83: transfer(first)
        case 83..<89: changeConfiguration(first, second)
        case 89..<92: exchangeVoters(first, second)
        case 92..<94: lapse(first)
        case 94..<96: disturb(first)
        case 96..<98: changeInVain(first, second)
        default: if second % 2 == 0 { read() } else { compact(first, second) }
        }
    }

    private mutating func pick(_ ids: [UInt64], _ draw: UInt64) -> UInt64? {
        ids.isEmpty ? nil : ids[Int(draw % UInt64(ids.count))]
    }

    /// Ends a step: whoever leads is heard of, and both sides are compared.
    private mutating func rest(_ what: String, beats: Int = 1) {
        perform(.stabilize)
        beat(beats)
        note(what)
    }

    private mutating func beat(_ times: Int) {
        for _ in 0..<times {
            guard let leader = mainLeader, violation == nil else { return }
            perform(.tick(id: leader.id, count: 1))
            perform(.stabilize)
            for state in states where isInTouch(state, with: leader) { idle[state.id] = 0 }
        }
    }

    private mutating func elect(_ draw: UInt64) {
        let states = states
        guard
            let id = pick(
                voters.filter { voter in states.contains { $0.id == voter && $0.isUp && !$0.isLeader } }, draw)
        else { return }
        for state in states where state.isUp && !state.isLeader && isMember(state.id) {
            let missing = Self.promiseTicks - (idle[state.id] ?? 0)
            if missing > 0 { perform(.tick(id: state.id, count: missing)) }
        }
        perform(.campaign(id: id))
        rest("campaign of \(id)", beats: 4)
    }

    /// Every leader takes values, those that nobody follows any more too.
    private mutating func propose(_ count: UInt64) {
        for leader in states where leader.isLeader {
            for _ in 0..<count { perform(.propose(id: leader.id, data: value())) }
        }
        rest("proposals")
    }

    /// A member in touch with the leader drops its log up to some entry it has applied.
    private mutating func compact(_ first: UInt64, _ second: UInt64) {
        guard let leader = mainLeader else { return }
        let inTouch = states.filter { isInTouch($0, with: leader) && isMember($0.id) && $0.commit >= $0.first }
        guard let id = pick(inTouch.map(\.id), first), let state = state(id) else { return }
        perform(.compact(id: id, through: state.first + (second >> 8) % (state.commit - state.first + 1)))
        rest("compaction at \(id)")
    }

    private mutating func isolate(_ draw: UInt64) {
        guard let id = pick(program.members, draw) else { return }
        perform(.cut(id: id, to: nil, oneWay: false))
        rest("cut of \(id)")
    }

    private mutating func cutPair(_ first: UInt64, _ second: UInt64) {
        guard let id = pick(program.members, first), let to = pick(program.members.filter { $0 != id }, second) else {
            return
        }
        perform(.cut(id: id, to: to, oneWay: false))
        rest("cut between \(id) and \(to)")
    }

    private mutating func heal() {
        perform(.heal)
        rest("heal", beats: 4)
    }

    private mutating func crash(_ draw: UInt64) {
        guard let id = pick(states.filter(\.isUp).map(\.id), draw) else { return }
        perform(.crash(id: id))
        rest("crash of \(id)")
    }

    private mutating func restart(_ draw: UInt64) {
        guard let id = pick(states.filter { !$0.isUp }.map(\.id), draw) else { return }
        perform(.restart(id: id))
        idle[id] = 0
        rest("restart of \(id)", beats: 4)
    }

    private mutating func transfer(_ draw: UInt64) {
        guard let leader = mainLeader else { return }
        let followers = states.filter { voters.contains($0.id) && $0.id != leader.id && isInTouch($0, with: leader) }
        guard let to = pick(followers.map(\.id), draw) else { return }
        beat(4)
        perform(.transfer(id: leader.id, to: to))
        rest("transfer from \(leader.id) to \(to)", beats: 4)
    }

    /// Whether a member needs no snapshot to be fed. One that is new would be given a snapshot from before it belonged to the
    /// cluster, which etcd's throws away until somebody takes a newer one, and ours takes.
    private func canFollow(_ id: UInt64, on leader: MemberState) -> Bool {
        state(id).map { $0.commit + 1 >= leader.first } ?? false
    }

    /// The pause before it is what our core asks for between two changes of the voters: the length of a lease.
    private mutating func changeConfiguration(_ first: UInt64, _ second: UInt64) {
        guard let leader = calmLeader, let id = pick(program.members, first), state(id)?.isUp == true,
            let configuration
        else { return }
        let member = MemberID(rawValue: id)
        let kind: MemberChange.Kind
        if configuration.isVoter(member) {
            guard configuration.voters.count > 1 else { return }
            kind = second % 2 == 0 ? .learner : .remove
        } else if configuration.contains(member) {
            kind = second % 4 == 0 ? .remove : .voter
        } else {
            guard canFollow(id, on: leader) else { return }
            kind = .learner
        }
        beat(8)
        perform(.configure(id: leader.id, changes: [MemberChange(kind, id)], transition: .auto))
        rest("change \(kind.rawValue)\(id)", beats: 4)
    }

    /// Several changes in one entry: a joint configuration, which both sides leave by themselves; ours when a lease has
    /// passed.
    private mutating func exchangeVoters(_ first: UInt64, _ second: UInt64) {
        guard let leader = calmLeader, let configuration,
            program.members.allSatisfy({ !isMember($0) || state($0)?.isUp == true })
        else { return }
        let changes = Self.exchange(in: configuration, second)
        guard !changes.isEmpty else { return }
        beat(8)
        let transition: RaftOperation.Transition = changes.count == 1 || first % 3 == 0 ? .implicit : .auto
        perform(.configure(id: leader.id, changes: changes, transition: transition))
        rest("exchange \(changes.map(\.description).joined(separator: " "))", beats: 9)
    }

    /// Who leaves, who votes from now on, who only learns: in the order both sides print them. None, when the voters would
    /// stay as they are or nobody would be left.
    static func exchange(in configuration: Configuration, _ draw: UInt64) -> [MemberChange] {
        var bits = Draw(state: draw)
        var (leaving, voting, learning): ([MemberChange], [MemberChange], [MemberChange]) = ([], [], [])
        var voters = configuration.voters.count
        var moved = 0
        for member in configuration.members {
            let isVoter = configuration.isVoter(member)
            switch bits.below(6) {
            case 0: leaving.append(MemberChange(.remove, member.rawValue))
            case 1 where isVoter: learning.append(MemberChange(.learner, member.rawValue))
            case 1...3 where !isVoter:
                voting.append(MemberChange(.voter, member.rawValue))
                voters += 1
                moved += 1
                continue
            default: continue
            }
            if isVoter {
                voters -= 1
                moved += 1
            }
        }
        guard voters > 0, voters <= Configuration.mostVoters, moved > 0 else { return [] }
        return leaving + voting + learning
    }

    /// A leader that reaches no majority gives up.
    private mutating func lapse(_ draw: UInt64) {
        guard let id = pick(states.filter { $0.isLeader && !hasQuorum($0) }.map(\.id), draw) else { return }
        perform(.tick(id: id, count: 45))
        rest("check of the quorum at \(id)")
    }

    /// A campaign against promises that hold changes nothing.
    private mutating func disturb(_ draw: UInt64) {
        guard let leader = calmLeader, let id = pick(voters.filter { $0 != leader.id }, draw) else { return }
        beat(1)
        perform(.campaign(id: id))
        rest("campaign of \(id) against a living leader", beats: 4)
    }

    /// The leader is asked, and so is every former one that reaches nobody and must not answer. (One that reaches some is
    /// not: how many heartbeats it takes until a lost append is sent again is each side's own affair.)
    private mutating func read() {
        let main = mainLeader?.id
        for leader in states where leader.isLeader {
            let reached = states.contains { $0.id != leader.id && $0.isUp && areLinked($0.id, leader.id) }
            if leader.id == main || !reached { perform(.read(id: leader.id)) }
        }
        rest("reads")
    }

    /// A leader that is cut off begins a change, the others elect another, and the change is taken back. Only where it
    /// cannot be committed meanwhile: with us a change is in force when it is in the log.
    private mutating func changeInVain(_ first: UInt64, _ second: UInt64) {
        guard let leader = calmLeader, voters.count >= 3, let other = pick(voters.filter { $0 != leader.id }, second)
        else { return }
        let spare = program.members.filter { state($0)?.isUp == true && $0 != leader.id }
        guard let id = pick(spare, first), let configuration else { return }
        let member = MemberID(rawValue: id)
        guard configuration.contains(member) || canFollow(id, on: leader) else { return }
        let kind: MemberChange.Kind =
            configuration.isVoter(member)
            ? (first % 7 < 3 ? .learner : .remove) : configuration.contains(member) ? .remove : .learner
        beat(8)
        perform(.cut(id: leader.id, to: nil, oneWay: false))
        perform(.configure(id: leader.id, changes: [MemberChange(kind, id)], transition: .auto))
        rest("change \(kind.rawValue)\(id) in vain")
        for state in states where state.id != leader.id && state.isUp && isMember(state.id) {
            let missing = Self.promiseTicks - (idle[state.id] ?? 0)
            if missing > 0 { perform(.tick(id: state.id, count: missing)) }
        }
        perform(.campaign(id: other))
        rest("campaign of \(other)", beats: 4)
        perform(.heal)
        rest("heal after a change in vain", beats: 4)
    }
}
