// A request as the API's handlers see it, and the answer: HTTP without its bytes.

/// Who a request says it comes from.
public enum Credentials: Hashable, Sendable {
    case none
    /// `Authorization: PVEAPIToken=user@realm!id=secret`
    case token(name: String, secret: String)
    /// The cookie `PVEAuthCookie`, and the header `CSRFPreventionToken` if there is one.
    case ticket(String, csrf: String?)

    /// - Parameters:
    ///   - authorization: the header's value.
    ///   - cookie: the Cookie header's value.
    public init(authorization: String?, cookie: String?, csrf: String?) {
        if let authorization, authorization.hasPrefix("PVEAPIToken=") || authorization.hasPrefix("PVEAPIToken ") {
            let text = authorization.dropFirst("PVEAPIToken=".count)
            guard let equals = text.firstIndex(of: "=") else {
                self = .token(name: String(text), secret: "")
                return
            }
            self = .token(name: String(text[..<equals]), secret: String(text[text.index(after: equals)...]))
            return
        }
        for part in (cookie ?? "").split(separator: ";") {
            let pair = part.drop { $0 == " " }
            guard pair.hasPrefix("PVEAuthCookie=") else { continue }
            self = .ticket(PercentText.decode(String(pair.dropFirst("PVEAuthCookie=".count))), csrf: csrf)
            return
        }
        self = .none
    }
}

/// A request to the API.
public struct APIRequest: Hashable, Sendable {
    public var method: String
    /// Without "/api2/json", decoded: "/nodes/pve1/qemu".
    public var path: String
    public var parameters: [String: JSON]
    public var credentials: Credentials

    public init(method: String, path: String, parameters: [String: JSON] = [:], credentials: Credentials) {
        self.method = method
        self.path = path
        self.parameters = parameters
        self.credentials = credentials
    }

    /// Adds the pairs of a query or a form.
    public mutating func addForm(_ text: some StringProtocol) {
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = PercentText.decode(String(parts[0]), plusIsSpace: true)
            let value = parts.count > 1 ? PercentText.decode(String(parts[1]), plusIsSpace: true) : ""
            // A parameter given twice is a list, which Proxmox joins with a zero byte and then takes apart.
            if let present = parameters[key]?.text {
                parameters[key] = .string(present + "," + value)
            } else {
                parameters[key] = .string(value)
            }
        }
    }
}

/// An answer of the API.
public struct APIResponse: Hashable, Sendable {
    public var status: Int
    public var reason: String
    /// nil is an empty body.
    public var body: JSON?
    /// How long the answer takes to come, in milliseconds.
    public var delayMilliseconds: Int64 = 0

    public init(status: Int, reason: String, body: JSON?, delayMilliseconds: Int64 = 0) {
        self.status = status
        self.reason = reason
        self.body = body
        self.delayMilliseconds = delayMilliseconds
    }

    init(_ error: APIError) {
        status = error.status
        reason = error.reason
        guard error.hasBody else { return }
        var members: [String: JSON] = ["data": .null]
        members["message"] = .string(error.reason + (error.endsLine ? "\n" : ""))
        if !error.errors.isEmpty { members["errors"] = .object(error.errors.mapValues(JSON.string)) }
        body = .object(members)
    }
}

/// What becomes of a request.
public enum Verdict: Hashable, Sendable {
    case answer(APIResponse)
    /// It waits for a lock; ask again soon with the same moment of arrival.
    case wait
    /// Another node has to answer it.
    case forward(node: String)
}

/// What a handler answers.
struct Reply {
    var data: JSON = .null
    var total: Int?
    var delayMilliseconds: Int64 = 0
    var isWaiting = false

    static let nothing = Reply()
    static let waiting = Reply(isWaiting: true)
    static func data(_ data: JSON) -> Reply { Reply(data: data) }
    static func task(_ upid: UPID) -> Reply { Reply(data: .string(upid.description)) }
}
