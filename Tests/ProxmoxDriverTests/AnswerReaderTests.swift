// HTTP answers and JSON as they may arrive: whole, in pieces, cut off, and made of nonsense.

import Cluster
import Testing

@testable import ProxmoxDriver

@Suite struct AnswerReaderTests {
    private func read(_ text: String, most: Int = 1_000, pieces: Int = .max) throws -> RawAnswer {
        var reader = AnswerReader(mostBodyBytes: most)
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            try reader.take(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
        }
        try reader.close()
        return reader.answer
    }

    @Test func theReasonPhraseOfAKnownStatusIsKept() throws {
        let answer = try read("HTTP/1.1 500 can't lock file '/x' - got timeout\r\nContent-Length: 0\r\n\r\n")
        #expect(answer.status == 500)
        #expect(answer.reason == "can't lock file '/x' - got timeout")
        #expect(answer.keepsConnection)
    }

    @Test(arguments: [1, 2, 7, 10_000]) func anAnswerMayComeInPieces(pieces: Int) throws {
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"da\r\nA;x=y\r\nta\":null}z\r\n0\r\nA: b\r\n\r\n"
        let answer = try read(chunked, pieces: pieces)
        #expect(String(decoding: answer.body, as: UTF8.self) == "{\"data\":null}z")
        #expect(answer.keepsConnection)
        let counted = try read(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", pieces: pieces)
        #expect(counted.status == 200)
        #expect(counted.body == Array("abc".utf8))
    }

    @Test func withoutALengthTheEndOfTheConnectionIsTheEnd() throws {
        let answer = try read("HTTP/1.1 200 OK\r\n\r\nabc")
        #expect(answer.body == Array("abc".utf8))
        #expect(!answer.keepsConnection)
    }

    @Test func aLineEndsWithOrWithoutCarriageReturn() throws {
        #expect(try read("HTTP/1.1 401 No ticket\nContent-Length: 0\n\n").reason == "No ticket")
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    ]) func halfAnAnswerIsNone(text: String) { #expect(throws: AnswerFault.endedEarly) { try read(text) } }

    @Test(arguments: [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    ]) func whatIsNotHTTPIsRefused(text: String) { #expect(throws: AnswerFault.self) { try read(text) } }

    @Test func headAndBodyAreBounded() {
        #expect(throws: AnswerFault.bodyTooLong(limit: 10)) {
            try read("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", most: 10)
        }
        #expect(throws: AnswerFault.bodyTooLong(limit: 10)) {
            try read("HTTP/1.1 200 OK\r\n\r\n12345678901", most: 10)
        }
        #expect(throws: AnswerFault.bodyTooLong(limit: 10)) {
            try read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFF\r\n12345678901", most: 10)
        }
        #expect(throws: AnswerFault.headTooLong) {
            try read("HTTP/1.1 200 OK\r\nA: \(String(repeating: "a", count: 70_000))")
        }
    }

    /// Whatever arrives, in whatever pieces: an answer or an error, never a crash, and never more than the bound.
    @Test func nonsenseIsSurvived() {
        var random = Draws(seed: 20_261)
        let seeds = [
            "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"data\":null}",
            "HTTP/1.1 500 VM is locked (backup)\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
            "HTTP/1.1 401 No ticket\r\nConnection: close\r\n\r\n",
        ]
        for _ in 0..<20_000 {
            let bytes = random.mutated(Array(seeds[random.below(seeds.count)].utf8))
            var reader = AnswerReader(mostBodyBytes: 64)
            var rest = bytes[...]
            do {
                while !rest.isEmpty {
                    let count = 1 + random.below(12)
                    try reader.take(rest.prefix(count))
                    rest = rest.dropFirst(count)
                }
                try reader.close()
                #expect(reader.isComplete)
            } catch {}
            #expect(reader.answer.body.count <= 64)
        }
    }
}

@Suite struct JSONReaderTests {
    private func value(_ text: String) throws -> JSONValue { try JSONReader.value(Array(text.utf8)) }

    @Test func everyKindOfValueIsRead() throws {
        #expect(
            try value(" {\"a\" : [1, -2.5, \"x\", true, false, null, {}], \"b\":[]} ") == [
                "a": [1, .double(-2.5), "x", true, false, nil, [:]], "b": [],
            ])
        #expect(try value(#""\u00e4\n\"\\\/\ud83d\ude00 \ud800""#) == "ä\n\"\\/😀 \u{fffd}")
        #expect(try value("{\"a\":1,\"a\":2}") == ["a": 2])
        #expect(try value("18446744073709551616") == .double(18_446_744_073_709_551_616))
    }

    @Test(arguments: [
        "", "{", "[1,", "[1 2]", "{\"a\"}", "{a:1}", "\"abc", "tru", "nul", "1 2", "-", "+", "1e999", "\"\\x\"",
        "\"\\u12\"", "\"\\u+123\"", "[,]", "{,}", "]",
    ]) func whatIsNoJSONIsRefused(text: String) { #expect(throws: JSONFault.self) { try value(text) } }

    @Test func depthIsBounded() throws {
        let deep = String(repeating: "[", count: 10_000)
        #expect(throws: JSONFault.self) { try value(deep) }
        let fine = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        #expect(throws: Never.self) { try value(fine) }
    }

    @Test func whatIsNoUTF8IsRepaired() throws {
        #expect(try JSONReader.value([0x22, 0x61, 0xff, 0x62, 0x22]) == "a\u{fffd}b")
    }

    @Test func nonsenseIsSurvived() {
        var random = Draws(seed: 4_711)
        let seed = Array(
            #"{"data":[{"vmid":"100","name":"wäb","status":"running","ha":{"managed":0},"x":[1.5e3,null]}],"total":1}"#
                .utf8)
        var understood = 0
        for _ in 0..<30_000 {
            if let value = try? JSONReader.value(random.mutated(seed)) {
                understood += 1
                // What can be read must also be survived by what reads it.
                for entry in value["data"]?.lenientList ?? [] {
                    _ = GuestSummary(entry, .machine)
                    _ = GuestStatus(entry)
                    _ = StorageState(entry)
                    _ = PendingChange(entry)
                    if let configuration = GuestConfiguration(entry, .machine) {
                        _ = (configuration.disks, configuration.networks)
                    }
                }
                _ = ProxmoxQuorum(value["data"] ?? .null)
                _ = ProxmoxVersion(value)
            }
        }
        #expect(understood > 100)
    }

    @Test func numbersAndTruthsComeInAllForms() {
        #expect(JSONValue.string("64").lenientInt == 64)
        #expect(JSONValue.double(64.9).lenientInt == 64)
        #expect(JSONValue.string("1.5").lenientInt == 1)
        #expect(JSONValue.double(1e300).lenientInt == nil)
        #expect(JSONValue.string("x").lenientInt == nil)
        #expect(JSONValue.int(1).lenientBool == true)
        #expect(JSONValue.string("0").lenientBool == false)
        #expect(JSONValue.bool(true).lenientBool == true)
        #expect(JSONValue.string("maybe").lenientBool == nil)
        #expect(JSONValue.null.lenientList == [])
    }
}

/// Reproducible chance for tests (SplitMix64).
struct Draws {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// The bytes with a few changed, removed, inserted or repeated.
    mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<(1 + below(4)) where !bytes.isEmpty {
            let place = below(bytes.count)
            switch below(5) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: next())
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(UInt8(truncatingIfNeeded: next()), at: place)
            case 3: bytes.removeLast(below(bytes.count))
            default:
                let end = min(bytes.count, place + 1 + below(8))
                bytes.insert(contentsOf: bytes[place..<end], at: place)
            }
        }
        return bytes
    }
}
