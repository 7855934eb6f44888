// Client certificates that were checked already: a connection shows the same one with every request, and checking a
// signature takes longer than most requests. What may change meanwhile is asked every time: whether the certificate is still
// valid at this moment, and (by whoever uses this) whether its owner still has the rights it speaks of.

import FoundationEssentials
import Runtime
import Synchronization

final class BelievedCertificates: Sendable {
    /// More are not remembered: the oldest ones are not told apart, so all are forgotten and checked once again.
    static let most = 1_024

    private struct Believed {
        let principal: Principal
        let valid: ClosedRange<Date>
    }

    private struct Memory {
        var believed: [[UInt8]: Believed] = [:]
        /// Names of the authorities by which they were believed.
        var pins: [String] = []
    }

    private let trust: @Sendable () -> ClusterTrust
    private let memory = Mutex(Memory())

    /// - Parameter trust: asked every time; what other authorities made believable is forgotten.
    init(_ trust: @escaping @Sendable () -> ClusterTrust) { self.trust = trust }

    /// - Throws: `CertificateRefusal`, as for a certificate that was never seen.
    /// - Parameter bytes: the certificate, in DER.
    func principal(showing bytes: [UInt8], now: Date = Date()) throws -> Principal {
        let trust = trust()
        let known = memory.withLock { memory in
            if memory.pins != trust.pins { memory = Memory(pins: trust.pins) }
            return memory.believed[bytes]
        }
        if let known, known.valid.contains(now) { return known.principal }
        let shown = try trust.identify(chain: [bytes], as: .client, now: now)
        let principal = Principal(subject: shown.subject, key: shown.key)
        memory.withLock { memory in
            guard memory.pins == trust.pins else { return }
            if memory.believed.count >= Self.most { memory.believed = [:] }
            memory.believed[bytes] = Believed(principal: principal, valid: shown.valid)
        }
        return principal
    }
}
