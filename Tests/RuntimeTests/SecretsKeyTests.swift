// Sealed secrets: what opens them, and what does not.

import Crypto
import Testing

@testable import Runtime

@Suite struct SecretsKeyTests {
    @Test func aSecretOpensUnderItsNameWithItsKeyAlone() throws {
        let key = SecretsKey()
        let sealed = try key.seal("correct horse", as: "db/password")
        #expect(SecretsKey.isSealed(sealed) && !sealed.contains("correct"))
        #expect(try key.open(sealed, as: "db/password") == "correct horse")
        #expect(throws: SecretError.anotherKey) { try key.open(sealed, as: "db/other") }
        #expect(throws: SecretError.anotherKey) { try SecretsKey().open(sealed, as: "db/password") }
        #expect(throws: SecretError.damaged) { try key.open("hfs1:?", as: "db/password") }
        #expect(throws: SecretError.damaged) { try key.open("correct horse", as: "db/password") }
    }

    @Test func theSameSecretIsSealedDifferentlyEachTime() throws {
        let key = SecretsKey()
        #expect(try key.seal("a", as: "n") != key.seal("a", as: "n"))
        #expect(try key.open(key.seal("", as: "n"), as: "n") == "")
    }

    @Test func itIsNotPrinted() throws {
        let key = SecretsKey()
        #expect("\(key)" == "the key of a cluster's secrets")
        #expect(Mirror(reflecting: key).children.isEmpty)
    }

    @Test func onlyTheMemberItIsSealedForOpensIt() throws {
        let trust = try ClusterAuthority.create(cluster: .init(rawValue: 5)).trust
        let (member, other) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
        let key = SecretsKey()
        let sealed = try SealedSecretsKey.seal(key, of: trust, for: member.publicKey)
        #expect(try sealed.open(with: member, trust: trust) == key)
        #expect(throws: (any Error).self) { try sealed.open(with: other, trust: trust) }
    }
}
