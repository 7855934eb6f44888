// The text of a join token.

import Cluster
import Crypto
import FoundationEssentials
import Testing

@testable import Runtime

@Suite struct IdentityTokenTests {
    let cluster: TestCluster
    let token: JoinTokenText

    init() throws {
        cluster = try TestCluster()
        token = JoinTokenText(
            trust: cluster.founder.trust,
            endpoints: [Endpoint(host: "10.0.0.1", port: 7443), Endpoint(host: "fd00::1", port: 7443)], kind: .host)
    }

    private func reason(_ text: String) -> String? {
        do throws(JoinTokenError) {
            _ = try JoinTokenText(text)
            return nil
        } catch { return error.description }
    }

    private func altered(_ field: String, _ value: Any) throws -> String {
        let encoded = try #require(bytes(base64URL: String(token.text.dropFirst(4))))
        var content = try JSONDecoder().decode([String: JSONValue].self, from: Data(encoded))
        content[field] = value as? JSONValue
        let encoder = JSONEncoder()
        return "hf1." + base64URL(try encoder.encode(content))
    }

    @Test func aTokenReadsBack() throws {
        #expect(try JoinTokenText(token.text) == token)
        #expect(try JoinTokenText("  \(token.text)\n") == token)
    }

    @Test func aTokenSurvivesShellsAndURLs() {
        #expect(token.text.utf8.allSatisfy { UInt8(ascii: "!") < $0 && $0 < 127 })
        #expect(!token.text.contains { "+/=&?#'\"$`\\ ".contains($0) })
    }

    @Test func onlyTheHashOfTheSecretIsReplicated() throws {
        let replicated = token.replicated(expiresMilliseconds: 5)
        #expect(replicated.secretHash == hexadecimal(SHA256.hash(data: token.secret)))
        let kept = String(decoding: try JSONEncoder().encode(replicated), as: UTF8.self)
        #expect(!kept.contains(base64URL(token.secret)))
        #expect(replicated.id == token.id)
        #expect(replicated.kind == .host)
    }

    @Test func aTokenIsNotPrintedByAccident() {
        var dumped = ""
        dump(token, to: &dumped)
        let printed = "\(token)" + String(reflecting: token) + dumped
        #expect(!printed.contains(base64URL(token.secret)))
        #expect(!printed.contains("hf1."))
    }

    @Test func twoTokensDiffer() {
        let other = JoinTokenText(trust: cluster.founder.trust, endpoints: token.endpoints, kind: .host)
        #expect(other.secret != token.secret)
        #expect(other.id != token.id)
    }

    @Test(arguments: ["", "hello", "hf1", "hg1.abc", "https://x", String(repeating: "a", count: 5_000)])
    func otherTextIsNoToken(text: String) throws {
        #expect(try #require(reason(text)).contains("not a join token"))
    }

    @Test func aTokenOfALaterFormatIsNamed() throws {
        #expect(try #require(reason("hf2.abc")).contains("format hf2"))
    }

    @Test func everyTokenCutShortIsRefused() {
        for length in 4..<token.text.utf8.count { #expect(reason(String(token.text.prefix(length))) != nil) }
    }

    @Test(arguments: ["hf1.", "hf1.!!!", "hf1.e30", "hf1.bnVsbA"])
    func damagedTokensSayHowToGetAnother(text: String) throws {
        #expect(try #require(reason(text)).contains("token create"))
    }

    @Test(arguments: [
        ("cluster", JSONValue.string("12")), ("kind", .string("emperor")), ("endpoints", .array([])),
        ("endpoints", .array([.string("nowhere")])),
        ("endpoints", .array(Array(repeating: .string("a:1"), count: 17))), ("pin", .string("abc")),
        ("pin", .string(String(repeating: "G", count: 64))), ("secret", .string("AAAA")), ("secret", .string("+")),
        ("id", .string("")), ("id", .string("; rm")),
    ])
    func everyFieldIsChecked(field: String, value: JSONValue) throws {
        #expect(try #require(reason(try altered(field, value))).contains("damaged"))
    }

    @Test(arguments: [
        "10.0.0.1:7000", "pve1.lan:1", "[fd00::1]:65535", "[fe80::1%eth0]:7000",
    ])
    func endpointsReadBack(text: String) throws {
        #expect(try #require(Endpoint(text)).description == text)
    }

    @Test(arguments: [
        "", ":1", "a:", "a:0", "a:65536", "fd00::1:7000", "[fd00::1]", "[a]:1", "a b:1", "a:+1", "a/b:1", "[]:1",
    ])
    func otherTextIsNoEndpoint(text: String) { #expect(Endpoint(text) == nil) }
}
