// Who a certificate speaks for. It is written into the certificate as a URI, because names there are free text while a
// URI names cluster, class and identity exactly:
//     holdfast://<cluster>/member/<member id>
//     holdfast://<cluster>/operator/<name>?role=admin|operator|viewer

import Cluster
import Consensus
import Crypto

/// Who a certificate speaks for.
public enum CertificateSubject: Hashable, Sendable, CustomStringConvertible {
    case member(MemberID)
    case operatorAccount(name: String, role: OperatorRole)

    public var description: String {
        switch self {
        case .member(let id): "member \(id)"
        case .operatorAccount(let name, let role): "\(role.rawValue) \(name)"
        }
    }

    /// The URI that stands in the certificate.
    func uri(in cluster: ClusterID) -> String {
        switch self {
        case .member(let id): "holdfast://\(cluster)/member/\(id)"
        case .operatorAccount(let name, let role): "holdfast://\(cluster)/operator/\(name)?role=\(role.rawValue)"
        }
    }

    /// Reads what `uri(in:)` writes; nil for anything else, also for a different spelling of the same.
    static func parse(uri: String) -> (cluster: ClusterID, subject: CertificateSubject)? {
        let parts = uri.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, parts[0] == "holdfast:", parts[1].isEmpty, let cluster = ClusterID(parts[2]) else {
            return nil
        }
        let subject: CertificateSubject
        switch parts[3] {
        case "member":
            guard let id = MemberID(parts[4]) else { return nil }
            subject = .member(id)
        case "operator":
            let account = parts[4].split(separator: "?", omittingEmptySubsequences: false).map(String.init)
            guard account.count == 2, isValidName(account[0]), account[1].hasPrefix("role="),
                let role = OperatorRole(rawValue: String(account[1].dropFirst(5)))
            else { return nil }
            subject = .operatorAccount(name: account[0], role: role)
        default: return nil
        }
        return subject.uri(in: cluster) == uri ? (cluster, subject) : nil
    }
}

/// Names of members and operators, as the state has them.
public func isValidName(_ name: String) -> Bool { ClusterState.isName(name) }

extension MemberID {
    /// The identity that belongs to a key: the first eight bytes, big-endian, of the SHA-256 of its
    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7, DER).
    public init(publicKey: P256.Signing.PublicKey) {
        let value = SHA256.hash(data: publicKey.derRepresentation).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        self.init(rawValue: value)
    }
}
