// Who is asking: what the client's certificate says, once it is believed.

import Consensus
import NIOSSL
import Runtime

/// The owner of a client certificate.
struct Principal: Hashable, Sendable {
    let subject: CertificateSubject

    /// A member may read; what it changes goes over the peer connection.
    var role: OperatorRole {
        switch subject {
        case .member: .viewer
        case .operatorAccount(_, let role): role
        }
    }

    /// As it stands in events.
    var name: String {
        switch subject {
        case .member(let id): "member/\(id)"
        case .operatorAccount(let name, _): name
        }
    }

    /// - Throws: `CertificateRefusal` when the certificate is not one of this cluster, or no longer valid: a connection
    ///   may be older than that.
    init(certificate: NIOSSLCertificate, trust: ClusterTrust) throws {
        subject = try trust.authenticate(chain: [try certificate.toDERBytes()], as: .client)
    }
}
