// One member of a LoneCluster: the product's Raft value while it is up, a clock of its own, a disk that is durable at
// once, and what it has applied.

import Cluster
import Consensus

struct LoneMember: Sendable {
    /// One tick is one heartbeat interval. A voter's promise lasts ten ticks, an election timer eighteen: the same as in
    /// the Raft this one is compared with, so that the same program makes the same members campaign.
    static let timing: Timing = {
        var timing = Timing()
        timing.heartbeat = .milliseconds(50)
        timing.promise = .milliseconds(500)
        timing.electionTimeoutLeast = .milliseconds(500)
        timing.electionTimeoutMost = .milliseconds(1_000)
        return timing
    }()

    /// One entry a message: whoever steps from message to message sees every state in between.
    static let limits: Limits = {
        var limits = Limits()
        limits.appendEntries = 1
        return limits
    }()

    /// Always draws the middle: every election timer is 800 ms and half of 200 ms.
    private struct Middle: RandomNumberGenerator {
        mutating func next() -> UInt64 { 1 << 63 }
    }

    private struct AppliedValue: Codable {
        let index: UInt64
        let data: String
    }

    let id: UInt64
    private let initial: Configuration
    private(set) var raft: Raft?
    private var now = Instant(nanoseconds: 0)
    private var random = Middle()
    private var starts: UInt64 = 0

    // The disk.
    private var hardState = HardState()
    private var entries: [Entry] = []
    private var snapshot: Snapshot?
    /// What the entries begin behind.
    private var base = LogIndex.zero
    /// The entries as they are printed.
    private var printed: [MemberState.LogEntry] = []

    // What the process knows.
    private var applied: [AppliedValue] = []
    private var appliedIndex = LogIndex.zero
    private var configuration: Configuration
    private var reads: [UInt64] = []
    private var lastRead: UInt64 = 0

    /// Messages that have left and were not taken yet.
    var outbox: [Envelope] = []

    init(id: UInt64, initial: Configuration) {
        self.id = id
        self.initial = initial
        configuration = initial
        start()
    }

    var isUp: Bool { raft != nil }

    mutating func start() {
        guard raft == nil else { return }
        starts += 1
        raft = Raft(
            id: MemberID(rawValue: id), cluster: ClusterID(rawValue: 1), timing: Self.timing, limits: Self.limits,
            rank: .lastResort, incarnation: starts, hardState: hardState, snapshot: snapshot, entries: entries,
            initialConfiguration: initial, now: now)
        if let snapshot { restore(snapshot) }
        // Past the grain of the clock, which a start adds to the promise it may have forgotten.
        now = now + .milliseconds(1)
        settle()
    }

    /// Ends the process. Everything was durable at once, so nothing but memory is lost.
    mutating func crash() {
        raft = nil
        applied = []
        appliedIndex = .zero
        configuration = initial
        reads = []
    }

    mutating func handle(_ input: Input) {
        raft?.handle(input, now: now, random: &random)
        settle()
    }

    mutating func tick(_ count: Int) {
        guard isUp else { return }
        for _ in 0..<count {
            now = now + Self.timing.heartbeat
            handle(.tick)
        }
    }

    /// The election timer runs out. Only this member's clock goes on: the others' promises are theirs.
    mutating func campaign() {
        guard let raft, !raft.isLeader else { return }
        now = max(now, raft.nextDeadline)
        handle(.tick)
    }

    mutating func propose(_ data: String) {
        _ = raft?.propose([Array(data.utf8)], now: now)
        settle()
    }

    mutating func propose(_ change: ConfigurationChange) {
        _ = raft?.propose(change, now: now)
        settle()
    }

    mutating func transfer(to other: UInt64) {
        _ = raft?.startTransfer(to: MemberID(rawValue: other), now: now)
        settle()
    }

    mutating func read() {
        lastRead += 1
        raft?.read(ReadID(rawValue: lastRead), mayUseLease: false, now: now)
        settle()
    }

    /// Takes a snapshot of what was applied through an index, and drops the log up to there.
    mutating func compact(through index: UInt64) {
        let last = LogIndex(rawValue: index)
        guard let raft, last > raft.log.base, last <= appliedIndex, let mark = raft.snapshotMark(at: last),
            let bytes = try? CanonicalJSON.encode(applied.filter { $0.index <= index })
        else { return }
        keep(Snapshot(mark: mark, bytes: bytes))
        self.raft?.compact(through: last)
        entries.removeFirst(Int(index - base.rawValue))
        printed.removeFirst(Int(index - base.rawValue))
        base = last
        settle()
    }

    /// A snapshot is durable at once.
    private mutating func keep(_ newer: Snapshot) {
        snapshot = newer
        raft?.handle(.snapshotStored(newer), now: now, random: &random)
    }

    /// What was applied is what the snapshot says.
    private mutating func restore(_ snapshot: Snapshot) {
        applied = (try? CanonicalJSON.decode([AppliedValue].self, from: snapshot.bytes)) ?? []
        appliedIndex = snapshot.mark.index
        configuration = snapshot.mark.configuration
    }

    /// Carries out what the member asks for until it asks for nothing more.
    private mutating func settle() {
        var effects: [Effect] = []
        while raft != nil {
            if raft!.isLeader, raft!.nextDeadline <= now { raft!.handle(.tick, now: now, random: &random) }
            effects.removeAll(keepingCapacity: true)
            raft!.flush(now: now, into: &effects)
            if effects.isEmpty { return }
            for effect in effects { perform(effect) }
        }
    }

    private mutating func perform(_ effect: Effect) {
        switch effect {
        case .send(let envelope): outbox.append(envelope)
        case .persist(let write):
            if let newer = write.hardState { hardState = newer }
            if let position = write.restartsBehind { (base, entries, printed) = (position.index, [], []) }
            if let first = write.entries.first {
                entries.removeSubrange(Int(first.index.rawValue - base.rawValue - 1)...)
                printed.removeSubrange(Int(first.index.rawValue - base.rawValue - 1)...)
                for entry in write.entries { record(entry) }
            }
            outbox.append(contentsOf: write.thenSend)
            raft?.handle(.persisted(write.sequence), now: now, random: &random)
        case .committed(let last): apply(through: last)
        case .readReady(_, let index): reads.append(index.rawValue)
        case .storeSnapshot(let snapshot): keep(snapshot)
        case .restored: if let snapshot { restore(snapshot) }
        case .readRefused, .leaseRenewed, .leaderChanged, .snapshotDamaged, .memoryIsWhole, .memoryIsLost,
            .diskIsInUse, .epochContradicts:
            break
        }
    }

    private mutating func apply(through last: LogIndex) {
        for entry in raft?.committedEntries(from: appliedIndex.next, through: last) ?? [] {
            switch entry.payload {
            case .empty: break
            case .command(let bytes):
                guard !bytes.isEmpty else { break }
                applied.append(AppliedValue(index: entry.index.rawValue, data: String(decoding: bytes, as: UTF8.self)))
            case .configuration(let newer): configuration = newer
            }
        }
        appliedIndex = last
    }

    // MARK: What is printed

    var state: MemberState {
        var state = MemberState(id: id, isUp: isUp)
        state.term = hardState.term.rawValue
        state.vote = hardState.vote?.rawValue ?? 0
        state.log = printed
        state.first = base.rawValue + 1
        state.commit = base.rawValue
        guard let raft else { return state }
        state.term = raft.term.rawValue
        state.vote = raft.hardState.vote?.rawValue ?? 0
        state.role =
            switch raft.role {
            case .follower: .follower
            case .preCandidate: .preCandidate
            case .candidate: .candidate
            case .leader: .leader
            }
        state.lead = raft.leader?.rawValue ?? 0
        state.commit = raft.commitIndex.rawValue
        state.applied = applied.map(\.data)
        state.configuration = MemberState.text(configuration)
        state.reads = reads
        return state
    }

    private mutating func record(_ entry: Entry) {
        var line = MemberState.LogEntry(term: entry.term.rawValue, data: "")
        switch entry.payload {
        case .empty: break
        case .command(let bytes): line.data = String(decoding: bytes, as: UTF8.self)
        case .configuration(let newer): line.change = Self.change(from: lastConfiguration, to: newer)
        }
        entries.append(entry)
        printed.append(line)
    }

    private var lastConfiguration: Configuration {
        for entry in entries.reversed() {
            if case .configuration(let found) = entry.payload { return found }
        }
        return snapshot?.mark.configuration ?? initial
    }

    /// What was wished for, read off the two configurations. Nothing, when a joint one is left.
    private static func change(from old: Configuration, to new: Configuration) -> String {
        guard !old.isJoint else { return "" }
        let after = new.left
        var changes: [String] = []
        for member in old.members where !after.contains(member) { changes.append("r\(member.rawValue)") }
        for member in after.voters where !old.isVoter(member) { changes.append("v\(member.rawValue)") }
        for member in after.learners where !old.learners.contains(member) { changes.append("l\(member.rawValue)") }
        return changes.joined(separator: " ")
    }
}
