// Generated messages as the agent's plain values, every field checked on the way.
//
// The bytes come from another member, which may be broken, older or newer. What passes here keeps the preconditions of
// Sources/Consensus: members nowhere twice, entries in order, numbers far from overflow, durations not negative. Whether
// a message makes sense now (its term, its sender, its place in the log) is for the consensus to judge.

import Agent
import Consensus
import FoundationEssentials
import SwiftProtobuf

extension WirePeerFrame {
    func checked() throws(WireError) -> PeerFrame {
        guard cluster != 0 else { throw .invalid(field: "cluster", reason: "is missing") }
        let sender = try Check.member(from, "from")
        let recipient = try Check.member(to, "to")
        guard sender != recipient else { throw .invalid(field: "to", reason: "is the sender itself") }
        return PeerFrame(
            cluster: ClusterID(rawValue: cluster), from: sender, to: recipient,
            epoch: try Check.epoch(epoch, "epoch"), body: try checkedBody(), start: try checkedStart(),
            earlierStarts: try checkedEarlierStarts())
    }

    private func checkedStart() throws(WireError) -> DiskStart {
        guard case .consensus(let message) = body else {
            return try Check.start(startNumber, startNonce, "start_number")
        }
        return try Check.start(message.startNumber, message.startNonce, "consensus.start_number")
    }

    private func checkedEarlierStarts() throws(WireError) -> [DiskStart] {
        guard earlierStarts.count % 2 == 0, earlierStarts.count <= 2 * HardState.mostEarlierStarts else {
            throw .invalid(field: "earlier_starts", reason: "has \(earlierStarts.count) numbers")
        }
        var starts: [DiskStart] = []
        for place in stride(from: 0, to: earlierStarts.count, by: 2) {
            starts.append(try Check.start(earlierStarts[place], earlierStarts[place + 1], "earlier_starts"))
        }
        return starts
    }

    private func checkedBody() throws(WireError) -> PeerFrame.Body {
        switch body {
        case .consensus(let message):
            return try message.checked()
        case .proposal(let proposal):
            return .proposal(id: proposal.id, record: [UInt8](proposal.record))
        case .proposalRefused(let refusal):
            guard refusal.hasLeader else { return .proposalRefused(id: refusal.id, leader: nil) }
            return .proposalRefused(id: refusal.id, leader: try Check.member(refusal.leader, "proposal_refused.leader"))
        case .readIndex(let request):
            return .readIndex(id: request.id)
        case .readIndexAnswer(let answer):
            guard answer.hasIndex else { return .readIndexAnswer(id: answer.id, index: nil) }
            return .readIndexAnswer(id: answer.id, index: try Check.index(answer.index, "read_index_answer.index"))
        case .recoveryProbe(let probe): return .recoveryProbe(id: probe.id)
        case .recoveryStatus(let status): return .recoveryStatus(id: status.id, try status.checked(epoch: epoch))
        case .epochWord(let word): return .epoch(try word.checked())
        case .membersAsked: return .membersAsked
        case .members(let members): return .members(records: [UInt8](members.records))
        case .handOver(let word):
            return .handOver(to: word.hasTo ? try Check.member(word.to, "hand_over.to") : nil)
        case nil:
            throw Check.absent("body", unknownFields)
        }
    }
}

extension WireRecoveryStatus {
    /// - Parameter epoch: the frame's.
    func checked(epoch: UInt64) throws(WireError) -> RecoveryStanding {
        let (index, term) = try Check.position(lastIndex, lastTerm, "recovery_status.last")
        return RecoveryStanding(
            epoch: try Check.epoch(epoch, "epoch"), term: try Check.term(self.term, "recovery_status.term"),
            last: LogPosition(index: index, term: term),
            leader: try hasLeader ? Check.member(leader, "recovery_status.leader") : nil, isWhole: isWhole)
    }
}

extension WireEpochWord {
    func checked() throws(WireError) -> EpochWord {
        switch word {
        case 0: return .asks
        case 1: return .yours
        case 2: return .over
        default: throw .invalid(field: "epoch_word.word", reason: "is \(word), which means nothing here")
        }
    }
}

extension WireConsensus {
    func checked() throws(WireError) -> PeerFrame.Body {
        guard let message else { throw Check.absent("consensus.message", unknownFields) }
        let plain = try message.checked()
        // A member that has seen no election yet is in term zero, and can say so only when it refuses a pre-vote.
        if term == 0, plain != .preVoteReply(PreVoteReply(granted: false)) {
            throw .invalid(field: "consensus.term", reason: "is zero")
        }
        return .consensus(try Check.term(term, "consensus.term"), plain)
    }
}

extension WireConsensus.OneOf_Message {
    func checked() throws(WireError) -> Consensus.Message {
        switch self {
        case .preVoteRequest(let request):
            let (index, term) = try Check.position(request.lastIndex, request.lastTerm, "pre_vote_request.last")
            return .preVoteRequest(PreVoteRequest(lastIndex: index, lastTerm: term))
        case .preVoteReply(let reply):
            return .preVoteReply(PreVoteReply(granted: reply.granted))
        case .voteRequest(let request):
            let (index, term) = try Check.position(request.lastIndex, request.lastTerm, "vote_request.last")
            return .voteRequest(VoteRequest(lastIndex: index, lastTerm: term, byTransfer: request.byTransfer))
        case .voteReply(let reply):
            return .voteReply(VoteReply(granted: reply.granted))
        case .appendRequest(let request):
            return .appendRequest(try request.checked())
        case .appendReply(let reply):
            return .appendReply(try reply.checked())
        case .heartbeat(let heartbeat):
            guard heartbeat.round > 0 else { throw .invalid(field: "heartbeat.round", reason: "is zero") }
            return .heartbeat(
                Heartbeat(
                    round: try Check.number(heartbeat.round, "heartbeat.round"),
                    promise: try Check.duration(heartbeat.promiseNanoseconds, "heartbeat.promise"),
                    commit: try Check.index(heartbeat.commit, "heartbeat.commit")))
        case .heartbeatReply(let reply):
            return .heartbeatReply(try reply.checked())
        case .leaseGrant(let grant):
            return .leaseGrant(
                LeaseGrant(
                    stamp: try Check.stamp(grant.stampNanoseconds, "lease_grant.stamp"), incarnation: grant.incarnation,
                    duration: try Check.duration(grant.durationNanoseconds, "lease_grant.duration"),
                    floor: try Check.index(grant.floor, "lease_grant.floor")))
        case .campaignNow(let order):
            return .campaignNow(
                CampaignNow(
                    longestGrant: try Check.duration(order.longestGrantNanoseconds, "campaign_now.longest_grant")))
        case .commitNotice(let notice):
            return .commitNotice(CommitNotice(commit: try Check.index(notice.commit, "commit_notice.commit")))
        case .snapshotChunk(let chunk):
            return .snapshotChunk(try chunk.checked())
        case .snapshotReply(let reply):
            return .snapshotReply(
                SnapshotReply(
                    index: try Check.index(reply.index, "snapshot_reply.index"),
                    offset: try Check.size(reply.offset, "snapshot_reply.offset"),
                    received: try Check.size(reply.received, "snapshot_reply.received")))
        case .memoryLost(let loss):
            let start = try Check.start(loss.startNumber, loss.startNonce, "memory_lost.start_number")
            return .memoryLost(MemoryLost(start: start))
        case .readmitted(let answer):
            let start = try Check.start(answer.startNumber, answer.startNonce, "readmitted.start_number")
            let committed = try Check.index(answer.committed, "readmitted.committed")
            return .readmitted(Readmitted(start: start, committed: committed == .zero ? nil : committed))
        case .startIsOver(let notice):
            let known = try Check.start(notice.knownNumber, notice.knownNonce, "start_is_over.known_number")
            return .startIsOver(StartIsOver(known: known, isAlive: notice.isAlive))
        }
    }
}

extension WireAppendRequest {
    func checked() throws(WireError) -> AppendRequest {
        let (index, term) = try Check.position(previousIndex, previousTerm, "append_request.previous")
        var plain: [Entry] = []
        plain.reserveCapacity(entries.count)
        var lastTerm = term
        var lastIndex = index
        for entry in entries {
            lastIndex = lastIndex.next
            let checked = try entry.checked(at: lastIndex)
            guard checked.term >= lastTerm else {
                throw .invalid(field: "entry.term", reason: "goes back from \(lastTerm) to \(checked.term)")
            }
            lastTerm = checked.term
            plain.append(checked)
        }
        return AppendRequest(
            previousIndex: index, previousTerm: term, entries: plain,
            commit: try Check.index(commit, "append_request.commit"))
    }
}

extension WireSnapshotChunk {
    func checked() throws(WireError) -> SnapshotChunk {
        let (index, term) = try Check.position(self.index, self.term, "snapshot_chunk.mark")
        let size = try Check.size(self.size, "snapshot_chunk.size")
        let offset = try Check.size(self.offset, "snapshot_chunk.offset")
        guard offset + bytes.count <= size else {
            throw .invalid(field: "snapshot_chunk.bytes", reason: "go beyond the end of the snapshot")
        }
        let members = try (hasFullConfiguration ? fullConfiguration : configuration).checked(full: hasFullConfiguration)
        return SnapshotChunk(
            mark: SnapshotMark(index: index, term: term, configuration: members), size: size,
            checksum: checksum, offset: offset, bytes: [UInt8](bytes))
    }
}

extension WireEntry {
    /// The wire carries no index; the entry's place among its neighbours gives it.
    func checked(at index: LogIndex) throws(WireError) -> Entry {
        guard term > 0 else { throw .invalid(field: "entry.term", reason: "is zero") }
        let payload: Entry.Payload
        switch self.payload {
        case .empty: payload = .empty
        case .command(let bytes): payload = .command([UInt8](bytes))
        case .configuration(let members): payload = .configuration(try members.checked(full: false))
        case .fullConfiguration(let members): payload = .configuration(try members.checked(full: true))
        case nil: throw Check.absent("entry.payload", unknownFields)
        }
        return Entry(index: index, term: try Check.term(term, "entry.term"), payload: payload)
    }
}

extension WireConfiguration {
    /// - Parameter full: whether it came where those do that are joint or of a later epoch. In the other place an older
    ///   version would not see the outgoing voters, and count one majority.
    func checked(full: Bool) throws(WireError) -> Configuration {
        let found = try checked()
        guard found.isPlain != full else {
            throw .invalid(
                field: "configuration", reason: full ? "is a plain one" : "is joint or of an epoch, in the wrong place")
        }
        return found
    }

    private func checked() throws(WireError) -> Configuration {
        let field = "configuration"
        guard !voters.isEmpty else { throw .invalid(field: field, reason: "has no voter") }
        let lists = [voters, learners, outgoingVoters, learnersNext]
        guard lists.allSatisfy({ !$0.contains(0) }) else {
            throw .invalid(field: field, reason: "names nobody's number")
        }
        guard let plain = Configuration(lists: lists, epoch: try Check.epoch(epoch, "configuration.epoch")) else {
            throw .invalid(
                field: field,
                reason:
                    "has more than \(Configuration.mostVoters) voters or \(Configuration.mostLearners) learners, or "
                    + "somebody twice")
        }
        return plain
    }
}

extension Configuration {
    /// From numbers somebody else wrote down: voters, learners, and of a joint one the outgoing voters and those of them
    /// that become learners. Nil where the plain initializer would trap.
    init?(lists: [[UInt64]], epoch: Epoch) {
        let lists = lists.map { $0.map { MemberID(rawValue: $0) } } + [[], []]
        guard
            Self.isWellFormed(
                voters: lists[0], learners: lists[1], outgoingVoters: lists[2], learnersNext: lists[3])
        else { return nil }
        guard epoch <= .greatest else { return nil }
        self.init(
            voters: lists[0], learners: lists[1], outgoingVoters: lists[2], learnersNext: lists[3], epoch: epoch)
    }
}

extension WireAppendReply {
    func checked() throws(WireError) -> AppendReply {
        switch outcome {
        case .acceptedThrough(let index):
            return .accepted(through: try Check.index(index, "append_reply.accepted_through"))
        case .refused(let refusal):
            let (index, term) = try Check.position(refusal.hintIndex, refusal.hintTerm, "append_reply.refused.hint")
            return .refused(
                after: try Check.index(refusal.after, "append_reply.refused.after"), hintIndex: index, hintTerm: term)
        case nil:
            throw Check.absent("append_reply.outcome", unknownFields)
        }
    }
}

extension WireHeartbeatReply {
    func checked() throws(WireError) -> HeartbeatReply {
        let round = try Check.number(round, "heartbeat_reply.round")
        guard hasLeaseAsked else {
            return HeartbeatReply(
                round: round, leaseAsked: nil, knowsJointConfigurations: knowsJointConfigurations)
        }
        let stamp = try Check.stamp(leaseAsked.stampNanoseconds, "heartbeat_reply.lease_asked.stamp")
        return HeartbeatReply(
            round: round, leaseAsked: LeaseRequest(stamp: stamp, incarnation: leaseAsked.incarnation),
            knowsJointConfigurations: knowsJointConfigurations)
    }
}

/// The ranges fields must lie in.
private enum Check {
    static func number(_ value: UInt64, _ field: String) throws(WireError) -> UInt64 {
        guard value <= WireCodec.greatestNumber else {
            throw .invalid(field: field, reason: "is beyond any count: \(value)")
        }
        return value
    }

    static func index(_ value: UInt64, _ field: String) throws(WireError) -> LogIndex {
        LogIndex(rawValue: try number(value, field))
    }

    static func term(_ value: UInt64, _ field: String) throws(WireError) -> Term {
        Term(rawValue: try number(value, field))
    }

    /// A position of the log with its term: both are zero before the first entry, and neither after it.
    static func position(
        _ index: UInt64, _ term: UInt64, _ field: String
    ) throws(WireError) -> (LogIndex, Term) {
        guard (index == 0) == (term == 0) else {
            throw .invalid(field: field, reason: "is entry \(index) of term \(term); both are zero or none")
        }
        return (try self.index(index, field), try self.term(term, field))
    }

    static func start(_ number: UInt64, _ nonce: UInt64, _ field: String) throws(WireError) -> DiskStart {
        DiskStart(number: try self.number(number, field), nonce: nonce)
    }

    /// A number of bytes of a snapshot. How large one may be is the consensus' to say.
    static func size(_ value: UInt64, _ field: String) throws(WireError) -> Int {
        guard value <= UInt64(UInt32.max) else { throw .invalid(field: field, reason: "is \(value) bytes") }
        return Int(value)
    }

    static func epoch(_ value: UInt64, _ field: String) throws(WireError) -> Epoch {
        let epoch = Epoch(rawValue: value)
        guard epoch <= .greatest else { throw .invalid(field: field, reason: "is beyond any count: \(value)") }
        return epoch
    }

    static func member(_ value: UInt64, _ field: String) throws(WireError) -> MemberID {
        guard value != 0 else { throw .invalid(field: field, reason: "is missing") }
        return MemberID(rawValue: value)
    }

    static func duration(_ nanoseconds: Int64, _ field: String) throws(WireError) -> Interval {
        guard (0...WireCodec.longestDurationNanoseconds).contains(nanoseconds) else {
            throw .invalid(field: field, reason: "is \(nanoseconds) ns; allowed is 0 to one hour")
        }
        return .nanoseconds(nanoseconds)
    }

    static func stamp(_ nanoseconds: Int64, _ field: String) throws(WireError) -> Instant {
        guard (0...WireCodec.latestStampNanoseconds).contains(nanoseconds) else {
            throw .invalid(field: field, reason: "is \(nanoseconds) ns, which no clock reads")
        }
        return Instant(nanoseconds: nanoseconds)
    }

    /// Nothing known is there: either nothing at all, or something of a later version.
    static func absent(_ field: String, _ unknown: UnknownStorage) -> WireError {
        unknown.data.isEmpty ? .invalid(field: field, reason: "is missing") : .unknownKind(of: field)
    }
}
