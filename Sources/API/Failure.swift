// Why a request was not carried out: one code for programs, one sentence for people, and what to try next.

import Cluster
import Runtime
import Agent

/// The code of an error. It fixes the HTTP status and the exit code of the CLI.
public enum FailureCode: String, Sendable, Codable, CaseIterable {
    /// The request itself makes no sense: bad JSON, a bad header, an unknown parameter.
    case badRequest
    /// What was declared is not valid; `problems` names everything that is wrong.
    case invalid
    /// No client certificate.
    case unauthenticated
    case forbidden
    case notFound
    /// Something changed in between, or has another value than was expected.
    case conflict
    /// The cluster cannot do it as asked.
    case refused
    /// Refused because it would endanger something.
    case unsafe
    /// The request was carried out and answered before, too long ago to answer again.
    case expired
    case tooLarge
    case overloaded
    /// This member cannot, another one can.
    case elsewhere
    /// No leader with a quorum answered in time.
    case noQuorum
    /// It was begun, and its end was not seen by the deadline.
    case timedOut
    case `internal`

    public var httpStatus: Int {
        switch self {
        case .badRequest: 400
        case .invalid: 422
        case .unauthenticated: 401
        case .forbidden: 403
        case .notFound: 404
        case .conflict, .refused, .unsafe, .expired: 409
        case .tooLarge: 413
        case .elsewhere: 421
        case .overloaded: 429
        case .noQuorum: 503
        case .timedOut: 504
        case .internal: 500
        }
    }

    /// What the CLI exits with.
    public var exitCode: Int32 {
        switch self {
        case .badRequest, .invalid, .refused, .expired, .tooLarge, .elsewhere, .overloaded, .internal: 2
        case .notFound: 3
        case .conflict: 4
        case .noQuorum: 5
        case .unauthenticated, .forbidden: 6
        case .timedOut: 7
        case .unsafe: 8
        }
    }
}

/// An error as it travels: `{"error": {"code", "message", "next", "problems"}}`.
public struct APIFailure: Error, Hashable, Sendable, Codable {
    public var code: FailureCode
    /// What was attempted, on what, and what stood in the way.
    public var message: String
    /// What to try next; empty when there is nothing to say.
    public var next: String
    /// Everything that is wrong with what was declared.
    public var problems: [String]

    public init(_ code: FailureCode, _ message: String, next: String = "", problems: [String] = []) {
        self.code = code
        self.message = message
        self.next = next
        self.problems = problems
    }
}

/// The body of an answer that carries an error.
public struct FailureBody: Sendable, Codable {
    public var error: APIFailure

    public init(error: APIFailure) { self.error = error }
}

extension APIFailure {
    /// - Parameter reason: as the state has it.
    init(forbidden reason: String) {
        self.init(.forbidden, reason, next: "see whom this context speaks for: holdfast context list")
    }

    /// The words for what the agent could not do. `changing`: it was asked to change something.
    init(_ failure: AgentFailure, changing: Bool) {
        switch failure {
        case .noQuorum(let detail):
            self.init(
                .noQuorum,
                "no leader with a quorum answered in time: \(detail)"
                    + (changing ? "; the change may still take effect if it had reached a leader" : ""),
                next: "see what this member knows: holdfast status --consistency local")
        case .overloaded:
            self.init(.overloaded, "the agent has too much waiting", next: "try again in a moment")
        case .refused(let reason):
            self.init(.refused, reason)
        case .forbidden(let reason): self.init(forbidden: reason)
        }
    }

    /// Nil when the command took effect, or had nothing to change.
    init?(_ outcome: Outcome) {
        switch outcome.code {
        case .done, .unchanged: return nil
        case .conflict: self.init(.conflict, outcome.message, next: "look at what changed, then try again")
        case .notFound: self.init(.notFound, outcome.message)
        case .forbidden: self.init(.forbidden, outcome.message)
        case .invalid: self.init(.invalid, outcome.message)
        case .unsafe: self.init(.unsafe, outcome.message)
        case .expired: self.init(.expired, outcome.message, next: "look at the present state before trying again")
        }
    }
}
