// A task: what a POST sets off and answers with a UPID. The answer says nothing of the outcome; that is in the task's
// status. A task waits for its guest's lock, works for a while, and ends with "OK" or a text.

/// One task of a node.
public struct WorkerTask: Sendable {
    enum Phase: Hashable, Sendable {
        /// The worker is being started.
        case forked(at: Moment)
        /// Another task has the guest's lock.
        case waiting(until: Moment)
        case working(until: Moment)
        /// The other node of a migration has to confirm.
        case awaitingPeer(until: Moment)
        case ended(String, at: Moment)
    }

    let upid: UPID
    var work: Work
    var phase: Phase
    var lines: [String] = []
    let started: Moment
    /// The end a fault gives it instead of its own.
    var imposedFailure: String?
    /// Additional time a fault gives it.
    var additionalMilliseconds: Int64 = 0

    /// "OK", "WARNINGS: n" or the error; nil while it runs.
    var exitStatus: String? {
        guard case .ended(let status, _) = phase else { return nil }
        return status
    }

    var endSeconds: Int? {
        guard case .ended(_, let moment) = phase else { return nil }
        return moment.seconds
    }

    /// When it does something next; nil when it has ended.
    var due: Moment? {
        switch phase {
        case .forked(let moment), .waiting(let moment), .working(let moment), .awaitingPeer(let moment): moment
        case .ended: nil
        }
    }
}

/// A finished or running task as the nodes tell each other, and as it is kept over a restart.
public struct TaskSummary: Hashable, Sendable, Codable {
    var upid: UPID
    var status: String?
    var endSeconds: Int?
}

/// The tasks of a node.
public struct TaskStore: Sendable {
    /// Finished tasks kept. Proxmox keeps a thousand per index file.
    static let mostFinished = 1_000

    private(set) var tasks: [WorkerTask] = []

    subscript(upid: UPID) -> WorkerTask? {
        get { tasks.last { $0.upid == upid } }
        set {
            guard let newValue else { return }
            if let position = tasks.lastIndex(where: { $0.upid == upid }) {
                tasks[position] = newValue
            } else {
                tasks.append(newValue)
            }
            if tasks.count > Self.mostFinished + 100 {
                let running = tasks.dropLast(Self.mostFinished).filter { $0.exitStatus == nil }
                tasks = running + tasks.suffix(Self.mostFinished)
            }
        }
    }

    var running: [WorkerTask] { tasks.filter { $0.exitStatus == nil } }

    /// The next task that has something to do.
    var next: (upid: UPID, due: Moment)? {
        var found: (UPID, Moment)?
        for task in tasks {
            guard let due = task.due else { continue }
            if found == nil || due < found!.1 { found = (task.upid, due) }
        }
        return found
    }

    /// The newest first.
    var summaries: [TaskSummary] {
        tasks.reversed().map { TaskSummary(upid: $0.upid, status: $0.exitStatus, endSeconds: $0.endSeconds) }
    }
}
