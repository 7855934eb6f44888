// Cuts stretches out of a recorded run and makes them small: terms are counted anew, and what all logs of those that
// take part have in common and is committed becomes one entry that stands for all of it.
//
// Distances that matter stay: terms that follow each other still do, and those that do not, do not.

public enum TraceWindow {
    /// Members of a lab, at most; the specification counts as many.
    public static let mostMembers = 8
    /// What a window may hold at most, so that checking it stays quick.
    static let mostEntries = 40
    static let mostTerms = 12
    /// Steps before a change of term with which a window about it begins.
    private static let lead = 14

    /// Up to `most` stretches of `length` steps: the founding, now and then, and around changes of the term.
    public static func cut(
        _ steps: [TraceStep], members: Int, name: String, length: Int, most: Int, withFounding: Bool
    ) -> [ObservedTrace] {
        let beginnings = beginnings(steps, length, withFounding)
        // Spread over the run: what happens late differs from what happens early.
        let stride = max(1, beginnings.count / max(most, 1))
        var traces: [ObservedTrace] = []
        var state = TraceState(members: members)
        var taken = 0
        for (number, beginning) in beginnings.enumerated() where traces.count < most && number % stride == 0 {
            while taken < beginning {
                state.take(steps[taken])
                taken += 1
            }
            let stretch = Array(steps[beginning..<min(beginning + length, steps.count)])
            let trace = ObservedTrace(name: "\(name)-\(beginning)", start: state, steps: stretch)
            if let small = compact(trace) { traces.append(small) }
        }
        return traces
    }

    /// Where something worth looking at is about to happen: an election, a start, a change of the voters; and far from
    /// all of these, now and then, just anywhere.
    private static func beginnings(_ steps: [TraceStep], _ length: Int, _ withFounding: Bool) -> [Int] {
        var beginnings = withFounding ? [0] : []
        var next = withFounding ? length : 0
        var newest = 0
        for (position, step) in steps.enumerated() {
            let isElection = step.kind == .turn && step.term > newest
            newest = max(newest, step.term)
            let isAnywhere = position >= next + 8 * length
            guard isElection || step.kind == .start || isAnywhere, position >= next, position > 0 else { continue }
            beginnings.append(max(0, position - lead))
            next = position + length
        }
        return beginnings
    }

    /// The voters that a log ends with. Before its first entry the founder is the only one.
    static func voters(of log: some Collection<TraceEntry>) -> UInt16 {
        var voters: UInt16 = 1
        for entry in log where entry.voters != 0 { voters = entry.voters }
        return voters
    }

    // MARK: Making it small

    /// The same stretch in fewer words; nil when it is too long for the specification.
    private static func compact(_ trace: ObservedTrace) -> ObservedTrace? {
        let active = (1...trace.start.members.count).filter { member in
            trace.steps.contains { $0.member == member }
        }
        // What a write on its way speaks for may be of an older term than memory.
        let oldest =
            active.map { trace.start.members[$0 - 1] }.flatMap { [$0.term] + $0.writes.map(\.image.term) }.min() ?? 0
        var small = trace
        small.start.terms = [:]
        for (term, record) in trace.start.terms.pairs where term >= oldest && term > 0 {
            small.start.terms[term] = record
        }
        for place in small.start.members.indices where !active.contains(place + 1) {
            // It takes no step: only the term on its disk may matter to others.
            let term = small.start.members[place].disk.term
            small.start.members[place] = TraceState.Member()
            small.start.members[place].term = term
            small.start.members[place].disk.term = term
        }
        let base = commonLength(small, active)
        guard let longest = longestLog(small), longest - base <= mostEntries else { return nil }
        cutLogs(&small, base)
        renumber(&small)
        guard (small.steps.map(\.term) + small.start.terms.keys).max() ?? 0 <= mostTerms else { return nil }
        return small
    }

    private static func logs(_ trace: ObservedTrace, _ active: [Int]) -> [[TraceEntry]] {
        var logs: [[TraceEntry]] = [trace.start.settled]
        for member in active.map({ trace.start.members[$0 - 1] }) {
            logs += [member.log, member.disk.log] + member.writes.map(\.image.log)
        }
        for record in trace.start.terms.values {
            if !record.leaders.isEmpty { logs.append(record.log) }
            logs += record.requests.values
        }
        return logs
    }

    private static func commonLength(_ trace: ObservedTrace, _ active: [Int]) -> Int {
        let first = trace.start.settled
        var length = first.count
        for log in logs(trace, active) { length = min(length, zip(first, log).prefix { $0 == $1 }.count) }
        // What a step still shows of an older state must be beyond it too.
        for step in trace.steps {
            length = min(length, zip(first, step.log).prefix { $0 == $1 }.count)
            if step.kind != .turn { length = min(length, zip(first, step.disk.log).prefix { $0 == $1 }.count) }
        }
        return length
    }

    private static func longestLog(_ trace: ObservedTrace) -> Int? {
        (logs(trace, Array(1...trace.start.members.count)) + trace.steps.map(\.log)).map(\.count).max()
    }

    /// Replaces the first `base` entries of every log by one, and counts positions from it.
    private static func cutLogs(_ trace: inout ObservedTrace, _ base: Int) {
        let common = trace.start.settled.prefix(base)
        let stand = TraceEntry(term: common.last?.term ?? 0, voters: voters(of: common))
        func cut(_ log: [TraceEntry]) -> [TraceEntry] { [stand] + log.dropFirst(base) }
        func position(_ index: Int) -> Int { max(index - base, 0) + 1 }
        mapLogs(&trace, cut)
        for place in trace.start.members.indices {
            trace.start.members[place].commit = position(trace.start.members[place].commit)
        }
        for term in trace.start.terms.keys {
            _ = trace.start.terms.update(term) { record in
                for member in record.acks.keys { _ = record.acks.update(member) { $0 = position($0) } }
                for member in record.heardAcks.keys { _ = record.heardAcks.update(member) { $0 = position($0) } }
                record.told = position(record.told)
            }
        }
        for place in trace.steps.indices {
            trace.steps[place].commit = position(trace.steps[place].commit)
            trace.steps[place].sends = trace.steps[place].sends.map { send in
                switch send {
                case .ask(let term, let index, let last): .ask(term: term, lastIndex: position(index), lastTerm: last)
                case .ack(let term, let through): .ack(term: term, through: position(through))
                default: send
                }
            }
            trace.steps[place].receipts = trace.steps[place].receipts.map { receipt in
                guard case .ack(let term, let from, let through) = receipt else { return receipt }
                return .ack(term: term, from: from, through: position(through))
            }
        }
    }

    private static func mapLogs(_ trace: inout ObservedTrace, _ change: ([TraceEntry]) -> [TraceEntry]) {
        trace.start.settled = change(trace.start.settled)
        for place in trace.start.members.indices {
            trace.start.members[place].log = change(trace.start.members[place].log)
            trace.start.members[place].disk.log = change(trace.start.members[place].disk.log)
            for write in trace.start.members[place].writes.indices {
                trace.start.members[place].writes[write].image.log = change(
                    trace.start.members[place].writes[write].image.log)
            }
        }
        for term in trace.start.terms.keys {
            _ = trace.start.terms.update(term) { record in
                record.log = record.leaders.isEmpty ? [] : change(record.log)
                for member in record.requests.keys { _ = record.requests.update(member) { $0 = change($0) } }
            }
        }
        for place in trace.steps.indices {
            trace.steps[place].log = change(trace.steps[place].log)
            if trace.steps[place].kind != .turn {
                trace.steps[place].disk.log = change(trace.steps[place].disk.log)
            }
            for write in trace.steps[place].writes.indices {
                trace.steps[place].writes[write].image.log = change(trace.steps[place].writes[write].image.log)
            }
        }
    }

    // MARK: Terms

    private static func renumber(_ trace: inout ObservedTrace) {
        var seen = trace.start.terms.keys + trace.steps.flatMap { [$0.term, $0.disk.term] + $0.log.map(\.term) }
        for member in trace.start.members {
            seen += [member.term, member.disk.term] + member.log.map(\.term) + member.disk.log.map(\.term)
            seen += member.writes.flatMap { [$0.image.term] + $0.image.log.map(\.term) }
        }
        for record in trace.start.terms.values {
            seen += record.log.map(\.term) + record.requests.values.flatMap { $0.map(\.term) }
        }
        seen += trace.steps.flatMap { step in step.sends.map(term) + step.receipts.map(term) }
        var numbers: [Int] = []
        var known: [Int] = []
        for term in seen.sorted() where term > 0 && known.last != term {
            // A gap stays one.
            numbers.append((numbers.last ?? 0) + (term - (known.last ?? 0) > 1 && !known.isEmpty ? 2 : 1))
            known.append(term)
        }
        func new(_ term: Int) -> Int { known.firstIndex(of: term).map { numbers[$0] } ?? 0 }
        mapLogs(&trace) { $0.map { TraceEntry(term: new($0.term), voters: $0.voters) } }
        for place in trace.start.members.indices {
            trace.start.members[place].term = new(trace.start.members[place].term)
            trace.start.members[place].disk.term = new(trace.start.members[place].disk.term)
            for write in trace.start.members[place].writes.indices {
                let term = trace.start.members[place].writes[write].image.term
                trace.start.members[place].writes[write].image.term = new(term)
            }
        }
        let terms = trace.start.terms
        trace.start.terms = [:]
        for (term, record) in terms.pairs { trace.start.terms[new(term)] = record }
        for place in trace.steps.indices {
            trace.steps[place].term = new(trace.steps[place].term)
            trace.steps[place].disk.term = new(trace.steps[place].disk.term)
            for write in trace.steps[place].writes.indices {
                let term = trace.steps[place].writes[write].image.term
                trace.steps[place].writes[write].image.term = new(term)
            }
            trace.steps[place].sends = trace.steps[place].sends.map { $0.renumbered(new) }
            trace.steps[place].receipts = trace.steps[place].receipts.map { $0.renumbered(new) }
        }
    }

    private static func term(_ send: TraceSend) -> Int {
        switch send {
        case .vote(let term, _), .ask(let term, _, _), .ack(let term, _), .preVote(let term, _), .order(let term, _):
            term
        }
    }

    private static func term(_ receipt: TraceReceipt) -> Int {
        switch receipt {
        case .vote(let term, _), .ack(let term, _, _): term
        }
    }
}

extension TraceSend {
    fileprivate func renumbered(_ new: (Int) -> Int) -> TraceSend {
        switch self {
        case .vote(let term, let to): .vote(term: new(term), to: to)
        case .ask(let term, let index, let last): .ask(term: new(term), lastIndex: index, lastTerm: new(last))
        case .ack(let term, let through): .ack(term: new(term), through: through)
        case .preVote(let term, let to): .preVote(term: new(term), to: to)
        case .order(let term, let to): .order(term: new(term), to: to)
        }
    }
}

extension TraceReceipt {
    fileprivate func renumbered(_ new: (Int) -> Int) -> TraceReceipt {
        switch self {
        case .vote(let term, let from): .vote(term: new(term), from: from)
        case .ack(let term, let from, let through): .ack(term: new(term), from: from, through: through)
        }
    }
}
