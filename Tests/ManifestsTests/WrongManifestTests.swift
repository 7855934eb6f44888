// Every way to get a manifest wrong, with the exact text that a person is shown.
// The manifests are in WrongSyntax, WrongDocuments and WrongSpecs.

import Testing

@testable import Manifests

struct WrongManifest: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let errors: [String]

    init(_ name: String, _ text: String, _ errors: [String]) {
        self.name = name
        self.text = text
        self.errors = errors
    }

    var testDescription: String { name }
}

@Suite struct WrongManifestTests {
    @Test(arguments: WrongManifest.syntax + WrongManifest.documents + WrongManifest.specs + WrongManifest.furtherSpecs)
    func theErrorSaysWhereAndWhat(manifest: WrongManifest) {
        #expect(errors(of: manifest.text, file: "lab.yaml") == manifest.errors)
    }

    @Test func everyMistakeIsThereOnce() {
        let names = (WrongManifest.syntax + WrongManifest.documents + WrongManifest.specs + WrongManifest.furtherSpecs)
            .map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names.count > 100)
    }

    @Test(
        arguments: [
            ([0xFF, 0xFE, 0x61, 0x00], "f:1:1: found text in UTF-16, expected UTF-8"),
            ([0x61, 0x3A, 0x20, 0xE4, 0x0A], "f:1:4: found bytes that are not UTF-8, expected UTF-8"),
            (
                [0x61, 0x0A, 0x62, 0x00],
                "f:2:2: found the control character U+0000, expected printable text, or the character as an escape in double quotes"
            ),
        ] as [([UInt8], String)])
    func bytesThatAreNoTextAreRefused(bytes: [UInt8], error: String) {
        #expect(errors(of: bytes, file: "f") == [error])
    }

    @Test func aFileThatIsTooLongIsRefused() {
        let bytes = [UInt8](repeating: UInt8(ascii: "#"), count: (1 << 20) + 1)
        #expect(
            errors(of: bytes, file: "f") == ["f:1:1: found a file of 1048577 bytes, expected at most 1048576; split it"]
        )
    }

    @Test(arguments: [(100, 36), (100_000, 5)])
    func depthIsBounded(depth: Int, column: Int) {
        // Far beyond the bound libyaml's own, which guards its look-ahead, is the first to be met.
        let text = "a: " + String(repeating: "[", count: depth)
        let wanted = "f:1:\(column): found more than 32 maps and lists inside one another, expected fewer"
        #expect(errors(of: text) == [wanted])
    }

    @Test func theNumberOfValuesIsBounded() {
        let text = "a: [" + String(repeating: "1,", count: 60_000) + "]"
        #expect(errors(of: text) == ["f:1:99999: found more than 50000 values, expected a file with fewer"])
    }

    @Test func aPageOfAliasesThatStandsForMoreThanThereIsMemoryIsRefusedAtOnce() {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...60 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        text += "? *a60\n: x\n"
        let said = errors(of: text)
        #expect(said.first?.hasPrefix("f:1:5: found the anchor &a0, expected the value alone") == true)
        #expect(said.count == YAMLComposer.mostFaults + 1)
    }

    @Test func theNamesOfFieldsAreBounded() {
        let text = "? " + String(repeating: "x", count: 300_000) + "\n: 1\n"
        #expect(errors(of: text) == ["f:1:3: found the name of a field of 300000 characters, expected at most 200"])
    }

    @Test func aThousandMistakesAreCounted() {
        let text = (0..<1_000).map { "x\($0)\n" }.joined(separator: "---\n")
        let said = errors(of: text)
        #expect(said.count == ManifestErrors.most + 1)
        #expect(said.last?.hasPrefix("and ") == true)
    }

    @Test(arguments: [
        "! !<%1b[31m> x", "!%1b[31m x", "spec: \"kind:\\e[31m\"", "\"\\e[31m\": 1", "spec: {a: \"\\u202E\"}",
    ])
    func noErrorCarriesWhatATerminalWouldActOn(text: String) {
        let said = errors(of: text + "\n").joined()
        #expect(!said.isEmpty)
        #expect(!said.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x202E })
    }

    @Test func errorsInsideAnExcerptStayOnOneLine() {
        let text = "apiVersion: \"a\\nb\\u001b[31m\"\n"
        #expect(errors(of: text).last == #"f:1:13: apiVersion: found the text "a\nb\u{1b}[31m", expected holdfast/v1"#)
    }
}

/// The lines a person is shown; empty when the manifest is accepted.
func errors(of text: String, file: String = "f") -> [String] { errors(of: Array(text.utf8), file: file) }

func errors(of bytes: [UInt8], file: String) -> [String] {
    do throws(ManifestErrors) {
        _ = try ManifestReader.read(bytes: bytes, file: file)
        return []
    } catch {
        return error.description.split(separator: "\n").map(String.init)
    }
}
