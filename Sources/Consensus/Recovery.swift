// Going on without a majority that is gone for good: a new epoch, in which the survivors are everybody.
//
// It gives up what a majority is for: what only the lost ones had is lost, and if they live after all, there are two
// clusters until they hear of it. So a person must have said that they are dead, and whether it may be done at all is decided
// elsewhere (Decisions). Here is what makes it final: every message and every configuration belongs to an epoch, and
// nothing of one counts in another.
//
//     survivor   … 7 8 9(not committed) │ 10: configuration of epoch 1 │ 11: what was done, for the record
//                                       └ one write with epoch and term, before anything of it leaves
//
// Two survivors may do this at the same moment. The terms of what they write differ (`Epoch.beginning`), and the higher epoch
// has the later one: so it replaces what the other has written, as any leader replaces what was not committed. Should the
// other have committed it, one log contradicts the other for good, which is said in words.
//
// Relies on: the survivor with the most of the log doing it, of those whose disks have forgotten nothing. Then its log holds whatever any other survivor knows to be
// committed (Ongaro 3.6.3), and Raft makes the others' logs equal to it as after any election.

/// What one member knows of itself, asked before a recovery.
public struct RecoveryStanding: Hashable, Sendable {
    public let epoch: Epoch
    public let term: Term
    /// The last entry of its log.
    public let last: LogPosition
    /// The leader it follows, or is.
    public let leader: MemberID?
    /// Whether its disk still has everything it answered for (Memory.swift). Otherwise the end of its log says nothing of
    /// what was committed, and it votes for nobody.
    public let isWhole: Bool

    public init(epoch: Epoch, term: Term, last: LogPosition, leader: MemberID?, isWhole: Bool = true) {
        self.isWhole = isWhole
        self.epoch = epoch
        self.term = term
        self.last = last
        self.leader = leader
    }

    /// Whether its log holds more (Ongaro 3.6.1).
    public func isAhead(of other: RecoveryStanding) -> Bool {
        (last.term, last.index) > (other.last.term, other.last.index)
    }
}

extension Raft {
    /// Whether this member's configuration is of its epoch. One that was told of an epoch, and not yet of the configuration
    /// it began with, votes for those who know it and stands for nothing itself: by the old configuration it could be
    /// elected by the dead.
    public var knowsItsEpoch: Bool { configuration.epoch == epoch }

    /// How long a lease may live, in true time, that a leader of before gave to whomever: no longer than its quorum lease, and
    /// that no longer than the promises it rests on, the longest of which this member has answered for.
    public var longestLease: Interval { timing.stretched(.max(hardState.longestPromise, timing.quorumLease)) }

    /// Begins an epoch in which these voters and learners are the members. This member must be one of the voters, and
    /// campaigns as soon as its own promise allows.
    /// - Parameters:
    ///   - term: the latest term any survivor knows.
    ///   - record: the command that says what was done; it stands behind the configuration.
    /// - Returns: false when a snapshot is just being installed here, which would replace all this: try again.
    public mutating func begin(
        _ newEpoch: Epoch, voters: [MemberID], learners: [MemberID], after term: Term, record: [UInt8], now: Instant,
        random: inout some RandomNumberGenerator
    ) -> Bool {
        precondition(newEpoch > epoch && voters.contains(id), "an epoch is begun by one who belongs to it")
        precondition(mayVote, "an epoch is begun by one who has forgotten nothing")
        if case .storing? = incoming?.phase { return false }
        incoming = nil
        enter(newEpoch, term: newEpoch.beginning(after: max(term, hardState.term)), now: now, random: &random)
        let members = Configuration(voters: voters, learners: learners, epoch: newEpoch)
        for payload in [Entry.Payload.configuration(members), .command(record)] {
            appendToLog(Entry(index: log.lastIndex.next, term: hardState.term, payload: payload))
        }
        electionDeadline = max(now, promiseUntil)
        return true
    }

    /// Takes over an epoch this member was told it belongs to. Whatever it was about to say belongs to the old one.
    public mutating func adopt(_ newEpoch: Epoch, now: Instant, random: inout some RandomNumberGenerator) {
        guard newEpoch > epoch, newEpoch <= .greatest else { return }
        enter(newEpoch, term: hardState.term, now: now, random: &random)
    }

    /// Whether this member has committed something in another recovery of what this epoch began from as well. (Whoever
    /// begins an epoch after the other one has a higher number.)
    public func contradicts(_ newer: Epoch) -> Bool {
        let own = lastConfiguration(through: commitIndex).found.epoch
        return own != .first && own.number == newer.number && own != newer
    }

    /// Whether what is committed here is certainly in the log of a leader of this epoch: it has been compared, or the
    /// configuration that the epoch began with is here.
    var isOfItsEpoch: Bool { knowsItsEpoch || comparedEpoch == epoch }

    private mutating func enter(
        _ newEpoch: Epoch, term: Term, now: Instant, random: inout some RandomNumberGenerator
    ) {
        becomeFollower(in: term, now: now, random: &random)
        hardState.epoch = newEpoch
        hardStateDirty = true
        leader = nil
        deserter = nil
        heldLease = nil
        outbox = []
        afterDurable = []
    }
}
