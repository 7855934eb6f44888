// The loop that feeds the agent's value: sockets, disk, drivers and timers become events, effects become calls.
// It holds no policy. Everything here runs on one NIO event loop, so nothing needs a lock; what comes from other threads
// (disk, drivers, API) enters through `execute`.
//
// One turn takes in everything that is waiting, asks the agent once, and performs the effects: so messages of one turn
// leave in one flush per peer, and entries of one turn become durable with one write.

import Agent
import Cluster
import Consensus
import Kinds
import Logging
import NIOCore

/// What carries out address orders: the driver of this member's kernel. Never blocks.
public protocol AddressOrderTaker: Sendable {
    func carryOut(_ order: AddressOrder)
    /// From now on tell whether these addresses, and no others, could be held here.
    func standReady(for places: SortedMap<ResourceKey, [VirtualAddress]>)
}

extension AddressOrder {
    /// What a member says to an order when it can hold no address, and why it cannot; nil when nothing is expected.
    public func answer(unable reason: String) -> RoleReport? {
        switch self {
        case .hold(let role, _, let epoch, _): .failed(role: role, epoch: epoch, reason: reason)
        // It holds nothing, so it has let go.
        case .release(let role, _, let epoch, _): .released(role: role, epoch: epoch)
        case .drop: nil
        }
    }
}

/// What runs health checks: exactly the given ones from now on.
public protocol HealthCheckTaker: Sendable {
    func run(_ checks: SortedMap<ResourceKey, HealthCheck>)
}

/// What drives this host's hypervisor, fences others and feeds the watchdog. Never blocks; an order for a guest is carried
/// out after those before it.
public protocol HypervisorOrderTaker: Sendable {
    func carryOut(_ order: GuestOrder)
    func carryOut(_ order: FenceOrder)
    /// - Returns: what came of it; nil: nothing was to be done, or it is not asked about.
    func carryOut(_ order: WatchdogOrder) -> WatchdogReport?
    /// Restarts this machine. Returns at once; `done` is called once, with what went wrong, or nil when the order was taken.
    func restartMachine(_ done: @escaping @Sendable (String?) -> Void)
}

/// What the loop needs from the rest of the member.
public struct AgentWorld: Sendable {
    public var transport: PeerTransport
    public var store: LogStore
    /// Nil on a member that can never hold an address (a witness, or tests of the consensus alone).
    public var addresses: (any AddressOrderTaker)?
    public var health: (any HealthCheckTaker)?
    /// Nil on a member that runs no guests; it is never given an order then.
    public var hypervisor: (any HypervisorOrderTaker)?
    /// The members to talk to changed; written down so that a restart knows whom to call.
    public var rememberPeers: @Sendable ([MemberRecord]) -> Void
    /// The cluster has other authorities than before. Returns at once.
    public var followAuthorities: @Sendable (AuthorityBook) -> Void
    /// This member has another name than it was started with, or than before. Returns at once.
    public var followName: @Sendable (String) -> Void

    public init(
        transport: PeerTransport, store: LogStore, addresses: (any AddressOrderTaker)?,
        health: (any HealthCheckTaker)?, hypervisor: (any HypervisorOrderTaker)? = nil,
        rememberPeers: @escaping @Sendable ([MemberRecord]) -> Void,
        followAuthorities: @escaping @Sendable (AuthorityBook) -> Void = { _ in },
        followName: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.transport = transport
        self.store = store
        self.addresses = addresses
        self.health = health
        self.hypervisor = hypervisor
        self.rememberPeers = rememberPeers
        self.followAuthorities = followAuthorities
        self.followName = followName
    }
}

/// How a loop ended.
public enum AgentEnd: Sendable {
    /// It was asked to stop and gave everything away.
    case stopped
    /// It cannot go on: why, and what to do about it.
    case failed(String)
}

public final class AgentLoop: @unchecked Sendable, AgentAccess {
    /// Subscribers that may follow events at one time.
    static let mostSubscribers = 256
    static let subscriberBuffer = 10_000

    public let member: MemberID
    private let eventLoop: any EventLoop
    private let log: Logger
    /// Completed when the loop has ended.
    public let ended: EventLoopFuture<AgentEnd>
    private let endPromise: EventLoopPromise<AgentEnd>

    // Confined to the event loop.
    private var core: AgentCore
    private var world: AgentWorld?
    private var random = SystemRandomNumberGenerator()
    private var waiting: [AgentEvent] = []
    private var turnIsScheduled = false
    private var timer: Scheduled<Void>?
    private var timerDeadline: Instant = .distantFuture
    private var lastRequest: UInt64 = 0
    private var requests: [UInt64: CheckedContinuation<AgentResponse, Never>] = [:]
    private var subscribers: [ObjectIdentifier: Subscriber] = [:]
    private var hasEnded = false
    /// The machine goes down by this agent's order; the process is ended by the system.
    private var isGoingDown = false
    /// An ordered restart that has not ended this process after so long has failed.
    static let mostGoingDown = TimeAmount.minutes(5)
    /// Proposals of this member by what became of them.
    private var proposalEnds: [String: UInt64] = [:]
    private var proposals: Set<UInt64> = []
    /// With the names of their keys, as far as they are known.
    private var members: [MemberID: String?]
    /// Events from before this are read out of the log again; a person has seen them.
    private let startedWallMilliseconds = BootClock.wallMilliseconds()

    public init(core: AgentCore, eventLoop: any EventLoop, initialPeers: [MemberRecord], log: Logger) {
        member = core.id
        self.core = core
        self.eventLoop = eventLoop
        self.log = log
        members = Self.keys(of: initialPeers)
        endPromise = eventLoop.makePromise()
        ended = endPromise.futureResult
    }

    deinit {
        // A member that fails before it starts (its port is taken, say) drops its loop; a promise may not be dropped.
        if !hasEnded { endPromise.succeed(.stopped) }
    }

    /// Starts turning. Call once, on any thread, after the transport listens.
    public func start(_ world: AgentWorld, initialPeers: [MemberRecord]) {
        eventLoop.execute {
            self.world = world
            world.transport.setPeers(initialPeers.filter { $0.id != self.member })
            self.enqueue(.tick)
        }
    }

    // MARK: Entrances from other threads

    /// Frames that arrived; called on the event loop.
    public func received(_ frames: [PeerFrame]) {
        eventLoop.preconditionInEventLoop()
        for frame in frames { waiting.append(.frame(frame)) }
        scheduleTurn()
    }

    /// Tells the cluster of this member's new certificate, or of what it trusts.
    public func identityChanged(_ news: IdentityNews) {
        eventLoop.execute { self.enqueue(.identityChanged(news)) }
    }

    public func report(_ report: RoleReport) { eventLoop.execute { self.enqueue(.report(report)) } }
    public func report(_ report: GuestReport) { eventLoop.execute { self.enqueue(.guests(report)) } }
    public func report(_ report: FenceReport) { eventLoop.execute { self.enqueue(.fence(report)) } }

    /// Writes that became durable together, or the end of the disk.
    public func written(_ result: Result<[LogWrite], StorageError>) {
        eventLoop.execute {
            switch result {
            case .success(let writes): self.durable(writes)
            case .failure(let error): self.end(.failed("\(error)"))
            }
        }
    }

    /// Whether a peer with this identity may connect. Called on the event loop.
    /// - Parameter key: names the key it has shown; nil when only its membership is asked for.
    public func isMember(_ peer: MemberID, key: String?) -> Bool {
        eventLoop.preconditionInEventLoop()
        guard let known = members[peer] else { return false }
        return key == nil || known == nil || known == key
    }

    private static func keys(of members: [MemberRecord]) -> [MemberID: String?] {
        Dictionary(members.map { ($0.id, $0.key) }) { $1 }
    }

    /// Asks the agent to give its roles away and stop. `ended` tells when it has.
    public func stop() { eventLoop.execute { self.isGoingDown ? self.end(.stopped) : self.enqueue(.stop) } }

    /// Ends at once, with nothing given away; what is held falls silent with its lease. Does nothing when it has ended.
    public func abandon(_ why: String) { eventLoop.execute { self.end(.failed(why)) } }

    public func now() -> Instant { BootClock.now() }

    public func submit(_ request: AgentRequest) async -> AgentResponse {
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                guard !self.hasEnded else {
                    continuation.resume(returning: .failed(.refused("this agent is stopping; ask another member")))
                    return
                }
                self.lastRequest += 1
                self.requests[self.lastRequest] = continuation
                if case .propose = request { self.proposals.insert(self.lastRequest) }
                self.enqueue(.request(RequestID(rawValue: self.lastRequest), request))
            }
        }
    }

    public func events(after: UInt64) -> AsyncStream<ClusterEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ClusterEvent.self, bufferingPolicy: .bufferingNewest(Self.subscriberBuffer))
        let subscriber = Subscriber(continuation)
        // Set before the stream is given away: whoever drops it at once is told of here too. The subscription below is in
        // the loop's queue by then, so its end comes after it.
        continuation.onTermination = { [weak self] _ in
            guard let self else { return }
            self.eventLoop.execute { self.subscribers[ObjectIdentifier(subscriber)] = nil }
        }
        eventLoop.execute {
            guard !self.hasEnded, self.subscribers.count < Self.mostSubscribers else {
                continuation.finish()
                return
            }
            for event in self.core.state.events where event.id > after { continuation.yield(event) }
            self.subscribers[ObjectIdentifier(subscriber)] = subscriber
        }
        return stream
    }

    /// Someone who follows the events; its address is its name as long as it is kept.
    private final class Subscriber: Sendable {
        let stream: AsyncStream<ClusterEvent>.Continuation
        init(_ stream: AsyncStream<ClusterEvent>.Continuation) { self.stream = stream }
    }

    // MARK: The turn

    private func enqueue(_ event: AgentEvent) {
        waiting.append(event)
        scheduleTurn()
    }

    private func scheduleTurn() {
        guard !turnIsScheduled, !hasEnded else { return }
        turnIsScheduled = true
        // Not at once: whatever else this loop iteration brings in belongs to the same turn.
        eventLoop.execute { self.turn() }
    }

    private func turn() {
        turnIsScheduled = false
        guard !hasEnded, world != nil else { return }
        let batch = waiting
        waiting.removeAll(keepingCapacity: true)
        let effects = core.handle(
            batch, now: BootClock.now(), wallMilliseconds: BootClock.wallMilliseconds(), random: &random)
        for effect in effects { perform(effect) }
        world?.transport.flush()
        scheduleTimer()
    }

    /// One timer at the earliest moment the agent needs; left alone while it is early enough.
    private func scheduleTimer() {
        guard !hasEnded else { return }
        let deadline = core.nextDeadline
        if timer != nil && timerDeadline <= deadline && timerDeadline > BootClock.now() { return }
        timer?.cancel()
        timerDeadline = deadline
        let delay = max(deadline - BootClock.now(), .zero)
        timer = eventLoop.scheduleTask(in: .nanoseconds(min(delay.nanoseconds, 3_600_000_000_000))) {
            self.timer = nil
            self.enqueue(.tick)
        }
    }

    private func durable(_ writes: [LogWrite]) {
        guard !hasEnded, let last = writes.last else { return }
        for write in writes {
            for envelope in write.thenSend { world?.transport.send(PeerFrame(envelope)) }
        }
        world?.transport.flush()
        enqueue(.persisted(last.sequence))
    }

    private func perform(_ effect: AgentEffect) {
        guard let world else { return }
        switch effect {
        case .send(let frame): world.transport.send(frame)
        case .persist(let write): world.store.write(write)
        case .takeSnapshot(let mark, let state): save(mark, arrived: false, world) { state.encoded }
        case .storeSnapshot(let snapshot): save(snapshot.mark, arrived: true, world) { snapshot.bytes }
        case .dropLog(let index): world.store.drop(through: index)
        case .respond(let request, let response):
            if proposals.remove(request.rawValue) != nil { proposalEnds[Self.word(for: response), default: 0] += 1 }
            requests.removeValue(forKey: request.rawValue)?.resume(returning: response)
        case .address(let order): carryOut(order, world)
        case .healthChecks(let checks): world.health?.run(checks)
        case .guests(let order): world.hypervisor?.carryOut(order)
        case .fence(let order): world.hypervisor?.carryOut(order)
        case .watchdog(let order):
            if let report = world.hypervisor?.carryOut(order) { enqueue(.watchdog(report)) }
        case .authorities(let book): world.followAuthorities(book)
        case .named(let name): world.followName(name)
        case .standReady(let places): world.addresses?.standReady(for: places)
        case .peers(let peers):
            members = Self.keys(of: peers)
            world.transport.setPeers(peers)
            world.rememberPeers(peers)
        case .events(let events):
            for event in events {
                let level: Logger.Level = event.milliseconds < startedWallMilliseconds ? .debug : .info
                log.log(level: level, "\(event.type) \(event.subject): \(event.message)")
                for subscriber in subscribers.values { subscriber.stream.yield(event) }
            }
        case .stopped: end(.stopped)
        case .restartMachine: restartMachine(world)
        case .halt(let why), .failed(let why): end(.failed(why))
        case .log(let words): log.notice("\(words)")
        }
    }

    private static func word(for response: AgentResponse) -> String {
        switch response {
        case .outcome(let outcome): outcome.code.rawValue
        case .failed(.noQuorum): "noQuorum"
        case .failed(.overloaded): "overloaded"
        case .failed(.refused): "refused"
        case .failed(.forbidden): "forbidden"
        case .state: "unknown"
        }
    }

    /// What became of proposals, for `/metrics`.
    public func families() async -> [MetricFamily] {
        let ends = await withCheckedContinuation { continuation in
            eventLoop.execute { continuation.resume(returning: self.proposalEnds) }
        }
        var family = MetricFamily(
            .counter, "holdfast_proposals_total", "Commands that this member was asked to have committed, by outcome.")
        for (outcome, count) in ends.sorted(by: { $0.key < $1.key }) {
            family.add(Double(count), .init("outcome", outcome))
        }
        return [family]
    }

    private func save(
        _ mark: SnapshotMark, arrived: Bool, _ world: AgentWorld, content: @escaping @Sendable () -> [UInt8]
    ) {
        world.store.save(mark, arrived: arrived, content: content) { [weak self] saved in
            guard let self else { return }
            self.eventLoop.execute {
                switch saved {
                case .stored(let snapshot, let index):
                    self.enqueue(.snapshotStored(snapshot, dropThrough: index))
                case .failed(let index, let reason): self.enqueue(.snapshotFailed(index, reason))
                }
            }
        }
    }

    /// The agent has given everything away: from here on it only waits for the system to end it.
    private func restartMachine(_ world: AgentWorld) {
        guard let hypervisor = world.hypervisor else {
            log.error("this machine is not restarted: nothing here can order it; the agent starts anew")
            return end(.stopped)
        }
        isGoingDown = true
        hypervisor.restartMachine { [weak self] trouble in
            guard let self else { return }
            self.eventLoop.execute {
                if let trouble {
                    self.log.error("this machine is not restarted, and its agent starts anew: \(trouble)")
                    return self.end(.stopped)
                }
                self.log.notice("this machine restarts now")
                self.eventLoop.scheduleTask(in: Self.mostGoingDown) { [weak self] in
                    guard let self, !self.hasEnded else { return }
                    self.log.error("this machine was to restart and still runs; its agent starts anew")
                    self.end(.stopped)
                }
            }
        }
    }

    private func carryOut(_ order: AddressOrder, _ world: AgentWorld) {
        if let addresses = world.addresses { return addresses.carryOut(order) }
        let report = order.answer(unable: "this member was started without an address driver")
        if let report { enqueue(.report(report)) }
    }

    private func end(_ how: AgentEnd) {
        guard !hasEnded else { return }
        hasEnded = true
        timer?.cancel()
        for (_, request) in requests {
            request.resume(returning: .failed(.refused("this agent is stopping; ask another member")))
        }
        requests = [:]
        let following = subscribers.values.map(\.stream)
        subscribers = [:]
        for stream in following { stream.finish() }
        endPromise.succeed(how)
    }
}
