// Frames come back as they were sent, and what breaks the agent's rules does not come in.

import Agent
import Consensus
import FoundationEssentials
import Testing

@testable import Runtime

struct WireCodecTests {
    /// A frame as the other side might have sent it, however wrong.
    private func decode(_ change: (inout WirePeerFrame) -> Void) throws -> PeerFrame {
        var message = WirePeerFrame.with {
            $0.cluster = 1
            $0.from = 2
            $0.to = 3
        }
        change(&message)
        return try WireCodec.decode(try message.serializedBytes())
    }

    private func decodeConsensus(_ change: (inout WireConsensus) -> Void) throws -> PeerFrame {
        try decode {
            $0.consensus.term = 4
            change(&$0.consensus)
        }
    }

    private func isInvalid(_ field: String, _ body: () throws -> PeerFrame) -> Bool {
        do {
            _ = try body()
            return false
        } catch WireError.invalid(field, _) {
            return true
        } catch {
            Issue.record("refused as \(error)")
            return false
        }
    }

    @Test(arguments: exampleFrames) func everyKindComesBackAsItWasSent(_ frame: PeerFrame) throws {
        #expect(try WireCodec.decode(try WireCodec.encode(frame)) == frame)
    }

    @Test func aFrameWithoutClusterSenderOrRecipientIsRefused() {
        let body = WireReadIndex.with { $0.id = 1 }
        #expect(isInvalid("cluster") { try decode { ($0.cluster, $0.readIndex) = (0, body) } })
        #expect(isInvalid("from") { try decode { ($0.from, $0.readIndex) = (0, body) } })
        #expect(isInvalid("to") { try decode { ($0.to, $0.readIndex) = (0, body) } })
        #expect(isInvalid("to") { try decode { ($0.to, $0.readIndex) = (2, body) } })
    }

    @Test func aFrameWithoutContentIsRefused() {
        #expect(isInvalid("body") { try decode { _ in } })
        #expect(isInvalid("consensus.message") { try decodeConsensus({ _ in }) })
        #expect(isInvalid("append_reply.outcome") { try decodeConsensus({ $0.appendReply = WireAppendReply() }) })
        #expect(isInvalid("entry.payload") { try decodeConsensus({ append(&$0, .with { $0.term = 2 }) }) })
    }

    @Test func aKindOfALaterVersionIsNamedAsSuch() throws {
        var bytes =
            try WirePeerFrame.with {
                $0.cluster = 1
                $0.from = 2
                $0.to = 3
            }.serializedBytes() as [UInt8]
        bytes += [0xFA, 0x01, 0x01, 0x00]  // field 31, one byte
        #expect(throws: WireError.unknownKind(of: "body")) { try WireCodec.decode(bytes) }
    }

    @Test func unknownFieldsBesideKnownOnesAreIgnored() throws {
        let bytes = try WireCodec.encode(exampleFrames[0])
        #expect(try WireCodec.decode(bytes + [0xFA, 0x01, 0x01, 0x00]) == exampleFrames[0])
    }

    @Test func termZeroIsRefusedExceptFromAMemberThatSawNoElection() throws {
        #expect(
            isInvalid("consensus.term") {
                try decodeConsensus({
                    $0.term = 0
                    $0.voteReply = WireVoteReply()
                })
            })
        #expect(
            isInvalid("consensus.term") {
                try decodeConsensus({
                    $0.term = 0
                    $0.preVoteReply.granted = true
                })
            })
        #expect(
            try decodeConsensus({
                $0.term = 0
                $0.preVoteReply = WirePreVoteReply()
            }).body == .consensus(.zero, .preVoteReply(PreVoteReply(granted: false))))
    }

    private func append(_ message: inout WireConsensus, _ entries: WireEntry...) {
        message.appendRequest = .with {
            $0.previousIndex = 7
            $0.previousTerm = 2
            $0.entries = entries
        }
    }

    @Test func entriesWhoseTermsGoBackAreRefused() {
        func entry(_ term: UInt64) -> WireEntry {
            .with {
                $0.term = term
                $0.empty = WireEmpty()
            }
        }
        #expect(isInvalid("entry.term") { try decodeConsensus({ append(&$0, entry(3), entry(2)) }) })
        #expect(isInvalid("entry.term") { try decodeConsensus({ append(&$0, entry(1)) }) })
        #expect(isInvalid("entry.term") { try decodeConsensus({ append(&$0, entry(0)) }) })
    }

    @Test func entriesThatDoNotFollowEachOtherAreNotSent() {
        let entries = [8, 10].map {
            Entry(index: LogIndex(rawValue: $0), term: Term(rawValue: 3), payload: .empty)
        }
        let request = AppendRequest(
            previousIndex: LogIndex(rawValue: 7), previousTerm: Term(rawValue: 3), entries: entries, commit: .zero)
        #expect(throws: WireError.self) {
            try WireCodec.encode(frame(.consensus(Term(rawValue: 3), .appendRequest(request))))
        }
    }

    @Test func aConfigurationTheConsensusWouldTrapOnIsRefused() {
        func refused(voters: [UInt64], learners: [UInt64]) -> Bool {
            isInvalid("configuration") {
                try decodeConsensus({
                    append(
                        &$0,
                        .with {
                            $0.term = 3
                            $0.configuration.voters = voters
                            $0.configuration.learners = learners
                        })
                })
            }
        }
        #expect(refused(voters: Array(1...8), learners: []))
        #expect(refused(voters: [1, 1], learners: []))
        #expect(refused(voters: [1, 2], learners: [2]))
        #expect(refused(voters: [1], learners: Array(2...1_002)))
        #expect(refused(voters: [], learners: [1]))
        #expect(refused(voters: [0], learners: []))
    }

    /// In the place of a plain one, an older release would count one majority.
    @Test func aJointConfigurationStandsInItsOwnPlaceOnly() {
        func refused(_ fill: (inout WireEntry) -> Void) -> Bool {
            isInvalid("configuration") {
                var entry = WireEntry.with { $0.term = 3 }
                fill(&entry)
                return try decodeConsensus({ append(&$0, entry) })
            }
        }
        let joint = WireConfiguration.with {
            $0.voters = [1, 2]
            $0.outgoingVoters = [1, 3]
        }
        #expect(refused { $0.configuration = joint })
        #expect(refused { $0.fullConfiguration.voters = [1] })
        #expect(refused { $0.fullConfiguration.outgoingVoters = [1] })
        #expect(
            refused {
                $0.fullConfiguration = joint
                $0.fullConfiguration.learnersNext = [2]
            })
    }

    @Test func aPositionHasBothIndexAndTermOrNeither() {
        #expect(isInvalid("vote_request.last") { try decodeConsensus({ $0.voteRequest.lastIndex = 4 }) })
        #expect(isInvalid("pre_vote_request.last") { try decodeConsensus({ $0.preVoteRequest.lastTerm = 4 }) })
        #expect(isInvalid("append_request.previous") { try decodeConsensus({ $0.appendRequest.previousIndex = 4 }) })
        #expect(
            isInvalid("append_reply.refused.hint") { try decodeConsensus({ $0.appendReply.refused.hintTerm = 4 }) })
    }

    @Test func negativeAndEndlessDurationsAreRefused() {
        for nanoseconds in [Int64.min, -1, WireCodec.longestDurationNanoseconds + 1, .max] {
            #expect(
                isInvalid("heartbeat.promise") {
                    try decodeConsensus({
                        $0.heartbeat.round = 1
                        $0.heartbeat.promiseNanoseconds = nanoseconds
                    })
                })
            #expect(
                isInvalid("lease_grant.duration") {
                    try decodeConsensus({ $0.leaseGrant.durationNanoseconds = nanoseconds })
                })
            #expect(
                isInvalid("campaign_now.longest_grant") {
                    try decodeConsensus({ $0.campaignNow.longestGrantNanoseconds = nanoseconds })
                })
        }
        #expect(isInvalid("lease_grant.stamp") { try decodeConsensus({ $0.leaseGrant.stampNanoseconds = -1 }) })
    }

    @Test func numbersNoClusterLivesToSeeAreRefused() {
        #expect(isInvalid("heartbeat_reply.round") { try decodeConsensus({ $0.heartbeatReply.round = .max }) })
        #expect(isInvalid("heartbeat.round") { try decodeConsensus({ $0.heartbeat.commit = 1 }) })
        #expect(
            isInvalid("lease_grant.floor") {
                try decodeConsensus({ $0.leaseGrant.floor = LogIndex.greatest.rawValue + 1 })
            })
        #expect(isInvalid("read_index_answer.index") { try decode { $0.readIndexAnswer.index = .max } })
        #expect(
            isInvalid("consensus.term") {
                try decodeConsensus({
                    $0.term = Term.greatest.rawValue + 1
                    $0.voteReply = WireVoteReply()
                })
            })
    }

    @Test func aFrameBeyondTheBoundIsNeitherSentNorRead() {
        let large = frame(.proposal(id: 1, record: [UInt8](repeating: 0, count: WireCodec.longestFrame)))
        #expect(throws: WireError.self) { try WireCodec.encode(large) }
        #expect(throws: WireError.tooLong(bytes: WireCodec.longestFrame + 1)) {
            try WireCodec.decode([UInt8](repeating: 0, count: WireCodec.longestFrame + 1))
        }
    }

    @Test func theBytesOfAFrameStayAsTheyAre() throws {
        // Members of different versions read each other's frames; these bytes are what version 1 sends.
        let bytes = try WireCodec.encode(
            frame(
                .consensus(
                    Term(rawValue: 5),
                    .voteRequest(
                        VoteRequest(
                            lastIndex: LogIndex(rawValue: 7), lastTerm: Term(rawValue: 4), byTransfer: true)))))
        #expect(
            bytes == [0x09, 0xC1, 0, 0, 0, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0, 0x19, 1, 0, 0, 0, 0, 0, 0, 0]
                + [0x22, 0x0A, 0x08, 5, 0x22, 0x06, 0x08, 7, 0x10, 4, 0x18, 1])
    }
}
