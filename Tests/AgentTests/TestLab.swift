// A small deterministic lab for tests of whole agents: a virtual clock, a network with a fixed delay, disks that take a
// moment, and kernels that enforce address leases. Ground truth (who answers for an address) is checked after every event.
// The full simulator is elsewhere; this one has just what the agent's own tests need.

import Agent
import Cluster
import Consensus
import Kinds
import Testing

struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

final class TestLab {
    struct Armed {
        var address: String
        var epoch: UInt64
        var until: Instant
    }

    final class Node {
        var setup: AgentSetup
        var core: AgentCore
        var isUp = true
        var isPaused = false
        var life: UInt64 = 1
        var hardState = HardState()
        var entries: [Entry] = []
        /// The two newest; one that arrived counts twice.
        var snapshots: [Snapshot] = []
        var armed: SortedMap<ResourceKey, Armed> = [:]
        var backlog: [AgentEvent] = []
        var responses: [RequestID: AgentResponse] = [:]
        var stopped = false
        /// Why its version could not go on.
        var halted: String?
        /// Why it ended for good.
        var failure: String?
        /// The events that were published, in order.
        var published: [UInt64] = []
        /// Whom it talks to; nil: everybody, as one does that was told of all members when it joined. Kept on disk.
        var peers: Set<MemberID>?

        init(setup: AgentSetup, now: Instant) {
            self.setup = setup
            core = AgentCore(setup: setup, hardState: HardState(), entries: [], now: now)
        }
    }

    enum Happening {
        case deliver(to: Int, PeerFrame, life: UInt64)
        case written(node: Int, LogWrite, life: UInt64)
        case saved(node: Int, Snapshot, copies: Int, life: UInt64)
        case report(node: Int, RoleReport, life: UInt64)
        case followed(node: Int, AuthorityBook, life: UInt64)
        case order(node: Int, AddressOrder, life: UInt64)
        case wake(node: Int, life: UInt64)
    }

    static let cluster = ClusterID(rawValue: 0xC1)
    var now = Instant(nanoseconds: 1_000_000_000)
    var random: SplitMix64
    var nodes: [Node] = []
    private var queue: [(at: Instant, order: UInt64, what: Happening)] = []
    private var order: UInt64 = 0
    var cuts: Set<[Int]> = []
    var networkDelay = Interval.microseconds(200)
    /// For members that are added from now on.
    var snapshots = SnapshotPolicy()
    var diskDelay = Interval.milliseconds(1)
    /// How long orders wait for a member's driver thread.
    var driverDelay: [Int: Interval] = [:]
    /// Members whose driver neither carries out nor answers a release.
    var deafToReleases: Set<Int> = []
    /// Members whose driver fails every hold.
    var failing: Set<Int> = []
    var lastRequest: UInt64 = 0
    /// Most owners any address ever had at one moment.
    var mostOwners = 0

    init(seed: UInt64 = 1) { random = SplitMix64(state: seed) }

    // MARK: Members

    func id(_ index: Int) -> MemberID { MemberID(rawValue: UInt64(index) + 1) }

    func add(_ name: String, _ kind: MemberKind, host: String = "", founds: String? = nil) -> Int {
        let index = nodes.count
        let record = MemberRecord(
            id: id(index), name: name, kind: kind, host: host, peerEndpoint: "\(name):7400",
            apiEndpoint: "\(name):7443", version: "1")
        var setup = AgentSetup(cluster: Self.cluster, record: record, founds: founds, session: random.next())
        setup.snapshots = snapshots
        nodes.append(Node(setup: setup, now: now))
        schedule(.wake(node: index, life: 1), after: .zero)
        return index
    }

    /// Founds a cluster with `pve1` and lets pve2, a witness and two guests join.
    static func five(seed: UInt64 = 1) -> TestLab {
        let lab = TestLab(seed: seed)
        _ = lab.add("pve1", .host, founds: "home")
        lab.run(for: .milliseconds(100))
        for (name, kind, host) in [
            ("pve2", MemberKind.host, ""), ("witness", .witness, ""), ("cp1", .guest, "pve1"), ("cp2", .guest, "pve2"),
        ] {
            _ = lab.join(name, kind, host: host)
        }
        lab.run(for: .seconds(2))
        return lab
    }

    /// A further member joins with a token of its own.
    func join(_ name: String, _ kind: MemberKind, host: String = "") -> Int {
        let index = add(name, kind, host: host)
        must(.createToken(JoinToken(id: name, secretHash: "h", kind: kind, expiresMilliseconds: .max)))
        must(.join(tokenID: name, secretHash: "h", member: nodes[index].setup.record))
        return index
    }

    func kill(_ index: Int) {
        let node = nodes[index]
        node.isUp = false
        node.life += 1
        node.backlog = []
    }

    func restart(_ index: Int) {
        let node = nodes[index]
        var setup = node.setup
        setup.session = random.next()
        node.isUp = true
        node.isPaused = false
        node.armed = [:]
        let restored = node.snapshots.last.flatMap { try? RestoredState($0) }
        let last = restored?.snapshot.mark.index ?? .zero
        node.core = AgentCore(
            setup: setup, hardState: node.hardState, restored: restored,
            entries: node.entries.filter { $0.index > last }, now: now)
        schedule(.wake(node: index, life: node.life), after: .zero)
    }

    func pause(_ index: Int) { nodes[index].isPaused = true }

    func resume(_ index: Int) {
        nodes[index].isPaused = false
        let waiting = nodes[index].backlog
        nodes[index].backlog = []
        turn(index, waiting)
    }

    func isolate(_ index: Int) {
        for other in nodes.indices where other != index {
            cuts.insert([index, other])
            cuts.insert([other, index])
        }
    }

    // MARK: Requests

    func request(_ command: Command, at index: Int, within: Interval = .seconds(2)) -> RequestID {
        lastRequest += 1
        let id = RequestID(rawValue: lastRequest)
        turn(index, [.request(id, .propose(command, stamp: nil, actor: "tester", deadline: now + within))])
        return id
    }

    /// Carries out a command at any member that is up, and waits for its success.
    func must(_ command: Command, at wanted: Int? = nil) {
        let index = wanted ?? nodes.firstIndex { $0.isUp && !$0.isPaused }!
        let request = request(command, at: index)
        run(for: .seconds(2)) { self.nodes[index].responses[request] != nil }
        guard case .outcome(let outcome)? = nodes[index].responses[request] else {
            Issue.record("\(command) was answered by \(String(describing: nodes[index].responses[request]))")
            return
        }
        #expect(outcome.succeeded, "\(outcome.message)")
    }

    static func address(
        _ name: String, _ address: String, candidates: [String], preempt: String = "never"
    ) -> Declaration {
        Declaration(
            kind: "VirtualIP", name: name,
            spec: [
                "address": .string("\(address)/24"), "preempt": .string(preempt),
                "candidates": .array(candidates.map { ["member": .string($0)] }),
            ])
    }

    func declare(_ declarations: [Declaration]) { must(.apply(declarations: declarations, checkRevision: nil)) }

    func declareAddress(_ name: String, _ address: String, candidates: [String], preempt: String = "never") {
        declare([Self.address(name, address, candidates: candidates, preempt: preempt)])
    }

    // MARK: What is true

    func owners(_ role: ResourceKey) -> [Int] {
        nodes.indices.filter { (nodes[$0].armed[role]?.until ?? .distantPast) > now }
    }

    /// Who answers for an address, under whatever role.
    func owners(of address: String) -> [Int] {
        nodes.indices.filter { index in
            nodes[index].armed.values.contains { $0.address == address && $0.until > now }
        }
    }

    func leader() -> Int? {
        nodes.indices.filter { nodes[$0].isUp && nodes[$0].core.raft.isLeader }
            .max { nodes[$0].core.raft.term < nodes[$1].core.raft.term }
    }

    func index(of name: String) -> Int { nodes.firstIndex { $0.setup.record.name == name }! }

    // MARK: Running

    /// Runs until `condition` holds, or for the given time at most.
    func run(for length: Interval, until condition: () -> Bool = { false }) {
        let end = now + length
        var steps = 0
        while !condition(), let next = earliest(), queue[next].at <= end {
            let happening = queue.remove(at: next)
            now = max(now, happening.at)
            steps += 1
            guard steps < 200_000 else {
                Issue.record("the lab does not come to rest: 200,000 events before \(end)")
                return
            }
            perform(happening.what)
            checkOwners()
        }
        if !condition() { now = max(now, end) }
    }

    private func earliest() -> Int? {
        queue.indices.min { (queue[$0].at, queue[$0].order) < (queue[$1].at, queue[$1].order) }
    }

    private func schedule(_ what: Happening, after delay: Interval) {
        order += 1
        queue.append((now + delay, order, what))
    }

    private func perform(_ what: Happening) {
        switch what {
        case .deliver(let to, let frame, let life):
            guard nodes[to].isUp, nodes[to].life == life, nodes[to].peers?.contains(frame.from) != false else { return }
            turn(to, [.frame(frame)])
        case .written(let index, let write, let life):
            guard nodes[index].life == life else { return }
            store(write, on: nodes[index])
            for envelope in write.thenSend { send(PeerFrame(envelope), from: index) }
            turn(index, [.persisted(write.sequence)])
        case .saved(let index, let snapshot, let copies, let life):
            guard nodes[index].life == life else { return }
            nodes[index].snapshots += Array(repeating: snapshot, count: copies)
            nodes[index].snapshots = nodes[index].snapshots.suffix(2)
            let older = nodes[index].snapshots.count == 2 ? nodes[index].snapshots[0].mark.index : .zero
            turn(index, [.snapshotStored(snapshot, dropThrough: older)])
        case .followed(let index, let book, let life):
            guard nodes[index].life == life else { return }
            let news = IdentityNews(expires: 1, signedBy: book.trusted[0].pin, preparedFor: book.newest)
            turn(index, [.identityChanged(news)])
        case .report(let index, let report, let life):
            guard nodes[index].life == life else { return }
            turn(index, [.report(report)])
        case .order(let index, let order, let life):
            guard nodes[index].life == life else { return }
            carryOut(order, on: index)
        case .wake(let index, let life):
            guard nodes[index].life == life, nodes[index].core.nextDeadline <= now else { return }
            turn(index, [.tick])
        }
    }

    private func store(_ write: LogWrite, on node: Node) {
        if let hardState = write.hardState { node.hardState = hardState }
        if write.restartsBehind != nil { node.entries = [] }
        if let first = write.entries.first {
            node.entries.removeAll { $0.index >= first.index }
            node.entries += write.entries
        }
    }

    func turn(_ index: Int, _ events: [AgentEvent]) {
        let node = nodes[index]
        guard node.isUp else { return }
        if node.isPaused {
            node.backlog += events
            return
        }
        let effects = node.core.handle(
            events, now: now, wallMilliseconds: now.nanoseconds / 1_000_000, random: &random)
        for effect in effects { perform(effect, on: index) }
        schedule(
            .wake(node: index, life: node.life), after: max(node.core.nextDeadline - now, .nanoseconds(1)))
    }

    private func perform(_ effect: AgentEffect, on index: Int) {
        let node = nodes[index]
        switch effect {
        case .send(let frame): send(frame, from: index)
        case .persist(let write): schedule(.written(node: index, write, life: node.life), after: diskDelay)
        case .takeSnapshot(let mark, let state):
            let snapshot = Snapshot(mark: mark, bytes: state.encoded)
            schedule(.saved(node: index, snapshot, copies: 1, life: node.life), after: diskDelay * 2)
        case .storeSnapshot(let snapshot):
            schedule(.saved(node: index, snapshot, copies: 2, life: node.life), after: diskDelay * 2)
        case .dropLog(let last): node.entries.removeAll { $0.index <= last }
        case .respond(let request, let response): node.responses[request] = response
        case .address(let order):
            if let delay = driverDelay[index] {
                schedule(.order(node: index, order, life: node.life), after: delay)
            } else {
                carryOut(order, on: index)
            }
        case .stopped, .restartMachine: node.stopped = true
        case .halt(let words):
            node.halted = words
            kill(index)
        case .failed(let why):
            node.failure = why
            kill(index)
            if !why.contains("recovered without this member") { Issue.record("an agent gave up: \(why)") }
        case .peers(let peers): node.peers = Set(peers.map(\.id))
        case .events(let events): node.published += events.map(\.id)
        case .guests, .fence, .watchdog: break
        case .authorities(let book): schedule(.followed(node: index, book, life: node.life), after: diskDelay * 5)
        case .healthChecks, .standReady, .log, .named: break
        }
    }

    private func send(_ frame: PeerFrame, from index: Int) {
        guard let to = nodes.indices.first(where: { id($0) == frame.to }), !cuts.contains([index, to]),
            nodes[index].peers?.contains(frame.to) != false
        else { return }
        schedule(.deliver(to: to, frame, life: nodes[to].life), after: networkDelay)
    }

    private func carryOut(_ order: AddressOrder, on index: Int) {
        let node = nodes[index]
        switch order {
        case .hold(let role, let addresses, let epoch, let until):
            guard until > now else { return }
            guard !failing.contains(index) else {
                let report = RoleReport.failed(role: role, epoch: epoch, reason: "no such interface")
                return schedule(.report(node: index, report, life: node.life), after: .microseconds(100))
            }
            node.armed[role] = Armed(address: VirtualIPSpec.text(of: addresses), epoch: epoch, until: until)
            schedule(
                .report(node: index, .holding(role: role, epoch: epoch), life: node.life), after: .microseconds(100))
        case .release(let role, _, let epoch, _):
            guard !deafToReleases.contains(index) else { return }
            node.armed[role] = nil
            schedule(
                .report(node: index, .released(role: role, epoch: epoch), life: node.life), after: .microseconds(100))
        case .drop(let role, _): node.armed[role] = nil
        }
    }

    private func checkOwners() {
        for armed in nodes.flatMap({ $0.armed.values }) {
            mostOwners = max(mostOwners, owners(of: armed.address).count)
        }
    }
}

extension TestLab {
    func stop(_ index: Int) { turn(index, [.stop]) }
    func transferLeadership(to index: Int) -> AgentResponse? {
        lastRequest += 1
        let request = RequestID(rawValue: lastRequest)
        let leader = leader()!
        turn(leader, [.request(request, .transferLeadership(to: id(index), deadline: now + .seconds(1)))])
        return nodes[leader].responses[request]
    }

    func report(_ index: Int, _ report: RoleReport) { turn(index, [.report(report)]) }

    func read(at index: Int) -> AgentResponse? {
        lastRequest += 1
        let id = RequestID(rawValue: lastRequest)
        turn(index, [.request(id, .read(deadline: now + .seconds(2)))])
        run(for: .seconds(2)) { self.nodes[index].responses[id] != nil }
        return nodes[index].responses[id]
    }

}
