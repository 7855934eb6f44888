// What records hold: a hard state, or consecutive entries. DESIGN.md has the layout byte by byte.

import Consensus

extension [UInt8] {
    /// Term, flags (bit 0: there is a vote, since every number may be a member; bits 1 and 2: the memory), vote, longest
    /// promise, epoch, the disk's start, the starts of others, and the disk's earlier starts.
    mutating func append(hardState: HardState) {
        append(number: hardState.term.rawValue)
        append(number: UInt64(hardState.vote == nil ? 0 : 1) | UInt64(hardState.memory.rawValue) << 1)
        append(number: hardState.vote?.rawValue ?? 0)
        append(number: hardState.longestPromise.nanoseconds)
        append(number: hardState.epoch.rawValue)
        append(start: hardState.start)
        append(number: UInt64(hardState.knownStarts.count))
        for (member, start) in hardState.knownStarts.pairs {
            append(number: member.rawValue)
            append(start: start)
        }
        append(number: UInt64(hardState.earlierStarts.count))
        for earlier in hardState.earlierStarts { append(start: earlier) }
    }

    private mutating func append(start: DiskStart) {
        append(number: start.number)
        append(number: start.nonce)
    }

    mutating func append(entry: Entry) {
        append(number: entry.term.rawValue)
        switch entry.payload {
        case .empty:
            append(number: EntryKind.empty.rawValue)
            append(number: UInt32(0))
        case .command(let bytes):
            append(number: EntryKind.command.rawValue)
            append(number: UInt32(bytes.count))
            append(contentsOf: bytes)
        case .configuration(let configuration):
            let kind: EntryKind = configuration.isPlain ? .configuration : .fullConfiguration
            append(number: kind.rawValue)
            append(number: UInt32(entry.storedBytes - EntryKind.frameBytes))
            for list in configuration.storedLists { append(number: UInt32(list.count)) }
            if !configuration.isPlain { append(number: configuration.epoch.rawValue) }
            for list in configuration.storedLists {
                for member in list { append(number: member.rawValue) }
            }
        }
    }
}

private enum EntryKind: UInt32 {
    case empty = 0
    case command = 1
    case configuration = 2
    /// Since version 3 of the segments.
    case fullConfiguration = 3

    /// Term, kind, length.
    static let frameBytes = 16
}

extension Configuration {
    /// Neither joint nor of a later epoch than the first: written as it was before there were either.
    var isPlain: Bool { !isJoint && epoch == .first }

    /// Its lists in the order they are written; the last two only of one that is not plain.
    var storedLists: [[MemberID]] {
        isPlain ? [voters, learners] : [voters, learners, outgoingVoters, learnersNext]
    }

    /// How many bytes it takes.
    var storedBytes: Int { 4 * storedLists.count + (isPlain ? 0 : 8) + 8 * storedMembers }
}

extension Entry {
    /// What the entry costs within a record.
    var storedBytes: Int {
        switch payload {
        case .empty: EntryKind.frameBytes
        case .command(let bytes): EntryKind.frameBytes + bytes.count
        case .configuration(let configuration): EntryKind.frameBytes + configuration.storedBytes
        }
    }
}

/// Entries as a record holds them: the first one's index, their number, then each.
enum StoredEntries {
    /// First index and count.
    static let frameBytes = 16

    /// Nil when the bytes are not what `append` wrote. Indices follow each other by construction, terms are checked.
    static func decode(_ payload: UnsafeRawBufferPointer) -> [Entry]? {
        var reader = ByteReader(payload)
        guard let first = reader.number(UInt64.self), let count = reader.number(UInt64.self), first > 0, count > 0,
            count <= UInt64(payload.count), first < UInt64.max / 2
        else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(Int(count))
        for position in 0..<count {
            let index = LogIndex(rawValue: first + position)
            guard let entry = reader.entry(at: index), entry.term >= (entries.last?.term ?? .zero) else { return nil }
            entries.append(entry)
        }
        return reader.isAtEnd ? entries : nil
    }
}

extension HardState {
    /// Without the starts of others and the earlier ones.
    private static let fixedBytes = 72
    static let mostStoredBytes = fixedBytes + 24 * mostKnownStarts + 16 * mostEarlierStarts
    /// What it costs within a record.
    var storedBytes: Int { Self.fixedBytes + 24 * knownStarts.count + 16 * earlierStarts.count }
}

extension ByteReader {
    /// - Parameter format: of the segment; before 3 there were four numbers and nothing else, before 4 no earlier starts.
    mutating func hardState(format: UInt32) -> HardState? {
        guard let term = number(UInt64.self), let flags = number(UInt64.self), let vote = number(UInt64.self),
            let promise = number(Int64.self), flags <= (format < 3 ? 1 : 7), promise >= 0,
            let memory = Memory(rawValue: UInt8(flags >> 1))
        else { return nil }
        var state = HardState(
            term: Term(rawValue: term), vote: flags & 1 == 1 ? MemberID(rawValue: vote) : nil,
            longestPromise: .nanoseconds(promise), memory: memory)
        guard format >= 3 else { return state }
        guard let epoch = number(UInt64.self).map(Epoch.init(rawValue:)), epoch <= .greatest, let own = start(),
            let count = number(UInt64.self), count <= UInt64(HardState.mostKnownStarts)
        else { return nil }
        state.epoch = epoch
        state.start = own
        for _ in 0..<count {
            guard let member = number(UInt64.self), let known = start() else { return nil }
            state.knownStarts[MemberID(rawValue: member)] = known
        }
        guard format >= 4 else { return state }
        guard let earlier = number(UInt64.self), earlier <= UInt64(HardState.mostEarlierStarts) else { return nil }
        for _ in 0..<earlier {
            guard let start = start() else { return nil }
            state.earlierStarts.append(start)
        }
        return state
    }

    private mutating func start() -> DiskStart? {
        guard let count = number(UInt64.self), let nonce = number(UInt64.self) else { return nil }
        return DiskStart(number: count, nonce: nonce)
    }

    fileprivate mutating func entry(at index: LogIndex) -> Entry? {
        guard let term = number(UInt64.self), let kind = number(UInt32.self).flatMap(EntryKind.init),
            let length = number(UInt32.self)
        else { return nil }
        let payload: Entry.Payload
        switch kind {
        case .empty:
            guard length == 0 else { return nil }
            payload = .empty
        case .command:
            guard let bytes = bytes(Int(length)) else { return nil }
            payload = .command(bytes)
        case .configuration, .fullConfiguration:
            guard let configuration = configuration(isPlain: kind == .configuration),
                configuration.storedBytes == Int(length)
            else { return nil }
            payload = .configuration(configuration)
        }
        return Entry(index: index, term: Term(rawValue: term), payload: payload)
    }

    /// The lists that `storedLists` gives, their lengths first, and of one that is not plain its epoch in between.
    private mutating func configuration(isPlain: Bool) -> Configuration? {
        var counts: [UInt32] = []
        for _ in 0..<(isPlain ? 2 : 4) {
            guard let count = number(UInt32.self) else { return nil }
            counts.append(count)
        }
        var epoch = Epoch.first
        if !isPlain {
            guard let value = number(UInt64.self) else { return nil }
            epoch = Epoch(rawValue: value)
        }
        var lists: [[UInt64]] = []
        for count in counts {
            guard let list = numbers(count) else { return nil }
            lists.append(list)
        }
        guard let found = Configuration(lists: lists, epoch: epoch), found.isPlain == isPlain else { return nil }
        return found
    }

    private mutating func numbers(_ count: UInt32) -> [UInt64]? {
        guard count <= UInt32(Configuration.mostVoters + Configuration.mostLearners) else { return nil }
        var found: [UInt64] = []
        for _ in 0..<count {
            guard let number = number(UInt64.self) else { return nil }
            found.append(number)
        }
        return found
    }
}
