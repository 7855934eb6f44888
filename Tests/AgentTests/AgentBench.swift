// One agent on a bench: the test plays the other members, the driver and the disk (whose writes are durable at once).

import Agent
import Cluster
import Consensus
import Kinds
import Testing

struct AgentBench {
    static let cluster = ClusterID(rawValue: 0xB1)
    static let own = MemberID(rawValue: 1)
    static let peer = MemberID(rawValue: 2)
    static let session: UInt64 = 7
    static let api = ResourceKey(kind: "VirtualIP", name: "api")

    var core: AgentCore
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private var random = SplitMix64(state: 42)
    private var lastRequest: UInt64 = 0
    /// Everything that came out, oldest first.
    private(set) var sent: [PeerFrame] = []
    private(set) var orders: [AddressOrder] = []
    private(set) var guestOrders: [GuestOrder] = []
    private(set) var fenceOrders: [FenceOrder] = []
    private(set) var watchdogOrders: [WatchdogOrder] = []
    /// Snapshots that arrived and are to be made durable.
    private(set) var stored: [Snapshot] = []
    private(set) var responses: SortedMap<RequestID, AgentResponse> = [:]
    private(set) var books: [AuthorityBook] = []
    private(set) var names: [String] = []
    private(set) var logged: [String] = []
    private(set) var stopped = false
    /// What the watchdog's driver answers; nil: it is armed.
    var watchdogFailure: String?
    /// The driver answers nothing.
    var watchdogIsSilent = false
    private(set) var restartsMachine = false

    init(kind: MemberKind = .host, founds: String?, hardState: HardState = HardState()) {
        let record = Self.record(Self.own, "pve1", kind)
        core = AgentCore(
            setup: AgentSetup(cluster: Self.cluster, record: record, founds: founds, session: Self.session),
            hardState: hardState, entries: [], now: now)
    }

    /// A member that has founded its cluster and leads it alone.
    static func founder(kind: MemberKind = .host) -> AgentBench {
        var bench = AgentBench(kind: kind, founds: "home")
        bench.run(for: .seconds(1))
        return bench
    }

    /// A member that follows `peer`, with a log of its own making.
    static func follower(of commands: [Command], commit: Int) -> AgentBench {
        var bench = AgentBench(founds: nil)
        bench.consensus(.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)))
        bench.append(commands, after: 0, commit: commit)
        return bench
    }

    static func record(_ id: MemberID, _ name: String, _ kind: MemberKind) -> MemberRecord {
        MemberRecord(
            id: id, name: name, kind: kind, peerEndpoint: "\(name):7400", apiEndpoint: "\(name):7443", version: "1")
    }

    static func address(
        _ address: String = "192.168.1.99/24", candidates: [String] = ["pve1"], follow: JSONValue? = nil
    )
        -> Command
    {
        var spec: SortedMap<String, JSONValue> = [
            "address": .string(address), "preempt": "never",
            "candidates": .array(candidates.map { ["member": .string($0)] }),
        ]
        spec["follow"] = follow
        return .apply(
            declarations: [Declaration(kind: api.kind, name: api.name, spec: .object(spec))], checkRevision: nil)
    }

    // MARK: Time and events

    mutating func turn(_ events: [AgentEvent] = [.tick]) {
        var events = events
        while !events.isEmpty {
            let effects = core.handle(
                events, now: now, wallMilliseconds: now.nanoseconds / 1_000_000, random: &random)
            events = []
            for effect in effects {
                switch effect {
                case .send(let frame): sent.append(frame)
                case .persist(let write):
                    sent += write.thenSend.map(PeerFrame.init)
                    events.append(.persisted(write.sequence))
                case .respond(let request, let response): responses[request] = response
                case .address(let order): orders.append(order)
                case .stopped, .halt, .failed: stopped = true
                case .restartMachine: restartsMachine = true
                case .takeSnapshot(let mark, let state):
                    events.append(.snapshotStored(Snapshot(mark: mark, bytes: state.encoded), dropThrough: .zero))
                case .storeSnapshot(let snapshot): stored.append(snapshot)
                case .guests(let order): guestOrders.append(order)
                case .fence(let order): fenceOrders.append(order)
                case .watchdog(let order):
                    watchdogOrders.append(order)
                    if case .feed(let until, _) = order, !watchdogIsSilent {
                        events.append(.watchdog(WatchdogReport(until: until, failure: watchdogFailure)))
                    }
                case .authorities(let book): books.append(book)
                case .named(let name): names.append(name)
                case .log(let words): logged.append(words)
                case .healthChecks, .standReady, .peers, .events, .dropLog: break
                }
            }
        }
    }

    /// Lets time pass, and the agent do whatever is due.
    mutating func run(for length: Interval) {
        let end = now + length
        var steps = 0
        while core.nextDeadline <= end {
            steps += 1
            guard steps < 50_000 else {
                Issue.record("the agent does not come to rest: it asks to be woken at \(core.nextDeadline), and is")
                return
            }
            now = max(now, core.nextDeadline) + .nanoseconds(1)
            turn()
        }
        now = max(now, end)
    }

    /// Time passes, and nobody wakes the agent.
    mutating func pass(_ length: Interval) { now = now + length }

    mutating func report(_ report: RoleReport) { turn([.report(report)]) }

    // MARK: Requests

    mutating func newRequest() -> RequestID {
        lastRequest += 1
        return RequestID(rawValue: lastRequest)
    }

    @discardableResult
    mutating func request(_ command: Command, stamp: RequestStamp? = nil) -> RequestID {
        let request = newRequest()
        turn([.request(request, .propose(command, stamp: stamp, actor: "tester", deadline: now + .seconds(2)))])
        return request
    }

    @discardableResult
    mutating func read() -> RequestID {
        let request = newRequest()
        turn([.request(request, .read(deadline: now + .seconds(2)))])
        return request
    }

    mutating func forget() {
        sent = []
        orders = []
    }

    var epoch: UInt64 { core.state.roles[Self.api]?.epoch ?? 0 }
    var phase: RoleRecord.Phase? { core.state.roles[Self.api]?.phase }

    // MARK: The other member

    mutating func frame(_ body: PeerFrame.Body, cluster: ClusterID = cluster) {
        turn([.frame(PeerFrame(cluster: cluster, from: Self.peer, to: Self.own, body: body))])
    }

    mutating func consensus(_ message: Message) { frame(.consensus(Term(rawValue: 1), message)) }

    mutating func append(_ commands: [Command], after last: UInt64, commit: Int) {
        append(records: Self.encoded(commands, after: last), after: last, commit: commit)
    }

    static func encoded(_ commands: [Command], after last: UInt64) -> [[UInt8]?] {
        commands.enumerated().map { offset, command in
            let index = last + UInt64(offset) + 1
            return try? CanonicalJSON.encode(
                CommandRecord(
                    stamp: RequestStamp(session: 99, request: index, settled: index - 1), milliseconds: 0,
                    actor: "tester", command: command))
        }
    }

    /// - Parameter records: encoded; nil for what has no encoding.
    mutating func append(records: [[UInt8]?], after last: UInt64, commit: Int) {
        let entries = records.enumerated().map { offset, bytes in
            Entry(
                index: LogIndex(rawValue: last + UInt64(offset) + 1), term: Term(rawValue: 1),
                payload: bytes.map(Entry.Payload.command) ?? .empty)
        }
        consensus(
            .appendRequest(
                AppendRequest(
                    previousIndex: LogIndex(rawValue: last), previousTerm: Term(rawValue: last == 0 ? 0 : 1),
                    entries: entries, commit: LogIndex(rawValue: UInt64(commit)))))
    }

    /// A snapshot from the other member, in one part.
    mutating func receive(_ snapshot: Snapshot) {
        consensus(
            .snapshotChunk(
                SnapshotChunk(
                    mark: snapshot.mark, size: snapshot.bytes.count, checksum: snapshot.checksum, offset: 0,
                    bytes: snapshot.bytes)))
    }

    /// A snapshot of `state` arrives and becomes durable.
    mutating func install(_ state: ClusterState, through index: UInt64) {
        receive(
            Snapshot(
                mark: SnapshotMark(
                    index: LogIndex(rawValue: index), term: Term(rawValue: 1),
                    configuration: Configuration(voters: [Self.peer, Self.own])), bytes: state.encoded))
        guard let snapshot = stored.last else { return }
        turn([.snapshotStored(snapshot, dropThrough: snapshot.mark.index)])
    }

    /// A grant for a request made now.
    mutating func grant(floor: UInt64) {
        consensus(
            .leaseGrant(
                LeaseGrant(
                    stamp: now, incarnation: Self.session, duration: .milliseconds(300),
                    floor: LogIndex(rawValue: floor))))
    }
}
