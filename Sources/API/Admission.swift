// How many requests may be in work at once. Beyond the limit a request is refused at once and told so: waiting in line
// would only use up its deadline.

import Runtime
import Synchronization

final class Admission: Sendable {
    private let most: Int
    private let what: String
    private let present = Mutex(0)

    /// - Parameter what: what is counted, in the plural, for the words of the refusal.
    init(most: Int, of what: String) {
        self.most = most
        self.what = what
    }

    /// How many of each are in work, and how many may be.
    static func families(_ admissions: [Admission]) -> [MetricFamily] {
        var present = MetricFamily(.gauge, "holdfast_api_in_work", "What is in work now, by what it is.")
        var most = MetricFamily(.gauge, "holdfast_api_in_work_limit", "How much may be in work; more is refused.")
        for admission in admissions {
            present.add(Double(admission.present.withLock { $0 }), .init("what", admission.what))
            most.add(Double(admission.most), .init("what", admission.what))
        }
        return [present, most]
    }

    /// A place among those in work, given back when it is no longer referenced: an answer whose connection died before
    /// its first byte gives its place back too.
    final class Place: Sendable {
        private let admission: Admission
        fileprivate init(of admission: Admission) { self.admission = admission }
        deinit { admission.present.withLock { $0 -= 1 } }
    }

    /// - Throws: `APIFailure` with `overloaded` when as many are in work as may be.
    func enter() throws -> Place {
        let entered = present.withLock { count in
            guard count < most else { return false }
            count += 1
            return true
        }
        guard entered else {
            throw APIFailure(
                .overloaded, "this member has \(most) \(what) in work, as many as it takes",
                next: "try again in a moment, or ask another member")
        }
        return Place(of: self)
    }

    /// Runs `work` inside the limit.
    func during<Result: Sendable>(_ work: () async throws -> Result) async throws -> Result {
        let place = try enter()
        let result = try await work()
        withExtendedLifetime(place) {}
        return result
    }
}
