// An endpoint: method, path, parameters, who may, and what it does.

/// Who may call an endpoint.
enum Permission: Hashable, Sendable {
    /// Without a login too.
    case world
    /// Everybody with a login; the handler looks further.
    case user
    /// One path, all of the privileges.
    case all(String, [String])
    /// One path, one of the privileges.
    case any(String, [String])
}

/// An endpoint of the API.
struct Route: Sendable {
    /// Throws `APIError` only.
    typealias Handler = @Sendable (inout Host, Call) throws -> Reply

    let method: String
    let path: String
    let segments: [Segment]
    let parameters: [Parameter]
    let permission: Permission
    /// Settings of a guest are parameters too.
    let configuredKind: GuestKind?
    let only: Release?
    let handler: Handler

    enum Segment: Hashable, Sendable {
        case fixed(String)
        case variable(String)
        /// The rest of the path.
        case rest(String)
    }

    init(
        _ method: String, _ path: String, _ parameters: [Parameter] = [], _ permission: Permission,
        configures kind: GuestKind? = nil, only: Release? = nil, _ handler: @escaping Handler
    ) {
        self.method = method
        self.path = path
        self.permission = permission
        self.only = only
        self.handler = handler
        configuredKind = kind
        segments = path.split(separator: "/").map { part in
            guard part.hasPrefix("{") else { return .fixed(String(part)) }
            let name = String(part.dropFirst().dropLast())
            return name == "volume" ? .rest(name) : .variable(name)
        }
        self.parameters =
            segments.compactMap { segment in
                switch segment {
                case .fixed: nil
                case .variable(let name), .rest(let name): Self.pathParameter(name)
                }
            } + parameters
    }

    private static func pathParameter(_ name: String) -> Parameter {
        switch name {
        case "vmid": .vmid
        case "node": .string("node", .node).required
        case "storage": .string("storage", .storage).required
        case "snapname": .string("snapname", .configurationID).required
        case "tokenid": .string("tokenid", .token).required
        case "pos": .integer("pos")
        default: .string(name).required
        }
    }

    var isOnNode: Bool { path.hasPrefix("/nodes/{node}") && segments.count > 2 }

    /// The values of the path's variables; nil when the path is another.
    func match(_ parts: [Substring]) -> [String: String]? {
        guard parts.count == segments.count || (parts.count > segments.count && hasRest) else { return nil }
        var values: [String: String] = [:]
        for (position, segment) in segments.enumerated() {
            switch segment {
            case .fixed(let text): if parts[position] != text { return nil }
            case .variable(let name): values[name] = String(parts[position])
            case .rest(let name): values[name] = parts[position...].joined(separator: "/")
            }
        }
        return values
    }

    private var hasRest: Bool {
        if case .rest = segments.last { return true }
        return false
    }

    /// All endpoints; those with fixed words come before those with variables in their place.
    static let all: [Route] =
        cluster + access + nodes + tasks + storages + GuestKind.allCases.flatMap(guests) + qemuOnly + lxcOnly
        + highAvailability + plain
}

/// A request that a handler answers.
struct Call: Sendable {
    let route: Route
    /// The path as it was asked for.
    let path: String
    let values: [String: String]
    /// "user@realm" or "user@realm!token".
    let principal: String
    /// root@pam with a password; a token of root is not root.
    let isRoot: Bool
    let arrived: Moment

    subscript(name: String) -> String? { values[name] }
    func flag(_ name: String) -> Bool { values[name].flatMap(Parameter.flagValue) ?? false }
    func integer(_ name: String) -> Int? { values[name].flatMap(Int.init) }
    var vmid: Int { integer("vmid") ?? 0 }
}
