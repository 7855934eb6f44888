// A member's certificate and what it trusts, as far as the cluster has a part in it: what the state says of authorities goes
// out as an effect, and what the member has made of it comes back and is announced. Knows nothing of keys and certificates.

import Cluster

/// What a member tells the cluster of its identity.
public struct IdentityNews: Hashable, Sendable {
    /// When its certificate ends, milliseconds since 1970.
    public var expires: Int64
    /// As in `MemberRecord`.
    public var signedBy: String?
    public var preparedFor: String?

    public init(expires: Int64, signedBy: String? = nil, preparedFor: String? = nil) {
        self.expires = expires
        self.signedBy = signedBy
        self.preparedFor = preparedFor
    }
}

extension AgentCore {
    mutating func receive(_ news: IdentityNews) {
        setup.record.certificateExpires = news.expires
        setup.record.signedBy = news.signedBy ?? setup.record.signedBy
        setup.record.preparedFor = news.preparedFor ?? setup.record.preparedFor
        stop.knownRevision = nil
    }

    /// What a member is called is the state's to say: its own files may have an earlier name.
    mutating func followName() {
        guard let known = state.members.look(id, { $0.name }), known != setup.record.name else { return }
        setup.record.name = known
        // Whether it is a candidate does not hang on it; what it was told to check does not either.
        effects.append(.log("this member is called \(known)"))
    }

    /// An old state may trust what nobody does any more, so it is not followed while it is being caught up with.
    mutating func followAuthorities() {
        guard isCurrent, let book = state.authorityBook, book != followedAuthorities else { return }
        followedAuthorities = book
        effects.append(.authorities(book))
    }
}
