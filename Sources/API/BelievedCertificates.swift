// Client certificates that were checked already: a connection shows the same one with every request, and checking a
// signature takes longer than most requests. What may change meanwhile is asked every time: whether the certificate is still
// valid at this moment, and (by whoever uses this) whether its owner still has the rights it speaks of.

import FoundationEssentials
import NIOSSL
import Runtime
import Synchronization
import X509

final class BelievedCertificates: Sendable {
    /// More are not remembered: the oldest ones are not told apart, so all are forgotten and checked once again.
    static let most = 1_024

    private struct Believed {
        let principal: Principal
        let valid: ClosedRange<Date>
    }

    private let trust: ClusterTrust
    private let believed = Mutex<[[UInt8]: Believed]>([:])

    init(_ trust: ClusterTrust) { self.trust = trust }

    /// - Throws: `CertificateRefusal`, as for a certificate that was never seen.
    func principal(showing certificate: NIOSSLCertificate, now: Date = Date()) throws -> Principal {
        let bytes = try certificate.toDERBytes()
        if let known = believed.withLock({ $0[bytes] }), known.valid.contains(now) { return known.principal }
        let principal = try Principal(certificate: certificate, trust: trust, now: now)
        let leaf = try Certificate(derEncoded: bytes)
        let from = max(leaf.notValidBefore, trust.certificate.notValidBefore)
        let end = min(leaf.notValidAfter, trust.certificate.notValidAfter)
        guard from <= end else { return principal }
        believed.withLock {
            if $0.count >= Self.most { $0 = [:] }
            $0[bytes] = Believed(principal: principal, valid: from...end)
        }
        return principal
    }
}
