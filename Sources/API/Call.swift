// A request that was let in: who asks, by when, and what. Routes see this and nothing of HTTP beyond it.

import Agent
import Cluster
import Consensus
import FoundationEssentials
import HTTPTypes
import Hummingbird

/// The headers of ours, in one place.
public enum APIHeader {
    /// Milliseconds the client waits for the answer, 1 to 60,000; 2,000 when absent.
    public static let timeout = "Holdfast-Timeout"
    /// With `request`: makes a change count once, however often it is sent. 16 hexadecimal digits, drawn at random.
    public static let session = "Holdfast-Session"
    /// Counts the requests of a session, from 1.
    public static let request = "Holdfast-Request"
    /// All requests of the session up to here were answered; their outcomes may be forgotten.
    public static let settled = "Holdfast-Settled"
    /// A sentence for the record, at most 200 characters.
    public static let reason = "Holdfast-Reason"
    /// `true`: say what the change would come to, and change nothing.
    public static let dryRun = "Holdfast-Dry-Run"
}

struct Call: Sendable {
    static let mostTimeoutMilliseconds: Int64 = 60_000
    static let defaultTimeoutMilliseconds: Int64 = 2_000

    let principal: Principal
    /// What the route needs.
    let needs: OperatorRole
    let deadline: Instant
    let stamp: RequestStamp?
    let reason: String?
    let parameters: Parameters
    let query: Parameters
    let headers: HTTPFields
    let body: [UInt8]
    private var isLocal = false
    /// Changes are rehearsed and not made.
    var isDryRun = false

    init(
        principal: Principal, needs: OperatorRole, deadline: Instant, stamp: RequestStamp?, reason: String?,
        parameters: Parameters, query: Parameters, headers: HTTPFields, body: [UInt8]
    ) {
        self.principal = principal
        self.needs = needs
        self.deadline = deadline
        self.stamp = stamp
        self.reason = reason
        self.parameters = parameters
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// Who asked, and what for, as it stands in events.
    var actor: String { reason.map { "\(principal.name) (\($0))" } ?? principal.name }

    /// The person behind it; nil for a member.
    var origin: CommandOrigin? { principal.origin(needs: needs, reason: reason) }

    /// Rights can be taken away while a certificate runs. The certificate was looked at when the request came in; what
    /// the state says of its owner is looked at wherever the state is read, and in the log when a command is applied.
    /// - Throws: `APIFailure` with `forbidden`.
    func requireStanding(in state: ClusterState) throws {
        guard let origin, let objection = state.objection(to: origin) else { return }
        throw APIFailure(forbidden: objection)
    }

    /// A part of the path, with its percent-encoding undone.
    func parameter(_ name: String) throws -> String {
        guard let text = parameters.get(name).flatMap(PercentEncoding.decode), !text.isEmpty else {
            throw APIFailure(.badRequest, "the path lacks its \(name), or it is not valid UTF-8")
        }
        return text
    }

    /// The same call, content with what this member knows.
    var locally: Call {
        var call = self
        call.isLocal = true
        return call
    }

    static func isDryRun(_ headers: HTTPFields) throws -> Bool {
        guard let text = headers.text(FieldName.dryRun) else { return false }
        guard let truth = Bool(text) else {
            throw APIFailure(
                .badRequest,
                "\(APIHeader.dryRun) is \(text.prefix(20).debugDescription); it must be true or false")
        }
        return truth
    }

    func consistency() throws -> ReadConsistency {
        if isLocal { return .local }
        guard let text = query.get("consistency") else { return .linearizable }
        guard let consistency = ReadConsistency(rawValue: text) else {
            throw APIFailure(.badRequest, "consistency is \(text); it must be linearizable or local")
        }
        return consistency
    }

    func number(_ name: String) throws -> UInt64? {
        guard let text = query.get(name) else { return nil }
        guard let number = UInt64(text) else {
            throw APIFailure(.badRequest, "\(name) is \(text); it must be a whole number from 0")
        }
        return number
    }

    func decode<Body: Decodable>(_ type: Body.Type) throws -> Body {
        do {
            return try CanonicalJSON.decode(type, from: body)
        } catch let error as DecodingError {
            throw APIFailure(.badRequest, "the request body is not what this route takes: \(error.inWords)")
        } catch {
            throw APIFailure(.badRequest, "the request body is not valid JSON")
        }
    }
}

extension Call {
    static func timeoutMilliseconds(_ headers: HTTPFields) throws -> Int64 {
        guard let text = headers.text(FieldName.timeout) else { return defaultTimeoutMilliseconds }
        guard let milliseconds = Int64(text), (1...mostTimeoutMilliseconds).contains(milliseconds) else {
            throw APIFailure(
                .badRequest, "\(APIHeader.timeout) is \(text); it must be 1 to \(mostTimeoutMilliseconds) milliseconds")
        }
        return milliseconds
    }

    static func stamp(_ headers: HTTPFields) throws -> RequestStamp? {
        let session = headers.text(FieldName.session)
        let request = headers.text(FieldName.request)
        if session == nil && request == nil { return nil }
        let settled = headers.text(FieldName.settled) ?? "0"
        guard let session, session.utf8.count == 16, let session = UInt64(session, radix: 16),
            let request, let request = UInt64(request), let settled = UInt64(settled), request > settled
        else {
            throw APIFailure(
                .badRequest,
                "\(APIHeader.session) must be 16 hexadecimal digits, \(APIHeader.request) a number from 1, and "
                    + "\(APIHeader.settled) a smaller one")
        }
        return RequestStamp(session: session, request: request, settled: settled)
    }

    static func reason(_ headers: HTTPFields) throws -> String? {
        guard let text = headers.text(FieldName.reason).flatMap(PercentEncoding.decode), !text.isEmpty else {
            return nil
        }
        guard text.count <= 200, !text.unicodeScalars.contains(where: { $0.value < 32 }) else {
            throw APIFailure(.badRequest, "\(APIHeader.reason) takes one line of at most 200 characters")
        }
        return text
    }
}

extension HTTPFields {
    func text(_ name: HTTPField.Name?) -> String? { name.flatMap { self[$0] } }
}

/// The names checked once, and not with every request.
enum FieldName {
    static let timeout = HTTPField.Name(APIHeader.timeout)
    static let session = HTTPField.Name(APIHeader.session)
    static let request = HTTPField.Name(APIHeader.request)
    static let settled = HTTPField.Name(APIHeader.settled)
    static let reason = HTTPField.Name(APIHeader.reason)
    static let dryRun = HTTPField.Name(APIHeader.dryRun)
    static let lastEvent = HTTPField.Name("Last-Event-ID")
}

extension DecodingError {
    /// Where and what, in one line.
    var inWords: String {
        func place(_ context: Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
            return path.isEmpty ? "at the top" : "at \(path.hasPrefix(".") ? String(path.dropFirst()) : path)"
        }
        switch self {
        case .keyNotFound(let key, let context): return "\(place(context)): the field \(key.stringValue) is missing"
        case .valueNotFound(_, let context): return "\(place(context)): null where a value is needed"
        case .typeMismatch(let type, let context): return "\(place(context)): not a \(type)"
        case .dataCorrupted(let context): return "\(place(context)): \(context.debugDescription)"
        @unknown default: return "it cannot be read"
        }
    }
}
