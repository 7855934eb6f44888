// Who is asking: what the client's certificate says, once it is believed.

import Cluster
import Consensus
import Runtime

/// The owner of a client certificate.
struct Principal: Hashable, Sendable {
    let subject: CertificateSubject
    /// Names its key.
    let key: String

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

    /// The person behind a command; nil for a member.
    func origin(needs: OperatorRole, reason: String?) -> CommandOrigin? {
        guard case .operatorAccount(let name, let role) = subject else { return nil }
        return CommandOrigin(name: name, role: role, key: key, needs: needs, reason: reason)
    }
}
