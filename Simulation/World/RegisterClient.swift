// Clients of the replicated values: each does one thing at a time, tries the next member when one does not answer, and
// writes down what it was told. A retry carries the stamp of the first try, so it counts once.

import Agent
import Cluster
import Consensus
import SimulationChecks

struct RegisterClient {
    /// One try waits this long for its answer.
    static let patience: Int64 = 2_500_000_000
    /// After this long a request is given up, and its outcome stays unknown.
    static let limit: Int64 = 15_000_000_000

    struct Open {
        let operation: UInt64
        let key: String
        let action: Action
        let stamp: RequestStamp
        let began: Int64
        var tries = 0
    }

    let session: UInt64
    var draws: Draws
    var serial: UInt64 = 0
    var lastRequest: UInt64 = 0
    var lastValue: Int64 = 0
    var open: Open?
    /// What this client saw last of each key, to give its comparisons a chance.
    var seen: SortedMap<String, JSONValue> = [:]
    var target = 0
}

extension World {
    func startClients() {
        for index in 0..<plan.clients.count {
            var draws = Draws(seed: plan.seed, purpose: 10_000 + UInt64(index))
            let session = draws.next()
            clients.append(RegisterClient(session: session, draws: draws, target: index % machines.count))
            schedule(client: index, after: draws.number(0...plan.clients.think))
        }
    }

    private func schedule(client index: Int, after delay: Int64) {
        clients[index].serial += 1
        queue.push(.client(index, serial: clients[index].serial), at: now + delay)
    }

    /// Whether clients still begin something new.
    private var clientsWork: Bool { now - planBegan < plan.length }

    func clientStep(_ index: Int, serial: UInt64) {
        guard clients[index].serial == serial else { return }
        note(12, outside, UInt64(index))
        guard let open = clients[index].open else {
            if clientsWork { begin(client: index) }
            return
        }
        guard now - open.began < RegisterClient.limit else { return end(client: index, .unknown) }
        marks.reach(.requestTriedElsewhere)
        clients[index].target = (clients[index].target + 1) % machines.count
        attempt(client: index)
    }

    private func begin(client index: Int) {
        var client = clients[index]
        let key = "k\(client.draws.number(0...(plan.clients.keys - 1)))"
        client.lastValue += 1
        let value = JSONValue.string("\(index)-\(client.lastValue)")
        let action: Action
        switch client.draws.number(0...99) {
        case 0..<40: action = .get
        case 40..<75: action = .put(value)
        case 75..<93: action = .compareAndSet(expected: client.seen[key], value: value)
        default: action = .delete
        }
        client.lastRequest += 1
        lastOperation += 1
        let stamp = RequestStamp(
            session: client.session, request: client.lastRequest, settled: client.lastRequest - 1)
        client.open = RegisterClient.Open(
            operation: lastOperation, key: key, action: action, stamp: stamp, began: now)
        clients[index] = client
        record { history throws(HistoryFault) in
            try history.call(
                self.lastOperation, client: UInt64(index), key: key, action, at: self.now - self.planBegan)
        }
        attempt(client: index)
    }

    private func attempt(client index: Int) {
        guard var open = clients[index].open else { return }
        open.tries += 1
        clients[index].open = open
        schedule(client: index, after: RegisterClient.patience)
        let target = clients[index].target
        guard machines[target].hasJoined, let delay = carry(from: outside, to: target) else { return }
        let request: AgentRequest
        switch open.action {
        case .get: request = .read(deadline: .distantFuture)
        case .put(let value): request = propose(.put(key: open.key, value: text(value), expected: nil), open.stamp)
        case .delete: request = propose(.remove(key: open.key), open.stamp)
        case .compareAndSet(let expected, let value):
            let condition = expected.map { ExpectedValue.value(text($0)) } ?? .absent
            request = propose(.put(key: open.key, value: text(value), expected: condition), open.stamp)
        }
        queue.push(
            .request(machine: target, request, from: .client(index, serial: clients[index].serial)),
            at: now + delay.first)
    }

    private func propose(_ command: Command, _ stamp: RequestStamp) -> AgentRequest {
        .propose(command, stamp: stamp, actor: "client", deadline: .distantFuture)
    }

    private func text(_ value: JSONValue) -> String {
        if case .string(let text) = value { return text }
        preconditionFailure("clients write strings only")
    }

    func clientAnswer(_ index: Int, serial: UInt64, _ response: AgentResponse) {
        // An answer to an earlier try counts as lost: the client has closed that connection.
        guard clients[index].serial == serial, let open = clients[index].open else { return }
        note(13, outside, UInt64(index))
        switch response {
        case .failed: schedule(client: index, after: clients[index].draws.number(10_000_000...200_000_000))
        case .state(let state, _):
            let value = state.values[open.key].map { JSONValue.string($0.value) }
            clients[index].seen[open.key] = value
            marks.reach(.readAnswered)
            end(client: index, .ok(Answer(value: value, found: value != nil)))
        case .outcome(let outcome): end(client: index, completion(of: open, outcome, index))
        }
    }

    private func completion(of open: RegisterClient.Open, _ outcome: Outcome, _ index: Int) -> Completion {
        switch (open.action, outcome.code) {
        case (_, .expired): return .unknown
        case (.put(let value), .done):
            clients[index].seen[open.key] = value
            return .ok(Answer())
        case (.compareAndSet(_, let value), .done):
            clients[index].seen[open.key] = value
            return .ok(Answer(found: true))
        case (.compareAndSet, .conflict):
            marks.reach(.compareAndSetFailed)
            return .ok(Answer(found: false))
        case (.delete, .done):
            clients[index].seen[open.key] = nil
            return .ok(Answer(found: true))
        case (.delete, .notFound): return .ok(Answer(found: false))
        default:
            violate("unexpectedOutcome", "\(open.action) on \(open.key) was answered by \(outcome.code)")
            return .unknown
        }
    }

    private func end(client index: Int, _ completion: Completion) {
        guard let open = clients[index].open else { return }
        clients[index].open = nil
        if completion == .unknown { marks.reach(.requestUnknown) } else { result.acknowledged += 1 }
        result.operations += 1
        record { history throws(HistoryFault) in
            try history.complete(open.operation, completion, at: self.now - self.planBegan)
        }
        // A session is used again only while its requests are settled; one that is not gets a successor.
        if completion == .unknown {
            clients[index] = RegisterClient(
                session: clients[index].draws.next(), draws: clients[index].draws, serial: clients[index].serial,
                lastValue: clients[index].lastValue, seen: clients[index].seen, target: clients[index].target)
        }
        let think = clients[index].draws.number(plan.clients.think / 4...plan.clients.think * 2)
        schedule(client: index, after: think)
    }

    private func record(_ step: (inout History) throws(HistoryFault) -> Void) {
        do throws(HistoryFault) {
            try step(&history)
        } catch {
            violate("historyFault", "the run recorded something that is no history: \(error)")
        }
    }
}
