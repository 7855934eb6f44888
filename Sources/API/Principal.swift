// Who is asking: read from the URI in the client certificate, which the cluster's authority has signed.

import Consensus
import NIOSSL
import SwiftASN1
import X509

/// What someone may do. Each right includes the ones before it.
public enum OperatorRole: String, Comparable, Sendable, CaseIterable {
    /// Reads.
    case viewer
    /// Declares, deletes, moves, writes values.
    case `operator`
    /// Changes the cluster itself: tokens, members, leadership.
    case admin

    private var rank: Int {
        switch self {
        case .viewer: 0
        case .operator: 1
        case .admin: 2
        }
    }
    public static func < (left: OperatorRole, right: OperatorRole) -> Bool { left.rank < right.rank }
}

/// The owner of a client certificate.
public enum Principal: Hashable, Sendable {
    /// A person or a script.
    case person(name: String, role: OperatorRole)
    /// An agent of this cluster. It may read; what it changes goes over the peer connection.
    case member(MemberID)

    public var role: OperatorRole {
        switch self {
        case .person(_, let role): role
        case .member: .viewer
        }
    }

    /// As it stands in events.
    public var name: String {
        switch self {
        case .person(let name, _): name
        case .member(let id): "member/\(id)"
        }
    }

    /// Reads `holdfast://CLUSTER/operator/NAME?role=ROLE` and `holdfast://CLUSTER/member/ID`. Nil for anything else, and
    /// for the URIs of another cluster. A name has 1 to 64 letters, digits, and `. _ - @`.
    public init?(uri: String, cluster: ClusterID) {
        let prefix = "holdfast://\(cluster)/"
        guard uri.hasPrefix(prefix) else { return nil }
        let parts = uri.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        switch parts[0] {
        case "member":
            guard let id = MemberID(String(parts[1])) else { return nil }
            self = .member(id)
        case "operator":
            let halves = parts[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, Self.isName(halves[0]), halves[1].hasPrefix("role="),
                let role = OperatorRole(rawValue: String(halves[1].dropFirst("role=".count)))
            else { return nil }
            self = .person(name: String(halves[0]), role: role)
        default: return nil
        }
    }

    private static func isName(_ text: Substring) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                    UInt8(ascii: "@"):
                    true
                default: false
                }
            }
    }

    /// The owner of a verified certificate. Nil when it names nobody of this cluster, or several.
    init?(certificate: NIOSSLCertificate, cluster: ClusterID) throws {
        let parsed = try Certificate(derEncoded: try certificate.toDERBytes())
        guard let names = try parsed.extensions.subjectAlternativeNames else { return nil }
        let uris = names.compactMap { name -> String? in
            if case .uniformResourceIdentifier(let uri) = name { uri } else { nil }
        }
        guard uris.count == 1 else { return nil }
        self.init(uri: uris[0], cluster: cluster)
    }
}
