// Documents that are written and read by hand are, byte for byte, what the general coder makes of them.

import Cluster
import Testing

@testable import API

@Suite struct PlainDocumentTests {
    private static let texts = [
        "", "plain", "a/b c~", "a \"quote\"", "back\\slash", "line\nbreak", "ü", "\u{7f}", "\u{1F600}",
    ]

    @Test(arguments: texts) func whatIsWrittenByHandIsWhatTheEncoderWrites(text: String) throws {
        let read = ReadAge(consistency: .local, revision: .max, behind: 3, member: text, knowsLeader: false)
        func check(_ document: some WrittenPlainly & Encodable, isPlain: Bool) throws {
            let plain = document.plainJSON()
            #expect((plain != nil) == isPlain)
            if let plain { #expect(try Array(plain.utf8) == CanonicalJSON.encode(document)) }
        }
        let isPlain = PlainJSON.quoted(text) != nil
        try check(OutcomeDocument(changed: true, message: text, revision: 0), isPlain: isPlain)
        try check(read, isPlain: isPlain)
        try check(ValueDocument(key: text, value: "v", modified: 7, secret: nil, read: read), isPlain: isPlain)
        try check(ValueDocument(key: "k", value: text, modified: 7, secret: nil, read: read), isPlain: isPlain)
        try check(ValueDocument(key: "k", value: "v", modified: 7, secret: true, read: read), isPlain: false)
    }

    @Test func someTextsArePlain() {
        #expect(Self.texts.filter { PlainJSON.quoted($0) != nil } == ["", "plain", "a/b c~"])
    }

    @Test(arguments: texts) func aValueIsReadAsTheDecoderReadsIt(text: String) throws {
        let body = try CanonicalJSON.encode(ValueRequest(value: text))
        let plain = ValueRequest(plainJSON: body)
        #expect((plain != nil) == (PlainJSON.quoted(text) != nil))
        if let plain { #expect(plain.value == text && plain.secret == nil) }
    }

    /// Wherever one byte is another one, or is missing, both read the same or the hand reads nothing.
    @Test func alteredBytesAreReadAlike() throws {
        let body = Array("{\"value\":\"some text\"}".utf8)
        for place in body.indices {
            for byte in [UInt8(0), 9, 32, 34, 44, 48, 92, 97, 123, 125, 195, 255] {
                var altered = body
                altered[place] = byte
                guard let plain = ValueRequest(plainJSON: altered) else { continue }
                #expect(try CanonicalJSON.decode(ValueRequest.self, from: altered).value == plain.value)
            }
            #expect(ValueRequest(plainJSON: Array(body[..<place])) == nil)
        }
        #expect(ValueRequest(plainJSON: body + [32]) == nil)
    }
}
