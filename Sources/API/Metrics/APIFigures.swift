// What the API counts about itself: requests by route and status, refusals by their reason, and how long answers take.
// Routes are named by their pattern and never by what was asked, so the number of series is bounded and nothing of what
// people store shows.

import HTTPTypes
import Hummingbird
import Runtime
import Synchronization

final class APIFigures: Sendable {
    struct Answered: Hashable, Comparable, Sendable {
        var method: String
        var route: String
        var status: Int

        static func < (left: Answered, right: Answered) -> Bool {
            (left.route, left.method, left.status) < (right.route, right.method, right.status)
        }
    }

    private struct Counts {
        var answered: [Answered: UInt64] = [:]
        var refused: [FailureCode: UInt64] = [:]
    }

    private let counts = Mutex(Counts())
    private let durations = DurationHistogram()

    func answered(_ what: Answered, nanoseconds: Int64) {
        counts.withLock { $0.answered[what, default: 0] += 1 }
        durations.count(nanoseconds: nanoseconds)
    }

    func refused(_ code: FailureCode) { counts.withLock { $0.refused[code, default: 0] += 1 } }

    func families() -> [MetricFamily] {
        let counts = counts.withLock { $0 }
        var requests = MetricFamily(
            .counter, "holdfast_api_requests_total", "Requests that were answered, by route, method and HTTP status.")
        for (what, count) in counts.answered.sorted(by: { $0.key < $1.key }) {
            requests.add(
                Double(count), .init("route", what.route), .init("method", what.method),
                .init("code", String(what.status)))
        }
        var refusals = MetricFamily(
            .counter, "holdfast_api_refusals_total", "Requests that were not carried out, by the reason.")
        for code in FailureCode.allCases {
            refusals.add(Double(counts.refused[code] ?? 0), .init("reason", code.rawValue))
        }
        var times = MetricFamily(
            .histogram, "holdfast_api_request_duration_seconds", "From a request's head to the head of its answer.")
        times.add(durations.reading)
        return [requests, refusals, times]
    }
}

/// Counts every request, whatever becomes of it.
struct CountRequests: RouterMiddleware {
    let figures: APIFigures

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response = try await next(request, context)
        // Where no route was found, path and method are words of the client, as many as it likes.
        let path = context.endpointPath.flatMap { $0.hasPrefix("/") ? $0 : nil }
        let route = path ?? "none"
        let method = path == nil ? "any" : request.method.rawValue
        let taken = (ContinuousClock.now - start).components
        figures.answered(
            .init(method: method, route: route, status: response.status.code),
            nanoseconds: taken.seconds * 1_000_000_000 + taken.attoseconds / 1_000_000_000)
        return response
    }
}
