// Asks the cluster, just before what cannot be undone, whether an order still holds. An answer counts for half a second:
// an agent that was stopped after the answer asks again.

import Consensus
import Kinds

struct ClaimCheck: Sendable {
    /// Asks the cluster, as of now and not as this member remembers it.
    let ask: @Sendable (OrderClaim) async -> ClaimAnswer
    let now: @Sendable () -> Instant

    static let freshness = Interval.milliseconds(500)
    /// An answer that took longer than it counts for is asked for again so often.
    static let mostQuestions = 4

    init(
        now: @escaping @Sendable () -> Instant = BootTime.now,
        ask: @escaping @Sendable (OrderClaim) async -> ClaimAnswer
    ) {
        self.ask = ask
        self.now = now
    }

    /// - Throws: when it does not hold, or nobody can say so. Then nothing may be done.
    func confirm(_ claim: OrderClaim, _ attempted: String) async throws(StepFailure) {
        for _ in 0..<Self.mostQuestions {
            let asked = now()
            switch await ask(claim) {
            case .holds: if now() - asked < Self.freshness { return }
            case .superseded(let reason): throw StepFailure("\(attempted): not carried out: \(reason)")
            case .unknown(let reason):
                throw StepFailure(
                    "\(attempted): not carried out, for nobody says that it is still wanted: \(reason); see holdfast status"
                )
            }
        }
        throw StepFailure(
            "\(attempted): not carried out: the answer of the cluster takes longer than it counts for; see holdfast status"
        )
    }
}
