// How a command record is read from the log: the other half of RecordEncoding. Every member reads every record, and a start
// reads all that the log holds; the general decoder takes some twenty microseconds for a record of two hundred bytes.
//
// Relies on: reading by hand only what `encodedByHand` writes, byte for byte; tests hold it against the general decoder, also on
// altered bytes. Whatever else a record looks like, the general decoder has the word.

import Consensus

extension CommandRecord {
    /// Nil for bytes that are no command this version knows.
    public init?(encoded bytes: [UInt8]) {
        if let plain = Self.readByHand(bytes) {
            self = plain
        } else if let found = try? CanonicalJSON.decode(CommandRecord.self, from: bytes) {
            self = found
        } else {
            return nil
        }
    }

    /// Nil for what only the general decoder reads.
    static func readByHand(_ bytes: [UInt8]) -> CommandRecord? {
        bytes.withUnsafeBufferPointer { buffer in
            var reader = PlainReader(bytes: buffer)
            return reader.record()
        }
    }
}

extension PlainReader {
    // The one form that the writer by hand writes.
    fileprivate mutating func record() -> CommandRecord? {
        guard take("{\"actor\":"), let actor = text(), take(",\"command\":"), let command = command(),
            take(",\"milliseconds\":"), let milliseconds: Int64 = number()
        else { return nil }
        var origin: CommandOrigin?
        if take(",\"origin\":") {
            origin = person()
            guard origin != nil else { return nil }
        }
        guard take(",\"stamp\":{\"request\":"), let request: UInt64 = number(), take(",\"session\":"),
            let session: UInt64 = number(), take(",\"settled\":"), let settled: UInt64 = number(), take("}}"),
            isAtEnd
        else { return nil }
        var record = CommandRecord(
            stamp: RequestStamp(session: session, request: request, settled: settled), milliseconds: milliseconds,
            actor: actor, origin: origin, command: command)
        // As it was written, whatever this version would say.
        record.level = nil
        return record
    }

    private mutating func command() -> Command? {
        if take("{\"remove\":{\"key\":") {
            guard let key = text(), take("}}") else { return nil }
            return .remove(key: key)
        }
        guard take("{\"put\":{") else { return nil }
        var expected: ExpectedValue?
        if take("\"expected\":{\"absent\":{}},") {
            expected = .absent
        } else if take("\"expected\":{\"value\":{\"_0\":") {
            guard let old = text(), take("}},") else { return nil }
            expected = .value(old)
        }
        guard take("\"key\":"), let key = text(), take(",\"value\":"), let value = text(), take("}}") else {
            return nil
        }
        return .put(key: key, value: value, expected: expected)
    }

    private mutating func person() -> CommandOrigin? {
        guard take("{\"key\":"), let key = text(), take(",\"name\":"), let name = text(), take(",\"needs\":"),
            let needs = text().flatMap(OperatorRole.init(rawValue:))
        else { return nil }
        var reason: String?
        if take(",\"reason\":") {
            reason = text()
            guard reason != nil else { return nil }
        }
        guard take(",\"role\":"), let role = text().flatMap(OperatorRole.init(rawValue:)), take("}") else { return nil }
        return CommandOrigin(name: name, role: role, key: key, needs: needs, reason: reason)
    }
}
