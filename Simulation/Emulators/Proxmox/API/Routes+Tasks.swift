// Endpoints of a node's tasks: where a POST's outcome is to be found.

extension Route {
    static let tasks: [Route] = [
        Route(
            "GET", "/nodes/{node}/tasks",
            [
                .flag("errors"), .integer("limit", from: 0), .integer("start", from: 0), .integer("since"),
                .integer("until"), .choice("source", ["archive", "active", "all"]), .string("statusfilter"),
                .string("typefilter"), .string("userfilter"), .integer("vmid", from: 100, to: 999_999_999),
            ], .user
        ) { try $0.taskList($1) },
        Route("DELETE", "/nodes/{node}/tasks/{upid}", [], .user) { try $0.stopTask($1) },
        Route("GET", "/nodes/{node}/tasks/{upid}/status", [], .user) { try $0.taskStatus($1) },
        Route(
            "GET", "/nodes/{node}/tasks/{upid}/log",
            [.integer("limit", from: 0), .integer("start", from: 0), .flag("download")], .user
        ) { try $0.taskLog($1) },
    ]
}

extension Host {
    private func upid(_ call: Call) throws(APIError) -> UPID {
        guard let upid = call["upid"].flatMap(UPID.init) else {
            throw .parameters(["upid": "unable to parse worker upid"])
        }
        return upid
    }

    private func owns(_ upid: UPID, _ call: Call) -> Bool {
        upid.user == call.principal || upid.userName == call.principal
    }

    func taskList(_ call: Call) throws(APIError) -> Reply {
        let mayAudit = may(call, "Sys.Audit", on: "/nodes/\(name)")
        let source = call["source"] ?? "archive"
        let matching = (tasks.summaries + formerTasks).filter { summary in
            (mayAudit || owns(summary.upid, call))
                && (source == "all" || (source == "active") == (summary.status == nil))
                && (!call.flag("errors") || summary.status.map { $0 != "OK" } ?? false)
                && (call["vmid"].map { $0 == summary.upid.id } ?? true)
                && (call["typefilter"].map { $0 == summary.upid.type } ?? true)
                && (call["userfilter"].map { summary.upid.user.contains($0) } ?? true)
                && (call.integer("since").map { summary.upid.startSeconds >= $0 } ?? true)
                && (call.integer("until").map { summary.upid.startSeconds <= $0 } ?? true)
        }
        let page = matching.dropFirst(call.integer("start") ?? 0).prefix(call.integer("limit") ?? 50)
        return Reply(data: .array(page.map { .object(Self.entry($0)) }), total: matching.count)
    }

    func taskStatus(_ call: Call) throws(APIError) -> Reply {
        let upid = try upid(call)
        let summary: TaskSummary
        if let task = tasks[upid] {
            summary = TaskSummary(upid: upid, status: task.exitStatus, endSeconds: task.endSeconds)
        } else if let former = formerTasks.first(where: { $0.upid == upid }) {
            // The host lost power in the middle: nobody will ever write an end.
            summary =
                former.status == nil ? TaskSummary(upid: upid, status: "unexpected status", endSeconds: nil) : former
        } else {
            throw .parameters(["upid": "no such task"])
        }
        if !owns(upid, call) { try require(call, "Sys.Audit", on: "/nodes/\(name)") }
        var entry = Self.entry(summary)
        entry["endtime"] = nil
        entry["exitstatus"] = entry["status"]
        entry["status"] = .string(summary.status == nil ? "running" : "stopped")
        return .data(.object(entry))
    }

    func taskLog(_ call: Call) throws(APIError) -> Reply {
        let upid = try upid(call)
        if !owns(upid, call) { try require(call, "Sys.Audit", on: "/nodes/\(name)") }
        guard let task = tasks[upid] else {
            let line: JSON = ["n": 1, "t": "unable to open file - No such file or directory"]
            // In 8.4 the line stands alone; recorded from 8.4.1.
            return Reply(data: settings.release == .eight ? line : [line], total: 1)
        }
        let start = call.integer("start") ?? 0
        let lines = task.lines.enumerated().dropFirst(start).prefix(call.integer("limit") ?? 50)
        return Reply(
            data: .array(lines.map { ["n": .integer($0.offset + 1), "t": .string($0.element)] }),
            total: task.lines.count)
    }

    mutating func stopTask(_ call: Call) throws(APIError) -> Reply {
        let upid = try upid(call)
        if !owns(upid, call) { try require(call, "Sys.Modify", on: "/nodes/\(name)") }
        interrupt(upid)
        return .nothing
    }
}
