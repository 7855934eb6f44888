// The agent's plain values as generated messages, kind by kind. Shape only; nothing here can fail except entries that do
// not follow each other, because the wire does not carry their indices.

import Agent
import Consensus
import FoundationEssentials

extension WirePeerFrame {
    init(_ frame: PeerFrame) throws(WireError) {
        cluster = frame.cluster.rawValue
        epoch = frame.epoch.rawValue
        from = frame.from.rawValue
        to = frame.to.rawValue
        earlierStarts = frame.earlierStarts.flatMap { [$0.number, $0.nonce] }
        switch frame.body {
        case .consensus(let term, let message):
            consensus = try WireConsensus(term: term, message)
            consensus.startNumber = frame.start.number
            consensus.startNonce = frame.start.nonce
        case .proposal(let id, let record):
            proposal = .with {
                $0.id = id
                $0.record = Data(record)
            }
        case .proposalRefused(let id, let leader):
            proposalRefused = .with {
                $0.id = id
                if let leader { $0.leader = leader.rawValue }
            }
        case .readIndex(let id):
            readIndex = .with { $0.id = id }
        case .readIndexAnswer(let id, let index):
            readIndexAnswer = .with {
                $0.id = id
                if let index { $0.index = index.rawValue }
            }
        case .recoveryProbe(let id):
            recoveryProbe = .with { $0.id = id }
            startNumber = frame.start.number
            startNonce = frame.start.nonce
        case .recoveryStatus(let id, let standing):
            recoveryStatus = WireRecoveryStatus(id, standing)
            startNumber = frame.start.number
            startNonce = frame.start.nonce
        case .epoch(let word):
            epochWord = .with {
                switch word {
                case .asks: $0.word = 0
                case .yours: $0.word = 1
                case .over: $0.word = 2
                }
            }
        case .membersAsked: membersAsked = WireMembersAsked()
        case .members(let records): members = .with { $0.records = Data(records) }
        case .handOver(let member): handOver = .with { if let member { $0.to = member.rawValue } }
        }
    }
}

extension WireRecoveryStatus {
    /// The epoch is the frame's.
    init(_ id: UInt64, _ standing: RecoveryStanding) {
        self.id = id
        term = standing.term.rawValue
        lastIndex = standing.last.index.rawValue
        lastTerm = standing.last.term.rawValue
        if let leader = standing.leader { self.leader = leader.rawValue }
        isWhole = standing.isWhole
    }
}

extension WireConsensus {
    init(term: Term, _ message: Consensus.Message) throws(WireError) {
        self.term = term.rawValue
        switch message {
        case .preVoteRequest(let request):
            preVoteRequest = .with {
                $0.lastIndex = request.lastIndex.rawValue
                $0.lastTerm = request.lastTerm.rawValue
            }
        case .preVoteReply(let reply):
            preVoteReply = .with { $0.granted = reply.granted }
        case .voteRequest(let request):
            voteRequest = .with {
                $0.lastIndex = request.lastIndex.rawValue
                $0.lastTerm = request.lastTerm.rawValue
                $0.byTransfer = request.byTransfer
            }
        case .voteReply(let reply):
            voteReply = .with { $0.granted = reply.granted }
        case .appendRequest(let request):
            appendRequest = try WireAppendRequest(request)
        case .appendReply(let reply):
            appendReply = WireAppendReply(reply)
        case .heartbeat(let beat):
            heartbeat = .with {
                $0.round = beat.round
                $0.promiseNanoseconds = beat.promise.nanoseconds
                $0.commit = beat.commit.rawValue
            }
        case .heartbeatReply(let reply):
            heartbeatReply = WireHeartbeatReply(reply)
        case .leaseGrant(let grant):
            leaseGrant = .with {
                $0.stampNanoseconds = grant.stamp.nanoseconds
                $0.incarnation = grant.incarnation
                $0.durationNanoseconds = grant.duration.nanoseconds
                $0.floor = grant.floor.rawValue
            }
        case .campaignNow(let order):
            campaignNow = .with { $0.longestGrantNanoseconds = order.longestGrant.nanoseconds }
        case .commitNotice(let notice):
            commitNotice = .with { $0.commit = notice.commit.rawValue }
        case .snapshotChunk(let chunk): snapshotChunk = WireSnapshotChunk(chunk)
        case .snapshotReply(let reply):
            snapshotReply = .with {
                $0.index = reply.index.rawValue
                $0.offset = UInt64(reply.offset)
                $0.received = UInt64(reply.received)
            }
        case .memoryLost(let loss):
            memoryLost = .with {
                $0.startNumber = loss.start.number
                $0.startNonce = loss.start.nonce
            }
        case .readmitted(let answer):
            readmitted = .with {
                $0.startNumber = answer.start.number
                $0.startNonce = answer.start.nonce
                $0.committed = answer.committed?.rawValue ?? 0
            }
        case .startIsOver(let notice):
            startIsOver = .with {
                $0.knownNumber = notice.known.number
                $0.knownNonce = notice.known.nonce
                $0.isAlive = notice.isAlive
            }
        }
    }
}

extension WireAppendRequest {
    init(_ request: AppendRequest) throws(WireError) {
        previousIndex = request.previousIndex.rawValue
        previousTerm = request.previousTerm.rawValue
        commit = request.commit.rawValue
        entries.reserveCapacity(request.entries.count)
        var index = request.previousIndex
        for entry in request.entries {
            index = index.next
            guard entry.index == index else {
                throw .invalid(field: "entries", reason: "has \(entry.index) where \(index) belongs")
            }
            entries.append(WireEntry(entry))
        }
    }
}

extension WireEntry {
    init(_ entry: Entry) {
        term = entry.term.rawValue
        switch entry.payload {
        case .empty: empty = WireEmpty()
        case .command(let bytes): command = Data(bytes)
        case .configuration(let members):
            if members.isPlain {
                configuration = WireConfiguration(members)
            } else {
                fullConfiguration = WireConfiguration(members)
            }
        }
    }
}

extension WireConfiguration {
    init(_ members: Configuration) {
        voters = members.voters.map(\.rawValue)
        learners = members.learners.map(\.rawValue)
        epoch = members.epoch.rawValue
        outgoingVoters = members.outgoingVoters.map(\.rawValue)
        learnersNext = members.learnersNext.map(\.rawValue)
    }
}

extension WireSnapshotChunk {
    init(_ chunk: SnapshotChunk) {
        index = chunk.mark.index.rawValue
        term = chunk.mark.term.rawValue
        let members = WireConfiguration(chunk.mark.configuration)
        if chunk.mark.configuration.isPlain { configuration = members } else { fullConfiguration = members }
        size = UInt64(chunk.size)
        checksum = chunk.checksum
        offset = UInt64(chunk.offset)
        bytes = Data(chunk.bytes)
    }
}

extension WireAppendReply {
    init(_ reply: AppendReply) {
        switch reply {
        case .accepted(let index):
            acceptedThrough = index.rawValue
        case .refused(let after, let hintIndex, let hintTerm):
            refused = .with {
                $0.after = after.rawValue
                $0.hintIndex = hintIndex.rawValue
                $0.hintTerm = hintTerm.rawValue
            }
        }
    }
}

extension WireHeartbeatReply {
    init(_ reply: HeartbeatReply) {
        round = reply.round
        knowsJointConfigurations = reply.knowsJointConfigurations
        if let asked = reply.leaseAsked {
            leaseAsked = .with {
                $0.stampNanoseconds = asked.stamp.nanoseconds
                $0.incarnation = asked.incarnation
            }
        }
    }
}
