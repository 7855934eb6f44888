// What is made to go wrong, by order of the control socket. Each fault says once what it does and is then used up, unless
// it has a time.

/// A fault that a request can meet.
public struct AnswerFault: Hashable, Sendable, Codable {
    public enum Kind: Hashable, Sendable, Codable {
        /// Answered with this status and reason, nothing done.
        case status(Int, reason: String)
        /// Carried out, and the connection cut before the answer.
        case cut
        /// Carried out, and the answer broken off in the middle.
        case half
        /// Answered only after so long.
        case slow(milliseconds: Int64)
    }

    public var kind: Kind
    /// Only requests with this method; all when nil.
    public var method: String?
    /// Only paths that contain this.
    public var path: String
    public var count: Int

    public init(kind: Kind, method: String? = nil, path: String = "", count: Int = 1) {
        self.kind = kind
        self.method = method
        self.path = path
        self.count = count
    }
}

/// The faults of one host.
public struct Faults: Sendable {
    public var answers: [AnswerFault] = []
    /// The API answers nothing before this moment.
    public var hangsUntil: Moment?
    /// Ends of the next tasks, by type ("qmstart"; "" is any).
    public var taskFailures: [(type: String, text: String)] = []
    /// Additional time for the next task, in milliseconds.
    public var taskDelays: [(type: String, milliseconds: Int64)] = []
    public var fullStorages: Set<String> = []
    public var absentStorages: Set<String> = []
    /// Guests whose file lock another process holds, and until when.
    public var heldLocks: [GuestID: Moment] = [:]

    public init() {}

    mutating func takeAnswer(method: String, path: String) -> AnswerFault.Kind? {
        guard
            let position = answers.firstIndex(where: {
                ($0.method == nil || $0.method == method) && ($0.path.isEmpty || path.contains($0.path))
            })
        else { return nil }
        let kind = answers[position].kind
        answers[position].count -= 1
        if answers[position].count <= 0 { answers.remove(at: position) }
        return kind
    }

    mutating func takeTaskFailure(type: String) -> String? {
        guard let position = taskFailures.firstIndex(where: { $0.type.isEmpty || $0.type == type }) else { return nil }
        return taskFailures.remove(at: position).text
    }

    mutating func takeTaskDelay(type: String) -> Int64 {
        guard let position = taskDelays.firstIndex(where: { $0.type.isEmpty || $0.type == type }) else { return 0 }
        return taskDelays.remove(at: position).milliseconds
    }
}
