// An agent without a network: a replicated state to which commands are applied at once. What a real one would do later
// (let go of a role when asked to) it does at once, unless a test says otherwise.

@testable import Agent
import Cluster
import Consensus
import Glibc
import Runtime
import Synchronization

final class InMemoryAgent: AgentAccess {
    enum Mood: Sendable {
        case serving
        case noQuorum
        case overloaded
        /// Answers nothing until the test lets it.
        case holding
    }

    struct Inside {
        var state = ClusterState()
        var view: AgentView
        var mood = Mood.serving
        var ownRequests: UInt64 = 0
        /// Whether a holder that is asked to let go does so.
        var letsGo = true
        var readers: [AsyncStream<ClusterEvent>.Continuation] = []
        var held: [CheckedContinuation<Void, Never>] = []
        var heldSoFar = 0
        var heldWatchers: [(Int, CheckedContinuation<Void, Never>)] = []
        var leaderTransfers: [MemberID?] = []
    }

    let member: MemberID
    private let inside: Mutex<Inside>

    init(member: MemberID, voters: [MemberID], learners: [MemberID] = []) {
        self.member = member
        inside = Mutex(
            Inside(
                view: AgentView(
                    member: member, role: .leader, term: Term(rawValue: 3), leader: member, commitIndex: .zero,
                    appliedIndex: .zero, configuration: Configuration(voters: voters, learners: learners), silent: [],
                    lacking: [:], hasQuorumLease: true, holdsLease: true, isCurrent: true, openProposals: 0,
                    openReads: 0,
                    timing: Timing(), epoch: .first)))
    }

    var state: ClusterState { inside.withLock { $0.state } }
    func change<Result: Sendable>(_ change: @Sendable (inout Inside) -> Result) -> Result {
        inside.withLock { change(&$0) }
    }
    func set(_ mood: Mood) {
        let released = inside.withLock { inside in
            inside.mood = mood
            defer { inside.held = [] }
            return inside.held
        }
        for continuation in released { continuation.resume() }
    }

    /// Returns once so many requests are being held.
    func untilHolding(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let there = inside.withLock { inside in
                if inside.heldSoFar >= count { return true }
                inside.heldWatchers.append((count, continuation))
                return false
            }
            if there { continuation.resume() }
        }
    }

    /// Applies a command as the leader itself would.
    @discardableResult
    func apply(_ command: Command, actor: String = "test") -> Outcome { propose(command, nil, actor) }

    // MARK: AgentAccess

    func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    func submit(_ request: AgentRequest) async -> AgentResponse {
        await waitWhileHolding()
        let mood = inside.withLock { $0.mood }
        if case .overloaded = mood { return .failed(.overloaded) }
        switch request {
        case .readLocal: return inside.withLock { .state($0.state, $0.view) }
        case .recover: break
        case .read, .propose, .transferLeadership:
            if case .noQuorum = mood { return .failed(.noQuorum(detail: "2 of 3 voters are silent")) }
        }
        switch request {
        case .propose(let command, let stamp, let actor, _, let origin):
            if let origin, let objection = state.objection(to: origin) { return .failed(.forbidden(objection)) }
            return .outcome(propose(command, stamp, actor, origin))
        case .transferLeadership(let to, _):
            return inside.withLock { inside in
                inside.leaderTransfers.append(to)
                inside.view.leader = to
                return .outcome(Outcome(code: .done, message: "handed on", revision: inside.state.revision))
            }
        case .recover(let dead, let actor, let origin):
            guard case .noQuorum = mood else { return .failed(.refused("a majority of the voters answers")) }
            let epoch = Epoch(rawValue: state.epoch).next(drawn: 7)
            return .outcome(propose(.recover(epoch: epoch.rawValue, dead: dead), nil, actor, origin))
        case .read, .readLocal: return inside.withLock { .state($0.state, $0.view) }
        }
    }

    private func waitWhileHolding() async {
        await withCheckedContinuation { continuation in
            let (goes, watchers) = inside.withLock { inside -> (Bool, [CheckedContinuation<Void, Never>]) in
                guard case .holding = inside.mood else { return (true, []) }
                inside.held.append(continuation)
                inside.heldSoFar += 1
                let count = inside.heldSoFar
                let ready = inside.heldWatchers.filter { $0.0 <= count }.map(\.1)
                inside.heldWatchers.removeAll { $0.0 <= count }
                return (false, ready)
            }
            for watcher in watchers { watcher.resume() }
            if goes { continuation.resume() }
        }
    }

    func events(after: UInt64) -> AsyncStream<ClusterEvent> {
        AsyncStream(bufferingPolicy: .bufferingNewest(10_000)) { continuation in
            inside.withLock { inside in
                for event in inside.state.events where event.id > after { continuation.yield(event) }
                inside.readers.append(continuation)
            }
        }
    }

    private func propose(
        _ command: Command, _ stamp: RequestStamp?, _ actor: String, _ origin: CommandOrigin? = nil
    ) -> Outcome {
        inside.withLock { inside in
            inside.ownRequests += 1
            let own = RequestStamp(session: 1, request: inside.ownRequests, settled: inside.ownRequests - 1)
            let outcome = Self.apply(command, stamp ?? own, actor, origin, &inside)
            if case .release(let role, let epoch, _, _) = command, outcome.code == .done, inside.letsGo {
                inside.ownRequests += 1
                let next = RequestStamp(session: 1, request: inside.ownRequests, settled: inside.ownRequests - 1)
                _ = Self.apply(.released(role: role, epoch: epoch), next, "pve1", nil, &inside)
            }
            return outcome
        }
    }

    private static func apply(
        _ command: Command, _ stamp: RequestStamp, _ actor: String, _ origin: CommandOrigin?,
        _ inside: inout Inside
    ) -> Outcome {
        let last = inside.state.lastEventID
        let record = CommandRecord(
            stamp: stamp, milliseconds: wallClock, actor: actor, origin: origin, command: command)
        let outcome = inside.state.apply(record)
        for event in inside.state.events where event.id > last {
            for reader in inside.readers { reader.yield(event) }
        }
        return outcome
    }

    /// 2026-03-01T12:03:04.512Z: what people see in tests is always the same.
    static let wallClock: Int64 = 1_772_366_584_512
}
