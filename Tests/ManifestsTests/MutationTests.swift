// Damaged manifests by the thousand: each is accepted or refused with an error in the right form, and none does harm.
// The generator is seeded, so a failure repeats. HOLDFAST_MUTATIONS=100000 tries so many for each seed.

import FoundationEssentials
import Testing

@testable import Manifests

@Suite struct MutationTests {
    static let seeds: [UInt64] = [1, 2, 3, 4]
    private static let count = ProcessInfo.processInfo.environment["HOLDFAST_MUTATIONS"].flatMap { Int($0) } ?? 2_500

    private static let sound = """
        apiVersion: holdfast/v1
        kind: VirtualIP
        metadata: {name: kube-api, labels: {a: "b"}, environment: home}
        spec:
          address: 192.168.1.99/24
          candidates:
            - member: k8s-cp1
            - {member: 'k8s-cp2'}
          follow: {https: "127.0.0.1:6443/readyz", every: 500ms, failures: 3}
        ---
        apiVersion: holdfast/v1
        kind: Host
        metadata: {name: pve1}
        spec:
          address: 192.168.1.106
          description: |
            text of
              several lines

        """

    private static let pieces: [[UInt8]] = [
        "\t", "\n", "---\n", "...\n", "- ", "? ", ": ", "&a ", "*a", "!!str ", "!", "|", ">", "\"", "'", "[", "]", "{",
        "}", ",",
        "#", "%YAML 1.1\n", "<<", "~", "\\", "\\x", "\u{85}", "\u{2028}", "\u{FEFF}", "🏠", "  ", "@", "`", "1e999",
        "- - - - ",
        "[[[[[[[[", "{a: {a: {a: ", "? ? ? ? ", "spec:", "kind:", "\r", "\r\n", "-", "99999999999999999999", "\u{0}",
        "",
    ].map { Array($0.utf8) }

    @Test(arguments: seeds)
    func damagedManifestsAreReadOrRefused(seed: UInt64) {
        var random = Draws(seed: seed)
        let sound = Array(Self.sound.utf8)
        var accepted = 0
        for _ in 0..<Self.count {
            var bytes = sound
            for _ in 0...random.below(3) { Self.damage(&bytes, &random) }
            let said = errors(of: bytes, file: "f")
            if said.isEmpty { accepted += 1 }
            if let strange = said.first(where: {
                !$0.hasPrefix("f:") || !$0.contains("found ") || !$0.contains("expected ")
            }) {
                Issue.record("an error without its form: \(strange)")
                return
            }
        }
        // Damage to comments, texts and spaces is no error; most damage is.
        #expect(accepted > Self.count / 200)
        #expect(accepted < Self.count / 2)
    }

    private static func damage(_ bytes: inout [UInt8], _ random: inout Draws) {
        guard !bytes.isEmpty else { return bytes = random.pick(pieces) }
        let position = random.below(bytes.count)
        let end = min(bytes.count, position + random.below(12))
        switch random.below(6) {
        case 0: bytes[position] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.removeSubrange(position..<end)
        case 2: bytes.insert(contentsOf: random.pick(pieces), at: position)
        case 3: bytes.insert(contentsOf: bytes[position..<end], at: random.below(bytes.count))
        case 4: bytes.replaceSubrange(position..<end, with: random.pick(pieces))
        default: bytes.removeSubrange(position...)
        }
    }
}
