// Turns single results into a verdict: one lost packet is no failure, one good answer no recovery.

import Kinds

/// Counts results in a row. The first result counts at once; after that a verdict changes when the declared number of
/// failures, or successes, came without a break.
struct HealthJudge {
    private let failures: Int
    private let successes: Int
    /// nil before the first result.
    private(set) var isHealthy: Bool?
    /// How many results in a row contradict the verdict.
    private var against = 0

    init(_ check: HealthCheck) {
        failures = max(1, check.failures)
        successes = max(1, check.successes)
    }

    /// Takes a result; true when the verdict changed with it.
    mutating func note(success: Bool) -> Bool {
        guard let verdict = isHealthy else {
            isHealthy = success
            return true
        }
        guard success != verdict else {
            against = 0
            return false
        }
        against += 1
        guard against >= (verdict ? failures : successes) else { return false }
        against = 0
        isHealthy = success
        return true
    }
}
