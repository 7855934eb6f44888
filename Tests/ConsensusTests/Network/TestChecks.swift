// What must hold at every moment, on ground truth: the checks see every member, every clock and every disk at once.

import Consensus

struct TestChecks {
    private struct Position: Hashable {
        let index: UInt64
        let term: UInt64
    }

    /// The first thing that went wrong.
    private(set) var violation: String?
    /// Every entry any member has called committed, by index − 1.
    private(set) var committed: [Entry] = []
    /// The newest term somebody was elected in.
    private var newestTerm: UInt64 = 0
    private var leaders: [UInt64: (member: MemberID, incarnation: UInt64)] = [:]
    private var snapshots: [UInt64: Snapshot] = [:]
    /// How often a state was restored from a snapshot that arrived.
    var restorations = 0
    private var written: [Position: (entry: Entry, previousTerm: Term)] = [:]
    /// Addresses a dead process left behind: the kernel goes on answering until the lease ends.
    private var ghosts: [(member: MemberID, until: Int64)] = []
    /// For every read asked: what was committed anywhere at that moment.
    private var reads: [UInt64: Int] = [:]
    private(set) var answeredReads: Set<UInt64> = []

    mutating func fail(_ what: String) { if violation == nil { violation = what } }

    // MARK: Raft's own promises

    mutating func sawLeader(_ member: TestMember) {
        guard let raft = member.raft, raft.isLeader else { return }
        guard let known = leaders[raft.term.rawValue] else {
            leaders[raft.term.rawValue] = (member.id, member.incarnation)
            newestTerm = max(newestTerm, raft.term.rawValue)
            if let last = committed.last, raft.log.term(at: last.index) != last.term {
                fail("leader completeness: \(member.id.rawValue) leads term \(raft.term) without entry \(last.index)")
            }
            return
        }
        if known.member != member.id || known.incarnation != member.incarnation {
            fail("term \(raft.term) has two leaders: \(known.member.rawValue) and \(member.id.rawValue)")
        }
    }

    /// Log matching, by induction: entries of equal index and term are equal and follow entries of equal term.
    mutating func sawWrite(_ write: LogWrite, of member: TestMember) {
        guard let first = write.entries.first, let raft = member.raft else { return }
        var previous = raft.log.term(at: first.index.previous) ?? .zero
        for entry in write.entries {
            let position = Position(index: entry.index.rawValue, term: entry.term.rawValue)
            if let known = written[position] {
                if known.entry != entry || known.previousTerm != previous {
                    fail(
                        "log matching: \(member.id.rawValue) writes another entry \(entry.index) of term \(entry.term)")
                }
            } else {
                written[position] = (entry, previous)
            }
            previous = entry.term
        }
    }

    /// Committed entries never change, and everyone applies the same.
    mutating func sawCommitted(_ entry: Entry, by member: MemberID) {
        let position = Int(entry.index.rawValue) - 1
        if position < committed.count {
            if committed[position] != entry { fail("\(member.rawValue) applies another entry \(entry.index)") }
        } else if position == committed.count {
            committed.append(entry)
        } else {
            fail("\(member.rawValue) applies entry \(entry.index) before the one in front of it")
        }
    }

    /// Snapshots that end at one entry are the same everywhere.
    mutating func sawSnapshot(_ snapshot: Snapshot, by member: MemberID) {
        if let known = snapshots[snapshot.mark.index.rawValue], known != snapshot {
            fail("\(member.rawValue) has another snapshot of the first \(snapshot.mark.index) entries")
        }
        snapshots[snapshot.mark.index.rawValue] = snapshot
        let position = Int(snapshot.mark.index.rawValue) - 1
        if position >= committed.count || committed[position].term != snapshot.mark.term {
            fail("\(member.rawValue) has a snapshot of what was never committed")
        }
    }

    /// How many snapshots there were.
    var snapshotCount: Int { snapshots.count }

    // MARK: Reads

    mutating func asked(_ read: ReadID) { reads[read.rawValue] = committed.count }

    mutating func answered(_ read: ReadID, at index: LogIndex) {
        answeredReads.insert(read.rawValue)
        guard let floor = reads[read.rawValue] else { return fail("read \(read.rawValue) was never asked") }
        if index.rawValue < UInt64(floor) {
            fail("stale read: answered at \(index), but \(floor) was committed when it was asked")
        }
    }

    // MARK: Leases

    mutating func leftBehind(by member: TestMember, at now: Int64) {
        guard member.acts(at: now), let lease = member.lease else { return }
        ghosts.append((member.id, member.clock.trueTime(of: lease.until)))
    }

    /// The member itself has taken down what its dead process left behind.
    mutating func silenced(_ member: MemberID) { ghosts.removeAll { $0.member == member } }

    /// At most one member acts on the role, at most one leader holds a quorum lease, and a lease that the newest leader
    /// calls certainly over is over.
    mutating func leases(_ members: [TestMember], at now: Int64) {
        ghosts.removeAll { $0.until <= now }
        var acting: MemberID?
        var leading: TestMember?
        var leased: MemberID?
        for member in members {
            if member.acts(at: now) {
                if let other = acting ?? ghosts.first(where: { $0.member != member.id })?.member {
                    fail("two members act on the role: \(other.rawValue) and \(member.id.rawValue)")
                }
                acting = member.id
            }
            guard let raft = member.raft, raft.isLeader, !member.clock.isPaused else { continue }
            if raft.term > leading?.raft?.term ?? .zero { leading = member }
            if member.wantsLease, raft.holdsQuorumLease(now: member.clock.reading(at: now)) {
                if let leased { fail("two quorum leases: \(leased.rawValue) and \(member.id.rawValue)") }
                leased = member.id
            }
        }
        // A leader that another one has replaced may say what it likes: nothing it proposes can be committed.
        guard let leading, let raft = leading.raft, raft.term.rawValue == newestTerm else { return }
        let reading = leading.clock.reading(at: now)
        for member in members where member.id != leading.id && raft.leaseIsCertainlyOver(member.id, now: reading) {
            if member.holdsLease(at: now) || ghosts.contains(where: { $0.member == member.id }) {
                fail("\(leading.id.rawValue) calls the lease of \(member.id.rawValue) over, and it is not")
            }
        }
    }
}
