// The record encoding by hand, held against the general encoder.

import Consensus
import Testing

@testable import Cluster

/// Records that are written by hand, each of a shape of its own.
private let plainRecords: [CommandRecord] = {
    let commands: [Command] = [
        .put(key: "k0", value: "0-17", expected: nil), .put(key: "k0", value: "", expected: .absent),
        .put(key: "a/b c", value: "~!{}[]:,'", expected: .value("old")), .remove(key: "k0"), .remove(key: ""),
    ]
    let stamp = RequestStamp(session: .max, request: .max, settled: 0)
    var records = commands.flatMap { [record($0), record($0, actor: "", stamp: stamp)] }
    for (reason, milliseconds) in [(nil, Int64.min), ("spring cleaning", 0), ("", .max)] as [(String?, Int64)] {
        records.append(
            CommandRecord(
                stamp: stamp, milliseconds: milliseconds, actor: "alice",
                origin: CommandOrigin(name: "alice", role: .operator, key: "0a", needs: .viewer, reason: reason),
                command: .put(key: "a", value: "b", expected: nil)))
    }
    return records
}()

/// What both must find in the same bytes: the same record, or nothing that the reader by hand would claim.
private func expectAgreement(on bytes: [UInt8], _ location: SourceLocation = #_sourceLocation) {
    guard let byHand = CommandRecord.readByHand(bytes) else { return }
    let general = try? CanonicalJSON.decode(CommandRecord.self, from: bytes)
    #expect(byHand == general, "\(String(decoding: bytes, as: UTF8.self))", sourceLocation: location)
}

@Test func whatIsWrittenByHandIsReadByHand() throws {
    for record in plainRecords {
        let bytes = try #require(record.encodedByHand())
        #expect(CommandRecord.readByHand(bytes) == record)
        #expect(CommandRecord(encoded: bytes) == record)
        #expect(try CanonicalJSON.decode(CommandRecord.self, from: bytes) == record)
    }
}

/// Cut anywhere, with any byte lost, doubled or replaced: the reader by hand takes it for what the general one does, or leaves it.
@Test func whatIsAlteredIsNeverReadAsSomethingElse() throws {
    for record in plainRecords {
        let bytes = try #require(record.encodedByHand())
        for place in bytes.indices {
            #expect(CommandRecord.readByHand(Array(bytes[..<place])) == nil)
            expectAgreement(on: Array(bytes[..<place] + bytes[(place + 1)...]))
            expectAgreement(on: Array(bytes[...place] + bytes[place...]))
            for byte in Array("\"\\{},:-09azE. \n\u{7F}".utf8) + [0, 0x80, 0xC3, 0xFF] {
                var other = bytes
                other[place] = byte
                expectAgreement(on: other)
            }
        }
        #expect(CommandRecord.readByHand(bytes + bytes) == nil)
        #expect(CommandRecord.readByHand(bytes + [0x20]) == nil)
    }
}

@Test func whatTheGeneralEncoderWritesIsReadToo() throws {
    for command in [Command.removeMember(MemberID(rawValue: 1)), .put(key: "é", value: "\n", expected: nil)] {
        let bytes = try #require(record(command).encoded())
        #expect(CommandRecord.readByHand(bytes) == nil)
        #expect(CommandRecord(encoded: bytes) == record(command))
    }
    #expect(CommandRecord(encoded: Array("{}".utf8)) == nil)
}

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
