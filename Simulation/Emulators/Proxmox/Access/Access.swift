// Users, tokens and who may do what: user.cfg. Kept in the cluster's files, so it is the same on every node and cannot be
// changed without a quorum. Secrets are kept as digests only.

import FoundationEssentials

/// The users, tokens and permissions of a cluster.
public struct Access: Hashable, Sendable, Codable {
    struct User: Hashable, Sendable, Codable {
        var passwordDigest: String?
    }

    struct Token: Hashable, Sendable, Codable {
        var secretDigest: String
        var isSeparated: Bool
        /// Seconds since 1970; 0 never expires.
        var expires = 0
    }

    struct Entry: Hashable, Sendable, Codable {
        var path: String
        /// A user ("ops@pve") or a token ("ops@pve!agent").
        var subject: String
        var role: String
        var propagates: Bool
    }

    var users: [String: User] = ["root@pam": User()]
    /// By "user@realm!id".
    var tokens: [String: Token] = [:]
    var entries: [Entry] = []
    var roles: [String: [String]] = [:]
    /// Privileges taken away from a subject whatever its roles say: a fault.
    var revoked: [String: [String]] = [:]

    public init() {}

    // MARK: Setting up

    public mutating func addUser(_ name: String, password: String? = nil) {
        users[name] = User(passwordDigest: password.map(Digests.sha256))
    }

    /// - Parameter name: "user@realm!id".
    public mutating func addToken(_ name: String, secret: String, isSeparated: Bool = false) {
        tokens[name] = Token(secretDigest: Digests.sha256(secret), isSeparated: isSeparated)
    }

    public mutating func grant(_ role: String, to subject: String, on path: String = "/", propagates: Bool = true) {
        entries.removeAll { $0.path == path && $0.subject == subject && $0.role == role }
        entries.append(Entry(path: path, subject: subject, role: role, propagates: propagates))
    }

    // MARK: Asking

    /// - Returns: nil when it is right, otherwise what is wrong.
    func refusal(token name: String, secret: String, now: Moment) -> String? {
        guard name.contains("!") else { return "no tokenid specified" }
        let user = String(name.prefix { $0 != "!" })
        let id = String(name.drop { $0 != "!" }.dropFirst())
        guard users[user] != nil else { return "no such user ('\(user)')" }
        guard let token = tokens[name] else { return "no such token '\(id)' for user '\(user)'" }
        guard token.expires == 0 || token.expires > now.seconds else { return "token '\(id)' access expired" }
        return token.secretDigest == Digests.sha256(secret) ? nil : "invalid token value!"
    }

    /// The privileges a user or token has on a path.
    func privileges(of subject: String, on path: String, _ release: Release) -> Set<String> {
        let user = String(subject.prefix { $0 != "!" })
        var found = user == "root@pam" ? Set(Roles.all(release)) : own(user, on: path, release)
        if subject.contains("!"), tokens[subject]?.isSeparated == true {
            found.formIntersection(own(subject, on: path, release))
        }
        for name in [user, subject] { found.subtract(revoked[name] ?? []) }
        return found
    }

    /// The roles of the deepest path that has any replace those above it, as PVE::AccessControl::roles does.
    private func own(_ subject: String, on path: String, _ release: Release) -> Set<String> {
        var level = "/"
        var levels = ["/"]
        for part in path.split(separator: "/") {
            level = level == "/" ? "/\(part)" : "\(level)/\(part)"
            levels.append(level)
        }
        var found: Set<String> = []
        for level in levels {
            let here = entries.filter { $0.subject == subject && $0.path == level && ($0.propagates || level == path) }
            guard !here.isEmpty else { continue }
            found = Set(here.flatMap { Roles.privileges(of: $0.role, release, custom: roles) })
        }
        return found
    }
}
