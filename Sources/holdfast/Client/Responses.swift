// What the endpoints said while one was looked for that could answer: which of it ends the search, and the words for
// the person when none could.

import API
import Cluster

struct Responses {
    enum Verdict {
        case answer([UInt8])
        case final(CommandFailure)
        case tryNext
    }

    private let endpoints: [String]
    /// What each endpoint said last.
    private var last: [String: String] = [:]
    /// Whether it ended at the deadline of something already begun.
    private var begun: APIFailure?
    private var someoneAnswered = false
    private var rejecting: Set<String> = []

    init(_ endpoints: [String]) { self.endpoints = endpoints }

    mutating func judge(_ delivery: Delivery, from endpoint: String, repeatable: Bool) -> Verdict {
        switch delivery {
        case .answered(let status, let body) where (200..<300).contains(status): return .answer(body)
        case .answered(let status, let body):
            someoneAnswered = true
            guard let failure = try? CanonicalJSON.decode(FailureBody.self, from: body).error else {
                return .final(
                    CommandFailure(
                        ExitStatus.error, "\(endpoint) answered with status \(status) and no reason",
                        next: "is that a holdfast member? give --endpoints"))
            }
            last[endpoint] = failure.message
            switch failure.code {
            case .noQuorum, .overloaded, .elsewhere: return .tryNext
            case .timedOut where repeatable:
                begun = failure
                return .tryNext
            default: return .final(CommandFailure(failure))
            }
        case .notSent(let reason):
            last[endpoint] = reason
            return .tryNext
        case .rejected(let reason):
            last[endpoint] = reason
            rejecting.insert(endpoint)
            guard rejecting.isSuperset(of: endpoints) else { return .tryNext }
            // Nobody will think otherwise in a moment.
            return .final(
                CommandFailure(
                    ExitStatus.forbidden, "no member accepts the certificate of this context",
                    next: "holdfast context use NAME for another context, or copy the file of another admin",
                    details: details))
        case .lost(let reason):
            last[endpoint] = reason
            return repeatable ? .tryNext : Self.unknown(endpoint, reason)
        case .late(let limit):
            // What it said before tells more than its silence in the last moments.
            let reason = "no answer within \(limit.milliseconds) ms"
            last[endpoint] = last[endpoint] ?? reason
            return repeatable ? .tryNext : Self.unknown(endpoint, reason)
        }
    }

    private static func unknown(_ endpoint: String, _ reason: String) -> Verdict {
        .final(
            CommandFailure(
                ExitStatus.timedOut, "\(endpoint): \(reason); whether it was carried out is not known",
                next: "look at the present state: holdfast status"))
    }

    private var details: [String] { endpoints.map { "\($0): \(last[$0] ?? "not asked; the time was up")" } }

    /// The failure when the time is up.
    func failure(_ limit: Duration) -> CommandFailure {
        if let begun { return CommandFailure(begun) }
        return CommandFailure(
            ExitStatus.unreachable,
            someoneAnswered
                ? "no member answered with a quorum within \(limit.milliseconds) ms"
                : "no member could be reached within \(limit.milliseconds) ms",
            next: someoneAnswered
                ? "holdfast status --consistency local shows what a member knows without a quorum"
                : "systemctl status holdfast on a member, or give other --endpoints",
            details: details)
    }
}

extension CommandFailure {
    init(_ failure: APIFailure) {
        self.init(failure.code.exitCode, failure.message, next: failure.next, details: failure.problems)
    }
}
