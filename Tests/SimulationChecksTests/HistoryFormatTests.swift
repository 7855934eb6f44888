// The text form of histories: read back what was written, read what others write, and say where a text is no history.
// Each bad text differs from a good one in one place. No files: the form is bytes in and bytes out.

import Cluster
import Testing

@testable import SimulationChecks

@Suite struct HistoryFormatTests {
    private let header = #"{"t":"header","v":"1","f":"kv"}"#

    private func read(_ lines: String...) throws(HistoryTextError) -> History {
        try History(text: Array((lines.joined(separator: "\n") + "\n").utf8))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func whatWasWrittenIsReadBack(seed: UInt64) throws {
        let history = try atomicHistory(Shape(), seed: seed)
        let back = try History(text: history.encoded())
        // Compared outside the expectation: two histories in a failure's words would fill pages.
        let isEqual = back == history
        #expect(isEqual)
        #expect(history.operations.count == 40)
    }

    @Test func everyFieldIsRead() throws {
        let history = try read(
            header,
            #"{"t":"call","id":3,"c":2,"at":50,"f":"cas","k":"a","old":1,"v":{"b":[2]}}"#,
            #"{"t":"call","id":4,"c":3,"at":50,"f":"get","k":7,"comment":"ignored"}"#,
            "",
            #"{"t":"ok","id":3,"at":90,"found":true}"#,
            #"{"t":"ok","id":4,"at":95,"v":null,"found":false}"#,
            #"{"t":"call","id":5,"c":3,"at":99,"f":"del","k":"a"}"#,
            #"{"t":"info","id":5,"at":120}"#)
        #expect(history.subject == "kv")
        #expect(history.eventCount == 6)
        let operations = history.operations
        #expect(operations.map(\.id) == [3, 4, 5])
        #expect(operations.map(\.key) == ["a", "7", "a"])
        #expect(operations[0].action == .compareAndSet(expected: 1, value: ["b": [2]]))
        #expect(operations[0].completion == .ok(Answer(found: true)))
        #expect(operations[0].called == Moment(nanoseconds: 50, event: 0))
        #expect(operations[0].completed == Moment(nanoseconds: 90, event: 2))
        #expect(operations[1].completion == .ok(Answer(found: false)))
        #expect(operations[2].completion == .unknown)
        #expect(operations[2].completed == Moment(nanoseconds: 120, event: 5))
    }

    @Test(arguments: [
        (#"{"t":"ok","id":1,"at":5}"#, "operation 1 is completed but was never called"),
        (#"{"t":"call","id":1,"at":5,"f":"get","k":"a"}"#, "needs \"c\""),
        (#"{"t":"call","c":1,"at":5,"f":"get","k":"a"}"#, "needs \"id\""),
        (#"{"t":"call","id":1,"c":1,"f":"get","k":"a"}"#, "needs \"at\""),
        (#"{"t":"call","id":1,"c":1,"at":5,"f":"get"}"#, "needs \"k\""),
        (#"{"t":"call","id":1,"c":1,"at":5,"f":"put","k":"a"}"#, "needs \"v\""),
        (#"{"t":"call","id":1,"c":1,"at":5,"f":"swap","k":"a"}"#, "\"f\" is \"swap\""),
        (#"{"t":"header","id":1,"at":5}"#, "\"t\" is \"header\""),
        (#"{"t":"call","id":"one","c":1,"at":5,"f":"get","k":"a"}"#, "not a JSON object of a history"),
        ("no json", "not a JSON object of a history"),
        (#"{"t":"call","id":9,"c":1,"at":5,"f":"get","k":"a"}"#, "operation 9 was called before"),
        (#"{"t":"ok","id":9,"at":-1}"#, "time goes back from 0 to -1 ns"),
        (#"{"t":"ok","id":9,"at":1,"v":3,"found":false}"#, "contradict each other"),
    ])
    func aBadLineIsNamed(line: String, complaint: String) throws {
        let error = #expect(throws: HistoryTextError.self) {
            try read(header, #"{"t":"call","id":9,"c":1,"at":0,"f":"get","k":"a"}"#, line)
        }
        #expect(error?.line == 3)
        #expect(error?.description.contains(complaint) == true, "\(String(describing: error))")
    }

    @Test func nullIsAbsenceAndNoValue() throws {
        var history = History()
        try history.call(1, client: 1, key: "a", .compareAndSet(expected: .some(.null), value: 1), at: 0)
        try history.complete(1, .ok(Answer(value: .some(.null), found: true)), at: 1)
        #expect(history.operations[0].action == .compareAndSet(expected: nil, value: 1))
        #expect(history.operations[0].completion == .ok(Answer(found: true)))
        #expect(throws: HistoryFault.nullWritten(2)) { try history.call(2, client: 1, key: "a", .put(.null), at: 2) }
    }

    @Test func anOperationIsCompletedOnce() throws {
        let error = #expect(throws: HistoryTextError.self) {
            try read(
                header, #"{"t":"call","id":1,"c":1,"at":0,"f":"get","k":"a"}"#, #"{"t":"info","id":1,"at":1}"#,
                #"{"t":"ok","id":1,"at":2}"#)
        }
        #expect(error?.line == 4)
    }

    @Test func aMissingHeaderAndAForeignVersionAreRefused() throws {
        #expect(throws: HistoryTextError.self) { try read("") }
        let missing = #expect(throws: HistoryTextError.self) { try read(#"{"t":"ok","id":1,"at":2}"#) }
        #expect(missing?.line == 1)
        let foreign = #expect(throws: HistoryTextError.self) { try read(#"{"t":"header","v":"2"}"#) }
        #expect(foreign?.message.contains("version \"2\"") == true)
    }

    @Test func anEndlessLineIsRefused() throws {
        let value = String(repeating: "a", count: History.mostLineBytes)
        let error = #expect(throws: HistoryTextError.self) {
            try read(header, #"{"t":"call","id":1,"c":1,"at":0,"f":"put","k":"a","v":"\#(value)"}"#)
        }
        #expect(error?.line == 2)
    }
}
