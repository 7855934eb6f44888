// Writes traces as a TLA+ module that RaftTrace.tla extends. Logs are written as numbers (term + 100 × voters) and steps by
// what they change, which keeps a few hundred traces small enough for TLC to read in seconds.

public enum TraceModule {
    /// The module TraceData, which defines TraceList and the greatest term in it.
    public static func text(_ traces: [ObservedTrace]) -> String {
        let greatest = traces.flatMap { trace in trace.steps.map(\.term) + trace.start.terms.keys }.max() ?? 1
        var lines = [
            "---- MODULE TraceData ----",
            "(* Written by `holdfast-sim trace --tla`: \(traces.count) traces of simulated runs. *)",
            "EXTENDS TraceFormat",
            "GreatestTerm == \(greatest + 1)",
        ]
        for (number, trace) in traces.enumerated() { lines += definition(trace, number + 1) }
        lines.append("TraceList == <<" + traces.indices.map { "Trace\($0 + 1)" }.joined(separator: ", ") + ">>")
        lines.append("====")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func definition(_ trace: ObservedTrace, _ number: Int) -> [String] {
        var lines = ["Trace\(number) == [name |-> \"\(trace.name)\","]
        lines.append(" members |-> <<")
        let none = TraceState.Member()
        let members = (0..<TraceWindow.mostMembers).map {
            $0 < trace.start.members.count ? trace.start.members[$0] : none
        }
        lines.append(members.map { "  " + text($0) }.joined(separator: ",\n") + ">>,")
        lines.append(" terms |-> {")
        lines.append(trace.start.terms.pairs.map { "  " + text($0, $1) }.joined(separator: ",\n") + "},")
        lines.append(" settled |-> \(text(trace.start.settled)),")
        lines.append(" steps |-> <<")
        var state = trace.start
        var steps: [String] = []
        for step in trace.steps {
            steps.append("  " + text(step, after: state.members[step.member - 1]))
            state.take(step)
        }
        lines.append(steps.joined(separator: ",\n") + ">>]")
        return lines
    }

    // MARK: Values

    private static func text(_ log: [TraceEntry]) -> String {
        "<<" + log.map { String($0.term + 100 * Int($0.voters)) }.joined(separator: ",") + ">>"
    }

    private static func text(_ image: TraceImage) -> String {
        "Disk(\(image.term), \(image.vote), \(text(image.log)))"
    }

    private static func text(_ member: TraceState.Member) -> String {
        let writes = member.writes.map { "Write(\(text($0.image)), \(truth($0.asks)))" }.joined(separator: ", ")
        return "Standing(\(member.term), \(member.vote), \"\(member.role.rawValue)\", \(text(member.log)), "
            + "\(member.commit), \(text(member.disk)), <<\(writes)>>)"
    }

    private static func text(_ term: Int, _ record: TraceState.TermRecord) -> String {
        func pairs(_ map: SortedPairs) -> String {
            "{" + map.map { "<<\($0.0),\($0.1)>>" }.joined(separator: ",") + "}"
        }
        let preVotes = record.preVotes.pairs.flatMap { candidate, voters in voters.map { (candidate, $0) } }
        let heard = record.heardVotes.pairs.flatMap { candidate, voters in voters.map { (candidate, $0) } }
        return "Wires(\(term), "
            + pairs(record.requests.pairs.map { ($0, text($1)) }) + ", "
            + pairs(record.ballots.pairs.map { ($0, String($1)) }) + ", "
            + pairs(record.acks.pairs.map { ($0, String($1)) }) + ", "
            + "{" + record.leaders.map(String.init).joined(separator: ",") + "}, \(text(record.log)), \(record.told), "
            + pairs(unique(preVotes)) + ", {" + Array(record.orders).map(String.init).joined(separator: ",") + "}, "
            + pairs(unique(heard)) + ", " + pairs(record.heardAcks.pairs.map { ($0, String($1)) }) + ")"
    }

    private typealias SortedPairs = [(Int, String)]

    private static func unique(_ pairs: [(Int, Int)]) -> SortedPairs {
        var found: SortedPairs = []
        for (first, second) in pairs where !found.contains(where: { $0 == (first, String(second)) }) {
            found.append((first, String(second)))
        }
        return found
    }

    private static func text(_ step: TraceStep, after known: TraceState.Member) -> String {
        let sends = "{" + step.sends.map(text).joined(separator: ", ") + "}"
        switch step.kind {
        case .turn:
            let writes = "<<" + step.writes.map(text).joined(separator: ", ") + ">>"
            let receipts = "{" + step.receipts.map(text).joined(separator: ", ") + "}"
            return "Turn(\(step.member), \(step.promise / 1000), \(truth(step.frees)), \(receipts), \(step.term), "
                + "\(step.vote), \"\(step.role.rawValue)\", \(change(step.log, known.log)), \(step.commit), "
                + "\(writes), \(sends))"
        case .durable:
            return "Durable(\(step.member), \(step.disk.term), \(step.disk.vote), "
                + "\(change(step.disk.log, known.disk.log)), \(sends))"
        case .start:
            return "Started(\(step.member), \(step.disk.term), \(step.disk.vote), "
                + "\(change(step.disk.log, known.disk.log)), \(step.term), \(step.vote))"
        }
    }

    /// How much of the old log stays, and what follows.
    private static func change(_ log: [TraceEntry], _ old: [TraceEntry]) -> String {
        let same = zip(log, old).prefix { $0 == $1 }.count
        return "\(same), \(text(Array(log.dropFirst(same))))"
    }

    /// The length of the log in it, its term and its vote: the rest follows from memory.
    private static func text(_ write: TraceWrite) -> String {
        "<<\(write.image.log.count),\(write.image.term),\(write.image.vote)>>"
    }

    private static func text(_ send: TraceSend) -> String {
        switch send {
        case .vote(let term, let to): "<<\"vote\",\(term),\(to),0>>"
        case .ask(let term, let index, let last): "<<\"ask\",\(term),\(index),\(last)>>"
        case .ack(let term, let through): "<<\"ack\",\(term),\(through),0>>"
        case .preVote(let term, let to): "<<\"pre\",\(term),\(to),0>>"
        case .order(let term, let to): "<<\"order\",\(term),\(to),0>>"
        }
    }

    private static func text(_ receipt: TraceReceipt) -> String {
        switch receipt {
        case .vote(let term, let from): "<<\"vote\",\(term),\(from),0>>"
        case .ack(let term, let from, let through): "<<\"ack\",\(term),\(from),\(through)>>"
        }
    }

    private static func truth(_ value: Bool) -> String { value ? "TRUE" : "FALSE" }
}
