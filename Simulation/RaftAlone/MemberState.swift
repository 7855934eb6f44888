// What is printed of a member after each operation, and nothing that two correct Rafts could differ in by taste (message
// counts, progress of replication, timers).
//
//     {"id":1,"up":true,"role":"leader","term":2,"vote":1,"lead":1,"first":1,"commit":3,
//      "log":[{"term":1,"data":""}],"applied":["x"],"conf":"voters=(1 2 3)","reads":[3]}
//
// The text has one form only: equal states give equal bytes, and `StateReader` reads nothing else.

import Consensus

/// One member as it stands. Of a member that is down, what its disk holds.
public struct MemberState: Hashable, Sendable {
    public enum Role: String, Hashable, Sendable {
        case follower, candidate, leader
        /// Asks whether an election could be won.
        case preCandidate = "pre-candidate"
    }

    public struct LogEntry: Hashable, Sendable {
        public let term: UInt64
        /// What was proposed; empty for the entry a new leader begins with, and for a change of the configuration.
        public internal(set) var data: String
        /// The change, such as `l4` or `r1 v4`, of an entry that changes the configuration; empty for one that leaves a
        /// joint configuration.
        public internal(set) var change: String?

        public init(term: UInt64, data: String, change: String? = nil) {
            self.term = term
            self.data = data
            self.change = change
        }
    }

    public var id: UInt64
    public var isUp: Bool
    public var role: Role = .follower
    public var term: UInt64 = 0
    /// Whom it voted for in this term; 0: nobody.
    public var vote: UInt64 = 0
    /// The leader of this term as far as known; 0: unknown.
    public var lead: UInt64 = 0
    /// The index of the first entry of `log`.
    public var first: UInt64 = 1
    public var commit: UInt64 = 0
    public var log: [LogEntry] = []
    /// What was proposed and has been applied since the member started, oldest first.
    public var applied: [String] = []
    /// The configuration as of `commit`.
    public var configuration = ""
    /// The index of each read that was answered since the member started.
    public var reads: [UInt64] = []

    public init(id: UInt64, isUp: Bool) {
        self.id = id
        self.isUp = isUp
    }

    public var isLeader: Bool { isUp && role == .leader }
    public var lastIndex: UInt64 { first + UInt64(log.count) - 1 }
    /// The entries that are committed.
    public var committed: ArraySlice<LogEntry> { log.prefix(Int(commit + 1 - first)) }

    /// The entries from an index on; all of them, if the log begins later.
    func entries(from index: UInt64) -> ArraySlice<LogEntry> { log.dropFirst(index > first ? Int(index - first) : 0) }

    /// Whether two logs end together, and are equal as far as both go back.
    func agrees(with other: MemberState) -> Bool {
        let both = max(first, other.first)
        return lastIndex == other.lastIndex && entries(from: both) == other.entries(from: both)
    }

    static func text(_ configuration: Configuration) -> String {
        func list(_ members: [MemberID]) -> String {
            "(" + members.map { String($0.rawValue) }.joined(separator: " ") + ")"
        }
        return "voters=" + list(configuration.voters)
            + (configuration.isJoint ? "&&" + list(configuration.outgoingVoters) : "")
            + (configuration.learners.isEmpty ? "" : " learners=" + list(configuration.learners))
            + (configuration.learnersNext.isEmpty ? "" : " learners_next=" + list(configuration.learnersNext))
    }

    func write(into text: inout String) {
        text += "{\"id\":\(id),\"up\":\(isUp),\"role\":\"\(role.rawValue)\",\"term\":\(term),\"vote\":\(vote)"
        text += ",\"lead\":\(lead),\"first\":\(first),\"commit\":\(commit),\"log\":["
        for (position, entry) in log.enumerated() {
            text += position > 0 ? ",{\"term\":" : "{\"term\":"
            text += String(entry.term) + ",\"data\":" + JSONText.quoted(entry.data)
            if let change = entry.change { text += ",\"conf\":" + JSONText.quoted(change) }
            text += "}"
        }
        text += "],\"applied\":[" + applied.map(JSONText.quoted).joined(separator: ",")
        text += "],\"conf\":" + JSONText.quoted(configuration)
        text += ",\"reads\":[" + reads.map(String.init).joined(separator: ",") + "]}"
    }
}

extension [MemberState] {
    /// The line that is printed after an operation.
    public var line: String {
        var text = "["
        for (position, state) in enumerated() {
            if position > 0 { text += "," }
            state.write(into: &text)
        }
        return text + "]"
    }
}

/// Reads lines of the one form that `write` gives them; fast, because a comparison reads millions.
struct StateReader {
    private let bytes: [UInt8]
    private var position = 0

    private struct Unexpected: Error {}

    static func read(_ line: [UInt8]) -> [MemberState]? {
        var reader = StateReader(bytes: line)
        return try? reader.states()
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func states() throws -> [MemberState] {
        let states = try list { (reader) throws in try reader.state() }
        guard position == bytes.count else { throw Unexpected() }
        return states
    }

    private mutating func state() throws -> MemberState {
        try expect("{\"id\":")
        let id = try number()
        try expect(",\"up\":")
        var state = MemberState(id: id, isUp: try flag())
        try expect(",\"role\":")
        guard let role = MemberState.Role(rawValue: try text()) else { throw Unexpected() }
        state.role = role
        try expect(",\"term\":")
        state.term = try number()
        try expect(",\"vote\":")
        state.vote = try number()
        try expect(",\"lead\":")
        state.lead = try number()
        try expect(",\"first\":")
        state.first = try number()
        try expect(",\"commit\":")
        state.commit = try number()
        try expect(",\"log\":")
        state.log = try list { (reader) throws in try reader.entry() }
        try expect(",\"applied\":")
        state.applied = try list { (reader) throws in try reader.text() }
        try expect(",\"conf\":")
        state.configuration = try text()
        try expect(",\"reads\":")
        state.reads = try list { (reader) throws in try reader.number() }
        try expect("}")
        guard state.first > 0, state.commit + 1 >= state.first, state.commit <= state.lastIndex else {
            throw Unexpected()
        }
        return state
    }

    private mutating func entry() throws -> MemberState.LogEntry {
        try expect("{\"term\":")
        let term = try number()
        try expect(",\"data\":")
        let data = try text()
        if take(UInt8(ascii: "}")) { return MemberState.LogEntry(term: term, data: data) }
        try expect(",\"conf\":")
        let change = try text()
        try expect("}")
        return MemberState.LogEntry(term: term, data: data, change: change)
    }

    private mutating func list<Element>(_ element: (inout StateReader) throws -> Element) throws -> [Element] {
        try expect("[")
        var elements: [Element] = []
        if take(UInt8(ascii: "]")) { return elements }
        repeat { elements.append(try element(&self)) } while take(UInt8(ascii: ","))
        try expect("]")
        return elements
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ text: StaticString) throws {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else { throw Unexpected() }
        for offset in 0..<count where bytes[position + offset] != text.utf8Start[offset] { throw Unexpected() }
        position += count
    }

    private mutating func number() throws -> UInt64 {
        var value: UInt64 = 0
        let start = position
        while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
            guard position - start < 18 else { throw Unexpected() }
            value = value * 10 + UInt64(bytes[position] - UInt8(ascii: "0"))
            position += 1
        }
        guard position > start else { throw Unexpected() }
        return value
    }

    private mutating func flag() throws -> Bool {
        if position < bytes.count, bytes[position] == UInt8(ascii: "t") {
            try expect("true")
            return true
        }
        try expect("false")
        return false
    }

    /// Texts with escapes do not occur in what the comparison generates.
    private mutating func text() throws -> String {
        try expect("\"")
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            guard bytes[position] != UInt8(ascii: "\\") else { throw Unexpected() }
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        try expect("\"")
        return text
    }
}
