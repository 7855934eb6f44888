// The name of a task, as every POST answers it and `/nodes/N/tasks/UPID` takes it.
// Format: PVE::Tools::upid_encode, "UPID:node:%08X pid:%08X pstart:%08X starttime:type:id:user:".

/// A task's identifier.
public struct UPID: Hashable, Sendable, Codable, CustomStringConvertible {
    public var node: String
    public var pid: Int
    /// Hundredths of a second between the node's boot and the worker's start.
    public var processStart: Int
    /// Seconds since 1970.
    public var startSeconds: Int
    public var type: String
    public var id: String
    /// "user@realm", or "user@realm!token".
    public var user: String

    public var description: String {
        "UPID:\(node):\(hex(pid)):\(hex(processStart)):\(hex(startSeconds)):\(type):\(id):\(user):"
    }

    /// "user@realm" without the token.
    var userName: String { user.split(separator: "!").first.map(String.init) ?? user }
    var tokenID: String? { user.contains("!") ? user.split(separator: "!").last.map(String.init) : nil }

    private func hex(_ value: Int) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    init(
        node: String, pid: Int, processStart: Int, startSeconds: Int, type: String, id: String, user: String
    ) {
        self.node = node
        self.pid = pid
        self.processStart = processStart
        self.startSeconds = startSeconds
        self.type = type
        self.id = id
        self.user = user
    }

    /// nil for text that is no UPID.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 9, parts[0] == "UPID", !parts[1].isEmpty, !parts[5].isEmpty, !parts[7].isEmpty,
            parts[8].isEmpty, let pid = Int(parts[2], radix: 16), let processStart = Int(parts[3], radix: 16),
            let start = Int(parts[4], radix: 16)
        else { return nil }
        self.init(
            node: parts[1], pid: pid, processStart: processStart, startSeconds: start, type: parts[5], id: parts[6],
            user: parts[7])
    }
}
