// The record encoding by hand, held against the general encoder.

import Consensus
import Testing

@testable import Cluster

private func record(_ command: Command, actor: String = "client", stamp: RequestStamp? = nil) -> CommandRecord {
    CommandRecord(
        stamp: stamp ?? RequestStamp(session: 7, request: 3, settled: 2), milliseconds: 1_800_000_000_000,
        actor: actor, command: command)
}

@Test(arguments: [
    Command.put(key: "k0", value: "0-17", expected: nil), .put(key: "k0", value: "", expected: .absent),
    .put(key: "a/b c", value: "~!{}[]:,'", expected: .value("old")), .remove(key: "k0"), .remove(key: ""),
])
func valueCommandsAreWrittenByHandToTheSameBytes(command: Command) throws {
    let stamp = RequestStamp(session: .max, request: .max, settled: 0)
    for record in [record(command), record(command, actor: "", stamp: stamp)] {
        let bytes = try #require(record.encodedByHand())
        #expect(try bytes == CanonicalJSON.encode(record), "\(String(decoding: bytes, as: UTF8.self))")
        #expect(record.encoded() == bytes)
    }
}

@Test(arguments: ["\"", "\\", "\n", "\u{7F}", "é", "\u{2028}", "\u{0}"])
func whatMayNeedAnEscapeIsLeftToTheGeneralEncoder(text: String) throws {
    let commands: [Command] = [
        .put(key: text, value: "v", expected: nil), .put(key: "k", value: text, expected: nil),
        .put(key: "k", value: "v", expected: .value(text)), .remove(key: text),
    ]
    for record in commands.map({ record($0) }) + [record(.remove(key: "k"), actor: text)] {
        #expect(record.encodedByHand() == nil)
        #expect(try record.encoded() == CanonicalJSON.encode(record))
    }
}

@Test func otherCommandsAreLeftToTheGeneralEncoder() throws {
    let record = record(.removeMember(MemberID(rawValue: 1)))
    #expect(record.encodedByHand() == nil)
    #expect(try record.encoded() == CanonicalJSON.encode(record))
}

@Test(arguments: [nil, "spring cleaning", "with a \"quote\""])
func theWriterByHandKeepsThePersonBehindACommand(_ reason: String?) throws {
    let record = CommandRecord(
        stamp: RequestStamp(session: 1, request: 2, settled: 1), milliseconds: 5, actor: "alice",
        origin: CommandOrigin(name: "alice", role: .operator, key: "0a", needs: .viewer, reason: reason),
        command: .put(key: "a", value: "b", expected: nil))
    let bytes = try #require(record.encoded())
    #expect(bytes == (try CanonicalJSON.encode(record)))
    #expect(try CanonicalJSON.decode(CommandRecord.self, from: bytes) == record)
}
