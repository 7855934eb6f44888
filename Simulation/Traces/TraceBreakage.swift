// Traces broken by hand: each way to break one is a mistake that a Raft could make, put into what was seen of a good run.
// The specification must refuse every one of them. Deterministic: the first trace and step that fits is taken.
//
// An edit changes what a step shows and nothing else, so that the trace up to there is still a good one.

/// One way to break a trace.
public struct TraceBreakage: Sendable {
    public struct Broken: Sendable {
        public let trace: ObservedTrace
        /// The broken step, counted from 1: up to the one before, the trace is good.
        public let step: Int
        public let about: String
    }

    public let name: String
    /// What a Raft that did this would have done wrong.
    public let about: String
    /// Breaks the step at a position, if it fits. `before` is how everything stands then.
    let edit: @Sendable (_ steps: inout [TraceStep], _ position: Int, _ before: TraceState) -> Bool

    init(
        _ name: String, _ about: String,
        edit: @escaping @Sendable (inout [TraceStep], Int, TraceState) -> Bool
    ) {
        self.name = name
        self.about = about
        self.edit = edit
    }

    public static let all = elections + logs + commits + disks

    /// The first of the traces that can be broken so, broken.
    public func broken(_ traces: [ObservedTrace]) -> Broken? {
        for trace in traces {
            var state = trace.start
            for position in trace.steps.indices {
                var steps = trace.steps
                if edit(&steps, position, state) {
                    let broken = ObservedTrace(name: name, start: trace.start, steps: steps)
                    return Broken(trace: broken, step: position + 1, about: about)
                }
                state.take(trace.steps[position])
            }
        }
        return nil
    }
}

// MARK: What edits look for

extension TraceStep {
    fileprivate func own(_ state: TraceState) -> TraceState.Member { state.members[member - 1] }

    fileprivate func campaigns(_ state: TraceState) -> Bool {
        kind == .turn && term == own(state).term + 1 && vote == member && role == .candidate
    }

    fileprivate func wins(_ state: TraceState) -> Bool {
        kind == .turn && role == .leader && own(state).role == .candidate
    }

    /// It gives its vote to another member.
    fileprivate func votes(_ state: TraceState) -> Bool {
        kind == .turn && vote != 0 && vote != member && (vote != own(state).vote || term != own(state).term)
    }

    fileprivate func appendsAsLeader(_ state: TraceState) -> Bool {
        kind == .turn && role == .leader && own(state).role == .leader && log.count > own(state).log.count
    }

    fileprivate func appendsAsFollower(_ state: TraceState) -> Bool {
        kind == .turn && role == .follower && term == own(state).term && log.count > own(state).log.count
            && own(state).role == .follower && !writes.isEmpty
    }

    fileprivate func commits(_ state: TraceState, as role: TraceRole) -> Bool {
        kind == .turn && self.role == role && own(state).role == role && commit > own(state).commit
    }

    /// The votes of members other than the candidate that have reached it.
    fileprivate func hasHeardOthers(_ state: TraceState) -> Bool {
        (state.terms[term]?.heardVotes[member] ?? []).contains { $0 != member }
    }

    /// Who holds more than `asked`.
    fileprivate static func newerLog(than asked: [TraceEntry], in state: TraceState) -> [Int] {
        state.members.indices.filter { place in
            let log = state.members[place].log
            let (own, other) = (log.last?.term ?? 0, asked.last?.term ?? 0)
            return own > other || (own == other && log.count > asked.count)
        }.map { $0 + 1 }
    }

    /// Nothing else would be refused: the log of every write ends as the turn's does.
    fileprivate mutating func setLog(_ changed: [TraceEntry]) {
        log = changed
        for place in writes.indices { writes[place].image.log = changed }
    }
}

extension TraceState {
    /// Whether nothing but the logs keeps a member from voting in a term.
    fileprivate func mayVote(_ member: Int, in term: Int) -> Bool {
        let own = members[member - 1]
        return own.role == .follower && (own.term < term || (own.term == term && own.vote == 0))
    }
}

// MARK: Elections

extension TraceBreakage {
    private static let elections: [TraceBreakage] = [
        TraceBreakage("second-vote", "votes for one member, then for another in the same term") { steps, at, state in
            let step = steps[at]
            guard step.votes(state) else { return false }
            // The voter's next turn in that term shows another vote.
            guard let next = steps[(at + 1)...].firstIndex(where: { $0.member == step.member && $0.kind == .turn }),
                steps[next].term == step.term, steps[next].vote == step.vote
            else { return false }
            steps[next].vote = step.vote == 1 ? 2 : 1
            return true
        },
        TraceBreakage("forgotten-vote", "forgets its vote within the term") { steps, at, state in
            let known = steps[at].own(state)
            guard steps[at].kind == .turn, steps[at].term == known.term, known.vote != 0, steps[at].vote == known.vote
            else { return false }
            steps[at].vote = 0
            return true
        },
        TraceBreakage("vote-for-nobody-asking", "votes for a member that did not ask") { steps, at, state in
            let step = steps[at]
            guard step.votes(state),
                let other = (1...state.members.count).first(where: {
                    $0 != step.member && state.terms[step.term]?.requests[$0] == nil
                })
            else { return false }
            steps[at].vote = other
            return true
        },
        TraceBreakage("vote-for-shorter-log", "votes for a member whose log ends earlier than its own") {
            steps, at, state in
            for (term, record) in state.terms.pairs {
                for (candidate, asked) in record.requests.pairs {
                    let held = TraceStep.newerLog(than: asked, in: state)
                    guard let voter = held.first(where: { $0 != candidate && state.mayVote($0, in: term) }) else {
                        continue
                    }
                    // One more step, of a member that in truth refused, or never heard of it.
                    let own = state.members[voter - 1]
                    var step = TraceStep(
                        at: steps[at].at, member: voter, kind: .turn, term: term, vote: candidate, role: .follower,
                        log: own.log, commit: own.commit)
                    let image = TraceImage(term: term, vote: candidate, log: own.log)
                    step.writes = [TraceWrite(image: image, asks: false)]
                    steps.insert(step, at: at)
                    return true
                }
            }
            return false
        },
        TraceBreakage("vote-within-promise", "votes while its promise to a leader lasts") { steps, at, state in
            guard steps[at].votes(state), !steps[at].frees else { return false }
            steps[at].promise = 1_000_000
            return true
        },
        TraceBreakage("campaign-within-promise", "campaigns while its promise to a leader lasts") { steps, at, state in
            guard steps[at].campaigns(state), !steps[at].frees else { return false }
            steps[at].promise = 1_000_000
            return true
        },
        TraceBreakage("pre-vote-within-promise", "grants a pre-vote while its promise lasts") { steps, at, state in
            let grants = steps[at].sends.contains { if case .preVote = $0 { true } else { false } }
            guard steps[at].kind == .turn, grants, !steps[at].frees else { return false }
            steps[at].promise = 1_000_000
            return true
        },
        TraceBreakage("pre-vote-for-own-term", "grants a pre-vote for a term it is in already") { steps, at, state in
            guard steps[at].kind == .turn else { return false }
            for (place, send) in steps[at].sends.enumerated() {
                guard case .preVote(_, let to) = send else { continue }
                steps[at].sends[place] = .preVote(term: steps[at].term, to: to)
                return true
            }
            return false
        },
        TraceBreakage("campaign-unasked", "campaigns without a majority of pre-votes or an order") { steps, at, state in
            guard steps[at].kind == .turn, !steps[at].sends.isEmpty,
                let next = steps.indices.first(where: { $0 > at && steps[$0].role == .candidate }),
                !steps[at...next].contains(where: \.frees), state.terms[steps[next].term - 1]?.orders.isEmpty ?? true,
                state.terms[steps[next].term]?.preVotes[steps[next].member] == nil
            else { return false }
            // All pre-votes for it are gone.
            var found = false
            for place in at..<next {
                let kept = steps[place].sends.filter {
                    if case .preVote(_, to: steps[next].member) = $0 { false } else { true }
                }
                found = found || kept.count < steps[place].sends.count
                steps[place].sends = kept
            }
            return found
        },
        TraceBreakage("term-skipped", "raises its term by two to campaign") { steps, at, state in
            guard steps[at].campaigns(state) else { return false }
            steps[at].term += 1
            for write in steps[at].writes.indices { steps[at].writes[write].image.term += 1 }
            return true
        },
        TraceBreakage("term-invented", "takes over a term that nobody has") { steps, at, state in
            let newest = (state.members.map(\.disk.term) + state.members.map(\.term)).max() ?? 0
            guard steps[at].kind == .turn, steps[at].role == .follower, steps[at].term > steps[at].own(state).term,
                steps[at].vote == 0, steps[at].log == steps[at].own(state).log
            else { return false }
            steps[at].term = newest + 1
            for write in steps[at].writes.indices { steps[at].writes[write].image.term = newest + 1 }
            return true
        },
        TraceBreakage("term-goes-back", "goes back to an earlier term") { steps, at, state in
            guard steps[at].kind == .turn, steps[at].term > 1, steps[at].term == steps[at].own(state).term else {
                return false
            }
            steps[at].term -= 1
            return true
        },
        TraceBreakage("led-without-majority", "leads without having heard a majority of votes") { steps, at, state in
            guard steps[at].wins(state), !steps[at].receipts.isEmpty, !steps[at].hasHeardOthers(state) else {
                return false
            }
            steps[at].receipts = []
            return true
        },
        TraceBreakage("vote-from-nowhere", "counts a vote that was never given") { steps, at, state in
            let step = steps[at]
            guard step.kind == .turn, step.role == .candidate,
                let other = (1...state.members.count).first(where: {
                    $0 != step.member && state.terms[step.term]?.ballots[$0] == nil
                })
            else { return false }
            steps[at].receipts.append(.vote(term: step.term, from: other))
            return true
        },
        TraceBreakage("led-unelected", "leads without having campaigned") { steps, at, state in
            guard steps[at].kind == .turn, steps[at].role == .follower, steps[at].own(state).role == .follower,
                steps[at].vote != steps[at].member
            else { return false }
            steps[at].role = .leader
            return true
        },
        TraceBreakage("led-again", "leads once more in a term it has stopped leading") { steps, at, state in
            guard steps[at].kind == .turn, steps[at].role == .follower, steps[at].own(state).role == .follower,
                state.terms[steps[at].term]?.leaders.contains(steps[at].member) == true
            else { return false }
            steps[at].role = .leader
            return true
        },
    ]

    // MARK: Logs

    private static let logs: [TraceBreakage] = [
        TraceBreakage("led-without-entry", "begins to lead without an entry of its term") { steps, at, state in
            guard steps[at].wins(state), steps[at].commit == steps[at].own(state).commit else { return false }
            steps[at].setLog(steps[at].own(state).log)
            return true
        },
        TraceBreakage("entry-of-old-term", "appends an entry of an earlier term as leader") { steps, at, state in
            guard steps[at].appendsAsLeader(state), steps[at].term > 1 else { return false }
            var log = steps[at].log
            log[log.count - 1].term -= 1
            steps[at].setLog(log)
            return true
        },
        TraceBreakage("leader-shortens-log", "removes an entry from its own log as leader") { steps, at, state in
            let own = steps[at].own(state)
            guard steps[at].kind == .turn, steps[at].role == .leader, own.role == .leader,
                own.log.count > own.commit + 1,
                steps[at].log == own.log, steps[at].writes.isEmpty, steps[at].commit < own.log.count
            else { return false }
            steps[at].log.removeLast()
            return true
        },
        TraceBreakage("follower-shortens-log", "shortens its log though nothing conflicts") { steps, at, state in
            let own = steps[at].own(state)
            guard steps[at].kind == .turn, steps[at].role == .follower, own.role == .follower,
                steps[at].term == own.term, steps[at].log == own.log, own.log.count > steps[at].commit,
                steps[at].writes.isEmpty, let leaderLog = state.terms[own.term]?.log,
                zip(leaderLog, own.log).prefix(while: { $0 == $1 }).count == own.log.count
            else { return false }
            steps[at].log.removeLast()
            return true
        },
        TraceBreakage("entry-of-no-leader", "appends an entry that its leader never had") { steps, at, state in
            guard steps[at].appendsAsFollower(state), let leaderLog = state.terms[steps[at].term]?.log,
                leaderLog.count == steps[at].log.count
            else { return false }
            steps[at].setLog(steps[at].log + [TraceEntry(term: steps[at].term)])
            return true
        },
        TraceBreakage("gap-in-log", "appends an entry and leaves out the one before it") { steps, at, state in
            let own = steps[at].own(state)
            // Only where the entry that goes missing differs from the one after it.
            guard steps[at].appendsAsFollower(state), steps[at].log.count >= own.log.count + 2,
                steps[at].log[own.log.count] != steps[at].log[own.log.count + 1]
            else { return false }
            var log = steps[at].log
            log.remove(at: own.log.count)
            steps[at].setLog(log)
            return true
        },
        TraceBreakage("two-voters-at-once", "changes two voters in one entry") { steps, at, state in
            let own = steps[at].own(state)
            guard steps[at].appendsAsLeader(state),
                let place = steps[at].log.indices.first(where: { $0 >= own.log.count && steps[at].log[$0].voters != 0 })
            else { return false }
            var log = steps[at].log
            log[place].voters ^= 1 << UInt16(TraceWindow.mostMembers - 1)
            steps[at].setLog(log)
            return true
        },
        TraceBreakage("change-upon-change", "changes the voters again before the last change is committed") {
            steps, at, state in
            let own = steps[at].own(state)
            guard steps[at].appendsAsLeader(state), steps[at].log.count == own.log.count + 1,
                own.log.indices.contains(where: { $0 >= steps[at].commit && own.log[$0].voters != 0 })
            else { return false }
            var log = steps[at].log
            log[log.count - 1].voters = TraceWindow.voters(of: own.log) ^ (1 << UInt16(TraceWindow.mostMembers - 1))
            steps[at].setLog(log)
            return true
        },
    ]

    // MARK: Commits

    private static let commits: [TraceBreakage] = [
        TraceBreakage("commit-without-quorum", "commits as leader without acknowledgements") { steps, at, state in
            let step = steps[at]
            guard step.commits(state, as: .leader), !step.receipts.isEmpty,
                !(state.terms[step.term]?.heardAcks.values.contains { $0 >= step.commit } ?? false),
                TraceWindow.voters(of: step.log).nonzeroBitCount > 1,
                // A lone voter that takes a second one in may have committed just before, by itself.
                TraceWindow.voters(of: step.own(state).log).nonzeroBitCount > 1
            else { return false }
            steps[at].receipts = []
            return true
        },
        TraceBreakage("commit-too-far", "commits as leader beyond what a majority has acknowledged") {
            steps, at, state in
            let step = steps[at]
            guard step.commits(state, as: .leader), step.commit < step.log.count,
                TraceWindow.voters(of: step.log).nonzeroBitCount > 1,
                !step.receipts.contains(where: {
                    if case .ack(_, _, let through) = $0 { through > step.commit } else { false }
                }), !(state.terms[step.term]?.heardAcks.values.contains { $0 > step.commit } ?? false)
            else { return false }
            steps[at].commit += 1
            return true
        },
        TraceBreakage("commit-ahead-of-leader", "commits as follower what its leader has not") { steps, at, state in
            let step = steps[at]
            guard step.commits(state, as: .follower), step.commit < step.log.count,
                step.commit == state.terms[step.term]?.told
            else { return false }
            steps[at].commit += 1
            return true
        },
        TraceBreakage("commit-goes-back", "takes back what it called committed") { steps, at, state in
            guard steps[at].kind == .turn, steps[at].commit > 1, steps[at].commit == steps[at].own(state).commit else {
                return false
            }
            steps[at].commit -= 1
            return true
        },
        TraceBreakage("committed-entry-replaced", "replaces an entry that is committed") { steps, at, state in
            let own = steps[at].own(state)
            guard steps[at].kind == .turn, steps[at].role == .follower, own.commit > 2, steps[at].log == own.log,
                own.log[own.commit - 1].term > 1
            else { return false }
            steps[at].log[own.commit - 1].term -= 1
            return true
        },
        TraceBreakage("ack-from-nowhere", "counts an acknowledgement that was never given") { steps, at, state in
            for (place, receipt) in steps[at].receipts.enumerated() {
                guard case .ack(let term, let from, let through) = receipt else { continue }
                steps[at].receipts[place] = .ack(term: term, from: from, through: through + 1)
                if state.terms[term]?.acks[from] ?? 0 <= through { return true }
            }
            return false
        },
    ]

    // MARK: Disks

    private static let disks: [TraceBreakage] = [
        TraceBreakage("vote-before-durable", "answers with a vote that is not on disk yet") { steps, at, state in
            move(&steps, at, from: { if case .vote = $0 { true } else { false } }) { $0.votes(state) }
        },
        TraceBreakage("request-before-durable", "asks for votes before its own is on disk") { steps, at, state in
            move(&steps, at, from: { if case .ask = $0 { true } else { false } }) { $0.campaigns(state) }
        },
        TraceBreakage("ack-before-durable", "acknowledges entries that are not on disk yet") { steps, at, state in
            move(&steps, at, from: { if case .ack = $0 { true } else { false } }) { $0.appendsAsFollower(state) }
        },
        TraceBreakage("ack-too-far", "acknowledges more than the write put on disk") { steps, at, state in
            guard steps[at].kind == .durable else { return false }
            for (place, send) in steps[at].sends.enumerated() {
                guard case .ack(let term, let through) = send, through == steps[at].disk.log.count else { continue }
                steps[at].sends[place] = .ack(term: term, through: through + 1)
                return true
            }
            return false
        },
        TraceBreakage("lost-write", "a write ends and an entry of it is not on disk") { steps, at, state in
            guard steps[at].kind == .durable, steps[at].disk.log.count > steps[at].own(state).disk.log.count else {
                return false
            }
            steps[at].disk.log.removeLast()
            return true
        },
        TraceBreakage("vote-not-written", "a write ends and the vote is not on disk") { steps, at, state in
            guard steps[at].kind == .durable, steps[at].disk.vote != 0, steps[at].own(state).disk.vote == 0 else {
                return false
            }
            steps[at].disk.vote = 0
            return true
        },
        TraceBreakage("restart-loses-term", "starts in an earlier term than its disk had") { steps, at, state in
            let disk = steps[at].own(state).disk
            guard steps[at].kind == .start, steps[at].own(state).writes.isEmpty, disk.term > 0 else { return false }
            steps[at].disk.term -= 1
            steps[at].term = steps[at].disk.term
            return true
        },
        TraceBreakage("restart-loses-vote", "starts without the vote that its disk had") { steps, at, state in
            guard steps[at].kind == .start, steps[at].own(state).writes.isEmpty, steps[at].disk.vote != 0 else {
                return false
            }
            steps[at].disk.vote = 0
            steps[at].vote = 0
            return true
        },
        TraceBreakage("restart-loses-entry", "starts without an entry that its disk had") { steps, at, state in
            guard steps[at].kind == .start, steps[at].own(state).writes.isEmpty, steps[at].disk.log.count > 1 else {
                return false
            }
            steps[at].disk.log.removeLast()
            steps[at].log.removeLast()
            return true
        },
    ]

    /// Lets a message leave with the turn instead of with the write that it waited for.
    private static func move(
        _ steps: inout [TraceStep], _ at: Int, from isWanted: (TraceSend) -> Bool, if fits: (TraceStep) -> Bool
    ) -> Bool {
        let step = steps[at]
        guard fits(step), !step.writes.isEmpty,
            let end = steps[(at + 1)...].firstIndex(where: { $0.member == step.member && $0.kind == .durable }),
            steps[end].sends.contains(where: isWanted)
        else { return false }
        steps[at].sends += steps[end].sends.filter(isWanted)
        steps[end].sends.removeAll(where: isWanted)
        return true
    }
}
