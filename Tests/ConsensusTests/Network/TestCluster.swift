// A deterministic cluster of Raft values: a virtual clock and a disk per member, a network that delays and loses, and
// the checks of TestChecks after every event. The same seed gives the same run.
//
// Members are numbered from 1; number and MemberID agree.

import Consensus

struct TestCluster {
    static let identity = ClusterID(rawValue: 77)

    private(set) var now: Int64 = 1_000_000_000
    var members: [TestMember] = []
    var network: TestNetwork
    var checks = TestChecks()
    var random: SplitMix64
    var timing: Timing
    /// How long a write takes to become durable.
    var diskLatency: ClosedRange<Int64> = 200_000...2_000_000
    /// How often a member collects inputs for a moment before it flushes.
    var batchPermille: Int64 = 0
    /// A snapshot at every so many entries; zero: none.
    var snapshotEvery: UInt64 = 0
    /// Whether leaders move the exclusive role by themselves.
    var movesRoles = false
    /// Whether leaders take members back that have lost something.
    var readmits = false
    let limits: Limits
    /// Prints every event and effect; for following one seed.
    var tells = false
    private var queue = TestQueue()
    private var lastRead: UInt64 = 0
    private var effects: [Effect] = []

    /// `spares` are members that know no configuration yet.
    init(
        voters: Int, learners: Int = 0, spares: Int = 0, timing: Timing = Timing(), seed: UInt64 = 1,
        guests: Set<Int> = [], ranks: [LeadershipRank] = [], limits: Limits = Limits(), drift: [Int64] = []
    ) {
        self.timing = timing
        self.limits = limits
        random = SplitMix64(seed: seed)
        network = TestNetwork(members: voters + learners + spares)
        let configuration = Configuration(
            voters: (1...voters).map { MemberID(rawValue: UInt64($0)) },
            learners: (0..<learners).map { MemberID(rawValue: UInt64(voters + 1 + $0)) })
        for number in 1...(voters + learners + spares) {
            let partsPerMillion = number <= drift.count ? drift[number - 1] : 0
            members.append(
                TestMember(
                    id: MemberID(rawValue: UInt64(number)),
                    rank: number <= ranks.count ? ranks[number - 1] : .preferred,
                    initialConfiguration: number <= voters + learners ? configuration : Configuration(voters: []),
                    partsPerMillion: partsPerMillion,
                    clock: TestClock(origin: 0, partsPerMillion: partsPerMillion, now: now),
                    random: SplitMix64(seed: random.next()), wantsLease: !guests.contains(number)))
        }
        for number in 1...members.count { restart(number) }
    }

    subscript(number: Int) -> TestMember {
        get { members[number - 1] }
        set { members[number - 1] = newValue }
    }

    // MARK: Letting time pass

    /// Runs everything that happens within a span of true time. Stops at the first violation.
    mutating func run(for span: Interval) {
        let end = now + span.nanoseconds
        while let next = queue.nextTime, next <= end, checks.violation == nil { step() }
        now = max(now, end)
    }

    /// Runs until the condition holds; false when it does not within `bound` of true time.
    mutating func run(within bound: Interval, until condition: (TestCluster) -> Bool) -> Bool {
        let end = now + bound.nanoseconds
        while checks.violation == nil {
            if condition(self) { return true }
            guard let next = queue.nextTime, next <= end else { break }
            step()
        }
        now = max(now, end)
        return condition(self)
    }

    private mutating func step() {
        guard let time = queue.nextTime, let event = queue.pop() else { return }
        now = max(now, time)
        tell { "\(event)" }
        perform(event)
    }

    func tell(_ what: () -> String) { if tells { print(now / 1_000, what()) } }

    private mutating func perform(_ event: TestEvent) {
        switch event {
        case .deliver(let envelope):
            let number = Int(envelope.to.rawValue)
            guard isAwake(event, number) else { return }
            handle(.received(envelope), at: number)
        case .disk(let number, let incarnation):
            guard self[number].incarnation == incarnation, !self[number].disk.isStalled, isAwake(event, number) else {
                return
            }
            completeWrite(number)
        case .saved(let number, let snapshot, let arrived, let incarnation):
            guard self[number].incarnation == incarnation, isAwake(event, number) else { return }
            guard !self[number].disk.isStalled else { return schedule(event, after: 50_000_000) }
            saved(snapshot, arrived: arrived, at: number)
        case .tick(let number, let incarnation):
            guard self[number].incarnation == incarnation, isAwake(event, number) else { return }
            self[number].tickAt = .max
            handle(.tick, at: number)
        case .flush(let number, let incarnation):
            guard self[number].incarnation == incarnation, isAwake(event, number) else { return }
            flush(number)
        case .command(let number, let bytes):
            guard isAwake(event, number) else { return }
            act(number) { raft, reading in _ = raft.propose([bytes], now: reading) }
        }
    }

    /// False when the member is dead, or paused (then the event waits for it).
    private mutating func isAwake(_ event: TestEvent, _ number: Int) -> Bool {
        guard self[number].isUp else { return false }
        if self[number].clock.isPaused {
            members[number - 1].backlog.append(event)
            return false
        }
        return true
    }

    // MARK: The members

    mutating func handle(_ input: Input, at number: Int) {
        let reading = self[number].clock.reading(at: now)
        var random = self[number].random
        if case .tick = input, let raft = self[number].raft, reading < raft.nextDeadline {
            schedule(tickOf: number)
            return
        }
        members[number - 1].raft?.handle(input, now: reading, random: &random)
        members[number - 1].random = random
        settle(number)
    }

    /// Lets the test call into a member, and takes up what follows from it.
    mutating func act(_ number: Int, _ body: (inout Raft, Instant) -> Void) {
        guard self[number].isUp else { return }
        let reading = self[number].clock.reading(at: now)
        body(&members[number - 1].raft!, reading)
        settle(number)
    }

    private mutating func settle(_ number: Int) {
        if random.chance(batchPermille) {
            guard !self[number].willFlush else { return }
            members[number - 1].willFlush = true
            queue.push(
                .flush(number, incarnation: self[number].incarnation), at: now + random.draw(10_000...500_000))
        } else {
            flush(number)
        }
        schedule(tickOf: number)
    }

    private mutating func schedule(tickOf number: Int) {
        guard let raft = self[number].raft else { return }
        let due = max(now, self[number].clock.trueTime(of: raft.nextDeadline))
        guard due < self[number].tickAt else { return }
        members[number - 1].tickAt = due
        queue.push(.tick(number, incarnation: self[number].incarnation), at: due)
    }

    private mutating func flush(_ number: Int) {
        members[number - 1].willFlush = false
        checks.sawLeader(self[number])
        let reading = self[number].clock.reading(at: now)
        effects.removeAll(keepingCapacity: true)
        members[number - 1].raft?.flush(now: reading, into: &effects)
        for effect in effects { perform(effect, of: number) }
        checks.leases(members, at: now)
        if movesRoles { moveRoles(number) }
        if readmits { takeBack(number) }
    }

    private mutating func perform(_ effect: Effect, of number: Int) {
        tell { "  \(number): \(effect)" }
        switch effect {
        case .send(let envelope): send(envelope)
        case .persist(let write):
            checks.sawWrite(write, of: self[number])
            members[number - 1].disk.submit(write)
            queue.push(
                .disk(number, incarnation: self[number].incarnation), at: now + random.draw(diskLatency))
        case .committed(let last):
            let first = self[number].state.applied.next
            for entry in self[number].raft?.committedEntries(from: first, through: last) ?? [] {
                checks.sawCommitted(entry, by: self[number].id)
                members[number - 1].state.apply(entry)
                takeSnapshot(at: entry.index, of: number)
            }
        case .storeSnapshot(let snapshot): save(snapshot, arrived: true, at: number)
        case .restored(let mark):
            guard let snapshot = self[number].raft?.snapshot, snapshot.mark == mark,
                let state = TestState(snapshot.bytes)
            else { return checks.fail("\(number) is to restore what it does not have") }
            checks.restorations += 1
            members[number - 1].state = state
        case .snapshotDamaged: checks.fail("a snapshot was damaged on its way to \(number)")
        case .readReady(let read, let index): checks.answered(read, at: index)
        case .readRefused: break
        case .leaseRenewed(let until, let floor): members[number - 1].lease = (until, floor)
        case .leaderChanged, .memoryIsWhole, .memoryIsLost, .diskIsInUse: break
        case .epochContradicts: checks.fail("\(number) met an epoch, and there is only one here")
        }
    }

    mutating func send(_ envelope: Envelope) {
        for delay in network.delays(of: envelope, random: &random) { queue.push(.deliver(envelope), at: now + delay) }
    }

    private mutating func completeWrite(_ number: Int) {
        var last: WriteSequence?
        let together = random.chance(200) ? self[number].disk.waiting.count : 1
        for _ in 0..<together {
            guard let write = members[number - 1].disk.completeOldest() else { break }
            for envelope in write.thenSend { send(envelope) }
            last = write.sequence
        }
        if let last { handle(.persisted(last), at: number) }
    }

    // MARK: Faults

    /// Ends a process. What it had written and not made durable may be lost in part; with `tearing` off, all of it is.
    mutating func crash(_ number: Int, tearing: Bool = true) {
        tell { "crash \(number)" }
        checks.leftBehind(by: self[number], at: now)
        members[number - 1].raft = nil
        members[number - 1].incarnation += 1
        members[number - 1].lease = nil
        members[number - 1].state = TestState()
        members[number - 1].backlog = []
        members[number - 1].willFlush = false
        members[number - 1].proposed = nil
        members[number - 1].snapshotBegun = .zero
        if tearing { members[number - 1].disk.crash(random: &random) } else { members[number - 1].disk.loseWaiting() }
    }

    /// Part of what a dead member's disk held is gone.
    mutating func lose(_ memory: Memory, at number: Int) {
        tell { "lose \(number): \(memory)" }
        members[number - 1].disk.lose(memory, random: &random)
    }

    /// Starts a process from what its disk holds. Its clock starts anywhere.
    mutating func restart(_ number: Int) {
        guard !self[number].isUp else { return }
        tell { "restart \(number)" }
        let origin = random.draw(-1_000_000_000...1_000_000_000_000)
        members[number - 1].clock = TestClock(
            origin: origin, partsPerMillion: self[number].partsPerMillion, now: now)
        guard let (snapshot, entries) = self[number].disk.recovered else {
            return checks.fail("the log of \(number) has a gap behind its snapshot")
        }
        members[number - 1].disk.settle()
        members[number - 1].disk.begin(nonce: random.next())
        if let snapshot { members[number - 1].state = TestState(snapshot.bytes) ?? TestState() }
        let member = self[number]
        members[number - 1].raft = Raft(
            id: member.id, cluster: Self.identity, timing: timing, limits: limits, rank: member.rank,
            incarnation: random.next(), hardState: member.disk.hardState, snapshot: snapshot, entries: entries,
            initialConfiguration: member.initialConfiguration, now: member.clock.reading(at: now))
        members[number - 1].raft!.wantsLease = member.wantsLease
        members[number - 1].tickAt = .max
        schedule(tickOf: number)
    }

    mutating func pause(_ number: Int) { if self[number].isUp { members[number - 1].clock.pause(at: now) } }

    mutating func resume(_ number: Int) {
        guard self[number].clock.isPaused else { return }
        members[number - 1].clock.resume(at: now)
        // What waited comes in any order: a guest's network and its timers do not agree on one.
        var backlog = self[number].backlog
        members[number - 1].backlog = []
        while !backlog.isEmpty {
            let position = Int(random.draw(0...Int64(backlog.count - 1)))
            queue.push(backlog.remove(at: position), at: now + random.draw(0...1_000_000))
        }
        members[number - 1].tickAt = .max
        schedule(tickOf: number)
    }

    mutating func stallDisk(_ number: Int) { members[number - 1].disk.isStalled = true }

    mutating func freeDisk(_ number: Int) {
        guard self[number].disk.isStalled else { return }
        members[number - 1].disk.isStalled = false
        for _ in self[number].disk.waiting {
            queue.push(.disk(number, incarnation: self[number].incarnation), at: now + random.draw(diskLatency))
        }
    }

    /// Sends everything that was held.
    mutating func releaseHeld() {
        let held = network.held
        network.held = []
        for envelope in held { queue.push(.deliver(envelope), at: now + random.draw(network.latency)) }
    }

    mutating func schedule(_ event: TestEvent, after delay: Int64) { queue.push(event, at: now + delay) }

    mutating func read(_ number: Int, mayUseLease: Bool) -> ReadID {
        lastRead += 1
        let read = ReadID(rawValue: lastRead)
        checks.asked(read)
        act(number) { raft, reading in raft.read(read, mayUseLease: mayUseLease, now: reading) }
        return read
    }
}
