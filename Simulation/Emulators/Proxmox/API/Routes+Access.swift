// Endpoints of logins, users, tokens and permissions.

extension Route {
    static let access: [Route] = [
        Route(
            "POST", "/access/ticket",
            [
                .string("username").required, .string("password").required, .string("realm"), .string("otp"),
                .string("path"), .string("privs"), .string("tfa-challenge"), .flag("new-format"),
            ], .world
        ) { try $0.logIn($1) },
        Route("GET", "/access/permissions", [.string("path"), .string("userid")], .user) {
            try $0.permissions($1)
        },
        Route("GET", "/access/acl", [], .user) { try $0.accessList($1) },
        Route(
            "PUT", "/access/acl",
            [
                .string("path").required, .string("roles").required, .string("users"), .string("groups"),
                .string("tokens"), .flag("propagate"), .flag("delete"),
            ], .user
        ) { try $0.changeAccessList($1) },
        Route("GET", "/access/roles", [], .user) { try $0.roles($1) },
        Route(
            "POST", "/access/users",
            [
                .string("userid").required, .string("password"), .string("comment"), .string("email"),
                .flag("enable"), .integer("expire", from: 0), .string("firstname"), .string("lastname"),
                .string("groups"), .string("keys"),
            ], .user
        ) { try $0.createUser($1) },
        Route("GET", "/access/users/{userid}/token/{tokenid}", [], .user) { try $0.token($1) },
        Route(
            "POST", "/access/users/{userid}/token/{tokenid}",
            [.string("comment"), .integer("expire", from: 0), .flag("privsep")], .user
        ) { try $0.createToken($1) },
        Route("DELETE", "/access/users/{userid}/token/{tokenid}", [], .user) { try $0.removeToken($1) },
    ]
}

extension Host {
    static let accessFile = "user.cfg"

    var access: Access {
        guard let text = files.read(Self.accessFile),
            let value = decoded.value(Self.accessFile, text, as: Access.self)
        else { return Access() }
        return value
    }

    private mutating func storeAccess(_ access: Access) throws(APIError) {
        try write(Self.accessFile, Self.encoded(access))
    }

    // MARK: Logging in

    mutating func logIn(_ call: Call) throws(APIError) -> Reply {
        var user = call["username"] ?? ""
        if let realm = call["realm"], !user.contains("@") { user += "@\(realm)" }
        let digest = call["password"].map(Digests.sha256)
        guard let known = access.users[user], known.passwordDigest != nil, known.passwordDigest == digest else {
            throw APIError(status: 401, reason: "authentication failure")
        }
        let stamp = String(now.seconds, radix: 16, uppercase: true)
        return .data([
            "username": .string(user), "clustername": .string(settings.clusterName),
            "ticket": .string("PVE:\(user):\(stamp)::\(ticketSeal(user: user, stamp: stamp))"),
            "CSRFPreventionToken": .string(csrfToken(user: user, stamp: stamp)), "cap": capabilities(user),
        ])
    }

    /// What the web page shows a user: privileges of some paths, by area.
    private func capabilities(_ user: String) -> JSON {
        let areas: [(String, String, [String])] = [
            ("access", "/access", ["User.Modify", "Group.Allocate", "Permissions.Modify"]),
            ("dc", "/", ["Sys.Audit", "Sys.Modify", "SDN.Allocate", "SDN.Audit", "SDN.Use"]),
            (
                "mapping", "/mapping", ["Mapping.Audit", "Mapping.Modify", "Mapping.Use", "Permissions.Modify"]
            ),
            ("nodes", "/nodes", ["Sys.", "Permissions.Modify"]),
            ("sdn", "/sdn", ["SDN.", "Permissions.Modify"]),
            ("storage", "/storage", ["Datastore.", "Permissions.Modify"]),
            ("vms", "/vms", ["VM.", "Permissions.Modify"]),
        ]
        var found: [String: JSON] = [:]
        for (area, path, wanted) in areas {
            let held = access.privileges(of: user, on: path, settings.release).filter { privilege in
                wanted.contains { $0.hasSuffix(".") ? privilege.hasPrefix($0) : privilege == $0 }
            }
            found[area] = .object(Dictionary(uniqueKeysWithValues: held.map { ($0, .integer(1)) }))
        }
        return .object(found)
    }

    // MARK: Permissions

    func permissions(_ call: Call) throws(APIError) -> Reply {
        let subject = call["userid"] ?? call.principal
        let access = access
        let paths =
            call["path"].map { [$0] }
            ?? ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"]
            + access.entries.map(\.path)
        var found: [String: JSON] = [:]
        for path in paths {
            let held = access.privileges(of: subject, on: path, settings.release)
            guard !held.isEmpty || call["path"] != nil else { continue }
            found[path] = .object(Dictionary(uniqueKeysWithValues: held.map { ($0, .integer(1)) }))
        }
        return .data(.object(found))
    }

    func accessList(_ call: Call) throws(APIError) -> Reply {
        guard may(call, "Permissions.Modify", on: "/access") || may(call, "Sys.Audit", on: "/access") else {
            return .data([])
        }
        return .data(
            .array(
                access.entries.map { entry in
                    [
                        "path": .string(entry.path), "ugid": .string(entry.subject), "roleid": .string(entry.role),
                        "propagate": .flag(entry.propagates),
                        "type": .string(entry.subject.contains("!") ? "token" : "user"),
                    ]
                }))
    }

    mutating func changeAccessList(_ call: Call) throws(APIError) -> Reply {
        let path = call["path"] ?? "/"
        try require(call, "Permissions.Modify", on: path)
        var access = access
        let subjects = [call["users"], call["tokens"]].compactMap { $0 }.flatMap { $0.split(separator: ",") }
        for subject in subjects.map(String.init) {
            for role in (call["roles"] ?? "").split(separator: ",").map(String.init) {
                if call.flag("delete") {
                    access.entries.removeAll { $0.path == path && $0.subject == subject && $0.role == role }
                } else {
                    access.grant(
                        role, to: subject, on: path,
                        propagates: call["propagate"].map { _ in call.flag("propagate") } ?? true)
                }
            }
        }
        try storeAccess(access)
        return .nothing
    }

    func roles(_ call: Call) throws(APIError) -> Reply {
        let access = access
        let own = access.roles.map { role, privileges -> JSON in
            ["roleid": .string(role), "privs": .string(privileges.joined(separator: ",")), "special": 0]
        }
        let builtIn = Roles.names.map { role -> JSON in
            let privileges = Roles.privileges(of: role, settings.release, custom: [:])
            return ["roleid": .string(role), "privs": .string(privileges.joined(separator: ",")), "special": 1]
        }
        return .data(.array(builtIn + own))
    }

    // MARK: Users and tokens

    mutating func createUser(_ call: Call) throws(APIError) -> Reply {
        let user = call["userid"] ?? ""
        let realm = user.split(separator: "@").last.map(String.init) ?? ""
        try require(call, "Realm.AllocateUser", on: "/access/realm/\(realm)")
        var access = access
        guard access.users[user] == nil else { throw .died("create user failed: user '\(user)' already exists") }
        access.addUser(user, password: call["password"])
        try storeAccess(access)
        return .nothing
    }

    private func requireTokenRights(_ call: Call) throws(APIError) {
        let own = call.principal.split(separator: "!").first.map(String.init) == call["userid"]
        guard own || may(call, "User.Modify", on: "/access") else { throw .forbidden("/access", ["User.Modify"]) }
    }

    func token(_ call: Call) throws(APIError) -> Reply {
        try requireTokenRights(call)
        guard let token = access.tokens["\(call["userid"] ?? "")!\(call["tokenid"] ?? "")"] else {
            throw .died("no such token '\(call["tokenid"] ?? "")' for user '\(call["userid"] ?? "")'")
        }
        return .data(["privsep": .flag(token.isSeparated), "expire": .integer(token.expires)])
    }

    mutating func createToken(_ call: Call) throws(APIError) -> Reply {
        try requireTokenRights(call)
        let name = "\(call["userid"] ?? "")!\(call["tokenid"] ?? "")"
        var access = access
        guard access.users[call["userid"] ?? ""] != nil else {
            throw .died("no such user ('\(call["userid"] ?? "")')")
        }
        guard access.tokens[name] == nil else { throw .parameters(["tokenid": "Token already exists."]) }
        let secret = drawUUID()
        let isSeparated = call["privsep"].map { _ in call.flag("privsep") } ?? true
        access.addToken(name, secret: secret, isSeparated: isSeparated)
        access.tokens[name]?.expires = call.integer("expire") ?? 0
        try storeAccess(access)
        return .data([
            "full-tokenid": .string(name), "value": .string(secret),
            "info": ["privsep": .string(isSeparated ? "1" : "0")],
        ])
    }

    mutating func removeToken(_ call: Call) throws(APIError) -> Reply {
        try requireTokenRights(call)
        var access = access
        access.tokens["\(call["userid"] ?? "")!\(call["tokenid"] ?? "")"] = nil
        try storeAccess(access)
        return .nothing
    }
}
