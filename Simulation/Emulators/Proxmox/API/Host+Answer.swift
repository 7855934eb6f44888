// The way of a request: who asks, which endpoint, may they, which node, are the parameters right, and then the handler.
// In this order, as PVE::HTTPServer and PVE::RESTHandler have it; so a wrong parameter of another node's endpoint is that
// node's to complain about.

extension Host {
    /// Answers a request, or says who has to.
    /// - Parameter arrived: when it came; the same again for a request that waits.
    public mutating func answer(_ request: APIRequest, arrived: Moment) -> Verdict {
        do throws(APIError) {
            return try dispatch(request, arrived: arrived)
        } catch {
            var response = APIResponse(error)
            if error.status == 401 { response.delayMilliseconds = settings.authenticationDelay }
            return .answer(response)
        }
    }

    /// Answers what a command of this host asks as root, without a login.
    mutating func answerRoot(_ request: APIRequest) throws(APIError) -> Verdict {
        try dispatch(request, arrived: now, isRootCommand: true)
    }

    private mutating func dispatch(
        _ request: APIRequest, arrived: Moment, isRootCommand: Bool = false
    ) throws(APIError) -> Verdict {
        let parts = request.path.split(separator: "/")
        let found = find(request.method, parts)
        let isWorld = found.map { $0.route.permission == .world } ?? false
        let principal = isRootCommand ? "root@pam" : isWorld ? "" : try authenticate(request)
        guard let (route, variables) = found else {
            throw .notImplemented(request.method, "/" + parts.joined(separator: "/"))
        }
        try authorize(route, variables, principal)
        if route.isOnNode, let node = variables["node"], node != name, node != "localhost" {
            guard membership.node(node) != nil else {
                throw .died(
                    "hostname lookup '\(node)' failed - failed to get address info for: \(node): "
                        + "Temporary failure in name resolution")
            }
            return .forward(node: node)
        }
        let isRoot = principal == "root@pam"
        let values = try validate(request, route, variables, isRoot: isRoot)
        let call = Call(
            route: route, path: request.path, values: values, principal: principal, isRoot: isRoot, arrived: arrived)
        let reply: Reply
        do { reply = try route.handler(&self, call) } catch let error as APIError { throw error } catch {
            throw .died("\(error)")
        }
        if reply.isWaiting { return .wait }
        var body: [String: JSON] = ["data": reply.data]
        if let total = reply.total { body["total"] = .integer(total) }
        return .answer(
            APIResponse(status: 200, reason: "OK", body: .object(body), delayMilliseconds: reply.delayMilliseconds))
    }

    private func find(_ method: String, _ parts: [Substring]) -> (route: Route, variables: [String: String])? {
        for route in Route.all where route.method == method && (route.only ?? settings.release) == settings.release {
            if let variables = route.match(parts) { return (route, variables) }
        }
        return nil
    }

    // MARK: Who asks

    private func authenticate(_ request: APIRequest) throws(APIError) -> String {
        switch request.credentials {
        case .none: throw .unauthorized("No ticket")
        case .token(let name, let secret):
            if let refusal = access.refusal(token: name, secret: secret, now: now) {
                throw .unauthorized(settings.release.authenticationText(refusal))
            }
            return name
        case .ticket(let text, let csrf):
            guard let ticket = ticket(text) else {
                throw .unauthorized("permission denied - invalid PVE ticket")
            }
            guard request.method == "GET" || csrf.map(Digests.sha256) == ticket.csrfDigest else {
                throw .unauthorized("Permission denied - invalid csrf token")
            }
            return ticket.user
        }
    }

    /// A ticket that another node of the cluster gave out is good here too; the nodes share the key. The emulator's
    /// tickets carry their user and are checked by a digest over the cluster's name, which keeps nobody out.
    private func ticket(_ text: String) -> Ticket? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 5, parts[0] == "PVE", access.users[parts[1]] != nil else { return nil }
        guard parts[4] == ticketSeal(user: parts[1], stamp: parts[2]) else { return nil }
        guard let issued = Int64(parts[2], radix: 16), now.seconds - Int(issued) < 7_200 else { return nil }
        return Ticket(
            user: parts[1], csrfDigest: Digests.sha256(csrfToken(user: parts[1], stamp: parts[2])))
    }

    func ticketSeal(user: String, stamp: String) -> String {
        Base64.encode(Array(Digests.sha256("ticket \(settings.clusterName) \(user) \(stamp)").utf8))
    }

    func csrfToken(user: String, stamp: String) -> String {
        "\(stamp):"
            + Base64.encode(Array(Digests.sha256("csrf \(settings.clusterName) \(user) \(stamp)").utf8.prefix(32)))
    }

    // MARK: May they

    private func authorize(_ route: Route, _ variables: [String: String], _ principal: String) throws(APIError) {
        let (path, privileges, needsAll): (String, [String], Bool)
        switch route.permission {
        case .world, .user: return
        case .all(let text, let list): (path, privileges, needsAll) = (text, list, true)
        case .any(let text, let list): (path, privileges, needsAll) = (text, list, false)
        }
        var concrete = path
        for (name, value) in variables { concrete = concrete.replacing("{\(name)}", with: value) }
        let held = access.privileges(of: principal, on: concrete, settings.release)
        let isAllowed =
            needsAll ? privileges.allSatisfy(held.contains) : privileges.contains(where: held.contains)
        guard isAllowed else { throw .forbidden(concrete, privileges) }
    }

    func may(_ call: Call, _ privilege: String, on path: String) -> Bool {
        access.privileges(of: call.principal, on: path, settings.release).contains(privilege)
    }

    /// - Throws: `APIError` with status 403 that names path and privilege.
    func require(_ call: Call, _ privilege: String, on path: String) throws(APIError) {
        guard may(call, privilege, on: path) else { throw .forbidden(path, [privilege]) }
    }

    // MARK: Are the parameters right

    private func validate(
        _ request: APIRequest, _ route: Route, _ variables: [String: String], isRoot: Bool
    ) throws(APIError) -> [String: String] {
        var errors: [String: String] = [:]
        var values: [String: String] = [:]
        for (name, value) in request.parameters {
            if let text = value.text {
                values[name] = text
            } else if case .array(let list) = value {
                values[name] = list.compactMap(\.text).joined(separator: ",")
            } else if value != .null {
                errors[name] = "type check ('string') failed"
            }
        }
        values.merge(variables) { _, fromPath in fromPath }
        let known = route.parameters.filter { ($0.only ?? settings.release) == settings.release }
        for (name, value) in values {
            if let parameter = known.first(where: { $0.name == name }) {
                errors[name] = parameter.complaint(about: value)
                if parameter.isRootOnly, !isRoot, errors[name] == nil {
                    errors[name] = "Only root may use this option."
                }
            } else if let kind = route.configuredKind, let type = ConfigurationKeys.type(name, kind, settings.release) {
                errors[name] = SettingCheck.complaint(name, value, type, kind)
            } else {
                errors[name] = "property is not defined in schema and the schema does not allow additional properties"
            }
        }
        for parameter in known where parameter.isRequired && values[parameter.name] == nil {
            errors[parameter.name] = "property is missing and it is not optional"
        }
        guard errors.isEmpty else { throw .parameters(errors) }
        return values
    }
}

/// The form of a guest's settings.
enum SettingCheck {
    static func complaint(_ name: String, _ value: String, _ type: ValueType, _ kind: GuestKind) -> String? {
        if let complaint = Parameter.complaint(about: value, type: type) { return complaint }
        if kind == .qemu, name == "memory" {
            let properties = PropertyString(value)
            let current = properties.head ?? properties["current"] ?? ""
            guard Int(current) == nil else { return nil }
            return "invalid format - format error\nmemory.current: type check ('integer') failed - got '\(current)'\n"
        }
        if kind == .qemu, ConfigurationKeys.numbered(name) == "net[n]" {
            // The part without a name is the model; a second one would be the model again.
            let bare = value.split(separator: ",").filter { !$0.contains("=") }
            guard bare.count > 1 else { return nil }
            return "invalid format - duplicate key in comma-separated list property: model\n"
        }
        if name == "name" || name == "hostname" {
            let isName = !value.isEmpty && value.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "." }
            return isName ? nil : "invalid format - value does not look like a valid DNS name\n"
        }
        return nil
    }
}
