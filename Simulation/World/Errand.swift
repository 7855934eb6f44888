// What people ask of the cluster: an operator's command is tried at one member after the other until one says that it is
// done, or that it cannot be.

import Agent
import Cluster
import Consensus

/// One command of a person, under way.
struct Errand {
    static let patience: Int64 = 3_000_000_000

    let what: Happening?
    let request: AgentRequest
    /// Tried until then, true nanoseconds.
    let until: Int64
    var target: Int
    var serial = 0
    var isDone = false
    var succeeded = false
    var words = ""
}

extension World {
    /// Sends a person on an errand. The stamp makes every further try harmless.
    @discardableResult
    func send(_ command: Command, for what: Happening? = nil, at target: Int, within: Int64 = 30_000_000_000) -> Int {
        let stamp = RequestStamp(session: peopleDraws.next(), request: 1, settled: 0)
        return send(
            .propose(command, stamp: stamp, actor: "operator", deadline: .distantFuture), for: what, at: target,
            within: within)
    }

    @discardableResult
    func send(
        _ request: AgentRequest, for what: Happening? = nil, at target: Int, within: Int64 = 30_000_000_000
    ) -> Int {
        people.append(Errand(what: what, request: request, until: now + within, target: target))
        tryErrand(people.count - 1)
        return people.count - 1
    }

    func tryErrand(_ number: Int) {
        guard !people[number].isDone else { return }
        guard now < people[number].until else {
            people[number].isDone = true
            people[number].words = "nobody answered in time"
            return
        }
        people[number].serial += 1
        let (serial, target) = (people[number].serial, people[number].target)
        people[number].target = (target + 1) % machines.count
        let isThere = machines[target].hasJoined && !wires.isCut(from: outside, to: target)
        queue.push(.operatorRetry(number), at: now + (isThere ? Errand.patience : 50_000_000))
        guard isThere, machines[target].process != nil else { return }
        accept(people[number].request, at: machines[target], from: .person(number, serial: serial))
    }

    func errandAnswered(_ number: Int, serial: Int, _ response: AgentResponse) {
        guard people[number].serial == serial, !people[number].isDone else { return }
        guard case .outcome(let outcome) = response else { return }
        people[number].isDone = true
        people[number].succeeded = outcome.succeeded
        people[number].words = outcome.message
        if !outcome.succeeded, let what = people[number].what { tell("\(what): \(outcome.code), \(outcome.message)") }
    }

    /// Any member that could take a request now.
    var anyMember: Int {
        machines.first { $0.process != nil && $0.hasJoined && !wires.isCut(from: outside, to: $0.index) }?.index ?? 0
    }

    /// What an operator asks for in a plan.
    func ask(_ happening: Happening) {
        switch happening {
        case .join(let name): if let machine = machine(named: name), !machine.hasJoined { join(machine) }
        case .remove(let name):
            guard let machine = machine(named: name) else { return }
            marks.reach(.memberRemoved)
            send(.removeMember(machine.id), for: happening, at: anyMember)
        case .move(let address, let member): move(address, member, happening)
        case .transferLeadership(let name):
            let target = name.flatMap { machine(named: $0)?.id }
            guard let leader = machines.first(where: { $0.process?.core.raft.isLeader == true }) else { return }
            marks.reach(.leadershipTransferred)
            send(
                .transferLeadership(to: target, deadline: .distantFuture), for: happening, at: leader.index,
                within: 1_000_000_000)
        case .redeclare(let name, let candidates, let preempt):
            guard let old = plan.addresses.first(where: { $0.name == name }) else { return }
            var address = old
            address.candidates = candidates
            address.preempt = preempt
            send(.apply(declarations: [Self.declaration(address)], checkRevision: nil), for: happening, at: anyMember)
        case .delete(let name):
            let key = ResourceKey(kind: "VirtualIP", name: name)
            send(.delete(keys: [key], checkRevision: nil), for: happening, at: anyMember)
        case .tryOut(let name, let candidates, let length):
            guard var address = plan.addresses.first(where: { $0.name == name }) else { return }
            address.candidates = candidates
            send(
                .apply(
                    declarations: [Self.declaration(address)], checkRevision: nil,
                    trialMilliseconds: length / 1_000_000), for: happening, at: anyMember)
        case .rollBack:
            guard let newest = machines[anyMember].process?.core.state.declarationChanges.last else { return }
            send(
                .rollBack(revision: newest.revision - 1, checkRevision: nil), for: happening, at: anyMember)
        case .retime(let lease):
            let declaration = Self.declaration(quorumLease: lease)
            send(.apply(declarations: [declaration], checkRevision: nil), for: happening, at: anyMember)
        default: break
        }
    }

    /// `vip move`, as the API carries it out: it reads the role, and asks its holder to let go of that epoch.
    private func move(_ address: String, _ member: String, _ happening: Happening) {
        let role = ResourceKey(kind: "VirtualIP", name: address)
        guard let target = machine(named: member)?.id, let core = machines[anyMember].process?.core,
            let record = core.state.roles[role], record.holder != nil, record.holder != target
        else { return }
        send(
            .release(role: role, epoch: record.epoch, to: target, reason: "moved by hand"), for: happening,
            at: anyMember)
    }

    static func declaration(_ address: Plan.Address) -> Declaration {
        var spec: SortedMap<String, JSONValue> = [
            "address": .string("\(address.address)/24"), "preempt": .string(address.preempt),
            "candidates": .array(address.candidates.map { ["member": .string($0)] }),
        ]
        // Which check does not matter: the world says what it finds.
        if address.follows { spec["follow"] = ["tcp": "127.0.0.1:53"] }
        return Declaration(kind: "VirtualIP", name: address.name, spec: .object(spec))
    }

    static func declaration(quorumLease: Int64) -> Declaration {
        let promise = quorumLease + 30
        return Declaration(
            kind: "Cluster", name: "simulated",
            spec: [
                "quorumLease": .string("\(quorumLease)ms"), "promise": .string("\(promise)ms"),
                "memberLease": .string("\(quorumLease)ms"), "heartbeat": "50ms",
                "electionTimeout": ["least": .string("\(promise + 30)ms"), "most": .string("\(promise + 280)ms")],
            ])
    }
}
