// Mutated frames, by the hundred thousand: whatever comes in neither crashes the codec nor traps the consensus.

import Agent
import Consensus
import Testing

@testable import Runtime

struct WireFuzzTests {
    /// A member that knows the others of the examples, as it starts.
    private func member(rank: LeadershipRank) -> Raft {
        Raft(
            id: MemberID(rawValue: 1), cluster: ClusterID(rawValue: 0xC1), timing: Timing(), rank: rank,
            incarnation: 1, hardState: HardState(), entries: [],
            initialConfiguration: Configuration(
                voters: [MemberID(rawValue: 1), MemberID(rawValue: 2), MemberID(rawValue: 3)]),
            now: Instant(nanoseconds: 0))
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        for _ in 0...random.uniform(below: 3) {
            let place = Int(random.uniform(below: UInt64(max(bytes.count, 1))))
            switch random.uniform(below: 6) {
            case 0 where !bytes.isEmpty: bytes[place] ^= 1 << UInt8(random.uniform(below: 8))
            case 1 where !bytes.isEmpty: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 2 where !bytes.isEmpty: bytes.remove(at: place)
            case 3: bytes.insert([0, 1, 0x7F, 0x80, 0xFF][Int(random.uniform(below: 5))], at: place)
            case 4 where !bytes.isEmpty: bytes.removeLast(min(bytes.count, Int(random.uniform(below: 12))))
            default:
                // A piece of the frame once more, somewhere: repeats fields, and nests them wrongly.
                let end = min(bytes.count, place + Int(random.uniform(below: 24)))
                let piece = bytes[min(place, bytes.count)..<end]
                bytes.insert(contentsOf: piece, at: Int(random.uniform(below: UInt64(bytes.count + 1))))
            }
        }
    }

    @Test func twoHundredThousandMutatedFramesHarmNobody() throws {
        var random = SeededGenerator(state: 0xF0)
        let valid = try exampleFrames.map { try WireCodec.encode($0) }
        var raft = member(rank: .preferred)
        var effects: [Effect] = []
        var (decoded, changed) = (0, 0)
        for round in 0..<200_000 {
            if round % 500 == 0 { raft = member(rank: round % 1_000 == 0 ? .preferred : .lastResort) }
            let choice = Int(random.uniform(below: UInt64(valid.count)))
            var bytes = valid[choice]
            mutate(&bytes, &random)
            guard let frame = try? WireCodec.decode(bytes) else { continue }
            decoded += 1
            if frame != exampleFrames[choice] { changed += 1 }
            if round % 10 == 0 { #expect(try WireCodec.decode(try WireCodec.encode(frame)) == frame) }
            guard case .consensus(let term, let message) = frame.body else { continue }
            // Every few rounds time passes, so that the member campaigns now and then.
            let now = Instant(nanoseconds: Int64(round % 500) * 20_000_000)
            let envelope = Envelope(
                cluster: ClusterID(rawValue: 0xC1), from: MemberID(rawValue: 2), to: MemberID(rawValue: 1), term: term,
                message: message)
            raft.handle(.received(envelope), now: now, random: &random)
            if random.uniform(below: 4) == 0 { raft.handle(.tick, now: now, random: &random) }
            effects.removeAll(keepingCapacity: true)
            raft.flush(now: now, into: &effects)
            for case .persist(let write) in effects {
                raft.handle(.persisted(write.sequence), now: now, random: &random)
            }
        }
        // The mutations are mild enough to get past the parser often, and wild enough to change something.
        #expect(decoded > 10_000)
        #expect(changed > 5_000)
    }
}
