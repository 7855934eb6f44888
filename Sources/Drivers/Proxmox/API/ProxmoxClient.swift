// Asks the API of this host's own Proxmox: one request, one answer, within a deadline. An agent asks only its own node,
// because any node passes requests on to any other, and a dead one hangs for up to thirty seconds.
// It does not follow tasks, check quorum or try again; that is done above it.

import Cluster
import Consensus
import NIOCore
import NIOSSL
import Synchronization

/// Where the API is, and as whom to ask.
public struct ProxmoxAccess: Sendable {
    /// The local node's API.
    public var host: String
    public var port: Int
    public var trust: ServerTrust
    public var token: ProxmoxToken
    /// For questions. Longer than the three seconds Proxmox takes to refuse a token.
    public var readLimit: Interval = .seconds(6)
    /// For changes. Longer than the ten seconds Proxmox waits for a guest's lock before it answers.
    public var writeLimit: Interval = .seconds(15)
    /// An answer may be this long.
    public var mostAnswerBytes = 8_388_608

    public init(host: String = "127.0.0.1", port: Int = 8_006, trust: ServerTrust, token: ProxmoxToken) {
        self.host = host
        self.port = port
        self.trust = trust
        self.token = token
    }
}

/// A client of one API. Safe to use from any task.
///
/// Questions share up to two kept connections. A change goes out on a connection of its own: on a kept one it could not
/// be told whether the server had closed it before or after the request came.
public final class ProxmoxClient: Sendable {
    enum Method: String { case get = "GET", post = "POST", put = "PUT", delete = "DELETE" }

    /// Parameters in order, as Proxmox writes them.
    public typealias Parameters = [(name: String, value: String)]

    static let mostIdle = 2
    public let access: ProxmoxAccess
    private let context: NIOSSLContext
    private let idle = Mutex<(connections: [HTTPSConnection], isShut: Bool)>(([], false))

    /// - Throws: when the authority's certificates cannot be read.
    public init(_ access: ProxmoxAccess) throws(ProxmoxError) {
        self.access = access
        do {
            context = try access.trust.context()
        } catch {
            let file = if case .authority(let path) = access.trust { path } else { "the settings of TLS" }
            throw ProxmoxError(.untrusted, attempted: "read \(file)", reason: "\(error)")
        }
    }

    /// Closes what is open. A request under way ends with a failure.
    public func shutDown() {
        let connections = idle.withLock { state in
            defer { state = ([], true) }
            return state.connections
        }
        for connection in connections { connection.close() }
    }

    // MARK: Requests

    /// A question. Tried once more when a kept connection turns out to be closed.
    func get(
        _ path: String, _ query: Parameters = [], attempted: String, limit: Interval? = nil
    ) async throws(ProxmoxError) -> JSONValue {
        let deadline = NIODeadline.now() + .nanoseconds((limit ?? access.readLimit).nanoseconds)
        let request = head(.get, path, query: query, body: nil, keep: true)
        do {
            var answer: RawAnswer?
            if let connection = takeIdle() {
                do {
                    answer = try await exchange(request, on: connection, until: deadline)
                } catch let failure as ExchangeFailure where failure.mayNeverHaveArrived {
                    answer = nil
                }
            }
            if answer == nil {
                answer = try await exchange(request, on: try await connect(until: deadline), until: deadline)
            }
            guard let answer else { throw CancellationError() }
            return try data(of: answer, attempted: attempted)
        } catch { throw described(error, attempted: attempted, changes: false) }
    }

    /// A change. Sent once and never again.
    func change(
        _ method: Method, _ path: String, _ parameters: Parameters = [], attempted: String, limit: Interval? = nil
    ) async throws(ProxmoxError) -> JSONValue {
        let deadline = NIODeadline.now() + .nanoseconds((limit ?? access.writeLimit).nanoseconds)
        // A DELETE carries its parameters in the address.
        let request =
            method == .delete
            ? head(method, path, query: parameters, body: nil, keep: false)
            : head(method, path, query: [], body: parameters, keep: false)
        do {
            let connection = try await connect(until: deadline)
            defer { connection.close() }
            let answer = try await connection.send(
                request, mostBodyBytes: access.mostAnswerBytes, until: deadline)
            return try data(of: answer, attempted: attempted, changes: true)
        } catch { throw described(error, attempted: attempted, changes: true) }
    }

    // MARK: Connections

    private func connect(until deadline: NIODeadline) async throws -> HTTPSConnection {
        try await HTTPSConnection.open(
            host: access.host, port: access.port, trust: access.trust, context: context, until: deadline)
    }

    private func takeIdle() -> HTTPSConnection? {
        idle.withLock { state in
            while let connection = state.connections.popLast() {
                if connection.isOpen { return connection }
            }
            return nil
        }
    }

    private func exchange(
        _ request: [UInt8], on connection: HTTPSConnection, until deadline: NIODeadline
    ) async throws -> RawAnswer {
        let answer = try await connection.send(request, mostBodyBytes: access.mostAnswerBytes, until: deadline)
        let isKept = idle.withLock { state in
            guard answer.keepsConnection, !state.isShut, state.connections.count < Self.mostIdle else { return false }
            state.connections.append(connection)
            return true
        }
        if !isKept { connection.close() }
        return answer
    }

    // MARK: Text of a request

    private func head(
        _ method: Method, _ path: String, query: Parameters, body: Parameters?, keep: Bool
    ) -> [UInt8] {
        var target = "/api2/json" + path
        if !query.isEmpty { target += "?" + FormText.of(query) }
        let content = body.map { Array(FormText.of($0).utf8) }
        var lines = [
            "\(method.rawValue) \(target) HTTP/1.1",
            "Host: \(access.host.contains(":") ? "[\(access.host)]" : access.host):\(access.port)",
            "Authorization: \(access.token.authorization)",
            "Accept: application/json",
            "Connection: \(keep ? "keep-alive" : "close")",
        ]
        if let content {
            lines.append("Content-Type: application/x-www-form-urlencoded")
            lines.append("Content-Length: \(content.count)")
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + (content ?? [])
    }

    // MARK: Meaning of an answer

    /// What is inside the envelope of a good answer.
    private func data(
        of answer: RawAnswer, attempted: String, changes: Bool = false
    ) throws(ProxmoxError) -> JSONValue {
        guard (200..<300).contains(answer.status) else { throw refusal(answer, attempted: attempted, changes: changes) }
        let envelope: JSONValue
        do throws(JSONFault) {
            envelope = try JSONReader.value(answer.body)
        } catch {
            throw ProxmoxError(
                changes ? .unknownOutcome : .unreadable, attempted: attempted, status: answer.status,
                reason: "the answer is not JSON: \(error)")
        }
        guard let fields = envelope.object, let data = fields["data"] else {
            throw ProxmoxError(
                changes ? .unknownOutcome : .unreadable, attempted: attempted, status: answer.status,
                reason: "the answer has no data")
        }
        return data
    }

    private func refusal(_ answer: RawAnswer, attempted: String, changes: Bool) -> ProxmoxError {
        // The body of an error is often empty; what can be read of it is taken.
        let body = try? JSONReader.value(answer.body)
        var parameters = SortedMap<String, String>()
        for (name, text) in (body?["errors"]?.object ?? [:]).pairs {
            parameters[name] = ProxmoxError.oneLine(text.lenientText ?? "not accepted")
        }
        let message = ProxmoxError.oneLine(body?["message"]?.lenientText ?? "")
        // The phrase is what Proxmox died with; the message repeats it, and is longer when the phrase had to be cut.
        var reason = ProxmoxError.oneLine(answer.reason)
        if message.count > reason.count { reason = message }
        if reason.isEmpty { reason = "status \(answer.status)" }
        return ProxmoxError(
            Self.cause(answer.status, reason, parameters, changes: changes), attempted: attempted,
            status: answer.status, reason: reason, parameters: parameters)
    }

    static func cause(
        _ status: Int, _ reason: String, _ parameters: SortedMap<String, String>, changes: Bool
    ) -> ProxmoxError.Cause {
        switch status {
        case 401: return .unauthorized
        // The daemon behind the proxy, or another host: what became of a change there is not known.
        case 502, 503, 504, 596...599: return changes ? .unknownOutcome : .peerUnreachable
        case 595: return changes && !reason.contains("refused") ? .unknownOutcome : .peerUnreachable
        case 501: return .unsupported
        case 400:
            let sentences = [reason] + parameters.values
            return sentences.lazy.compactMap { ProxmoxError.Cause(sentence: $0) }.first ?? .invalid
        case 403: return ProxmoxError.Cause(sentence: reason) ?? .forbidden
        default: return ProxmoxError.Cause(sentence: reason) ?? .refused
        }
    }

    private func described(_ error: any Error, attempted: String, changes: Bool) -> ProxmoxError {
        if let error = error as? ProxmoxError { return error }
        guard let failure = error as? ExchangeFailure else {
            return ProxmoxError(changes ? .unknownOutcome : .unreachable, attempted: attempted, reason: "\(error)")
        }
        let cause: ProxmoxError.Cause =
            switch failure.stage {
            case .connecting: .unreachable
            case .refusedCertificate: .untrusted
            case .waitingForAnswer: changes ? .unknownOutcome : failure.isTimeout ? .timedOut : .unreachable
            }
        let server = "\(access.host):\(access.port)"
        return ProxmoxError(cause, attempted: attempted, reason: "\(server): \(ProxmoxError.oneLine(failure.why))")
    }
}

/// Parameters as text (application/x-www-form-urlencoded).
enum FormText {
    static func of(_ parameters: ProxmoxClient.Parameters) -> String {
        parameters.map { "\(escaped($0.name))=\(escaped($0.value))" }.joined(separator: "&")
    }

    /// Everything but the unreserved characters of RFC 3986.
    static func escaped(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0" + digits : "%" + digits
            }
        }
        return result
    }
}
