// A cluster of consensus members and nothing else: no world, no state machine above, no time but what a program gives
// each member. Carries operations out one by one; the same program always gives the same states.
//
// Messages wait in one queue, in the order they were sent, until `stabilize` or `deliver`. A message is lost when its link
// is cut as it leaves or as it arrives, or when nobody runs at its end.

import Consensus

/// Carries out operations on the product's own Raft.
public struct LoneCluster: Sendable {
    /// One direction between two members.
    struct Link: Hashable {
        let from: UInt64
        let to: UInt64
    }

    /// By number; a member is changed where it lies, because copies of one are dear.
    private var members: [LoneMember?] = Array(repeating: nil, count: Int(RaftBounds.members.upperBound) + 1)
    private var messages: [Envelope] = []
    private var cuts: [Link] = []

    public init() {}

    /// Every member as it stands, in the order of their numbers.
    public private(set) var states: [MemberState] = []
    private var touched: [UInt64] = []

    func raft(_ id: UInt64) -> Raft? { members[Int(id)]?.raft }
    func isCut(from: UInt64, to: UInt64) -> Bool { cuts.contains(Link(from: from, to: to)) }
    /// Links with messages on their way, in the order of the oldest.
    var waitingLinks: [Link] {
        var links: [Link] = []
        for envelope in messages {
            let link = Link(from: envelope.from.rawValue, to: envelope.to.rawValue)
            if !links.contains(link) { links.append(link) }
        }
        return links
    }

    /// Whether any link is cut, in either direction.
    var hasCuts: Bool { !cuts.isEmpty }

    public mutating func perform(_ operation: RaftOperation) throws(RaftProgramError) {
        defer { lookAtTouched() }
        switch operation {
        case .start(let id, let voters, let learners): try start(id, voters: voters, learners: learners)
        case .campaign(let id): try act(id) { $0.campaign() }
        case .propose(let id, let data): try act(id) { $0.propose(data) }
        case .configure(let id, let changes, let transition): try configure(id, changes, transition)
        case .transfer(let id, let to): try act(id) { $0.transfer(to: to) }
        case .cut(let id, let to, let oneWay): try cut(id, to, oneWay: oneWay)
        case .heal: cuts = []
        case .stabilize: try stabilize()
        case .deliver(let from, let to, let count, let drop): try deliver(from, to, count: count, drop: drop)
        case .tick(let id, let count): try act(id) { $0.tick(count) }
        case .crash(let id): try act(id) { $0.crash() }
        case .restart(let id): try act(id) { $0.start() }
        case .compact(let id, let through): try act(id) { $0.compact(through: through) }
        case .read(let id): try act(id) { $0.read() }
        }
    }

    private mutating func start(_ id: UInt64, voters: [UInt64], learners: [UInt64]) throws(RaftProgramError) {
        guard members[Int(id)] == nil else { throw RaftProgramError("member \(id) was started already") }
        let voters = voters.map(MemberID.init(rawValue:))
        let learners = learners.map(MemberID.init(rawValue:))
        guard Configuration.isWellFormed(voters: voters, learners: learners) else {
            throw RaftProgramError(
                "a configuration has at most \(Configuration.mostVoters) voters, and nobody in it twice")
        }
        members[Int(id)] = LoneMember(id: id, initial: Configuration(voters: voters, learners: learners))
        try act(id) { _ in }
    }

    /// Lets something happen to a member, and takes what it sends.
    private mutating func act(_ id: UInt64, _ body: (inout LoneMember) -> Void) throws(RaftProgramError) {
        guard members[Int(id)] != nil else { throw RaftProgramError("member \(id) was not started") }
        change(id, body)
    }

    private mutating func change(_ id: UInt64, _ body: (inout LoneMember) -> Void) {
        var sent: [Envelope] = []
        if !touched.contains(id) { touched.append(id) }
        guard members[Int(id)] != nil else { return }
        body(&members[Int(id)]!)
        swap(&sent, &members[Int(id)]!.outbox)
        for envelope in sent where !isCut(from: envelope.from.rawValue, to: envelope.to.rawValue) {
            messages.append(envelope)
        }
    }

    private mutating func lookAtTouched() {
        for id in touched {
            guard let state = members[Int(id)]?.state else { continue }
            if let position = states.firstIndex(where: { $0.id >= id }) {
                if states[position].id == id { states[position] = state } else { states.insert(state, at: position) }
            } else {
                states.append(state)
            }
        }
        touched.removeAll(keepingCapacity: true)
    }

    // MARK: Configuration

    private mutating func configure(
        _ id: UInt64, _ changes: [MemberChange], _ transition: RaftOperation.Transition
    ) throws(RaftProgramError) {
        guard transition != .explicit else { throw NotInThisBuild.explicitTransitions.error }
        guard let raft = members[Int(id)]?.raft else { return try act(id) { _ in } }
        guard changes.count == 1, transition == .auto else {
            let exchange = try Self.exchange(changes, in: raft.configuration)
            return try act(id) { $0.propose(exchange) }
        }
        let member = MemberID(rawValue: changes[0].member)
        let isVoter = raft.configuration.isVoter(member)
        let isLearner = raft.configuration.learners.contains(member)
        let change: ConfigurationChange
        switch changes[0].kind {
        case .voter:
            if isVoter { return }
            guard isLearner else { throw NotInThisBuild.votersAtOnce.error }
            change = .promote(member)
        case .learner:
            if isLearner { return }
            change = isVoter ? .demote(member) : .addLearner(member)
        case .remove:
            guard isVoter || isLearner else { return }
            change = .remove(member)
        }
        try act(id) { $0.propose(change) }
    }

    /// Several wishes at once, or one that is to be carried out as if it were several.
    private static func exchange(
        _ changes: [MemberChange], in configuration: Configuration
    ) throws(RaftProgramError) -> ConfigurationChange {
        var voters = configuration.voters
        var removing: [MemberID] = []
        for change in changes {
            let member = MemberID(rawValue: change.member)
            voters.removeAll { $0 == member }
            removing.removeAll { $0 == member }
            switch change.kind {
            case .voter:
                guard configuration.contains(member) else { throw NotInThisBuild.votersAtOnce.error }
                voters.append(member)
            case .learner:
                guard configuration.contains(member) else { throw NotInThisBuild.learnersWithin.error }
            case .remove: if configuration.contains(member) { removing.append(member) }
            }
        }
        return .exchangeVoters(for: voters, removing: removing)
    }

    // MARK: Links and messages

    private mutating func cut(_ id: UInt64, _ to: UInt64?, oneWay: Bool) throws(RaftProgramError) {
        for other in to.map({ [$0] }) ?? Array(RaftBounds.members) where other != id {
            for link in oneWay ? [Link(from: id, to: other)] : [Link(from: id, to: other), Link(from: other, to: id)]
            where !cuts.contains(link) { cuts.append(link) }
        }
    }

    private mutating func stabilize() throws(RaftProgramError) {
        var delivered = 0
        while !messages.isEmpty {
            let batch = messages
            messages = []
            for envelope in batch { arrive(envelope) }
            delivered += batch.count
            guard delivered <= RaftBounds.deliveries else {
                throw RaftProgramError("\(delivered) messages did not bring the cluster to rest")
            }
        }
    }

    private mutating func deliver(_ from: UInt64, _ to: UInt64, count: Int?, drop: Bool) throws(RaftProgramError) {
        var left = count ?? .max
        var taken: [Envelope] = []
        messages.removeAll { envelope in
            guard left > 0, envelope.from.rawValue == from, envelope.to.rawValue == to else { return false }
            left -= 1
            taken.append(envelope)
            return true
        }
        if !drop { for envelope in taken { arrive(envelope) } }
    }

    private mutating func arrive(_ envelope: Envelope) {
        let to = envelope.to.rawValue
        guard RaftBounds.members.contains(to), members[Int(to)]?.isUp == true,
            !isCut(from: envelope.from.rawValue, to: to)
        else { return }
        change(to) { $0.handle(.received(envelope)) }
    }
}
