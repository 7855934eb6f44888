// Histories as newline-delimited JSON, one event a line, so that other checkers can read ours and ours can read theirs:
//
//     {"t":"header","v":"1","f":"kv"}
//     {"t":"call","id":3,"c":2,"at":50,"f":"cas","k":"a","old":1,"v":2}
//     {"t":"ok","id":3,"at":90,"found":true}
//
// `t` is header, call, ok, fail (certainly no effect) or info (unknown, may still take effect); `f` get, put, del or
// cas; times are simulated nanoseconds. An `old` or `v` that is null or missing stands for absence. Fields of other
// names are ignored. The order of lines is the order of events. Does not judge the answers.

import Cluster
import Consensus

/// Why a text is not a history, with the line it fails at.
public struct HistoryTextError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Counted from 1.
    public let line: Int
    public let message: String

    public var description: String { "line \(line): \(message)" }
}

extension History {
    /// A longer line is refused: no value of a test is that large.
    public static let mostLineBytes = 1 << 20

    private struct Line: Codable {
        var t: String
        var id: UInt64?
        var c: UInt64?
        var at: Int64?
        var f: String?
        var k: JSONValue?
        var old: JSONValue?
        var v: JSONValue?
        var found: Bool?
    }

    /// Reads the text form. Empty lines are skipped.
    public init(text: [UInt8]) throws(HistoryTextError) {
        self.init()
        var hasHeader = false
        var number = 0
        for bytes in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            if bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
            do {
                let line = try Self.line(bytes)
                if hasHeader {
                    try record(line)
                } else {
                    try readHeader(line)
                    hasHeader = true
                }
            } catch let refusal as Refusal {
                throw HistoryTextError(line: number, message: refusal.message)
            } catch let fault as HistoryFault {
                throw HistoryTextError(line: number, message: fault.description)
            } catch {
                throw HistoryTextError(line: number, message: "not a JSON object of a history: \(error)")
            }
        }
        if !hasHeader { throw HistoryTextError(line: max(number, 1), message: Self.headerWanted) }
    }

    private static let headerWanted = #"a history opens with {"t":"header","v":"1"}"#

    private struct Refusal: Error { let message: String }

    private static func line(_ bytes: ArraySlice<UInt8>) throws -> Line {
        guard bytes.count <= mostLineBytes else { throw Refusal(message: "longer than \(mostLineBytes) bytes") }
        return try CanonicalJSON.decode(Line.self, from: Array(bytes))
    }

    private mutating func readHeader(_ line: Line) throws {
        guard line.t == "header" else { throw Refusal(message: Self.headerWanted) }
        guard line.v == "1" || line.v == 1 else {
            throw Refusal(
                message:
                    "version \(SimulationChecks.text(line.v)) of the format is not known here; this reads version 1")
        }
        subject = line.f
    }

    private mutating func record(_ line: Line) throws {
        guard let id = line.id else { throw Refusal(message: "`\(line.t)` needs \"id\", the operation's number") }
        guard let at = line.at else { throw Refusal(message: "`\(line.t)` needs \"at\", the time in nanoseconds") }
        switch line.t {
        case "call":
            guard let client = line.c else { throw Refusal(message: "`call` needs \"c\", the client's number") }
            try call(id, client: client, key: try Self.key(line), try Self.action(line), at: at)
        case "ok": try complete(id, .ok(Answer(value: line.v, found: line.found)), at: at)
        case "fail": try complete(id, .failed, at: at)
        case "info": try complete(id, .unknown, at: at)
        default:
            throw Refusal(message: "\"t\" is \"\(line.t)\"; after the header it is call, ok, fail or info")
        }
    }

    /// A number is taken as the key of its digits.
    private static func key(_ line: Line) throws -> String {
        switch line.k {
        case .string(let text): return text
        case .int(let number): return String(number)
        default: throw Refusal(message: "`call` needs \"k\", the key, as text or a whole number")
        }
    }

    private static func action(_ line: Line) throws -> Action {
        switch line.f {
        case "get": return .get
        case "del": return .delete
        case "put":
            guard let value = line.v else { throw Refusal(message: "`put` needs \"v\", a value that is not null") }
            return .put(value)
        case "cas":
            guard let value = line.v else { throw Refusal(message: "`cas` needs \"v\", a value that is not null") }
            return .compareAndSet(expected: line.old, value: value)
        default:
            throw Refusal(message: "\"f\" is \(line.f.map { "\"\($0)\"" } ?? "missing"); it is get, put, del or cas")
        }
    }

    // MARK: Writing

    /// The text form, each line ended by a newline. Throws only for a number that JSON cannot carry (not finite).
    public func encoded() throws -> [UInt8] {
        var events: [(event: Int, line: Line)] = []
        events.reserveCapacity(eventCount)
        for operation in operations {
            events.append((operation.called.event, Self.callLine(operation)))
            if let completed = operation.completed {
                events.append((completed.event, Self.completionLine(operation, at: completed)))
            }
        }
        events.sort { $0.event < $1.event }
        var text = try CanonicalJSON.encode(Line(t: "header", f: subject, v: "1")) + [UInt8(ascii: "\n")]
        for event in events {
            text += try CanonicalJSON.encode(event.line)
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    private static func callLine(_ operation: Operation) -> Line {
        var line = Line(t: "call", id: operation.id, c: operation.client, at: operation.called.nanoseconds)
        line.k = .string(operation.key)
        switch operation.action {
        case .get: line.f = "get"
        case .delete: line.f = "del"
        case .put(let value):
            line.f = "put"
            line.v = value
        case .compareAndSet(let expected, let value):
            line.f = "cas"
            line.old = expected
            line.v = value
        }
        return line
    }

    private static func completionLine(_ operation: Operation, at moment: Moment) -> Line {
        var line = Line(t: "info", id: operation.id, at: moment.nanoseconds)
        switch operation.completion {
        case .unknown: break
        case .failed: line.t = "fail"
        case .ok(let answer):
            line.t = "ok"
            line.v = answer.value
            line.found = answer.found
        }
        return line
    }
}
