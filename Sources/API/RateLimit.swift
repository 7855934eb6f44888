// How often one client may ask: a bucket for each, by the key of its certificate or, where none is asked for, by its
// address. One script that runs wild is told so, and everybody else goes on as before. How much may be in work at once is
// Admission's.

import Consensus
import Synchronization

final class RateLimit: Sendable {
    /// Clients that are remembered. Whoever asked longest ago makes room: its bucket is full again by then, or nearly.
    static let mostClients = 1_024

    private struct Bucket {
        var tokens: Double
        var filled: Instant
    }

    private let perSecond: Double
    private let burst: Double
    private let buckets = Mutex<[String: Bucket]>([:])

    /// - Parameter perSecond: what one client may ask in the long run; twice as much in one go.
    init(perSecond: Int) {
        self.perSecond = Double(perSecond)
        burst = Double(perSecond) * 2
    }

    /// Counts one request.
    /// - Throws: `APIFailure` with `overloaded` when the client has asked too often.
    func count(_ client: String, called name: String, now: Instant) throws {
        let isLet: Bool = buckets.withLock { buckets in
            var bucket = buckets[client] ?? Bucket(tokens: burst, filled: now)
            let passed = Double(max((now - bucket.filled).nanoseconds, 0)) / 1e9
            bucket.tokens = min(burst, bucket.tokens + passed * perSecond)
            bucket.filled = max(now, bucket.filled)
            let isLet = bucket.tokens >= 1
            if isLet { bucket.tokens -= 1 }
            if buckets[client] == nil, buckets.count >= Self.mostClients,
                let oldest = buckets.min(by: { $0.value.filled < $1.value.filled })
            {
                buckets[oldest.key] = nil
            }
            buckets[client] = bucket
            return isLet
        }
        guard !isLet else { return }
        throw APIFailure(
            .overloaded,
            "\(name) asks more than \(Int(perSecond)) times a second, as often as this member answers one client",
            next: "ask less often; holdfast events -w and --watch follow without asking")
    }
}
