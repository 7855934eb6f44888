// What must hold at every moment, checked on ground truth: the consensus' own promises, seen across all members at once.
// Incremental: each event costs what it changed.

import Agent
import Cluster
import Consensus

struct Truth {
    private struct Leader {
        let member: Int
        let life: UInt64
    }

    private struct Written {
        let entry: Entry
        let previousTerm: Term
    }

    var violation: Violation?
    /// Every entry that any member has applied, by index − 1.
    private(set) var committed: [Entry] = []
    /// The newest snapshots anybody had, by their last entry.
    var snapshots: SortedMap<LogIndex, Snapshot> = [:]
    private var leaders: SortedMap<Term, Leader> = [:]
    private(set) var newestTerm: Term = .zero
    /// What was ever handed to a disk, by index − 1: entries of different terms.
    private var written: [[Written]] = []
    private(set) var leaderChanges = 0
    private(set) var lastLeader: Int?
    /// Some term had no leader.
    private(set) var skippedTerm = false

    /// - Returns: what is wrong with a member's leading, if anything.
    mutating func sawLeader(_ raft: Raft, member: Int, life: UInt64) -> (String, String)? {
        if let known = leaders[raft.term] {
            guard known.member != member || known.life != life else { return nil }
            return ("twoLeaders", "term \(raft.term) has two leaders: members \(known.member + 1) and \(member + 1)")
        }
        leaders[raft.term] = Leader(member: member, life: life)
        if raft.term > newestTerm {
            if newestTerm > .zero && raft.term > newestTerm.next { skippedTerm = true }
            newestTerm = raft.term
            if lastLeader != nil, lastLeader != member { leaderChanges += 1 }
            lastLeader = member
        }
        if let last = committed.last, raft.log.term(at: last.index) != last.term {
            return ("leaderCompleteness", "member \(member + 1) leads term \(raft.term) without entry \(last.index)")
        }
        return nil
    }

    /// What was applied before the world began counts as one entry.
    mutating func begin(behind position: LogPosition) {
        committed = [Entry(index: position.index, term: position.term, payload: .empty)]
        newestTerm = position.term
    }

    mutating func forgetLeaderChanges() { leaderChanges = 0 }

    /// Log matching, by induction: entries of equal index and term are equal and follow entries of equal term.
    mutating func sawWrite(_ write: LogWrite, of raft: Raft) -> (String, String)? {
        guard let first = write.entries.first else { return nil }
        var previous = raft.log.term(at: first.index.previous) ?? .zero
        for entry in write.entries {
            let position = Int(entry.index.rawValue) - 1
            while written.count <= position { written.append([]) }
            if let known = written[position].first(where: { $0.entry.term == entry.term }) {
                if known.entry != entry || known.previousTerm != previous {
                    return ("logMatching", "two different entries \(entry.index) of term \(entry.term)")
                }
            } else {
                written[position].append(Written(entry: entry, previousTerm: previous))
            }
            previous = entry.term
        }
        return nil
    }

    /// Committed entries never change, and everyone applies the same in the same order.
    mutating func sawApplied(_ entry: Entry, by member: Int) -> (String, String)? {
        let position = Int(entry.index.rawValue) - 1
        if position < committed.count {
            guard committed[position] == entry else {
                return ("stateMachineSafety", "member \(member + 1) applies another entry \(entry.index)")
            }
        } else if position == committed.count {
            committed.append(entry)
        } else {
            return ("stateMachineSafety", "member \(member + 1) applies entry \(entry.index) before its predecessor")
        }
        return nil
    }
}

extension World {
    private func check(_ finding: (String, String)?) {
        if let finding { violate(finding.0, finding.1) }
    }

    func sawWrite(_ write: LogWrite, of machine: Machine) {
        guard let process = machine.process, !write.entries.isEmpty else { return }
        if let first = write.entries.first, first.index <= machine.disk.lastIndex, write.restartsBehind == nil {
            marks.reach(.logTruncated)
        }
        check(truth.sawWrite(write, of: process.core.raft))
    }

    /// Looks at a member after its turn.
    func lookAt(_ machine: Machine) {
        guard let process = machine.process else { return }
        let (isLeader, term, applied) = Self.standing(of: &process.core)
        if isLeader != process.wasLeader || term != process.seenTerm {
            if isLeader {
                check(truth.sawLeader(process.core.raft, member: machine.index, life: machine.life))
                saw(.leads(machine.name))
                note(11, machine.index, term.rawValue)
                marks.reach(machine.plan.kind == .witness ? .witnessLed : .hostLed)
            } else if process.wasLeader {
                marks.reach(.leaderSteppedDown)
            }
            process.wasLeader = isLeader
            process.seenTerm = term
        }
        if applied > process.applied {
            sawRestored(machine, process)
            for entry in process.core.raft.committedEntries(from: process.applied.next, through: applied) {
                check(truth.sawApplied(entry, by: machine.index))
                compareStates(at: entry.index, of: machine)
                if case .configuration = entry.payload { marks.reach(.configurationChanged) }
                if isLeader && entry.term < term { marks.reach(.entryOfOlderTermCommitted) }
            }
            process.applied = applied
            digest.add(applied.rawValue)
        }
    }

    private static func standing(of core: inout AgentCore) -> (isLeader: Bool, term: Term, applied: LogIndex) {
        (core.raft.isLeader, core.raft.term, core.applied)
    }

    /// All members that have applied the same entries have the same state. Compared at every sixteenth entry, when a
    /// member stops exactly there, and for all at the end.
    private func compareStates(at index: LogIndex, of machine: Machine) {
        guard index.rawValue % 16 == 0, let process = machine.process, process.core.applied == index else { return }
        guard let known = states[index] else {
            states[index] = process.core.state
            if states.count > 64, let oldest = states.keys.first { states[oldest] = nil }
            return
        }
        if known != process.core.state {
            violate("stateDiverged", "\(machine.name) computed another state from the first \(index) entries")
        }
    }
}
