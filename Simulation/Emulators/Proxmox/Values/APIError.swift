// What goes wrong while a request is answered, with the status code and the reason phrase Proxmox gives it.
// Reason phrases follow the recorded answers; the text appears again in `message`, with a line feed that dying Perl adds.

/// An error that a request is answered with.
public struct APIError: Error, Hashable, Sendable {
    public var status: Int
    public var reason: String
    /// Per parameter, for status 400.
    public var errors: [String: String] = [:]
    /// Whether `message` ends with a line feed. PVE::Exception and `die` add one; 501 has none.
    var endsLine = true
    /// Whether there is a body at all.
    var hasBody = true

    /// `die`: everything that has no status of its own.
    static func died(_ text: String) -> APIError { APIError(status: 500, reason: text) }

    static func parameters(_ errors: [String: String]) -> APIError {
        APIError(status: 400, reason: "Parameter verification failed.", errors: errors)
    }

    static func forbidden(_ path: String, _ privileges: [String]) -> APIError {
        APIError(status: 403, reason: "Permission check failed (\(path), \(privileges.joined(separator: "|")))")
    }

    static let forbidden = APIError(status: 403, reason: "Permission check failed")

    static func notImplemented(_ method: String, _ path: String) -> APIError {
        APIError(status: 501, reason: "Method '\(method) \(path)' not implemented", endsLine: false)
    }

    /// The empty answer after three seconds.
    static func unauthorized(_ text: String) -> APIError { APIError(status: 401, reason: text, hasBody: false) }

    /// The proxy to another node failed.
    static func proxy(_ text: String) -> APIError { APIError(status: 595, reason: text, hasBody: false) }

    static let noQuorum = died("cluster not ready - no quorum?")
}
