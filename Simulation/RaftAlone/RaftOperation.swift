// What a program for the consensus core on its own consists of: one operation a line, as JSON.
//
//     {"op":"start","id":1,"voters":[1,2,3],"learners":[]}     {"op":"propose","id":1,"data":"x"}
//
// Reads and writes that form, and bounds every size. Does not know what an operation does; see LoneCluster.

import Cluster
import Consensus

/// One thing that happens to a cluster of consensus members.
public enum RaftOperation: Hashable, Sendable {
    /// Starts a member. `voters` and `learners` are the cluster's first configuration, whether the member is in it or not.
    case start(id: UInt64, voters: [UInt64], learners: [UInt64])
    /// The member's election timer runs out.
    case campaign(id: UInt64)
    /// Proposes at this member; nothing happens when it does not lead.
    case propose(id: UInt64, data: String)
    /// Proposes to change the configuration at this member; nothing happens when it does not lead or may not.
    case configure(id: UInt64, changes: [MemberChange], transition: Transition)
    /// Asks a leader to hand over.
    case transfer(id: UInt64, to: UInt64)
    /// Cuts the link between two members, or between one and everyone; both ways, if not said otherwise.
    case cut(id: UInt64, to: UInt64?, oneWay: Bool)
    /// Mends every link.
    case heal
    /// Delivers messages, oldest first, until none is left.
    case stabilize
    /// Delivers or drops the oldest messages of one direction of one link; all that wait, if no number is given.
    case deliver(from: UInt64, to: UInt64, count: Int?, drop: Bool)
    /// Lets a member's clock go on by a number of heartbeat intervals.
    case tick(id: UInt64, count: Int)
    case crash(id: UInt64)
    case restart(id: UInt64)
    /// Drops a member's log through an index, in favour of a snapshot.
    case compact(id: UInt64, through: UInt64)
    /// Asks for a linearizable read.
    case read(id: UInt64)

    /// How a configuration is left for the next (etcd's names).
    public enum Transition: String, Hashable, Sendable, CaseIterable {
        case auto, implicit, explicit
    }
}

/// One wish of a configuration change: `v4`, `l4` or `r4`.
public struct MemberChange: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Hashable, Sendable {
        case voter = "v"
        case learner = "l"
        case remove = "r"
    }
    public let kind: Kind
    public let member: UInt64

    public init(_ kind: Kind, _ member: UInt64) {
        self.kind = kind
        self.member = member
    }

    init?(_ text: String) {
        guard let first = text.first, let kind = Kind(rawValue: String(first)),
            let member = UInt64(text.dropFirst()), RaftBounds.members.contains(member)
        else { return nil }
        self.init(kind, member)
    }

    public var description: String { kind.rawValue + String(member) }
}

/// How large a program and its parts may be.
public enum RaftBounds {
    /// Members are numbered.
    public static let members: ClosedRange<UInt64> = 1...15
    public static let lineBytes = 64 * 1024
    public static let dataBytes = 4 * 1024
    public static let ticks = 10_000
    public static let changes = 32
    /// Lines of one program; the log cannot grow longer than that.
    public static let operations = 100_000
    /// Messages one `stabilize` delivers before it gives up.
    public static let deliveries = 1_000_000
}

/// Why a line is not an operation, or an operation could not be carried out.
public struct RaftProgramError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

// MARK: Reading

extension RaftOperation {
    /// Reads one line.
    public init(line: some Collection<UInt8>) throws(RaftProgramError) {
        guard line.count <= RaftBounds.lineBytes else {
            throw RaftProgramError("the line is longer than \(RaftBounds.lineBytes) bytes")
        }
        let value: JSONValue
        do {
            value = try CanonicalJSON.decode(JSONValue.self, from: Array(line))
        } catch {
            throw RaftProgramError("not JSON")
        }
        guard case .object(let object) = value else {
            throw RaftProgramError("an operation is a JSON object, such as {\"op\":\"heal\"}")
        }
        var fields = RaftFields(object)
        let name = try fields.text("op")
        self = try Self.read(name, &fields)
        try fields.finish(name)
    }

    private static func read(_ name: String, _ fields: inout RaftFields) throws(RaftProgramError) -> RaftOperation {
        switch name {
        case "start":
            let id = try fields.member("id")
            return .start(id: id, voters: try fields.members("voters"), learners: try fields.members("learners"))
        case "campaign": return .campaign(id: try fields.member("id"))
        case "propose":
            let id = try fields.member("id")
            let data = try fields.text("data")
            guard data.utf8.count <= RaftBounds.dataBytes else {
                throw RaftProgramError("\"data\" is longer than \(RaftBounds.dataBytes) bytes")
            }
            return .propose(id: id, data: data)
        case "conf":
            let id = try fields.member("id")
            return .configure(id: id, changes: try fields.changes(), transition: try fields.transition())
        case "transfer": return .transfer(id: try fields.member("id"), to: try fields.member("to"))
        case "cut":
            let id = try fields.member("id")
            return .cut(id: id, to: try fields.optionalMember("to"), oneWay: try fields.flag("oneWay"))
        case "heal": return .heal
        case "stabilize": return .stabilize
        case "deliver":
            let from = try fields.member("from")
            let to = try fields.member("to")
            let count = try fields.optionalCount("n", most: RaftBounds.deliveries)
            return .deliver(from: from, to: to, count: count, drop: try fields.flag("drop"))
        case "tick":
            let id = try fields.member("id")
            return .tick(id: id, count: try fields.optionalCount("n", most: RaftBounds.ticks) ?? 1)
        case "crash": return .crash(id: try fields.member("id"))
        case "restart": return .restart(id: try fields.member("id"))
        case "compact":
            let id = try fields.member("id")
            return .compact(id: id, through: UInt64(try fields.optionalCount("n", most: Int.max) ?? 0))
        case "read": return .read(id: try fields.member("id"))
        default: throw RaftProgramError("unknown operation \"\(name)\"")
        }
    }
}

/// The fields of one operation, each taken once; what is left over at the end is unknown.
private struct RaftFields {
    private var left: SortedMap<String, JSONValue>

    init(_ fields: SortedMap<String, JSONValue>) { left = fields }

    func finish(_ operation: String) throws(RaftProgramError) {
        guard let unknown = left.keys.first else { return }
        throw RaftProgramError("\"\(operation)\" has no field \"\(unknown)\"")
    }

    private mutating func take(_ name: String) -> JSONValue? {
        guard let value = left[name] else { return nil }
        left[name] = nil
        return value == .null ? nil : value
    }

    mutating func text(_ name: String) throws(RaftProgramError) -> String {
        guard let text = take(name)?.string else { throw RaftProgramError("\"\(name)\" must be given, as a text") }
        return text
    }

    mutating func optionalMember(_ name: String) throws(RaftProgramError) -> UInt64? {
        guard let value = take(name) else { return nil }
        return try member(value, name)
    }

    mutating func member(_ name: String) throws(RaftProgramError) -> UInt64 { try member(take(name), name) }

    private func member(_ value: JSONValue?, _ name: String) throws(RaftProgramError) -> UInt64 {
        guard let number = value?.int, let id = UInt64(exactly: number), RaftBounds.members.contains(id) else {
            let bounds = RaftBounds.members
            throw RaftProgramError(
                "\"\(name)\" must be a member's number, \(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return id
    }

    mutating func members(_ name: String) throws(RaftProgramError) -> [UInt64] {
        guard let value = take(name) else { return [] }
        guard let values = value.array else { throw RaftProgramError("\"\(name)\" must be a list of members' numbers") }
        var members: [UInt64] = []
        for value in values { members.append(try member(value, name)) }
        return members
    }

    mutating func flag(_ name: String) throws(RaftProgramError) -> Bool {
        guard let value = take(name) else { return false }
        guard let flag = value.bool else { throw RaftProgramError("\"\(name)\" must be true or false") }
        return flag
    }

    mutating func optionalCount(_ name: String, most: Int) throws(RaftProgramError) -> Int? {
        guard let value = take(name) else { return nil }
        guard let number = value.int, let count = Int(exactly: number), (0...most).contains(count) else {
            throw RaftProgramError("\"\(name)\" must be a number from 0 to \(most)")
        }
        return count
    }

    mutating func changes() throws(RaftProgramError) -> [MemberChange] {
        let advice = "\"changes\" must be a list of up to \(RaftBounds.changes) such as \"v4\", \"l4\" or \"r4\""
        guard let values = take("changes")?.array, values.count <= RaftBounds.changes else {
            throw RaftProgramError(advice)
        }
        var changes: [MemberChange] = []
        for value in values {
            guard let text = value.string, let change = MemberChange(text) else { throw RaftProgramError(advice) }
            changes.append(change)
        }
        return changes
    }

    mutating func transition() throws(RaftProgramError) -> RaftOperation.Transition {
        guard let value = take("transition") else { return .auto }
        guard let text = value.string, let transition = RaftOperation.Transition(rawValue: text) else {
            throw RaftProgramError("\"transition\" must be auto, implicit or explicit")
        }
        return transition
    }
}

// MARK: Writing

extension RaftOperation {
    /// The line that `init(line:)` reads.
    public var line: String {
        func list(_ members: [UInt64]) -> String { "[" + members.map(String.init).joined(separator: ",") + "]" }
        switch self {
        case .start(let id, let voters, let learners):
            return "{\"op\":\"start\",\"id\":\(id),\"voters\":\(list(voters)),\"learners\":\(list(learners))}"
        case .campaign(let id): return "{\"op\":\"campaign\",\"id\":\(id)}"
        case .propose(let id, let data): return "{\"op\":\"propose\",\"id\":\(id),\"data\":\(JSONText.quoted(data))}"
        case .configure(let id, let changes, let transition):
            let texts = changes.map { "\"\($0)\"" }.joined(separator: ",")
            let how = transition == .auto ? "" : ",\"transition\":\"\(transition.rawValue)\""
            return "{\"op\":\"conf\",\"id\":\(id),\"changes\":[\(texts)]\(how)}"
        case .transfer(let id, let to): return "{\"op\":\"transfer\",\"id\":\(id),\"to\":\(to)}"
        case .cut(let id, let to, let oneWay):
            let other = to.map { ",\"to\":\($0)" } ?? ""
            return "{\"op\":\"cut\",\"id\":\(id)\(other)\(oneWay ? ",\"oneWay\":true" : "")}"
        case .heal: return "{\"op\":\"heal\"}"
        case .stabilize: return "{\"op\":\"stabilize\"}"
        case .deliver(let from, let to, let count, let drop):
            let number = count.map { ",\"n\":\($0)" } ?? ""
            return "{\"op\":\"deliver\",\"from\":\(from),\"to\":\(to)\(number)\(drop ? ",\"drop\":true" : "")}"
        case .tick(let id, let count): return "{\"op\":\"tick\",\"id\":\(id),\"n\":\(count)}"
        case .crash(let id): return "{\"op\":\"crash\",\"id\":\(id)}"
        case .restart(let id): return "{\"op\":\"restart\",\"id\":\(id)}"
        case .compact(let id, let through): return "{\"op\":\"compact\",\"id\":\(id),\"n\":\(through)}"
        case .read(let id): return "{\"op\":\"read\",\"id\":\(id)}"
        }
    }
}

/// Texts as JSON writes them.
enum JSONText {
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
