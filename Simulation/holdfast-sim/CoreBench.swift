// How fast the consensus core is with nothing around it: three members in one loop, messages handed over in memory, every
// write durable at once. `Simulation/RaftAlone/oracle --bench` does the same with etcd's raft.

import Consensus

/// Three replicas in one loop. A round proposes a batch at the leader and goes on until nothing is on its way.
struct CoreBench {
    private struct Draws: RandomNumberGenerator {
        var state: UInt64 = 42
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state
        }
    }

    private var members: [Raft]
    private var queue: [Envelope] = []
    private var delivered = 0
    private var effects: [Effect] = []
    private var committed: [LogIndex]
    private var now = Instant(nanoseconds: 1_000_000_000)
    private var random = Draws()

    init() {
        let ids = (1...3).map { MemberID(rawValue: $0) }
        let instant = now
        members = ids.map { id in
            Raft(
                id: id, cluster: ClusterID(rawValue: 1), timing: Timing(), limits: Limits(), rank: .preferred,
                incarnation: id.rawValue, hardState: HardState(), entries: [],
                initialConfiguration: Configuration(voters: ids), now: instant)
        }
        committed = [.zero, .zero, .zero]
    }

    /// Entries committed on all three members, and how long that took in seconds of this thread's processor time.
    mutating func run(rounds: Int, batch: Int, bytes: Int) -> (entries: Int, seconds: Double) {
        elect()
        let payload = [UInt8](repeating: 0x76, count: bytes)
        let before = committed[0]
        let begun = Corpus.threadSeconds()
        for round in 1...rounds {
            // One by one, as requests arrive; what they come to leaves together.
            for _ in 0..<batch {
                guard case .success = members[0].propose([payload], now: now) else {
                    preconditionFailure("the leader refused round \(round)")
                }
            }
            settle(0)
            deliver()
            // What is applied and covered goes, as it does in an agent.
            if round.isMultiple(of: 64) { compact() }
            now = now + .microseconds(100)
        }
        let seconds = Corpus.threadSeconds() - begun
        // The last commit reaches the followers with a heartbeat.
        for _ in 0..<20 where !committed.allSatisfy({ $0 == members[0].log.lastIndex }) {
            now = now + .milliseconds(60)
            tick()
        }
        precondition(
            committed.allSatisfy { $0 == members[0].log.lastIndex }, "not all is committed everywhere: \(committed)")
        return (Int(committed[0].rawValue - before.rawValue), seconds)
    }

    /// Rounds of heartbeats with their answers and leases, when there is nothing else to do.
    /// - Returns: messages, and how often memory was asked for; nil when nobody counts.
    mutating func rest(rounds: Int) -> (messages: Int, allocations: Int?) {
        for position in members.indices { members[position].wantsLease = true }
        elect()
        var counted: (messages: Int, allocations: Int?) = (0, nil)
        // What the first rounds grow (queues, the table of leases) stays.
        for round in -200..<rounds {
            if round == 0 { counted = (delivered, AllocationCount.ofThisThread) }
            now = now + .milliseconds(50)
            tick()
        }
        let allocations = AllocationCount.ofThisThread.flatMap { now in counted.allocations.map { now - $0 } }
        return (delivered - counted.messages, allocations)
    }

    private mutating func elect() {
        now = now + .seconds(2)
        members[0].handle(.tick, now: now, random: &random)
        settle(0)
        deliver()
        now = now + .milliseconds(60)
        tick()
        precondition(members[0].isLeader, "the first member was not elected")
    }

    private mutating func tick() {
        for position in members.indices {
            members[position].handle(.tick, now: now, random: &random)
            settle(position)
        }
        deliver()
    }

    private mutating func deliver() {
        var next = 0
        while next < queue.count {
            let envelope = queue[next]
            next += 1
            let position = Int(envelope.to.rawValue) - 1
            members[position].handle(.received(envelope), now: now, random: &random)
            settle(position)
        }
        delivered += next
        queue.removeAll(keepingCapacity: true)
    }

    private mutating func settle(_ position: Int) {
        while members[position].hasOutput {
            effects.removeAll(keepingCapacity: true)
            members[position].flush(now: now, into: &effects)
            var written: [WriteSequence] = []
            for effect in effects {
                switch effect {
                case .send(let envelope): queue.append(envelope)
                case .persist(let write):
                    queue.append(contentsOf: write.thenSend)
                    written.append(write.sequence)
                case .committed(let index): committed[position] = index
                default: break
                }
            }
            for sequence in written { members[position].handle(.persisted(sequence), now: now, random: &random) }
        }
    }

    private mutating func compact() {
        for position in members.indices {
            guard let mark = members[position].snapshotMark(at: committed[position]) else { continue }
            members[position].handle(.snapshotStored(Snapshot(mark: mark, bytes: [])), now: now, random: &random)
            settle(position)
            members[position].compact(through: mark.index)
        }
    }
}
